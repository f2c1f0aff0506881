"""What `avaffect predict` does to each input, and to all of them in the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from avaffect.errors import UsageError

if TYPE_CHECKING:
    from avaffect.cli.terminal import Reporter, Row
    from avaffect.config import PredictConfig
    from avaffect.engines.item import Item, Split
    from avaffect.files.csv_text import Decimal
    from avaffect.predicting.batch import PredictBatch
    from avaffect.predicting.own_clips import OwnClips
    from avaffect.progress import EventCallback
    from avaffect.remote.stage import Stage


@dataclass(frozen=True)
class Predicting:
    """What is done to each input, in this process or another; see ``engines.item.Job``.

    Attributes:
        config: the settings.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        names: by input, what its files are called.
        options: those of ``PredictBatch``.
        keep: whether features are kept.
        own: tables of own features, which one process reads.
        seconds: of segments; None cuts nothing.
    """

    config: PredictConfig
    device: str
    names: Mapping[str, PurePath]
    options: Mapping[str, Any]
    keep: bool = False
    own: OwnClips | None = None
    seconds: float | None = None

    def batch(self, out: Path, on_event: EventCallback) -> PredictBatch:
        """What predicts into ``out``, with nets that are loaded once; ``on_event`` gets its
        events."""
        from avaffect.predicting.batch import PredictBatch

        store = _store(out, len(self.names)) if self.keep else None
        return PredictBatch(
            out,
            self.config,
            device=self.device,
            own=self.own,
            store=store,
            on_event=on_event,
            **self.options,
        )

    def row(self, batch_of: Callable[[Path], PredictBatch], item: Item) -> Row:
        """Predict one input by the batch of its output folder."""
        from avaffect.cli.terminal import Row
        from avaffect.engines.item import opened

        with opened(item) as here:
            source = here.source
            done = batch_of(here.out)(source, self.names[item.source])
        outcome = "already done" if done.again else f"{done.files} files in {Path(item.out)}"
        return Row.done(
            source,
            done.frames,
            done.found,
            done.subjects,
            outcome,
            valued=done.valued,
            faces_of=done.faces,
            only_sound=not done.found and done.sound_only,
            rotate=done.rotate,
            again=done.again,
        )

    @contextmanager
    def __call__(self, on_event: EventCallback) -> Iterator[Callable[[Item], Row | Split]]:
        """The work, for another process."""
        batches: dict[Path, PredictBatch] = {}
        with ExitStack() as stack:

            def batch_of(out: Path) -> PredictBatch:
                if out not in batches:
                    batches[out] = stack.enter_context(self.batch(out, on_event))
                return batches[out]

            yield lambda item: self._in_segments(batch_of, item) or self.row(batch_of, item)

    def _in_segments(
        self, batch_of: Callable[[Path], PredictBatch], item: Item
    ) -> Row | Split | None:
        """Cut a video, or go through a segment; None if all of it is to be predicted."""
        from avaffect.cli.terminal import Row
        from avaffect.engines.item import Split, opened

        if self.seconds is None or (item.segments and item.segment is None):
            return None
        name = self.names[item.source]
        with opened(item) as here:
            batch = batch_of(here.out)
            if item.segment is not None:
                batch.segment(here.source, item.about, item.segment, name)
                return Row(here.source.name, "ok (a segment)")
            segments, sha256 = batch.cut(here.source, self.seconds, name)
        return Split(segments, sha256) if segments else None


def require_single(batch: PredictBatch, stage: Stage, spreads: bool, form: str) -> None:
    """Raise UsageError where a file for all inputs cannot be written."""
    if batch.shared and stage.is_used:
        raise UsageError(
            "a file for all inputs needs all of them in local folders",
            f"leave out --format {form}, or copy them first",
        )
    if batch.shared and spreads:
        raise UsageError(
            "a file for all inputs is written by one process, not by several",
            f"leave out --jobs and --engine, or --format {form}",
        )


def close_batch(
    out: Path,
    sources: Sequence[Path],
    changed: bool,
    decimal: Decimal,
    reporter: Reporter,
    place: str,
) -> None:
    """Write report and summary unless they are there and nothing is new; say where they are."""
    from avaffect.files.names import REPORT, SUMMARY
    from avaffect.reporting.closing import close, is_closed

    written: Sequence[Path] = (out / SUMMARY, out / REPORT)
    if changed or not is_closed(out):
        videos = [source for source in sources if source.is_file()]
        written = close(out, videos, decimal=decimal, on_event=reporter)
    for path in written:
        reporter.say(f"{path.stem}: {place}/{path.name}")


def _store(out: Path, sources: int) -> Callable[[str], Path]:
    """Where the features of a video are kept: as where `preprocess` writes them."""
    return lambda name: out / name if sources > 1 else out
