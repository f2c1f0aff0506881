"""The server behind ``view``: on this computer alone, for whoever has the token."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from avaffect.errors import AvaffectError, InputNotFoundError, UsageError
from avaffect.viewing.results import Results

HOST = "127.0.0.1"
_COOKIE = "avaffect_token"
_HEADERS = {
    "cache-control": "no-store",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


class View:
    """A server of results, which listens from its making on.

    Args:
        folder: an output folder of `predict`; it may be empty, and fill while it is viewed.
        port: of 127.0.0.1; 0 takes a free one.
        videos: the files that were predicted, if they are not beside it.

    Attributes:
        url: what to open; it holds the token without which nothing is shown.

    Raises:
        InputNotFoundError: there is no such folder.
        UsageError: the port is taken, or not allowed.
    """

    def __init__(self, folder: Path, port: int = 0, videos: Sequence[Path] = ()) -> None:
        if not folder.is_dir():
            raise InputNotFoundError(
                f"there is no folder '{folder}'", "give a folder that `avaffect predict` wrote"
            )
        self._socket = _listen(port)
        self._port: int = self._socket.getsockname()[1]
        self._token = secrets.token_urlsafe(24)
        self.url = f"http://{HOST}:{self._port}/?{urlencode({'token': self._token})}"
        self.app = build_app(Results(folder, videos), self._token, self._port)
        self._stop: Callable[[], None] = self._socket.close

    def run(self) -> None:
        """Serve until :meth:`stop`, or Ctrl-C, which raises KeyboardInterrupt."""
        import uvicorn

        config = uvicorn.Config(
            self.app, log_config=None, access_log=False, server_header=False, lifespan="off",
            timeout_graceful_shutdown=1,
        )  # fmt: skip
        server = uvicorn.Server(config)

        def stop() -> None:
            server.should_exit = True

        self._stop = stop
        try:
            server.run(sockets=[self._socket])
        finally:
            self._socket.close()

    def stop(self) -> None:
        """End :meth:`run`; may be called from any thread."""
        self._stop()


def build_app(results: Results, token: str, port: int) -> ASGIApp:
    """The application, as ASGI.

    Args:
        results: what is shown.
        token: what an address or the cookie must hold.
        port: where it listens: requests for any other host name are refused, so that no page of
            the web can reach it by a name of its own.
    """

    async def index(request: Request) -> Response:
        return HTMLResponse(await run_in_threadpool(results.index))

    async def state(request: Request) -> Response:
        return PlainTextResponse(await run_in_threadpool(results.state))

    async def page(request: Request) -> Response:
        try:
            html = await run_in_threadpool(results.page, request.path_params["key"])
        except AvaffectError as error:
            return _said(500, str(error))
        return _said(404, "there is no such video") if html is None else HTMLResponse(html)

    async def footage(request: Request) -> Response:
        path = await run_in_threadpool(results.footage, request.path_params["key"])
        return _said(404, "the video is not at hand") if path is None else FileResponse(path)

    routes = [
        Route("/", index),
        Route("/state", state),
        Route("/videos/{key}", page),
        Route("/footage/{key}", footage),
    ]
    return _Guard(Starlette(routes=routes), token, port)


class _Guard:
    """Lets in who has the token, and tells browsers to be careful."""

    def __init__(self, app: ASGIApp, token: str, port: int) -> None:
        self._app, self._token = app, token
        self._hosts = {f"{HOST}:{port}", f"localhost:{port}"}
        # Cookies know no ports: two views would take each other's.
        self._cookie = f"{_COOKIE}_{port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope)
        await self._answer(request)(scope, receive, _careful(send))

    def _answer(self, request: Request) -> ASGIApp:
        if request.headers.get("host") not in self._hosts:
            return _said(421, "this is not the address that `avaffect view` printed")
        if request.method not in ("GET", "HEAD"):
            return _said(405, "nothing can be changed here")
        given = request.query_params.get("token")
        if given is None:
            known = self._is_right(request.cookies.get(self._cookie, ""))
            return self._app if known else _said(403, "open the address with its token")
        if not self._is_right(given):
            return _said(403, "this token is of another run: open the address that was printed")
        # Out of the address line, where it would be seen and kept.
        answer = Response(status_code=303, headers={"location": request.url.path})
        answer.set_cookie(self._cookie, self._token, httponly=True, samesite="strict", path="/")
        return answer

    def _is_right(self, token: str) -> bool:
        return secrets.compare_digest(token.encode(), self._token.encode())


def _careful(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            extra = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
            message = {**message, "headers": [*message["headers"], *extra]}
        await send(message)

    return sending


def _said(status: int, text: str) -> PlainTextResponse:
    return PlainTextResponse(f"avaffect view: {text}\n", status)


def _listen(port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listening.bind((HOST, port))
        listening.listen(64)
    except (OSError, OverflowError) as error:
        listening.close()
        reason = getattr(error, "strerror", None) or error
        raise UsageError(
            f"port {port} cannot be used: {reason}", "choose another, or 0 for a free one"
        ) from error
    return listening
