"""One attempt at an item, in whatever process: what comes of it, an error among it, is a value."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from avaffect.engines.item import Item, Job
from avaffect.engines.planner import Ended
from avaffect.errors import AvaffectError, BusyError, explained, lacks_memory
from avaffect.progress import Event

Explain = Callable[[Exception], AvaffectError]


class Doer:
    """Does items by one job, which is called when the first one comes; a context manager.

    Args:
        job: what is done.
        explain: makes one of ours of any error.
        tell: gets each event, and whether it is of the item, not of the job.
    """

    def __init__(
        self, job: Job[Any], explain: Explain, tell: Callable[[Event, bool], None]
    ) -> None:
        self._job = job
        self._explain = explain
        self._tell = tell
        self._work: Callable[[Item], Any] | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Doer:
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)

    def __call__(self, item: Item) -> Ended:
        """Do an item; nothing but ``KeyboardInterrupt`` and ``SystemExit`` is raised."""
        try:
            if self._work is None:
                self._work = self._stack.enter_context(self._job(self._hear))
            return Ended(self._work(item))
        except Exception as error:
            again = "busy" if isinstance(error, BusyError) else None
            again = "died" if lacks_memory(error) else again
            return Ended(error=self._explain(error), again=again)

    def _hear(self, event: Event) -> None:
        self._tell(event, self._work is not None)


def explain(error: Exception) -> AvaffectError:
    """``error`` as one of ours."""
    if isinstance(error, AvaffectError):
        return error
    if (refused := explained(error)) is not None:
        return refused
    text = " ".join(str(error).split())
    return AvaffectError(f"unexpected {type(error).__name__}: {text}", "report it")


def died(what: str) -> Ended:
    """An attempt whose process ended."""
    hint = "run the same command again, with fewer jobs if memory is short"
    return Ended(error=AvaffectError(what, hint), again="died")
