import io
import ssl
import urllib.error
import urllib.request
from email.message import Message
from pathlib import Path

import pytest

from avaffect.errors import ModelUnavailableError
from avaffect.models.download import TRIES, _NoDowngrade, download


def ignore(done: int, total: int | None) -> None:
    pass


def redirect(old: str, new: str) -> urllib.request.Request | None:
    request = urllib.request.Request(old)  # noqa: S310
    return _NoDowngrade().redirect_request(request, io.BytesIO(), 302, "", Message(), new)


def test_https_is_not_left() -> None:
    with pytest.raises(ModelUnavailableError, match="without https"):
        redirect("https://a.example/x", "http://b.example/x")
    assert redirect("https://a.example/x", "https://b.example/y").full_url.endswith("/y")
    assert redirect("http://localhost/x", "http://localhost/y").full_url.endswith("/y")


def test_a_bad_certificate_is_not_tried_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    calls = []

    def refuse(self: object, request: urllib.request.Request, **_: object) -> None:
        calls.append(request.full_url)
        raise urllib.error.URLError(ssl.SSLCertVerificationError("self-signed certificate"))

    monkeypatch.setattr(urllib.request.OpenerDirector, "open", refuse)
    with pytest.raises(ModelUnavailableError, match="certificate"):
        download("https://localhost/x", tmp_path / "x.part", 10, ignore)
    assert len(calls) == 1


def test_a_silent_server_is_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    calls = []

    def time_out(self: object, request: urllib.request.Request, **_: object) -> None:
        calls.append(request.full_url)
        raise TimeoutError("timed out")

    monkeypatch.setattr(urllib.request.OpenerDirector, "open", time_out)
    with pytest.raises(ModelUnavailableError, match="timed out"):
        download("https://localhost/x", tmp_path / "x.part", 10, ignore)
    assert len(calls) == TRIES


def test_progress_counts_what_was_there_already(site, tmp_path: Path) -> None:
    site.files["/x"] = b"0123456789"
    part = tmp_path / "x.part"
    part.write_bytes(b"0123")
    events = []
    download(f"{site.url}/x", part, 10, lambda *event: events.append(event))
    assert part.read_bytes() == b"0123456789"
    assert events[0] == (4, 10)
    assert events[-1] == (10, 10)


def test_an_unwritable_part_is_the_caller_s_error(site, tmp_path: Path) -> None:
    site.files["/x"] = b"0123456789"
    with pytest.raises(FileNotFoundError):
        download(f"{site.url}/x", tmp_path / "none" / "x.part", 10, ignore)
    assert len(site.asked) == 1
