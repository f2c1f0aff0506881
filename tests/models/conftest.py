"""A cache of one's own, no index, and a file server that misbehaves to order."""

from __future__ import annotations

import hashlib
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from pathlib import Path

import pytest

from avaffect.models import download
from avaffect.models.zoo import ZOO, Check, ModelFile, PackagedSource, UrlSource, WheelSource

CONTENT = bytes(range(256)) * 1200


@dataclass
class Site:
    """What the server on ``url`` does.

    Attributes:
        files: content by path.
        ranges: whether Range is obeyed.
        lengths: whether answers say how long they are.
        cuts: for each request in turn, after how many bytes the connection is closed.
        statuses: for each request in turn, an error to answer with instead, 0 for none.
        asked: the Range header of every request ("" if none), filled in.
        hold: requests wait until this is set.
        arrived: set when a request has come.
    """

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    ranges: bool = True
    lengths: bool = True
    cuts: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    hold: threading.Event = field(default_factory=threading.Event)
    arrived: threading.Event = field(default_factory=threading.Event)

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        wanted = handler.headers.get("Range", "")
        self.asked.append(wanted)
        self.arrived.set()
        self.hold.wait(20)
        status = self.statuses.pop(0) if self.statuses else 0
        content = self.files.get(handler.path)
        if status or content is None:
            handler.send_error(status or 404)
            return
        start = int(wanted[len("bytes=") : -1]) if wanted and self.ranges else 0
        if wanted and self.ranges and start >= len(content):
            handler.send_error(416)
            return
        handler.send_response(206 if wanted and self.ranges else 200)
        if wanted and self.ranges:
            span = f"bytes {start}-{len(content) - 1}/{len(content)}"
            handler.send_header("Content-Range", span)
        if self.lengths:
            handler.send_header("Content-Length", str(len(content) - start))
        handler.end_headers()
        cut = self.cuts.pop(0) if self.cuts else len(content)
        handler.wfile.write(content[start : start + cut])


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    site.hold.set()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.answer(self)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    site.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield site
    site.hold.set()
    server.shutdown()
    server.server_close()
    thread.join(10)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache; no index, no mirror, no waiting between tries."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("AVAFFECT_CACHE", str(folder))
    for name in ("AVAFFECT_OFFLINE", "AVAFFECT_MODEL_MIRROR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    (tmp_path / "wheels").mkdir()
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    monkeypatch.setattr(download, "PAUSE", 0.0)
    return folder


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch, site: Site) -> ModelFile:
    """A model of the zoo that ``site`` holds as a mirror."""
    model = ModelFile(
        name="tiny",
        file="tiny.bin",
        bytes=len(CONTENT),
        check=Check(hashlib.sha256(CONTENT).hexdigest()),
        licence="MIT",
        task="a test",
        sources=(UrlSource("https://localhost/elsewhere/tiny.bin"),),
    )
    monkeypatch.setitem(ZOO, "tiny", model)
    site.files["/tiny.bin"] = CONTENT
    monkeypatch.setenv("AVAFFECT_MODEL_MIRROR", site.url)
    return model


@pytest.fixture
def shipped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The file of ``shipped``, a model that lies in the package, here a folder of its own."""
    path = tmp_path / "package/shipped/net.onnx"
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    monkeypatch.setattr(resources, "files", lambda package: tmp_path / "package")
    model = ModelFile(
        name="shipped",
        file="net.onnx",
        bytes=len(CONTENT),
        check=Check(hashlib.sha256(CONTENT).hexdigest()),
        licence="CC BY-NC-SA 4.0",
        task="a test",
        sources=(PackagedSource("shipped/net.onnx"),),
    )
    monkeypatch.setitem(ZOO, "shipped", model)
    return path


@pytest.fixture
def twins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[ModelFile, ModelFile]:
    """Two models in one wheel, which lies where pip looks."""
    contents = {"twin/a.bin": b"a" * 5000, "twin/b.bin": b"b" * 70}
    info = "twin_nets-1.0.dist-info"
    with zipfile.ZipFile(tmp_path / "wheels" / "twin_nets-1.0-py3-none-any.whl", "w") as wheel:
        for member, content in contents.items():
            wheel.writestr(member, content)
        wheel.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: twin-nets\nVersion: 1.0\n"
        )
        tags = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        wheel.writestr(f"{info}/WHEEL", tags)
        wheel.writestr(f"{info}/RECORD", "")
    models = []
    for member, content in contents.items():
        name = f"twin-{Path(member).stem}"
        model = ModelFile(
            name=name,
            file=f"{name}.bin",
            bytes=len(content),
            check=Check(hashlib.sha256(content).hexdigest()),
            licence="MIT",
            task="a test",
            sources=(WheelSource("twin-nets", "1.0", member),),
        )
        monkeypatch.setitem(ZOO, name, model)
        models.append(model)
    return models[0], models[1]
