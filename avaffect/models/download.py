"""A file from the web, resumed where an earlier try stopped."""

from __future__ import annotations

import http.client
import re
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from email.message import Message
from pathlib import Path
from typing import IO

from avaffect.errors import ModelDamagedError, ModelUnavailableError

TRIES = 4
PAUSE = 0.5  # seconds before the second try, doubled before each later one
TIMEOUT = 30.0  # seconds without a byte
_CHUNK = 1 << 18
_PASSING = {408, 425, 429}  # and every 5xx


class _Interrupted(Exception):
    """The server or the line failed in a way that may pass."""


class _NoDowngrade(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but never from https to anything less."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: Message,
        newurl: str,
    ) -> urllib.request.Request | None:
        if req.full_url.startswith("https:") and not newurl.startswith("https:"):
            raise ModelUnavailableError(f"'{req.full_url}' redirects to an address without https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]


def download(
    url: str, part: Path, most_bytes: int, on_bytes: Callable[[int, int | None], None]
) -> None:
    """Fetch ``url`` into ``part``, going on after the bytes that are there already.

    A server that does not support ranges is asked for the whole file. A broken connection is
    tried again a few times; what came stays in ``part`` for the next call.

    Args:
        url: http or https.
        part: the file to write; its folder exists.
        most_bytes: longer answers are refused.
        on_bytes: called with the bytes in ``part`` and the total (None if unknown), repeatedly.

    Raises:
        ModelUnavailableError: nothing, or not all of it, is to be had there.
        ModelDamagedError: longer than ``most_bytes``; ``part`` is deleted.
        OSError: ``part`` cannot be written.
    """
    for attempt in range(TRIES):
        if attempt:
            time.sleep(PAUSE * 2 ** (attempt - 1))
        try:
            _attempt(url, part, most_bytes, on_bytes)
            return
        except _Interrupted as error:
            reason = str(error)
    raise ModelUnavailableError(f"'{url}' failed {TRIES} times, at last with: {reason}")


def _attempt(
    url: str, part: Path, most_bytes: int, on_bytes: Callable[[int, int | None], None]
) -> None:
    done = part.stat().st_size if part.exists() else 0
    if done > most_bytes:
        part.unlink()
        done = 0
    response = _open(url, done)
    if response is None:
        # The server has no bytes after these: the file is whole, or it is another one, which
        # the check of the whole file finds.
        return
    with response:
        if response.status == 206:
            if not re.match(rf"bytes {done}-", response.headers.get("Content-Range", "")):
                part.unlink(missing_ok=True)
                raise _Interrupted("the server answered with another range than asked for")
        else:
            done = 0
        length = response.headers.get("Content-Length", "")
        total = done + int(length) if length.isascii() and length.isdigit() else None
        if total is not None and total > most_bytes:
            raise _too_long(url, part, most_bytes)
        with part.open("ab" if done else "wb") as file:
            on_bytes(done, total)
            while chunk := _read(response):
                done += len(chunk)
                if done > most_bytes:
                    raise _too_long(url, part, most_bytes)
                file.write(chunk)
                on_bytes(done, total)
    if total is not None and done < total:
        raise _Interrupted(f"the connection ended after {done} of {total} bytes")


def _open(url: str, start: int) -> http.client.HTTPResponse | None:
    """The answer from byte ``start`` on; None if the server has nothing from there on."""
    request = urllib.request.Request(url, headers={"User-Agent": "avaffect"})  # noqa: S310
    if start:
        request.add_header("Range", f"bytes={start}-")
    opener = urllib.request.build_opener(_NoDowngrade)
    try:
        response: http.client.HTTPResponse = opener.open(request, timeout=TIMEOUT)
        return response
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and start:
            return None
        reason = f"HTTP {error.code} {error.reason}"
        if error.code in _PASSING or error.code >= 500:
            raise _Interrupted(reason) from error
        raise ModelUnavailableError(f"'{url}' answers {reason}") from error
    except urllib.error.URLError as error:
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            raise ModelUnavailableError(
                f"'{url}' has no valid certificate ({error.reason})"
            ) from error
        raise _Interrupted(str(error.reason)) from error
    except (OSError, http.client.HTTPException) as error:
        raise _Interrupted(str(error) or type(error).__name__) from error


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read1(_CHUNK)
    except (OSError, http.client.HTTPException) as error:
        raise _Interrupted(str(error) or type(error).__name__) from error


def _too_long(url: str, part: Path, most_bytes: int) -> ModelDamagedError:
    part.unlink(missing_ok=True)
    return ModelDamagedError(f"'{url}' is longer than {most_bytes} bytes")
