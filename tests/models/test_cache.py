import fcntl
import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import pytest

from avaffect.errors import DiskFullError, ModelDamagedError, OutputError
from avaffect.files.hashing import file_sha256
from avaffect.models.cache import (
    CacheState,
    cache_access,
    cache_folder,
    cached_path,
    damage,
    pin,
    pinned_hash,
    put,
    read,
    state,
)
from avaffect.models.zoo import Check, ModelFile, UrlSource
from avaffect.progress import Event, Notice

CONTENT = b"weights" * 1000
MODEL = ModelFile(
    name="m",
    file="m.bin",
    bytes=len(CONTENT),
    check=Check(hashlib.sha256(CONTENT).hexdigest()),
    licence="MIT",
    task="a test",
    sources=(UrlSource("https://localhost/m.bin"),),
)


@pytest.fixture
def path(cache: Path) -> Path:
    cache.mkdir()
    return cached_path(MODEL)


def test_the_folder_is_the_one_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AVAFFECT_CACHE", "~/weights")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "weights"


def test_an_empty_variable_means_the_user_s_own_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AVAFFECT_CACHE", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "avaffect"


def test_states(path: Path) -> None:
    assert state(MODEL) == (CacheState.ABSENT, "")
    path.write_bytes(CONTENT[:-1])
    assert state(MODEL) == (CacheState.DAMAGED, "has 6999 bytes instead of 7000")
    path.write_bytes(CONTENT[:-1] + b"!")
    where, problem = state(MODEL)
    assert where is CacheState.DAMAGED
    assert MODEL.check.digest[:12] in problem
    path.write_bytes(CONTENT)
    assert state(MODEL) == (CacheState.CACHED, "")


def test_a_folder_in_the_place_of_the_file_is_damage(path: Path) -> None:
    path.mkdir()
    assert state(MODEL) == (CacheState.DAMAGED, "is not a file")


def test_a_cache_below_a_file_holds_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("AVAFFECT_CACHE", str(tmp_path / "file" / "cache"))
    assert state(MODEL) == (CacheState.ABSENT, "")


def test_a_prefix_is_enough_for_a_weak_check(path: Path) -> None:
    path.write_bytes(CONTENT)
    digest = MODEL.check.digest
    weak = replace(MODEL, bytes=None, check=Check(digest[:8]))
    wrong = replace(weak, check=Check("0" * 8 if digest[0] != "0" else "1" * 8))
    assert damage(weak, path) == ""
    assert damage(wrong, path) != ""


def test_sha256_is_the_standard_one(path: Path) -> None:
    path.write_bytes(b"abc")
    assert file_sha256(path).startswith("ba7816bf8f01cfea414140de5dae2223")


def test_a_file_is_read_once_a_process_until_it_changes(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed = []

    def counting(file: BinaryIO, kind: str) -> object:
        hashed.append(file)
        return digest(file, kind)

    digest = hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", counting)
    path.write_bytes(CONTENT)
    assert damage(MODEL, path) == damage(MODEL, path) == ""
    assert len(hashed) == 1
    # Same length, other content, and the clock set back: the inode or the time tells.
    before = path.stat()
    path.write_bytes(CONTENT[::-1])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert damage(MODEL, path) != ""
    assert len(hashed) == 2


def test_what_is_read_is_what_was_hashed(path: Path) -> None:
    path.write_bytes(CONTENT)
    assert read(MODEL, path) == (CONTENT, MODEL.check.digest)
    before = path.stat()
    # As whoever exchanges a file after its check would: size and times as they were.
    path.write_bytes(CONTENT[:-1] + b"!")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(ModelDamagedError, match="SHA-256"):
        read(MODEL, path)


@pytest.mark.parametrize("content", [b"", CONTENT[:-1], CONTENT + b"!"])
def test_another_length_is_not_read(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(ModelDamagedError, match="bytes"):
        read(MODEL, path)


def test_a_file_of_unknown_length_is_read_within_bounds(path: Path) -> None:
    path.write_bytes(CONTENT)
    assert read(replace(MODEL, bytes=None, about_bytes=6000), path)[0] == CONTENT
    with pytest.raises(ModelDamagedError, match="more than 1500 bytes"):
        read(replace(MODEL, bytes=None, about_bytes=1000), path)


def test_neither_a_folder_nor_a_pipe_is_read(path: Path) -> None:
    path.mkdir()
    with pytest.raises(ModelDamagedError, match="is not a file"):
        read(MODEL, path)
    path.rmdir()
    os.mkfifo(path)
    with pytest.raises(ModelDamagedError, match="is not a file"):
        read(MODEL, path)
    assert state(MODEL)[1] == "is not a file"


WEAK = replace(MODEL, bytes=None, check=Check(MODEL.check.digest[:8]))


def other_with_those_digits(model: ModelFile, monkeypatch: pytest.MonkeyPatch) -> ModelFile:
    """As ``model``, of which so little is known that CONTENT and b"forged" both fit."""
    monkeypatch.setattr("avaffect.models.zoo.MIN_DIGITS", 0)
    return replace(model, check=Check(""))


def test_of_a_weak_check_the_first_file_is_pinned(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = other_with_those_digits(WEAK, monkeypatch)
    events: list[Event] = []
    path.write_bytes(CONTENT)
    assert pinned_hash(model) is None
    pin(model, read(model, path)[1], events.append)
    assert pinned_hash(model) == MODEL.check.digest
    (notice,) = events
    assert isinstance(notice, Notice)
    assert MODEL.check.digest in notice.text
    pin(model, MODEL.check.digest, events.append)
    assert len(events) == 1
    # As sha256sum writes and checks it.
    assert path.with_name("m.bin.sha256").read_text() == f"{MODEL.check.digest}  m.bin\n"
    path.write_bytes(b"forged")
    where, problem = state(model)
    assert where is CacheState.DAMAGED
    assert "which it had at its first use" in problem
    with pytest.raises(ModelDamagedError, match="at its first use"):
        read(model, path)


def test_what_is_fetched_must_be_the_pinned_file_too(
    path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = other_with_those_digits(WEAK, monkeypatch)
    (cache / "new").write_bytes(CONTENT)
    put(model, cache / "new")
    assert pinned_hash(model) == MODEL.check.digest
    path.unlink()
    (cache / "new").write_bytes(b"forged")
    with pytest.raises(ModelDamagedError, match="at its first use"):
        put(model, cache / "new")
    assert not path.exists()


def test_what_is_wholly_known_needs_no_seal(path: Path) -> None:
    path.with_name("m.bin.sha256").write_text("0" * 64)
    path.write_bytes(CONTENT)
    pin(MODEL, MODEL.check.digest)
    assert (pinned_hash(MODEL), state(MODEL)) == (None, (CacheState.CACHED, ""))


def test_a_cache_that_cannot_be_written_is_used_and_said(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(file: Path, digest: str) -> None:
        raise OutputError("it is read-only")

    monkeypatch.setattr("avaffect.models.cache.write_seal", refuse)
    events: list[Event] = []
    path.write_bytes(CONTENT)
    pin(WEAK, read(WEAK, path)[1], events.append)
    (notice,) = events
    assert isinstance(notice, Notice)
    assert notice.warning
    assert "read-only" in notice.text


def test_put_moves_what_was_there_aside(path: Path, cache: Path) -> None:
    path.write_bytes(b"old")
    (cache / "new").write_bytes(CONTENT)
    assert put(MODEL, cache / "new") == path
    assert path.read_bytes() == CONTENT
    assert (cache / "m.bin.damaged").read_bytes() == b"old"
    assert not (cache / "new").exists()


def test_put_deletes_a_wrong_file_and_keeps_what_was_there(path: Path, cache: Path) -> None:
    path.write_bytes(b"old")
    (cache / "new").write_bytes(b"foreign")
    with pytest.raises(ModelDamagedError):
        put(MODEL, cache / "new")
    assert path.read_bytes() == b"old"
    assert not (cache / "new").exists()


def test_a_cache_that_cannot_be_made_is_an_error_with_advice(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("AVAFFECT_CACHE", str(tmp_path / "file"))
    with pytest.raises(OutputError, match="set AVAFFECT_CACHE"), cache_access(MODEL):
        pass


def test_a_full_disk_is_named() -> None:
    with pytest.raises(DiskFullError, match="free some space"), cache_access(MODEL):
        raise OSError(28, "No space left on device")


def test_file_systems_without_locks_are_served(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with cache_access(MODEL):
        entered = True
    assert entered


def test_the_lock_goes_with_its_process(cache: Path) -> None:
    # A killed process must not lock the others out.
    cache.joinpath(".locks").mkdir(parents=True)
    script = (
        "import fcntl, sys; f = open(sys.argv[1], 'a'); fcntl.flock(f, fcntl.LOCK_EX);"
        "print('locked', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(cache / ".locks" / MODEL.file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process:
        assert process.stdout.readline() == b"locked\n"
        events: list[Event] = []

        def stop_waiting(event: Event) -> None:
            events.append(event)
            process.kill()

        with cache_access(MODEL, stop_waiting):
            pass
    assert "waiting for another process" in getattr(events[0], "text", "")
