"""A process of its own gives what this one gives, and dies alone."""

from __future__ import annotations

import ctypes
import io
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixtures import aparts

from avaffect.config import MediaConfig
from avaffect.errors import (
    InputNotFoundError,
    MediaError,
    NoFramesError,
    NotMediaError,
)
from avaffect.media import apart
from avaffect.media.frames import FrameReader
from avaffect.media.sound import extract_sound
from avaffect.media.source import read_header
from avaffect.progress import Event, Notice


def has_seccomp() -> bool:
    """Whether this kernel knows seccomp, which some containers' do not."""
    if sys.platform != "linux" or os.uname().machine != "x86_64":
        return False
    return bool(ctypes.CDLL(None).prctl(21, 0, 0, 0, 0) >= 0)  # PR_GET_SECCOMP


LINUX = pytest.mark.skipif(not has_seccomp(), reason="seccomp is Linux's")
POSIX = pytest.mark.skipif(os.name == "nt", reason="Windows has no such limits")
CONFIG = MediaConfig()


@pytest.fixture
def untrusted(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv(apart.UNTRUSTED, "1")
    yield


def everything(path: Path, wav: Path, start: int = 0) -> dict[str, Any]:
    """All that is read of a film."""
    header = read_header(path, CONFIG)
    frames = []
    with FrameReader(path, CONFIG, start=start, info=header.media) as reader:
        for frame in reader:
            # A sum in which every pixel's place counts.
            picture = frame.image.reshape(-1).astype(np.int64)
            checked = int(picture @ (np.arange(picture.size) % 65_521))
            frames.append((frame.index, frame.time, frame.scale, frame.image.shape, checked))
        report = reader.report
    told: list[Event] = []
    first = header.media.video.first_time_s
    sound = extract_sound(
        path, CONFIG, wav, first_time_s=first, tracks=header.tracks, on_event=told.append
    )
    heard = wav.read_bytes() if sound else b""
    return {"header": header, "frames": frames, "report": report, "sound": sound,
            "heard": heard, "told": told}  # fmt: skip


@pytest.mark.parametrize("name", ["vfr_rotated.mov", "damaged.mp4"])
def test_the_same_comes_out(
    name: str, sample: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = sample("vfr_rotated.mov")
    if name == "damaged.mp4":
        data = bytearray(path.read_bytes())
        for at in range(15_000, 50_000, 500):
            data[at] ^= 0xFF
        path = tmp_path / name
        path.write_bytes(data)
    start = 3 if name == "damaged.mp4" else 0
    here = everything(path, tmp_path / "here.wav", start)
    monkeypatch.setenv(apart.UNTRUSTED, "1")
    there = everything(path, tmp_path / "there.wav", start)
    assert there == here
    assert len(here["frames"]) > 10
    assert (here["report"].damaged > 0) == (name == "damaged.mp4")


def test_errors_come_as_they_are(untrusted: None, tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with pytest.raises(InputNotFoundError, match=r"a\.mp4"):
        read_header(path, CONFIG)
    path.write_bytes(b"no film at all")
    with pytest.raises(NotMediaError) as caught:
        read_header(path, CONFIG)
    assert "\n" not in str(caught.value) and caught.value.hint
    with pytest.raises(NoFramesError) as refused:
        aparts.refuse(path)
    assert refused.value.problem == f"nothing in '{path}'"
    assert refused.value.hint == "look elsewhere"


@POSIX
@pytest.mark.parametrize("name", ["SIGSEGV", "SIGKILL", "SIGABRT"])
def test_a_crash_is_one_line(name: str, untrusted: None, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=rf"a\.mp4' makes the decoder crash \({name}\)"):
        aparts.crash(tmp_path / "a.mp4", getattr(signal, name))


def test_an_end_before_its_time_is_one_line(untrusted: None, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"makes the decoder end \(code 3\)"):
        aparts.leave(tmp_path / "a.mp4", 3)


@LINUX
def test_memory_is_limited(untrusted: None, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="needs more than 4 GiB"):
        aparts.take(tmp_path / "a.mp4")


@POSIX
def test_what_never_ends_is_ended(untrusted: None, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="processor time"):
        aparts.turn(tmp_path / "a.mp4", 1.0)


@POSIX
def test_what_says_nothing_is_ended(
    untrusted: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apart, "WAIT_S", 0)
    with pytest.raises(MediaError, match="busy for ever"):
        aparts.turn(tmp_path / "a.mp4", 20)


class Babbling:
    """A process that says ``what`` and ends with 0."""

    what = b""

    def __init__(self, *given: Any, **named: Any) -> None:
        self.stdin, self.stdout = io.BytesIO(), io.BytesIO(self.what)

    def __enter__(self) -> Babbling:
        return self

    def __exit__(self, *given: object) -> None:
        pass

    def kill(self) -> None:
        pass

    def wait(self) -> int:
        return 0


@pytest.mark.parametrize(
    "what",
    [
        b"",
        b"\x80\x04cos\nsystem\n." * 3,
        apart.HEAD.pack(b"i", 2**31, 0),
        apart.HEAD.pack(b"i", 2, 2**62) + b"{}",
        apart.HEAD.pack(b"i", 4, 9) + b"null",
        apart.HEAD.pack(b"r", 2, 0) + b"{}",
        apart.HEAD.pack(b"r", 4, 0) + b"[[[[",
        apart.HEAD.pack(b"r", 1, 0) + b"\xff",
        apart.HEAD.pack(b"r", 8000, 0) + b"[" * 8000,
        apart.HEAD.pack(b"s", 13, 0) + b'["system", 1]',
        apart.HEAD.pack(b"s", 9, 0) + b'[["a"],1]',
        apart.HEAD.pack(b"e", 2, 0) + b"12",
        apart.HEAD.pack(b"z", 4, 0) + b"null",
    ],
)
def test_nonsense_is_one_line(
    what: bytes, untrusted: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Babbling, "what", what)
    monkeypatch.setattr(apart.subprocess, "Popen", Babbling)
    monkeypatch.setattr(apart, "_ready", lambda pipe: True)
    with pytest.raises(MediaError, match=r"nonsense|makes the decoder end"):
        aparts.strange(tmp_path / "a.mp4")


def test_what_is_returned_is_checked(untrusted: None, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="nonsense"):
        aparts.strange(tmp_path / "a.mp4")


@LINUX
def test_nothing_but_reading_is_allowed(untrusted: None, tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"film")
    found = aparts.attempts(path)
    assert found.pop("read") == "done"
    assert set(found.values()) == {"PermissionError"}, found
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == {"a.mp4": b"film"}


def test_values_arrays_and_calls_come_back(untrusted: None, tmp_path: Path) -> None:
    told: list[Event] = []
    found = list(aparts.numbers(tmp_path / "a.mp4", 4, told.append, start=float("inf")))
    assert [value for value, _ in found] == [(number, float("inf")) for number in range(4)]
    for number, (_, data) in enumerate(found):
        assert data == bytes([number]) * (number * 100_000)
    assert told == [Notice(f"at {number}") for number in range(4)]


@POSIX
def test_a_process_ends_with_its_reader(untrusted: None, tmp_path: Path) -> None:
    started: list[int] = []
    make = apart.subprocess.Popen.__init__

    def noted(self: Any, *given: Any, **named: Any) -> None:
        make(self, *given, **named)
        started.append(self.pid)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(apart.subprocess.Popen, "__init__", noted)
        with closing(aparts.numbers(tmp_path / "a.mp4", 1000, lambda event: None)) as items:
            next(items)
    assert len(started) == 1
    with pytest.raises(ProcessLookupError):
        os.kill(started[0], 0)


def test_nothing_of_it_without_being_asked(
    sample: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def never(*given: Any, **named: Any) -> None:
        raise AssertionError("a process was started")

    monkeypatch.delenv(apart.UNTRUSTED, raising=False)
    monkeypatch.setattr(apart, "_Call", never)
    everything(sample("vfr_rotated.mov"), tmp_path / "a.wav")
    monkeypatch.setenv(apart.UNTRUSTED, "0")
    with pytest.raises(NotMediaError):
        (tmp_path / "b.mp4").write_bytes(b"no")
        read_header(tmp_path / "b.mp4", CONFIG)


# By these words a module opens a media file.
_OPENING = ("open_container(", "open_media(", "av.open(")
_INSIDE = ("mono.py", "piped.py", "container.py", "decode.py", "pyav.py")


def test_all_that_opens_media_is_apart() -> None:
    """Who opens a file in a function that is not `apart` would decode it in this process."""
    import ast

    package = Path(apart.__file__).parents[1]
    found = set()
    for path in package.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if path.name in _INSIDE or not any(word in text for word in _OPENING):
            continue
        for node in ast.walk(ast.parse(text)):
            if not isinstance(node, ast.FunctionDef):
                continue
            source = ast.get_source_segment(text, node) or ""
            marks = {getattr(each, "id", "") for each in node.decorator_list}
            if any(word in source for word in _OPENING) and "apart" not in marks:
                found.add(f"{path.name}:{node.name}")
    # The decoder's own; what `hear` calls; what refuses untrusted files (its caller does, where
    # frames are read in segments); what is written here.
    assert found == {
        "tracks.py:pieces", "numbered.py:_join", "film.py:__init__", "film.py:write_film",
        "segments.py:read_stamps", "segments.py:segment_frames",
    }  # fmt: skip


def test_settings_are_sent(untrusted: None, sample: Any) -> None:
    path = sample("vfr_rotated.mov")
    turned = read_header(path, MediaConfig(rotate=180))
    assert turned.media.video.rotation == 180
    assert asdict(turned.media.video) != asdict(read_header(path, CONFIG).media.video)
