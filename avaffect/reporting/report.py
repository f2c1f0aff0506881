"""``report``: a page on what was predicted of a video; of several, a page each and an index."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avaffect.config import fingerprint
from avaffect.drawing.subjects import Table, find_tables, load_table
from avaffect.drawing.target import require_target
from avaffect.drawing.words import plain
from avaffect.errors import (
    MediaError,
    NoVideoStreamError,
    UsageError,
    boundary,
)
from avaffect.files.atomic import write_text
from avaffect.files.hashing import file_sha256
from avaffect.files.names import REPORT, REPORTS
from avaffect.files.ours import holds, require_own_file
from avaffect.files.table import read_about
from avaffect.progress import EventCallback, Notice, Progress, ignore_events
from avaffect.reporting.cautions import cautions_of
from avaffect.reporting.footage import cut_faces, find_footage, look_at
from avaffect.reporting.page import MARK, Film, Person, index_of, page_of, row_of, title_of
from avaffect.reporting.said import Line, said_lines
from avaffect.reporting.summary import Summary, summarise
from avaffect.version import __version__

if TYPE_CHECKING:
    from avaffect.converting.speech import Mapped
    from avaffect.reporting.truth import Annotations, Truth

MOST_PEOPLE = 60
_HTML = (".html",)
_LONGEST_NAME = 80


@dataclass(frozen=True)
class Reported:
    """A report that was written.

    Attributes:
        path: the page to open: that of the video, or the index of several.
        pages: the page of each video.
        subjects: who is shown.
        summaries: by table, of those who are shown.
        voices: of a transcript that was given, whose voice is whose.
    """

    path: Path
    pages: tuple[Path, ...]
    subjects: tuple[str, ...]
    summaries: Mapping[Path, Summary]
    voices: tuple[Mapped, ...] = ()


@boundary()
def report(
    predictions: Path | str,
    out: Path | str | None = None,
    *,
    videos: Sequence[Path | str] = (),
    embed: bool = False,
    annotations: Path | str | None = None,
    transcript: Path | str | None = None,
    speakers: Path | str | None = None,
    overwrite: bool = False,
    on_event: EventCallback = ignore_events,
) -> Reported:
    """Write a page that shows predictions beside their video.

    A page is one HTML file without any other, of less than 5 MB (but for an embedded video), that
    opens from the disk and needs no network. A page that was made of just this before stays as it
    is. It has curves over time, the video where it is at
    hand, a summary, warnings, and where the numbers come from. Of several videos there is a page
    each in ``reports/`` beside ``out``, which lists them. The video is not decoded: of each person
    a few frames are looked up.

    Args:
        predictions: a folder that `predict` wrote, or one table of it.
        out: the page; None for ``report.html`` in the folder: the one that `predict` left there is
            replaced.
        videos: the files that were predicted, told by their content, or folders of them. Without
            them files of the same names are looked for in the folder, beside it, and in the
            current one.
        embed: put the video into the page, up to 200 MB, so that the page can be sent alone; it
            then is as large as the video and a third. Otherwise it is linked.
        transcript: what is said in the video, see `converting.run.convert`: shown at the cursor.
        speakers: who speaks when, as RTTM.
        annotations: what is right, see `truth.open_annotations`: shown beside the predictions,
            with CCC and F1.
        overwrite: replace pages that `report` wrote before; other files are never replaced.
        on_event: progress, stage ``pages``, and notices.

    Raises:
        InputNotFoundError: there are no such predictions, videos or annotations.
        ForeignFileError: a file is in the way that is no such page.
        FormatError: a table or annotation that is damaged.
        OutputError: a page cannot be written.
        UsageError: another ending; the page is there; a video too large to embed.
    """
    predictions = Path(predictions)
    folder = predictions.parent if predictions.is_file() else predictions
    overwrite = overwrite or out is None
    out = folder / REPORT if out is None else Path(out)
    require_target(out, _HTML, MARK, overwrite)
    groups = by_video(find_tables(predictions))
    lines, voices = said_lines(transcript, speakers, [tables for _, tables in groups.values()])
    truth = None
    if annotations is not None:
        from avaffect.reporting.truth import open_annotations

        truth = open_annotations(Path(annotations))
    named = [Path(video) for video in videos]
    places = (folder, folder.absolute().parent, Path())
    pages: dict[str, Path] = {key: out for key in groups}
    if len(groups) > 1:
        pages = _pages(groups, out.parent / REPORTS)
        for page in pages.values():
            require_own_file(page, holds(MARK.encode()))
    rows: list[dict[str, Any]] = []
    subjects: list[str] = []
    summaries: dict[Path, Summary] = {}
    has_gaps = False
    for done, (key, (about, tables)) in enumerate(groups.items(), 1):
        index = f"../{out.name}" if len(groups) > 1 else ""
        path = find_footage(about, named, places)
        people = _write_page(pages[key], tables, about, path, truth, embed, index, on_event, lines)
        link = f"{REPORTS}/{pages[key].name}"
        video = title_of(about, people[0].table.subject)
        rows += [row_of(each.summary) | {"video": video, "link": link} for each in people]
        has_gaps |= any(each.summary.gaps for each in people)
        subjects += [each.table.subject for each in people]
        summaries |= dict(zip(tables.values(), (each.summary for each in people), strict=False))
        on_event(Progress("pages", done, len(groups), "pages", finished=done == len(groups)))
    if len(groups) > 1:
        write_text(out, index_of(folder.absolute().name, rows, has_gaps))
    if truth is not None and not set(subjects) & truth.keys():
        known = ", ".join(f"'{name}'" for name in sorted(truth)[:3])
        on_event(Notice(f"nobody in the report is annotated: annotations are of {known}", True))
    return Reported(out, tuple(pages.values()), tuple(subjects), summaries, voices)


Group = tuple[Mapping[str, Any], dict[str, Path]]


def by_video(
    tables: Mapping[str, Path], about_of: Callable[[Path], Mapping[str, Any]] = read_about
) -> dict[str, Group]:
    """By video, what the first of its tables says of it, and its tables by subject."""
    groups: dict[str, Group] = {}
    for subject, path in tables.items():
        about = about_of(path)
        video = about.get("video")
        # Tables of earlier versions, or of a blend, may not know: each is its own.
        known = isinstance(video, dict) and video.get("sha256")
        key = f"{video['sha256']}/{video.get('name')}" if known and video else subject
        groups.setdefault(key, (about, {}))[1][subject] = path
    return groups


def _pages(groups: Mapping[str, Group], folder: Path) -> dict[str, Path]:
    """A path for each video's page, by names that every system takes."""
    found: dict[str, Path] = {}
    taken: set[str] = set()
    for key, (about, tables) in groups.items():
        name = title_of(about, next(iter(tables)))
        safe = "".join(letter if letter.isalnum() or letter in "-_. " else "_" for letter in name)
        safe = safe.strip(". ")[:_LONGEST_NAME] or "video"
        if safe.casefold() in taken:
            safe = f"{safe}-{hashlib.sha256(key.encode(errors='replace')).hexdigest()[:8]}"
        taken.add(safe.casefold())
        found[key] = folder / f"{safe}.html"
    return found


def _write_page(
    page: Path,
    paths: Mapping[str, Path],
    about: Mapping[str, Any],
    video: Path | None,
    truth: Annotations | None,
    embed: bool,
    index: str,
    on_event: EventCallback,
    lines: Sequence[Line] = (),
) -> list[Person]:
    if len(paths) > MOST_PEOPLE:
        text = f"'{page.name}' shows the first {MOST_PEOPLE} of {len(paths)} people"
        on_event(Notice(text, warning=True))
        paths = dict(list(paths.items())[:MOST_PEOPLE])
    made_of = "" if truth or embed or lines else _made_of(page, paths, video, index)
    if made_of and _holds(page, made_of):
        tables = (load_table(name, path) for name, path in paths.items())
        return [Person(table, summarise(table), ()) for table in tables]
    people = people_of(paths, about, video, truth)
    film = film_of(video, about, page, embed, on_event)
    write_text(page, page_of(people, about, film, index, made_of, lines))
    return people


def people_of(
    paths: Mapping[str, Path],
    about: Mapping[str, Any],
    video: Path | None,
    truth: Annotations | None = None,
) -> list[Person]:
    """What a page shows of the people of a video.

    Args:
        paths: their tables, by subject.
        about: the tables' metadata.
        video: the file; None if it is not at hand: then no faces are cut.
        truth: annotations, if there are any.

    Raises:
        FormatError: a table or annotation that is damaged.
    """
    tables = [load_table(name, path) for name, path in paths.items()]
    media = about.get("media")
    first = media.get("first_time_s") if isinstance(media, Mapping) else None
    start = float(first) if isinstance(first, int | float) else 0.0
    faces: list[list[str]] = [[] for _ in tables]
    if video is not None:
        faces = cut_faces(video, tables, start)
    people = []
    for table, cut in zip(tables, faces, strict=True):
        summary = summarise(table)
        people.append(
            Person(
                table,
                summary,
                cautions_of(table, summary, table.about),
                cut,
                None if truth is None else _annotated(table, truth),
            )
        )
    return people


def _made_of(page: Path, paths: Mapping[str, Path], video: Path | None, index: str) -> str:
    """A fingerprint of what a page depends on: its tables, its links, and us."""
    tables = {name: file_sha256(path) for name, path in paths.items()}
    link = video and os.path.relpath(video.resolve(), page.resolve().parent)
    return fingerprint([__version__, link, index, tables])


def _holds(page: Path, made_of: str) -> bool:
    try:
        return holds(MARK.encode(), made_of.encode())(page)
    except OSError:
        return False


def _annotated(table: Table, truth: Annotations) -> Truth | None:
    # Most reports have no annotations; what reads them takes long to load.
    from avaffect.reporting.truth import truth_of

    return truth_of(table, truth)


def film_of(
    video: Path | None,
    about: Mapping[str, Any],
    page: Path,
    embed: bool = False,
    on_event: EventCallback = ignore_events,
) -> Film:
    """How ``video`` comes into the page at ``page``; where it does not, why.

    Raises:
        UsageError: it is to be embedded and is not at hand, or too large.
    """
    name = title_of(about, "")
    if video is None:
        if embed:
            raise UsageError(
                f"the video '{name}' is not at hand and cannot be part of the page",
                "name it with videos=...",
            )
        return Film(
            why_not=f"The video “{name}” is not at hand: name its file when the report is made."
        )
    try:
        footage = look_at(video)
    except NoVideoStreamError:
        return Film(why_not="The predictions are of a sound file: there is no picture to show.")
    except MediaError:
        return Film(why_not=f"The video “{name}” is not shown: it cannot be read.")
    if footage.why_not:
        text = f"The video is not shown: {footage.why_not}."
        on_event(Notice(f"'{plain(video.name, 60)}' is not shown: {footage.why_not}"))
        return Film(
            why_not=f"{text} As MP4 with H.264 it would be; the curves are whole without it."
        )
    if embed:
        return Film(embedded=footage.embedded(), kind=footage.kind)
    return Film(source=footage.link(page))
