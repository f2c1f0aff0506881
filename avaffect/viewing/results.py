"""What an output folder of ``predict`` holds at the moment, read anew where it has changed."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

from avaffect.config import fingerprint
from avaffect.drawing.subjects import find_tables, load_table
from avaffect.drawing.words import plain
from avaffect.errors import AvaffectError, InputNotFoundError
from avaffect.files.outside import read_kept
from avaffect.files.table import read_about
from avaffect.predicting.records import WORK
from avaffect.reporting.footage import find_footage
from avaffect.reporting.page import index_of, page_of, row_of, title_of
from avaffect.reporting.report import MOST_PEOPLE, by_video, film_of, people_of
from avaffect.reporting.summary import Summary, summarise

T = TypeVar("T")

# A pass saves every few seconds; one that has not for so long is not running.
_RUNNING_S = 120.0
_SAVED = {"frames": int}
_MOST_RUNNING = 50


@dataclass(frozen=True)
class Viewed:
    """A video of which there are predictions.

    Attributes:
        key: stands for it in addresses.
        title: its name.
        about: what its tables say of themselves.
        tables: by subject.
        stamp: changes with the tables.
    """

    key: str
    title: str
    about: Mapping[str, Any]
    tables: Mapping[str, Path]
    stamp: str


class Results:
    """The predictions in a folder, as pages.

    Nothing is written. What a request asks for is looked up among :attr:`videos`: no address
    becomes a path.

    Args:
        folder: an output folder of `predict`, which may still be empty.
        videos: the files that were predicted, if they are not beside it.
    """

    def __init__(self, folder: Path, videos: Sequence[Path] = ()) -> None:
        self._folder = folder
        self._named = list(videos)
        self._abouts = _Read(_about)
        self._summaries = _Read(_summary)
        self._footage: dict[str, Path] = {}
        self._pages: dict[str, tuple[str, str]] = {}

    def videos(self) -> dict[str, Viewed]:
        """Those of which there are tables now, by key; none while there is nothing to read."""
        try:
            there = find_tables(self._folder)
        except InputNotFoundError:
            return {}
        # Without those that are being replaced, or damaged.
        readable = {subject: path for subject, path in there.items() if self._abouts(path)}
        found = {}
        for name, (about, tables) in by_video(readable, self._abouts).items():
            key = hashlib.sha256(name.encode(errors="replace")).hexdigest()[:16]
            stamp = fingerprint([(subject, *_stamp(path)) for subject, path in tables.items()])
            title = title_of(about, next(iter(tables)))
            found[key] = Viewed(key, title, about, tables, stamp)
        return found

    def running(self) -> list[str]:
        """A line for each pass over a video that is not finished."""
        lines = []
        for path in sorted((self._folder / WORK).glob("**/checkpoint.json"))[:_MOST_RUNNING]:
            name = path.parent.relative_to(self._folder / WORK).as_posix()
            name = plain(name.rpartition("-")[0] or name, 80)
            try:
                saved = read_kept(path, _SAVED)
                recent = time.time() - path.stat().st_mtime < _RUNNING_S
            except (AvaffectError, OSError):
                continue  # finished meanwhile
            if saved is None:  # not yet whole
                continue
            state = "so far" if recent else "saved; the same command goes on from there"
            lines.append(f"{name}: {saved['frames']} frames {state}")
        return lines

    def state(self) -> str:
        """Changes whenever a page would be another."""
        seen = sorted((each.key, each.stamp) for each in self.videos().values())
        return fingerprint([seen, self.running()])

    def index(self) -> str:
        """The page that lists all videos."""
        rows, has_gaps = [], False
        for video in self.videos().values():
            for summary in self._summaries_of(video):
                link = {"video": video.title, "link": f"videos/{video.key}"}
                rows.append(row_of(summary) | link)
                has_gaps |= summary.gaps > 0
        return index_of(self._folder.absolute().name, rows, has_gaps, self.running())

    def page(self, key: str) -> str | None:
        """The page of the video ``key``; None if there is none of that key."""
        video = self.videos().get(key)
        if video is None:
            return None
        stamp, html = self._pages.get(key, ("", ""))
        if stamp != video.stamp:
            tables = dict(list(video.tables.items())[:MOST_PEOPLE])
            path = self.footage(key)
            film = film_of(path, video.about, self._folder / "page.html")
            if film.source:
                film = replace(film, source=f"../footage/{key}")
            html = page_of(people_of(tables, video.about, path), video.about, film, "../")
            # One is enough: a page may have megabytes.
            self._pages = {key: (video.stamp, html)}
        return html

    def footage(self, key: str) -> Path | None:
        """The very file that the video ``key`` was; None if it is not at hand."""
        known = self._footage.get(key)
        if known is not None and known.is_file():
            return known
        video = self.videos().get(key)
        if video is None:
            return None
        places = (self._folder, self._folder.absolute().parent, Path())
        path = find_footage(video.about, self._named, places)
        if path is not None:
            self._footage[key] = path
        return path

    def _summaries_of(self, video: Viewed) -> Iterator[Summary]:
        """Of those whose tables can be read; the page of the video says what is wrong."""
        for subject, path in video.tables.items():
            if (summary := self._summaries(path, subject)) is not None:
                yield summary


class _Read(Generic[T]):
    """What ``read`` makes of a file, made again only where the file has changed."""

    def __init__(self, read: Callable[..., T]) -> None:
        self._read = read
        self._kept: dict[Path, tuple[tuple[int, int], T]] = {}

    def __call__(self, path: Path, *more: str) -> T:
        stamp = _stamp(path)
        known = self._kept.get(path)
        if known is None or known[0] != stamp:
            known = self._kept[path] = (stamp, self._read(path, *more))
        return known[1]


def _about(path: Path) -> Mapping[str, Any]:
    """What a table says of itself; empty if it cannot be read."""
    try:
        return read_about(path)
    except AvaffectError:
        return {}


def _summary(path: Path, subject: str) -> Summary | None:
    """None if the table cannot be read."""
    try:
        return summarise(load_table(subject, path))
    except AvaffectError:
        return None


def _stamp(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except OSError:
        return 0, 0
    return stat.st_size, stat.st_mtime_ns
