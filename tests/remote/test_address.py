"""Which names are addresses, and what is shown of them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from fixtures.stores import SECRET, Store

from avaffect.errors import MissingPackageError, RemoteError, UsageError
from avaffect.remote.address import Address, is_remote, together


@pytest.mark.parametrize("text", ["s3://b/v.mp4", "gs://b", "file:///v.mp4", "memory://v"])
def test_addresses(text: str) -> None:
    assert is_remote(text)


@pytest.mark.parametrize(
    "text",
    ["v.mp4", "/v.mp4", "C:/v.mp4", "https://h/v.mp4", "rtsp://c/1", "s3:/b/v", ""],
)
def test_what_is_none(text: str) -> None:
    assert not is_remote(text)


def test_a_file_of_that_name_is_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s3:/b").mkdir(parents=True)
    assert not is_remote("s3://b")


@pytest.mark.parametrize("text", ["s3://b/../c", "https://h/v.mp4", "v.mp4"])
def test_what_leads_elsewhere_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no address in a store"):
        Address.of(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("s3://b/v.mp4?X-Amz-Signature=abc&X-Amz-Credential=d", "s3://b/v.mp4"),
        ("sftp://me:word@host/v.mp4", "sftp://host/v.mp4"),
        ("s3://b/really?.mp4", "s3://b/really?.mp4"),
    ],
)
def test_secrets_are_not_shown(text: str, shown: str) -> None:
    assert str(Address(text)) == shown


def test_wrong_credentials_are_one_line(s3: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    # No machine of Amazon's is asked.
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    s3.forget()
    with pytest.raises(RemoteError, match="credentials"):
        Address.of(s3("v.mp4")).info()
    s3.forget()


def test_no_answer_tells_no_secret(s3: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9/?token=hidden")
    s3.forget()
    with pytest.raises(RemoteError) as error:
        Address.of(s3("v.mp4")).info()
    assert "hidden" not in str(error.value)
    assert SECRET not in str(error.value)
    s3.forget()


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("s3fs", "fsspec"):
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(MissingPackageError, match=r"avaffect\[remote\]"):
            Address.of("s3://b/v.mp4")


def test_a_fault_of_ours_is_no_fault_of_the_store() -> None:
    with pytest.raises(ZeroDivisionError):
        Address("memory://v").ask(lambda: 1 // 0)


def test_many_at_once_keep_their_order() -> None:
    assert together(lambda number: number * 2, range(30)) == [2 * number for number in range(30)]
    with pytest.raises(ZeroDivisionError):
        together(lambda number: 1 // number, range(30))
