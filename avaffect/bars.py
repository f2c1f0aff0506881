"""Progress bars for notebooks and scripts: an ``on_event`` callback that shows what it is told."""

from __future__ import annotations

import sys
import warnings
from typing import Any

from avaffect.progress import Event, Notice, Progress


class Bars:
    """Shows the library's events: a bar a stage, and each notice as a line.

    A notebook gets its own bars where ipywidgets is installed, else bars of text.

    >>> predict("video.mp4", on_event=Bars())  # doctest: +SKIP
    """

    def __init__(self) -> None:
        self._bar: Any = None
        self._stage = ""

    def __call__(self, event: Event) -> None:
        """The library's ``on_event``."""
        bars = _tqdm()
        if isinstance(event, Notice):
            text = f"{'warning: ' if event.warning else ''}{event.text}"
            bars.write(text, file=sys.stderr)
            return
        if event.stage != self._stage:
            self._close()
            self._open(event, bars)
        if event.total is not None:
            self._bar.total = event.total
        self._bar.update(event.done - self._bar.n)
        if event.finished:
            self._bar.refresh()
            self._close()

    def _open(self, event: Progress, bars: Any) -> None:
        self._stage = event.stage
        self._bar = bars(
            total=event.total,
            initial=event.done,
            desc=event.stage,
            unit=f" {event.unit}",
            unit_scale=event.unit == "bytes",
        )

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
        self._bar, self._stage = None, ""


def _tqdm() -> Any:
    with warnings.catch_warnings():
        # That ipywidgets is missing: text will do.
        warnings.simplefilter("ignore")
        from tqdm.auto import tqdm
    return tqdm
