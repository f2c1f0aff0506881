"""The output of the commands: progress, notices, and a closing table."""

from __future__ import annotations

import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from types import TracebackType
from typing import Any

import click

from avaffect.cli.words import as_options
from avaffect.errors import (
    AvaffectError,
    InputNotFoundError,
    MediaError,
    NoFaceError,
    explained,
)
from avaffect.progress import Event, Notice, Progress

_LINE_EVERY_S = 10.0
# What the last column of a table gets at the least, and the others.
_LAST, _OTHERS = 26, 8
# Failures in the closing sentence, where its words differ from the table's.
_KINDS = {
    "no face": "without a face",
    "no voice": "without a voice",
    "no value": "without a value",
}


@dataclass
class Reporter:
    """Shows the library's events: a bar on a terminal, a line now and then elsewhere.

    Attributes:
        quiet: show nothing.
    """

    quiet: bool = False
    _bar: Any = None
    _stage: str = ""
    _last_line: float = field(default_factory=time.monotonic)
    _began: tuple[float, int] = (0.0, 0)

    def __enter__(self) -> Reporter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()

    def __call__(self, event: Event) -> None:
        """The library's ``on_event``."""
        if isinstance(event, Notice):
            self.say(f"{'warning: ' if event.warning else ''}{as_options(event.text)}")
            return
        if self.quiet:
            return
        if event.stage != self._stage:
            self._close()
            self._stage = event.stage
            # What an earlier run has done does not count for the speed.
            self._began = time.monotonic(), event.done
            self._open(event)
        if self._bar is not None:
            if event.total is not None:
                self._bar.total = event.total
            self._bar.update(event.done - self._bar.n)
        elif time.monotonic() - self._last_line > _LINE_EVERY_S and not event.finished:
            self._last_line = time.monotonic()
            total = f" of {event.total}" if event.total else ""
            click.echo(
                f"{event.stage}: {event.done}{total} {event.unit}{self._left(event)}", err=True
            )
        if event.finished:
            self._close()

    def _left(self, event: Progress) -> str:
        """How long a stage will still take, once it has lasted long enough to tell."""
        lasted, done = time.monotonic() - self._began[0], event.done - self._began[1]
        if event.total is None or done <= 0 or event.done >= event.total or lasted < _LINE_EVERY_S:
            return ""
        left = lasted / done * max(0, event.total - event.done)
        return f", about {duration(left)} left"

    def say(self, text: str) -> None:
        """A line on stderr, above the bar if there is one."""
        if self.quiet:
            return
        if self._bar is not None:
            self._bar.clear()
        click.echo(printable(text), err=True)
        if self._bar is not None:
            self._bar.refresh()

    def say_table(self, what: str, place: Path, csv: bool) -> None:
        """Where tables lie, and in which forms."""
        self.say(f"{what}: {place} ({'parquet and CSV' if csv else 'parquet'})")

    def _open(self, event: Progress) -> None:
        if not sys.stderr.isatty():
            return
        from tqdm import tqdm

        self._bar = tqdm(
            total=event.total,
            initial=event.done,
            desc=event.stage,
            unit=f" {event.unit}",
            unit_scale=event.unit == "bytes",
            leave=False,
            dynamic_ncols=True,
        )

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
        self._bar, self._stage = None, ""


@dataclass(frozen=True)
class Row:
    """The outcome of one input.

    Attributes:
        source: its name.
        outcome: for the table; of what failed a word or two.
        frames, faces, subjects: for the table.
        exit_code: 0, or that of ``error``.
        error: why it failed and what to do, for below the table.
        again: an earlier run had done it.
    """

    source: str
    outcome: str
    frames: str = "-"
    faces: str = "-"
    subjects: str = "-"
    exit_code: int = 0
    error: str = ""
    again: bool = False

    @classmethod
    def failed(cls, source: Path, error: AvaffectError) -> Row:
        """A row for what could not be worked through."""
        read = isinstance(error, MediaError | InputNotFoundError)
        return cls(
            source.name or str(source),
            "unreadable" if read else "failed",
            exit_code=error.exit_code,
            error=as_options(str(error)),
        )

    @classmethod
    def done(
        cls,
        source: Path,
        frames: int,
        faces: int,
        subjects: Sequence[str],
        outcome: str,
        *,
        valued: int | None = None,
        faces_of: Mapping[str, int] | None = None,
        only_sound: bool = False,
        rotate: int | None = None,
        again: bool = False,
    ) -> Row:
        """A row for what was worked through; it counts as failed if it came to nothing.

        Args:
            source: the input.
            frames: of it.
            faces: frames with a face.
            subjects: who was found.
            outcome: the words for it.
            valued: frames with a value, where values are wanted; None where faces are.
            faces_of: by subject, frames with a face; None where it does not matter.
            only_sound: there is no picture.
            rotate: the turn by which faces would be upright; None if they are.
            again: an earlier run had done it.
        """
        code, text = 0, ""
        voices = 0 if valued is None else valued - faces
        verdict, lacks = lacking(frames, faces_of or {}, voices, only_sound)
        lying = "" if rotate is None else f"faces are not upright: --rotate {rotate}"
        outcome = f"{verdict} ({'; '.join(filter(None, (lying, lacks, outcome)))})"
        if not (faces if valued is None else valued):
            if faces:
                outcome = "no value"
                error: AvaffectError = AvaffectError(
                    f"none of the {frames} frames of '{source.name}' has a value",
                    "the model needs what the file does not have, such as sound",
                )
            elif only_sound:
                outcome = "no voice"
                error = AvaffectError(
                    f"no voice was heard in any of the {frames} rows of '{source.name}'",
                    "all are marked missing; what the model hears is speech",
                )
            elif rotate is not None:
                outcome = "no face"
                error = NoFaceError(
                    f"no upright face was found in any of the {frames} frames of '{source.name}'",
                    f"faces are found when its picture is turned: --rotate {rotate}",
                )
            else:
                outcome = "no face"
                error = NoFaceError(
                    f"no face was found in any of the {frames} frames of '{source.name}'",
                    "whole pictures, smaller ones (for close-ups) and parts of them (for small "
                    "faces) were looked at, and all rows are marked missing; if there are faces, "
                    "try --detector centerface",
                )
            code, text = error.exit_code, str(error)
        return cls(
            source.name or str(source),
            outcome,
            str(frames),
            str(faces),
            " ".join(subjects),
            code,
            text,
            again,
        )


def lacking(
    frames: int, faces: Mapping[str, int], voices: int, only_sound: bool
) -> tuple[str, str]:
    """A word for an outcome, ``ok`` unless most rows have no face, and how many have none.

    Args:
        frames: rows of each subject.
        faces: by subject, those with a face.
        voices: rows of one subject that only a voice speaks for.
        only_sound: there is no picture, so that voices count.
    """
    without = {name: frames - count for name, count in faces.items() if count < frames}
    what, few = "face", "few faces"
    if only_sound:
        without = {name: missing - voices for name, missing in without.items() if missing > voices}
        what, few = "voice", "little speech"
    if not without:
        return "ok", ""
    if len(faces) == 1:
        (count,) = without.values()
        text = f"{count} of {frames} rows without a {what}"
        if voices > 0 and not only_sound:
            text += f", a voice in {voices} of them"
    else:
        text = ", ".join(
            f"{count} of {frames} rows without a {what} of {name}"
            for name, count in without.items()
        )
    return few if max(without.values()) > frames / 2 else "ok", text


def run_all(
    sources: list[Path],
    work: Callable[[Path], Row],
    reporter: Reporter,
    names: Mapping[Path, PurePath] | None = None,
    *,
    debug: bool = False,
    at_end: Callable[[], None] | None = None,
    called: Mapping[Path, str] | None = None,
) -> int:
    """Do ``work`` for every source, go on when one fails, print the closing table.

    Args:
        sources: what to work on.
        work: does it.
        reporter: what else is printed.
        names: of the sources' results; the table shows the folders that one has.
        debug: stop at the first failure and raise it.
        at_end: called behind the table unless all failed.
        called: how sources are named that are not where the user has them.

    Returns:
        The exit code: 0, or that of the failures if they agree, else 1.
    """
    rows = []
    for number, source in enumerate(sources, start=1):
        if len(sources) > 1:
            reporter.say(f"[{number}/{len(sources)}] {(called or {}).get(source, source)}")
        try:
            rows.append(work(source))
        except Exception as error:
            if debug:
                raise
            rows.append(Row.failed(source, explain(error)))
    return conclude(sources, rows, reporter, names, at_end=at_end)


def conclude(
    sources: Sequence[Path],
    rows: Sequence[Row],
    reporter: Reporter,
    names: Mapping[Path, PurePath] | None = None,
    *,
    at_end: Callable[[], None] | None = None,
) -> int:
    """Print the closing table; arguments and exit code as for :func:`run_all`.

    Args:
        sources: what was worked on.
        rows: what became of each.
        reporter: what else is printed.
        names: of the sources' results.
        at_end: called behind the table unless all failed.
    """
    rows = [
        replace(row, source=str(names[source].parent / row.source)) if names else row
        for source, row in zip(sources, rows, strict=True)
    ]
    failures = [row for row in rows if row.exit_code]
    unprinted = None
    if len(rows) > 1 or not failures:
        try:
            print_table(
                reporter,
                ("input", "frames", "with face", "subjects", "outcome"),
                [(row.source, row.frames, row.faces, row.subjects, row.outcome) for row in rows],
            )
        except OSError as error:
            unprinted = error  # nobody reads it; there is work to do still
    if len(rows) == 1 and failures:
        say_error(failures[0].error)
    elif failures:
        for row in failures:
            tell(f"{row.source}: {row.error}")
        say_error(closing(rows))
    if at_end is not None and len(failures) < len(rows):
        at_end()
    if unprinted is not None:
        raise unprinted
    codes = {row.exit_code for row in failures}
    return codes.pop() if len(codes) == 1 else int(bool(codes))


def closing(rows: Sequence[Row]) -> str:
    """How many inputs failed and for what, and how many did not."""
    what: dict[str, int] = {}
    for row in rows:
        if row.exit_code:
            what[row.outcome] = what.get(row.outcome, 0) + 1
    failed = sum(what.values())
    kinds = ", ".join(f"{count} {_KINDS.get(kind, kind)}" for kind, count in what.items())
    return f"{failed} of {len(rows)} inputs failed ({kinds}); {len(rows) - failed} done"


def print_table(reporter: Reporter, header: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """Print columns on stdout; the last one is wrapped so that the table fits the terminal."""
    if reporter.quiet:
        return
    lines = [tuple(map(printable, line)) for line in (header, *rows)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(header) - 1)]
    whole = shutil.get_terminal_size().columns
    last = min(_LAST, max(len(line[-1]) for line in lines))
    # Long names are cut in the middle, the longest first.
    while sum(widths) + 2 * len(widths) + last > whole and max(widths, default=0) > _OTHERS:
        widths[widths.index(max(widths))] -= 1
    left = sum(widths) + 2 * len(widths)
    room = max(last, whole - left)
    for line in lines:
        cells = [_cut(cell, width) for cell, width in zip(line, widths, strict=False)]
        first, *more = textwrap.wrap(
            line[-1], room, break_long_words=False, break_on_hyphens=False
        ) or [""]
        click.echo("  ".join([*cells, first]).rstrip())
        for rest in more:
            click.echo(" " * left + rest)


def duration(seconds: float) -> str:
    """So many seconds for people: ``40 s``, ``12 min``, ``1.5 h``, ``9 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    hours = seconds / 3600
    return f"{hours:.1f} h" if hours < 3 else f"{hours:.0f} h"


def _cut(cell: str, width: int) -> str:
    if len(cell) > width:
        head = width // 2
        cell = f"{cell[:head]}…{cell[head + 1 - width :]}"
    return cell.ljust(width)


def explain(error: Exception) -> AvaffectError:
    """``error`` as one with a hint what to do."""
    if isinstance(error, AvaffectError):
        return error
    text = " ".join(str(error).split())
    if isinstance(error, ImportError) and "libGL" in text:
        return AvaffectError(
            f"OpenCV cannot be loaded ({text})",
            "run `pip install --force-reinstall --no-deps opencv-python-headless`",
        )
    if (refused := explained(error)) is not None:
        return refused
    return AvaffectError(
        f"unexpected {type(error).__name__}: {text}",
        "run again with --debug for the traceback, and report it",
    )


def say_error(text: str) -> None:
    """The one line on stderr that a failing command ends with."""
    tell(f"avaffect: {text}")


def tell(text: str) -> None:
    """A line on stderr, also of a quiet command."""
    # Nobody may be there to read it: the exit code tells too.
    with suppress(OSError, ValueError):
        click.echo(printable(text), err=True)


def printable(text: str) -> str:
    """``text`` as it may be shown: names of files can hold what moves the cursor."""
    return "".join(char if char.isprintable() else "?" for char in text)
