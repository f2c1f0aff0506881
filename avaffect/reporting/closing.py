"""What `predict` leaves to look at: ``report.html`` and ``summary.csv`` beside its tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from avaffect.drawing.subjects import find_tables, load_table
from avaffect.errors import AvaffectError, explained
from avaffect.files.csv_text import DECIMALS, Decimal
from avaffect.files.names import REPORT, SUMMARY
from avaffect.files.ours import holds, require_own_file
from avaffect.progress import EventCallback, Notice, ignore_events
from avaffect.reporting.report import report
from avaffect.reporting.summary import Summary, summarise, write_summaries

# A name of a column that only a summary has.
_MARK = b"frames_seen"


def is_closed(out: Path) -> bool:
    """Whether the report and the summary of the predictions in ``out`` are there."""
    return (out / REPORT).is_file() and (out / SUMMARY).is_file()


def close(
    out: Path,
    videos: Sequence[Path] = (),
    *,
    decimal: Decimal = DECIMALS[0],
    on_event: EventCallback = ignore_events,
) -> tuple[Path, ...]:
    """Write the report and the summary of the predictions in ``out``, at the end of other work.

    Those of an earlier run are replaced; files that are not ours are not.

    Args:
        out: the folder that `predict` wrote.
        videos: the files that were predicted, to be shown beside the curves.
        decimal: ``point`` or ``comma``, for the summary.
        on_event: progress and notices; whatever fails is a notice too.

    Returns:
        what was written.
    """
    summary = out / SUMMARY
    written = []
    known: Mapping[Path, Summary] = {}
    try:
        page = report(out, videos=videos, overwrite=True, on_event=on_event)
        known = page.summaries
        written.append(page.path)
    except Exception as error:
        on_event(_failed("report", error))
    try:
        require_own_file(summary, holds(_MARK))
        write_summaries(_summaries(out, known), summary, decimal=decimal)
        written.insert(0, summary)
    except Exception as error:
        on_event(_failed("summary", error))
    return tuple(written)


def _summaries(out: Path, known: Mapping[Path, Summary]) -> Iterator[Summary]:
    """Of all tables in their order; a table is read where the report did not do so."""
    for name, path in find_tables(out).items():
        yield known.get(path) or summarise(load_table(name, path))


def _failed(what: str, error: Exception) -> Notice:
    known = error if isinstance(error, AvaffectError) else explained(error)
    reason = " ".join(str(known or error).split())
    if known is None:
        reason = f"unexpected {type(error).__name__}: {reason}"
    return Notice(f"no {what} was written: {reason}", warning=True)
