"""How the library reports to its caller while it works.

The library never prints. Long functions take ``on_event``, a callback that gets a
:class:`Progress` now and then and a :class:`Notice` when there is something to report.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a stage has come.

    Attributes:
        stage: short name, e.g. ``"faces"``.
        done: units finished.
        total: units in all, an estimate until the stage ends, None if unknown.
        unit: what is counted, e.g. ``"frames"`` or ``"bytes"``.
        finished: True in a stage's last event.
    """

    stage: str
    done: int
    total: int | None = None
    unit: str = "frames"
    finished: bool = False


@dataclass(frozen=True, slots=True)
class Notice:
    """One line that the user should read, e.g. that a damaged file was used in part.

    Attributes:
        text: the line.
        warning: True when results may differ from what the user expects.
    """

    text: str
    warning: bool = False


Event = Progress | Notice
EventCallback = Callable[[Event], None]


def ignore_events(event: Event) -> None:
    """The callback that does nothing."""
