"""SubRip (``.srt``) and WebVTT (``.vtt``): cues with a time and lines of text."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from avaffect.errors import UsageError
from avaffect.transcripts.said import Said, require_few, said, wrong

_CLOCK = r"(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2})[.,](\d{1,3})"
_TIMING = re.compile(rf"\s*{_CLOCK}\s*-->\s*{_CLOCK}(?:\s.*)?", re.ASCII)
_VOICE = re.compile(r"<v(?:\.[^\s<>]*)?\s([^<>]*)>")
# Tags of both, and SubRip's places such as {\an8}.
_TAG = re.compile(r"<[^<>]*>|\{\\[^{}]*\}")
# Blocks of WebVTT that hold no cue.
_NO_CUES = ("NOTE", "STYLE", "REGION")

Block = tuple[int, list[str]]


def parse_srt(text: str) -> list[Said]:
    """The cues of a SubRip file.

    Raises:
        UsageError: it is none; names the line.
    """
    return _cues(_blocks(text.split("\n"), 1), webvtt=False)


def parse_vtt(text: str) -> list[Said]:
    """The cues of a WebVTT file; ``<v NAME>`` says who speaks.

    Raises:
        UsageError: it is none; names the line.
    """
    lines = text.split("\n")
    if lines[0].split()[:1] != ["WEBVTT"]:
        wrong(1, "it does not begin with WEBVTT")
    # What follows the first line belongs to the head, up to a blank line.
    head = next((at for at, line in enumerate(lines) if not line.strip()), len(lines))
    blocks = _blocks(lines[head:], head + 1)
    return _cues(
        ((at, block) for at, block in blocks if block[0].split()[0] not in _NO_CUES), webvtt=True
    )


def _blocks(lines: list[str], first: int) -> Iterator[Block]:
    """Lines between blank ones, with the number of the first."""
    block: list[str] = []
    for number, line in enumerate([*lines, ""], first):
        if line.strip():
            block.append(line)
        elif block:
            yield number - len(block), block
            block = []


def _cues(blocks: Iterator[Block], webvtt: bool) -> list[Said]:
    found: list[Said] = []
    for number, block in blocks:
        # Before the times may stand the cue's number or name.
        at = 0 if _TIMING.fullmatch(block[0]) else 1
        timing = _TIMING.fullmatch(block[at]) if at < len(block) else None
        if timing is None:
            wrong(
                number + min(at, len(block) - 1),
                "there is no time such as 00:00:01.500 --> 00:00:02.500",
            )
        parts = timing.groups()
        text = "\n".join(block[at + 1 :])
        voice = _VOICE.search(text) if webvtt else None
        words = _TAG.sub("", text)
        speaker = html.unescape(voice[1]).strip() if voice else ""
        found.append(
            said(
                number + at,
                _seconds(parts[:4]),
                _seconds(parts[4:]),
                " ".join((html.unescape(words) if webvtt else words).split()),
                speaker,
            )
        )
        require_few(len(found))
    if not found:
        raise UsageError("it has no cues")
    return found


def _seconds(parts: tuple[str | None, ...]) -> float:
    hours, minutes, seconds, part = parts
    whole = int(hours or 0) * 3600 + int(minutes or 0) * 60 + int(seconds or 0)
    return whole + int((part or "0").ljust(3, "0")) / 1000
