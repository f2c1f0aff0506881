"""What the commands print: progress, notices, and a closing table."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import click

from avaffect.errors import AvaffectError, output_error
from avaffect.progress import Event, Notice

_LINE_EVERY_S = 10.0


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
            self.say(f"{'warning: ' if event.warning else ''}{event.text}")
            return
        if self.quiet:
            return
        if event.stage != self._stage:
            self._close()
            self._stage = event.stage
            self._open(event.total, event.unit)
        if self._bar is not None:
            if event.total is not None:
                self._bar.total = event.total
            self._bar.update(event.done - self._bar.n)
        elif time.monotonic() - self._last_line > _LINE_EVERY_S and not event.finished:
            self._last_line = time.monotonic()
            total = f" of {event.total}" if event.total else ""
            click.echo(f"{event.stage}: {event.done}{total} {event.unit}", err=True)
        if event.finished:
            self._close()

    def say(self, text: str) -> None:
        """A line on stderr, above the bar if there is one."""
        if self.quiet:
            return
        if self._bar is not None:
            self._bar.clear()
        click.echo(text, err=True)
        if self._bar is not None:
            self._bar.refresh()

    def _open(self, total: int | None, unit: str) -> None:
        if not sys.stderr.isatty():
            return
        from tqdm import tqdm

        self._bar = tqdm(
            total=total,
            desc=self._stage,
            unit=f" {unit}",
            unit_scale=unit == "bytes",
            leave=False,
            dynamic_ncols=True,
        )

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
        self._bar, self._stage = None, ""


@dataclass(frozen=True)
class Row:
    """What became of one input."""

    source: str
    frames: str
    faces: str
    subjects: str
    outcome: str
    exit_code: int = 0


def run_all(
    sources: list[Path], work: Callable[[Path], Row], reporter: Reporter, debug: bool
) -> int:
    """Do ``work`` for every source, go on when one fails, print the closing table.

    Returns:
        The exit code: 0, or that of the failures if they agree, else 1.
    """
    rows = []
    for source in sources:
        try:
            rows.append(work(source))
        except (AvaffectError, OSError) as error:
            if debug:
                raise
            if isinstance(error, OSError):
                error = output_error(Path(error.filename or source), error)
            rows.append(Row(str(source), "-", "-", "-", f"failed: {error}", error.exit_code))
    failures = [row for row in rows if row.exit_code]
    if len(rows) == 1 and failures:
        click.echo(f"avaffect: {rows[0].outcome.removeprefix('failed: ')}", err=True)
    else:
        if not reporter.quiet:
            print_table(
                ("input", "frames", "with face", "subjects", "outcome"),
                [(row.source, row.frames, row.faces, row.subjects, row.outcome) for row in rows],
            )
        elif failures:
            for row in failures:
                click.echo(f"avaffect: {row.source}: {row.outcome}", err=True)
    codes = {row.exit_code for row in failures}
    return codes.pop() if len(codes) == 1 else int(bool(codes))


def print_table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """Print columns, as wide as they need to be."""
    lines = [header, *rows]
    widths = [max(len(line[at]) for line in lines) for at in range(len(header) - 1)]
    for line in lines:
        cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=False)]
        click.echo("  ".join([*cells, line[-1]]).rstrip())
