"""What is brought from a store is whole and checked, whatever the store does meanwhile."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest
from fixtures.stores import SECRET, Store

from avaffect.errors import DiskFullError, InputNotFoundError, RemoteError, UsageError
from avaffect.remote import bring as module
from avaffect.remote.address import TRIES, Address
from avaffect.remote.bring import bring, bring_folder, brought, drop

DATA = bytes(range(256)) * 400


@pytest.fixture
def video(s3: Store, monkeypatch: pytest.MonkeyPatch) -> Address:
    """An object that is read in four parts."""
    monkeypatch.setattr(module, "PART", len(DATA) // 4)
    return Address.of(s3.put("videos/v.mp4", DATA))


@pytest.mark.parametrize("kind", ["503", "half", "short", "late"])
def test_passing_faults_are_tried_again(
    s3: Store, video: Address, tmp_path: Path, kind: str
) -> None:
    s3.faults += [("HEAD", "v.mp4", "503"), ("GET", "v.mp4", kind), ("GET", "v.mp4", kind)]
    origin = bring(video, tmp_path / "v.mp4")
    assert not s3.faults
    assert (tmp_path / "v.mp4").read_bytes() == DATA
    assert origin.sha256 == hashlib.sha256(DATA).hexdigest()
    assert origin.stamp == hashlib.md5(DATA).hexdigest()  # noqa: S324
    # Of four parts two were asked for again; the libraries below may do so too.
    assert s3.reads("videos/v.mp4") >= 6


def test_content_that_is_not_what_the_store_says_is_read_again(
    s3: Store, video: Address, tmp_path: Path
) -> None:
    s3.faults.append(("GET", "v.mp4", "wrong"))
    bring(video, tmp_path / "v.mp4")
    assert (tmp_path / "v.mp4").read_bytes() == DATA


@pytest.mark.parametrize("kind", ["503", "short"])
def test_a_store_that_stays_broken_is_one_line_and_leaves_nothing(
    s3: Store, video: Address, tmp_path: Path, kind: str
) -> None:
    s3.faults += [("GET", "v.mp4", kind)] * TRIES
    with pytest.raises(RemoteError, match=rf"v.mp4' failed {TRIES} times, at") as error:
        bring(video, tmp_path / "v.mp4")
    assert SECRET not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_twice_other_content_is_refused(s3: Store, video: Address, tmp_path: Path) -> None:
    s3.faults += [("GET", "v.mp4", "wrong")] * 8
    with pytest.raises(RemoteError, match="ETag"):
        bring(video, tmp_path / "v.mp4")
    assert list(tmp_path.iterdir()) == []


def test_an_etag_of_a_key_of_the_users_is_no_md5(
    s3: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3.client.put_object(Bucket=s3.bucket, Key="k", Body=DATA, ServerSideEncryption="aws:kms")
    monkeypatch.setattr(module, "_copy", lambda *_: ("0" * 64, "another"))
    assert bring(Address.of(s3("k")), tmp_path / "k").sha256 == "0" * 64


def test_the_same_content_is_not_brought_twice(s3: Store, video: Address, tmp_path: Path) -> None:
    target = tmp_path / "v.mp4"
    first = bring(video, target)
    assert bring(video, target) == first == brought(target)
    assert s3.reads("videos/v.mp4") == 4
    s3.put("videos/v.mp4", DATA[::-1])
    assert bring(video, target) != first
    assert target.read_bytes() == DATA[::-1]
    drop(target)
    assert list(tmp_path.iterdir()) == []


def test_a_shortened_file_is_brought_anew(video: Address, tmp_path: Path) -> None:
    target = tmp_path / "v.mp4"
    bring(video, target)
    target.write_bytes(DATA[:10])
    assert brought(target) is None
    bring(video, target)
    assert target.read_bytes() == DATA


def test_size_and_disk_are_bounds(
    video: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="102,400 bytes, more than 1,000"):
        bring(video, tmp_path / "v.mp4", most_bytes=1000)
    usage = shutil.disk_usage(tmp_path)._replace(free=module.SPARE + len(DATA) - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DiskFullError, match="scratch="):
        bring(video, tmp_path / "v.mp4")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["videos", "videos/other.mp4"])
def test_what_is_no_file(s3: Store, video: Address, tmp_path: Path, name: str) -> None:
    with pytest.raises(InputNotFoundError, match="there is no file"):
        bring(Address.of(s3(name)), tmp_path / "v.mp4")


def test_a_folder_comes_with_what_is_named(s3: Store, tmp_path: Path) -> None:
    for name in ("a/one", "a/deep/two", "b/three", "four"):
        s3.put(f"out/{name}", name.encode())
    s3.faults += [("GET", "/out/a/one", "half")]
    assert bring_folder(Address.of(s3("out")), tmp_path, ["a", "four", "none"]) == 3
    found = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")}
    assert found == {"a", "a/one", "a/deep", "a/deep/two", "four"}
    assert (tmp_path / "a/deep/two").read_text() == "a/deep/two"
