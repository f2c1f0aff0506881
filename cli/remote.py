"""Inputs and outputs in object stores: each input is brought, worked on, published and let go."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Protocol

from avaffect.errors import UsageError
from avaffect.files.names import CONVERTED, FAILURES, RECORDS, REPORT, REPORTS, SUMMARY, TABLES

if TYPE_CHECKING:
    from avaffect.cli.terminal import Reporter, Row
    from avaffect.engines.item import Item, Job, Split
    from avaffect.progress import EventCallback
    from avaffect.remote.stage import Stage, Unit

_KEPT = ("frames", "faces", "subjects", "outcome", "exit_code", "error")


class Results(Protocol):
    """What a command leaves of each item; sent to processes with its job."""

    def unit(self, stage: Stage, item: Item) -> Unit: ...

    def files(self, item: Item) -> Collection[str]: ...

    def settings(self, item: Item) -> str: ...


@dataclass(frozen=True)
class Remotely:
    """A job whose inputs or results lie in a store; see ``engines.item.Job``.

    Attributes:
        job: what is done to a local file; it cuts nothing.
        stage: where that lies.
        results: what it leaves.
        again: do it even if it is done.
    """

    job: Job[Row]
    stage: Stage
    results: Results
    again: bool = False

    @contextmanager
    def __call__(self, on_event: EventCallback) -> Iterator[Callable[[Item], Row | Split]]:
        """The work; ``on_event`` gets its events."""
        self.stage.ready()
        with self.job(on_event) as work:
            yield lambda item: self.around(work, item, on_event)

    def around(
        self, work: Callable[[Item], Row | Split], item: Item, on_event: EventCallback
    ) -> Row:
        """``work`` of an input, unless it is done already."""
        from avaffect.cli.terminal import Row

        unit, settings = self.results.unit(self.stage, item), self.results.settings(item)
        known = None if self.again else unit.finished(settings)
        if known is not None:
            return _row(Row(item.name, ""), known.about, f"already done in {unit.place}")
        with unit.here(on_event) as origin:
            row = work(item)
            assert isinstance(row, Row)  # noqa: S101 - nothing is cut
            outcome = row.outcome.replace(str(unit.folder), unit.place)
            row = replace(row, outcome=outcome)
            about = {name: getattr(row, name) for name in _KEPT}
            unit.keep(origin, settings, self.results.files(item), about)
        return row


def require_whole(stage: Stage, seconds: float | None) -> None:
    """Raise UsageError if videos are to be cut that lie in a store, or whose results do."""
    if stage.is_used and seconds is not None:
        raise UsageError(
            "segments are of videos in local folders, and so are their results",
            "leave out --segment, or copy them first",
        )


@dataclass(frozen=True)
class Published:
    """What is published of each input; see ``cli.remote.Results``.

    Attributes:
        root: the local output folder.
        names: by input, what its files are called.
        key: see ``PredictBatch.settings``.
    """

    root: Path
    names: Mapping[str, PurePath]
    key: str

    def unit(self, stage: Stage, item: Item) -> Unit:
        """An input and the output folder."""
        name = self.names[item.source].as_posix()
        record = f"{RECORDS}/{name}.json"
        return stage.unit(Path(item.source), self.root, f"predict/{name}.json", [record])

    def files(self, item: Item) -> set[str]:
        """What is ours of an input."""
        from avaffect.predicting.records import Records

        return Records(self.root).results_of(self.names[item.source].as_posix())

    def settings(self, item: Item) -> str:
        """Fingerprint of all that an input's files depend on but its content."""
        from avaffect.challenge.places import joined
        from avaffect.config import fingerprint

        return fingerprint([self.key, joined(self.names[item.source])])


def close_remote(
    stage: Stage, changed: bool, end: Callable[[bool], None], reporter: Reporter
) -> None:
    """What a command leaves of all inputs together, of the results that lie in a store.

    Args:
        stage: where results are.
        changed: whether there is anything new; without that nothing is read.
        end: makes it in the local folder.
        reporter: is told where it is.
    """
    if changed:
        stage.bring_results([TABLES, RECORDS])
        end(True)
        stage.publish_closing([REPORT, SUMMARY, REPORTS, CONVERTED, FAILURES])
    reporter.say(f"results: {stage.target}")


def shown(stage: Stage) -> dict[Path, str]:
    """By local path, the address that the user gave."""
    return {path: str(address) for path, address in stage.sources.items()}


def _row(row: Row, about: Mapping[str, Any], outcome: str) -> Row:
    """The row of what an earlier run has done; what its receipt says may be damaged."""
    code = about.get("exit_code")
    code = code if isinstance(code, int) else 0
    texts = {name: str(about.get(name, "-")) for name in ("frames", "faces", "subjects")}
    error = str(about.get("error", ""))
    return replace(
        row,
        outcome=f"ok ({outcome})" if not code else str(about.get("outcome", "failed")),
        exit_code=code,
        error=error,
        again=True,
        **texts,
    )
