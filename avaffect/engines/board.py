"""What the processes of an engine tell, as the events of one run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from avaffect.engines.item import Item
from avaffect.engines.planner import Attempt
from avaffect.progress import Event, EventCallback, Notice, Progress


class Board:
    """How far all inputs together have come, those of many bytes counting for more.

    Args:
        items: one an input.
        on_event: gets the progress of all, and notices with the names of their inputs.
    """

    def __init__(self, items: Sequence[Item], on_event: EventCallback) -> None:
        self._items = items
        self._tell = on_event
        self._whole = sum(item.size for item in items)
        # By input and segment, how much of it is done, 0 to 1 of the input.
        self._parts: dict[tuple[int, int | None], float] = {}
        self._told: set[str] = set()

    def hear(self, attempt: Attempt | None, event: Event) -> None:
        """Pass on what a process tells of an attempt; None: of no input, as of the weights."""
        if attempt is None:
            # Each process says it.
            if isinstance(event, Notice) and event.text not in self._told:
                self._told.add(event.text)
                self._tell(event)
            return
        if isinstance(event, Notice):
            self._tell(_named(event, self._items[attempt.input].name))
        elif event.stage == "faces" and event.total:
            item = attempt.item
            share = 1.0 if item.segment is None else 1 / item.segments
            part = share * min(1.0, event.done / event.total)
            place = attempt.input, item.segment
            self._parts[place] = max(part, self._parts.get(place, 0.0))
            self._tell(self._progress())

    def end(self, number: int) -> None:
        """The input ``number`` is done, or has failed."""
        self._parts[number, None] = 1.0
        self._tell(self._progress())

    def finish(self) -> None:
        """All are."""
        self._tell(self._progress(finished=True))

    def _progress(self, finished: bool = False) -> Progress:
        parts: dict[int, float] = {}
        for (number, _), part in self._parts.items():
            parts[number] = min(1.0, parts.get(number, 0.0) + part)
        done = sum(self._items[number].size * part for number, part in parts.items())
        return Progress("all inputs", int(100 * done / self._whole), 100, "%", finished)


def _named(notice: Notice, name: str) -> Notice:
    """``notice`` with the name of the input, which most have."""
    return notice if name in notice.text else replace(notice, text=f"{name}: {notice.text}")
