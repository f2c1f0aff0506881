import fcntl
import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from avaffect.errors import DiskFullError, ModelDamagedError, OutputError
from avaffect.files.hashing import file_sha256
from avaffect.models import cache as cache_module
from avaffect.models.cache import (
    CacheState,
    cache_access,
    cache_folder,
    cached_path,
    damage,
    git_blob_sha1,
    put,
    state,
)
from avaffect.models.zoo import Check, ModelFile, UrlSource
from avaffect.progress import Event

CONTENT = b"weights" * 1000
MODEL = ModelFile(
    name="m",
    file="m.bin",
    bytes=len(CONTENT),
    check=Check("sha256", hashlib.sha256(CONTENT).hexdigest()),
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
    weak = replace(MODEL, bytes=None, check=Check("sha256", digest[:8]))
    wrong = replace(weak, check=Check("sha256", "0" * 8 if digest[0] != "0" else "1" * 8))
    assert damage(weak, path) == ""
    assert damage(wrong, path) != ""


def test_git_blob_hash_is_git_s(path: Path) -> None:
    # `printf 'hello\n' | git hash-object --stdin`
    path.write_bytes(b"hello\n")
    assert git_blob_sha1(path) == "ce013625030ba8dba906f756967f9e9ca394464a"
    model = replace(MODEL, bytes=None, check=Check("git-sha1", git_blob_sha1(path)))
    assert damage(model, path) == ""
    path.write_bytes(b"hello!\n")
    assert damage(model, path) != ""


def test_sha256_is_the_standard_one(path: Path) -> None:
    path.write_bytes(b"abc")
    assert file_sha256(path).startswith("ba7816bf8f01cfea414140de5dae2223")


def test_a_file_is_read_once_a_process_until_it_changes(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []

    def counting(file: Path) -> str:
        read.append(file)
        return file_sha256(file)

    monkeypatch.setitem(cache_module._DIGESTS, "sha256", counting)
    path.write_bytes(CONTENT)
    assert damage(MODEL, path) == damage(MODEL, path) == ""
    assert len(read) == 1
    # Same length, other content, and the clock set back: the inode or the time tells.
    before = path.stat()
    path.write_bytes(CONTENT[::-1])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert damage(MODEL, path) != ""
    assert len(read) == 2


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
