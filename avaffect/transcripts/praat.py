"""Praat's TextGrid, long and short: intervals of tiers. Points have no length and are left out."""

from __future__ import annotations

import re
from collections.abc import Iterator

from avaffect.errors import UsageError
from avaffect.transcripts.said import Said, require_few, said, wrong

_SPACE = re.compile(r"\s*")
_WORD = re.compile(r"[^\s\"!]+")
_NUMBER = re.compile(r"[+-]?\d{1,20}(?:\.\d{1,30})?(?:[eE][+-]?\d{1,3})?", re.ASCII)
_INTERVALS, _POINTS = "IntervalTier", "TextTier"

Token = tuple[int, float | str]


def parse_textgrid(text: str) -> list[Said]:
    """The intervals with a text of all tiers; each tier's name is the speaker.

    Raises:
        UsageError: it is no TextGrid; names the line.
    """
    tokens = _Tokens(text)
    kind = (tokens.text(), tokens.text())
    if kind != ("ooTextFile", "TextGrid"):
        raise UsageError("it is no TextGrid in Praat's text form")
    tokens.number(), tokens.number()
    if tokens.text() != "<exists>":
        raise UsageError("it has no tiers")
    found: list[Said] = []
    for _ in range(tokens.count()):
        form, name = tokens.text(), tokens.text()
        if form not in (_INTERVALS, _POINTS):
            wrong(tokens.line, f"there is no tier of the kind '{form[:40]}'")
        tokens.number(), tokens.number()
        for _ in range(tokens.count()):
            start = tokens.number()
            end = tokens.number() if form == _INTERVALS else start
            words = " ".join(tokens.text().split())
            if form == _INTERVALS and words:
                found.append(said(tokens.line, start, end, words, " ".join(name.split())))
                require_few(len(found))
    if not found:
        raise UsageError("no interval of it has a text")
    return sorted(found, key=lambda each: each.start)


class _Tokens:
    """What Praat itself reads of such a file: free-standing numbers, texts and flags.

    Attributes:
        line: of the last token.
    """

    def __init__(self, text: str) -> None:
        self.line = 1
        self._tokens = self._read(text)

    def number(self) -> float:
        """The next token, a number."""
        value = self._next()
        if isinstance(value, str):
            wrong(self.line, "a text stands where a number is wanted")
        return value

    def count(self) -> int:
        """The next token, a whole number of things."""
        value = self.number()
        if not 0 <= value <= 1e9 or value != int(value):
            wrong(self.line, f"{value:g} is no number of things")
        return int(value)

    def text(self) -> str:
        """The next token, a text or flag."""
        value = self._next()
        if not isinstance(value, str):
            wrong(self.line, "a number stands where a text is wanted")
        return value

    def _next(self) -> float | str:
        token = next(self._tokens, None)
        if token is None:
            wrong(self.line, "the file ends too early")
        self.line, value = token
        return value

    def _read(self, text: str) -> Iterator[Token]:
        at, line, known = 0, 1, 0
        while True:
            at = _SPACE.match(text, at).end()  # type: ignore[union-attr]
            line, known = line + text.count("\n", known, at), at
            if at == len(text):
                return
            if text[at] == "!":  # a comment
                end = text.find("\n", at)
                at = len(text) if end < 0 else end
            elif text[at] == '"':
                parts = []
                while True:
                    end = text.find('"', at + 1)
                    if end < 0:
                        wrong(line, "a text has no closing quote")
                    parts.append(text[at + 1 : end])
                    at = end
                    if text[end + 1 : end + 2] != '"':
                        break
                    at = end + 1
                at += 1
                yield line, '"'.join(parts)
            else:
                word = _WORD.match(text, at)
                assert word is not None  # noqa: S101 - what begins with neither is a word
                at = word.end()
                if word[0].startswith("<") and word[0].endswith(">"):
                    yield line, word[0]
                elif _NUMBER.fullmatch(word[0]):
                    yield line, float(word[0])
