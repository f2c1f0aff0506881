"""Which ffmpeg runs, and that it is run safely."""

from pathlib import Path

import ffmpeg
import imageio_ffmpeg
import pytest

from avaffect.errors import MediaError
from avaffect.media.ffmpeg import MESSAGES, ffmpeg_binary, file_input, file_url, pipe_from


@pytest.fixture
def fresh():
    ffmpeg_binary.cache_clear()
    yield
    ffmpeg_binary.cache_clear()


def program(folder, text):
    path = folder / "ffmpeg"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize("code", [0, 1])
def test_what_else_a_machine_has_changes_nothing(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh
) -> None:
    other = program(tmp_path, f"exit {code}")
    monkeypatch.delenv("IMAGEIO_FFMPEG_EXE", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert ffmpeg_binary() != other
    ffmpeg_binary.cache_clear()
    # Another is taken if it is asked for by name.
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", other)
    assert ffmpeg_binary() == other


def test_no_ffmpeg_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh) -> None:
    def none():
        raise RuntimeError

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", none)
    with pytest.raises(MediaError, match="pip install imageio-ffmpeg"):
        ffmpeg_binary()


def test_inputs_are_absolute_files_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    graph = file_input(tmp_path / "-x.mp4").output("pipe:1", format="null")
    arguments = ffmpeg.compile(graph)
    place = arguments.index("-i")
    assert arguments[place + 1] == f"file:{tmp_path}/-x.mp4" == file_url(tmp_path / "-x.mp4")
    assert "file,pipe" in arguments[:place]
    assert not {"hls", "concat", "dash", "sdp"} & set(
        arguments[arguments.index("-format_whitelist") + 1].split(",")
    )


def tone(seconds, fmt="s16le"):
    return ffmpeg.input(f"sine=d={seconds}:r=8000", f="lavfi").output("pipe:1", format=fmt)


def test_output_is_streamed(make) -> None:
    lines = []
    with pipe_from(tone(2), lines.append) as pipe:
        assert len(pipe.read()) == 2 * 2 * 8000
    assert lines == []


def test_output_may_be_left_unread_without_complaint() -> None:
    lines = []
    with pipe_from(tone(100_000), lines.append) as pipe:
        assert len(pipe.read(1000)) == 1000
    assert lines == []


def test_complaints_are_told(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"no media" * 100)
    lines = []
    graph = file_input(tmp_path / "x").output("pipe:1", format="s16le")
    with pipe_from(graph, lines.append) as pipe:
        assert pipe.read() == b""
    assert 0 < len(lines) <= MESSAGES


def test_an_exception_in_the_block_ends_ffmpeg(monkeypatch: pytest.MonkeyPatch) -> None:
    started = []
    with pytest.raises(KeyboardInterrupt), pipe_from(tone(100_000), print) as pipe:
        started.append(pipe)
        raise KeyboardInterrupt
    assert started[0].closed


def test_ffmpeg_that_cannot_be_started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("avaffect.media.ffmpeg.ffmpeg_binary", lambda: str(tmp_path / "none"))
    with pytest.raises(MediaError, match="cannot run"), pipe_from(tone(1), print):
        pass
