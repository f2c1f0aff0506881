"""What a file is that no decoder knows: the true reason, and the way out."""

from __future__ import annotations

from pathlib import Path

from avaffect.media.endings import EXTENSIONS, SOUND_EXTENSIONS
from avaffect.media.local import list_hint

_HEAD = 4096
_UNPACK = ("an archive", "unpack it first")
_STARTS: tuple[tuple[bytes, tuple[str, str]], ...] = (
    (b"PK\x03\x04", _UNPACK),
    (b"Rar!\x1a\x07", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", _UNPACK),
    (b"\x1f\x8b", _UNPACK),
    (b"\xfd7zXZ", _UNPACK),
    (b"%PDF-", ("a PDF document", "take the video out of it first")),
    (b"version https://git-lfs", ("a Git LFS pointer", "fetch the file itself: git lfs pull")),
)
_PAGES = (b"<!doctype html", b"<html")
_OTHERWISE = (
    "is not a video or is damaged from its start",
    "check it in a player, or convert it to MP4",
)


def describe(path: Path) -> tuple[str, str]:
    """What is wrong with a file that cannot be opened as media, and what to do."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError:
        return _OTHERWISE
    if head[257:262] == b"ustar":
        return "is not a video but an archive", _UNPACK[1]
    for start, (kind, way) in _STARTS:
        if head.startswith(start):
            return f"is not a video but {kind}", way
    if head.startswith(b"NIST_1A"):
        return "is NIST SPHERE sound that cannot be decoded", "run sph2pipe -f wav IN.sph OUT.wav"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith(_PAGES):
        return "is not a video but a web page", "download the video itself"
    if text.startswith((b"#extm3u", b"[playlist]")):
        return "is not a video but a playlist, which names some", list_hint(str(path))
    if _is_text(head):
        media = path.suffix.lower() in EXTENSIONS | SOUND_EXTENSIONS
        way = "copy or download it again" if media else list_hint(str(path))
        return "is not a video but text", way
    return _OTHERWISE


def _is_text(head: bytes) -> bool:
    control = sum(byte < 32 and byte not in b"\t\r\n\f" for byte in head)
    return bool(head) and control == 0
