"""The local file or folder that a user means, or why there can be none."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from avaffect.errors import InputNotFoundError

# As `Path` leaves it too: with one slash. A single letter before the colon is a drive.
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/{1,3}[^/]")
_NUMBERED = re.compile(r"%0?\d*d")
_STREAMS = ("rtsp", "rtsps", "rtmp", "rtmps", "rtp", "udp", "tcp", "srt", "mms", "mmsh")
# Who asks, and what follows `?`: a presigned address holds a signature there.
_SECRETS = re.compile(
    r"""([A-Za-z][\w+.-]*:/{1,3})(?:[^/@\s'"]+@)?([^?\s'"]*)(?:\?[^\s'"]*=[^\s'"]*)?"""
)
_STORES = ("s3", "gs", "az", "abfs", "hdfs", "smb", "sftp", "scp", "ssh", "nfs")


def local_path(name: Path | str) -> Path:
    """The path that ``name`` stands for: itself, with ``~`` as the user's home.

    It need not exist. What does exist is taken as it is named.

    Raises:
        InputNotFoundError: ``name`` is an address, standard input, or a pattern of numbered
            pictures.
    """
    text = str(name)
    if not text or os.path.lexists(text):
        return Path(name)
    if address := _ADDRESS.match(text):
        raise InputNotFoundError(
            f"'{without_secrets(text)}' is an address, and avaffect reads local files only",
            _way_to(without_secrets(text), address[1].lower()),
        )
    if text == "-" or text.startswith("pipe:"):
        raise InputNotFoundError(
            f"'{text}' means standard input, which is not read",
            "write it to a file first, e.g. cat > video.mp4",
        )
    if _NUMBERED.search(text):
        raise InputNotFoundError(
            f"'{text}' is a pattern of numbered pictures, which is not read",
            "make a video of them at the rate they were taken at, such as 25 a second: "
            f"ffmpeg -framerate 25 -i '{text}' -c:v libx264 -crf 16 frames.mp4",
        )
    if text.startswith("@") and os.path.lexists(text[1:]):
        raise InputNotFoundError(f"'{text}' names a list, which is not read", list_hint(text[1:]))
    return Path(os.path.expanduser(text))  # noqa: PTH111  (Path's own fails without a home)


def without_secrets(text: str) -> str:
    """``text`` with its addresses as they may be shown: no user, password, signature or query.

    >>> without_secrets("no answer from https://me:word@host/v.mp4?X-Amz-Signature=1f3 today")
    'no answer from https://host/v.mp4 today'
    """
    return _SECRETS.sub(r"\1\2", text)


def list_hint(name: str) -> str:
    """How to give a command the names that are in a text file."""
    return f"name the files themselves, e.g. xargs -d '\\n' avaffect predict < '{name}'"


def _way_to(address: str, scheme: str) -> str:
    if scheme == "file":
        return f"name the file itself: '{unquote(urlsplit(address).path)}'"
    if scheme in _STREAMS:
        return f"record it first, e.g. ffmpeg -i '{address}' -c copy video.mkv"
    if scheme in _STORES:
        return "copy it to a local disk first"
    return "download it first"
