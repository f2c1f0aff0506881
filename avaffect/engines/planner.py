"""Which item is begun next, how often, and what became of each; the same for all engines.

The largest are begun first. What ended with its process, or for want of memory, is begun again
behind all others, some times; what failed because of its input is not. An item may answer that its
input is to be worked on in segments: these are items too, and it comes again when they are done.

What an earlier run has done is found by whoever does the item, by the keys of what it made: they
need the input's hash, which many processes find faster than one.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from avaffect.engines.item import Item, Outcome, Split
from avaffect.errors import AvaffectError

T = TypeVar("T")

TRIES = 3
# A machine that is taken away is not the item's fault, unless it happens again and again.
LOSSES = 10
# Before what another process holds is tried again: file servers keep a dead one's locks a while.
PAUSE_S = 20.0


@dataclass(frozen=True, slots=True)
class Attempt:
    """An item that was begun.

    Attributes:
        number: of this attempt, in this run.
        item: what to do.
        input: which input it belongs to, from 0.
    """

    number: int
    item: Item
    input: int


@dataclass(frozen=True, slots=True)
class Ended:
    """How an attempt ended.

    Attributes:
        result: what the work gave, a ``Split`` among it; None if it failed.
        error: why it failed; None if it did not.
        again: whether another attempt may do better, and why: ``died`` (its process ended, or
            memory was short), ``lost`` (its machine is gone), ``busy`` (another process works
            on it); None: the input is at fault.
    """

    result: Any = None
    error: AvaffectError | None = None
    again: str | None = None


@dataclass
class _State:
    """An item of the plan, and what happened to it."""

    item: Item
    input: int
    attempts: int = 0
    counted: dict[str, int] = field(default_factory=dict)
    retried: list[str] = field(default_factory=list)
    not_before: float = 0.0


class Planner(Generic[T]):
    """The plan for some inputs.

    Args:
        items: one an input.
        tries: how often an item is begun at most that ends with its process.
        clock: seconds, rising.

    Attributes:
        outcomes: by input, what became of it.
    """

    def __init__(
        self,
        items: Sequence[Item],
        tries: int = TRIES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.outcomes: dict[int, Outcome[T]] = {}
        self._items = list(items)
        self._most = {"died": tries, "busy": tries, "lost": max(LOSSES, tries)}
        self._clock = clock
        self._begun: dict[int, _State] = {}
        self._count = 0
        # By how often they were begun, then the largest, then as they were given.
        self._waiting: list[tuple[int, int, int, _State]] = []
        # By input, its segments that are not done yet.
        self._left: dict[int, int] = {}
        # By input, attempts at its segments beyond the first of each.
        self._more: dict[int, list[str]] = {}
        for number, item in enumerate(items):
            self._queue(_State(item, number))

    @property
    def done(self) -> bool:
        """Whether nothing is left to do."""
        return len(self.outcomes) == len(self._items)

    @property
    def begun(self) -> int:
        """How many attempts are under way."""
        return len(self._begun)

    @property
    def rests(self) -> bool:
        """Whether items wait for nothing but time."""
        return bool(self._waiting)

    def next(self) -> Attempt | None:
        """Begin the next item; None if none is to be begun now."""
        now, later = self._clock(), []
        found = None
        while self._waiting and found is None:
            entry = heapq.heappop(self._waiting)
            state = entry[-1]
            if state.input in self.outcomes:
                continue  # another segment of the same input has failed
            if state.not_before > now:
                later.append(entry)
                continue
            found = state
        for entry in later:
            heapq.heappush(self._waiting, entry)
        if found is None:
            return None
        self._count += 1
        found.attempts += 1
        self._begun[self._count] = found
        return Attempt(self._count, found.item, found.input)

    def ended(self, number: int, ended: Ended) -> Outcome[T] | None:
        """Take note of how an attempt ended.

        Returns:
            What became of the input, if that is known now.
        """
        state = self._begun.pop(number)
        if state.input in self.outcomes:
            return None
        if ended.error is not None:
            return self._failed(state, ended.error, ended.again)
        if isinstance(ended.result, Split):
            self._split(state, ended.result)
            return None
        if state.item.segment is not None:
            self._more.setdefault(state.input, []).extend(state.retried)
            self._left[state.input] -= 1
            if not self._left[state.input]:
                whole = self._items[state.input]
                self._queue(_State(replace(whole, segments=state.item.segments), state.input))
            return None
        return self._close(state, ended.result, None)

    def _split(self, state: _State, split: Split) -> None:
        whole = replace(state.item, segments=split.segments, about=split.about)
        self._left[state.input] = split.segments
        size = max(1, whole.size // split.segments)
        for segment in range(split.segments):
            part = replace(whole, size=size, segment=segment)
            self._queue(_State(part, state.input))

    def _failed(self, state: _State, error: AvaffectError, again: str | None) -> Outcome[T] | None:
        if again is not None:
            state.counted[again] = state.counted.get(again, 0) + 1
            if state.counted[again] < self._most[again]:
                state.retried.append(str(error))
                pause = PAUSE_S if again == "busy" else 0.0
                state.not_before = self._clock() + pause
                self._queue(state)
                return None
        if state.item.segment is not None:
            where = f"segment {state.item.segment + 1} of {state.item.segments}"
            error = AvaffectError(f"{where}: {error.problem}", error.hint)
        return self._close(state, None, error)

    def _close(self, state: _State, result: T | None, error: AvaffectError | None) -> Outcome[T]:
        retried = (*self._more.get(state.input, ()), *state.retried)
        whole = self._items[state.input]
        outcome = Outcome(whole, result, error, state.attempts, retried)
        self.outcomes[state.input] = outcome
        return outcome

    def _queue(self, state: _State) -> None:
        self._count += 1
        # Joining comes before what was not begun: it frees the segments' disk space.
        turn = -1 if state.item.segments and state.item.segment is None else 0
        key = (state.attempts or turn, -state.item.size, self._count)
        heapq.heappush(self._waiting, (*key, state))
