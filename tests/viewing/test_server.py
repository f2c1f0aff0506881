"""Who is let in, and what is given out."""

import re
import socket
import threading
import urllib.request
from collections.abc import Callable, Iterator
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.error import HTTPError

import pytest
from starlette.testclient import TestClient

from avaffect.errors import FormatError, InputNotFoundError, UsageError
from avaffect.viewing import results
from avaffect.viewing.results import Results
from avaffect.viewing.server import View, build_app

Write = Callable[..., Path]
SAMPLE = Path(__file__).parents[2] / "sample_media/one_person.mp4"
HOST = "http://127.0.0.1:8000"


@pytest.fixture
def client(write: Write) -> TestClient:
    app = build_app(Results(write("anna", SAMPLE), [SAMPLE]), "secret", 8000)
    return TestClient(app, HOST, follow_redirects=False)


@pytest.fixture
def let_in(client: TestClient) -> TestClient:
    assert client.get("/?token=secret").status_code == 303
    return client


@pytest.mark.parametrize("path", ["/", "/state", "/videos/x", "/footage/x", "/nothing", "/..%2f"])
def test_nothing_without_the_token(path: str, client: TestClient) -> None:
    for given in ("", "?token=", "?token=wrong", "?token=s%C3%A9cret", "?Token=secret"):
        assert client.get(path + given).status_code == 403
    client.cookies.set("avaffect_token_8000", "wrong")
    assert client.get(path).status_code == 403


def test_the_token_goes_out_of_the_address(client: TestClient) -> None:
    answer = client.get("/?token=secret")
    assert answer.headers["location"] == "/"
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    page = client.get("/")
    assert page.status_code == 200
    assert "anna" in page.text
    assert "secret" not in page.text


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "127.0.0.1", "127.0.0.1:80"]
)
def test_no_other_name_leads_here(host: str, let_in: TestClient) -> None:
    """As one that a page of the web has made lead to this computer."""
    assert let_in.get("/?token=secret", headers={"host": host}).status_code == 421
    assert let_in.get("/", headers={"host": host}).status_code == 421
    assert let_in.get("/", headers={"host": "localhost:8000"}).status_code == 200


@pytest.mark.parametrize("method", ["post", "put", "delete", "options", "patch"])
def test_nothing_can_be_changed(method: str, let_in: TestClient) -> None:
    assert getattr(let_in, method)("/").status_code == 405


def test_what_browsers_are_told(let_in: TestClient) -> None:
    for path in ("/", "/state", "/nothing"):
        headers = let_in.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["cache-control"] == "no-store"
    (policy,) = re.findall('Content-Security-Policy" content="([^"]*)"', let_in.get("/").text)
    assert "default-src &#39;none&#39;" in policy
    assert "connect-src &#39;self&#39;" in policy


def test_page_and_video(let_in: TestClient) -> None:
    (key,) = set(re.findall('href="videos/([0-9a-f]+)"', let_in.get("/").text))
    page = let_in.get(f"/videos/{key}")
    assert "one_person.mp4" in page.text
    assert "connect-src &#39;none&#39;" in page.text
    whole = let_in.get(f"/footage/{key}")
    assert whole.content == SAMPLE.read_bytes()
    part = let_in.get(f"/footage/{key}", headers={"range": "bytes=100-199"})
    assert part.status_code == 206
    assert part.content == SAMPLE.read_bytes()[100:200]


@pytest.mark.parametrize(
    "key",
    ["..%2f..%2fetc%2fpasswd", "../../etc/passwd", "%2e%2e/%2e%2e/etc/passwd", "..\\..\\x", "a\0b",
     "anna", "tables%2fanna.parquet", "%ff"],
)  # fmt: skip
def test_no_address_is_a_path(key: str, let_in: TestClient) -> None:
    for folder in ("videos", "footage"):
        assert let_in.get(f"/{folder}/{key.replace(chr(0), '%00')}").status_code == 404


def test_a_damaged_table_is_said(let_in: TestClient, tmp_path: Path) -> None:
    (key,) = set(re.findall('href="videos/([0-9a-f]+)"', let_in.get("/").text))
    table = tmp_path / "out/tables/anna.parquet"
    table.write_bytes(table.read_bytes()[:-200])
    assert let_in.get(f"/videos/{key}").status_code == 404
    assert let_in.get("/").status_code == 200


def test_what_cannot_be_shown_is_said(let_in: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(*_: object) -> None:
        raise FormatError("'anna' has no rows", "predict the video again")

    (key,) = set(re.findall('href="videos/([0-9a-f]+)"', let_in.get("/").text))
    monkeypatch.setattr(results, "people_of", damaged)
    answer = let_in.get(f"/videos/{key}")
    assert answer.status_code == 500
    assert answer.text == "avaffect view: 'anna' has no rows: predict the video again\n"


@pytest.fixture
def view(write: Write) -> Iterator[View]:
    """A real one, on a port of its own."""
    server = View(write("anna"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield server
    server.stop()
    thread.join(30)
    assert not thread.is_alive()


def test_a_browser_gets_in_by_the_address_alone(view: View) -> None:
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    assert b"anna" in opener.open(view.url, timeout=30).read()
    bare = view.url.partition("?")[0]
    with pytest.raises(HTTPError, match="403"):
        urllib.request.build_opener().open(bare, timeout=30)
    with socket.create_connection(("127.0.0.1", view._port)) as raw:
        raw.sendall(b"GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert b" 421 " in raw.makefile("rb").readline()


def test_it_listens_to_this_computer_alone(view: View) -> None:
    assert view._socket.getsockname()[0] == "127.0.0.1"
    assert view.url.startswith("http://127.0.0.1:")


def test_tokens_differ(write: Write) -> None:
    views = [View(write("anna")) for _ in range(2)]
    assert len({each.url.partition("token=")[2] for each in views}) == 2
    for each in views:
        each.stop()


def test_wrong_use_is_said(write: Write, tmp_path: Path) -> None:
    with pytest.raises(InputNotFoundError, match="no folder"):
        View(tmp_path / "none")
    taken = View(write("anna"))
    with pytest.raises(UsageError, match="cannot be used"):
        View(tmp_path / "out", taken._port)
    taken.stop()
