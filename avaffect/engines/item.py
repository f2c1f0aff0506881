"""An item: an input, or a segment of one, and where its results go. Engines carry items out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from avaffect.errors import AvaffectError
from avaffect.progress import EventCallback

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Item:
    """What one process does in one go; plain values, so that it can be sent anywhere.

    Attributes:
        source: the input: a path or address.
        out: the output folder, likewise.
        size: how much work it is, in bytes of the input; the largest are begun first.
        segment: which segment of the input, from 0; None for all of it.
        segments: how many segments there are; without ``segment`` they are done, and this item
            joins them. 0: the input is not cut.
        about: what was found out when the input was cut, for its segments.
    """

    source: str
    out: str = ""
    size: int = 1
    segment: int | None = None
    segments: int = 0
    about: str = ""

    @property
    def name(self) -> str:
        """The source's own name, for messages."""
        return Path(self.source).name or self.source


@dataclass(frozen=True, slots=True)
class Split:
    """What an item answers whose input is to be worked on in segments.

    Attributes:
        segments: how many; they may be done at once. Then the item comes again, to join them.
        about: see ``Item``.
    """

    segments: int
    about: str = ""


@dataclass(frozen=True)
class Opened:
    """An item's input and output folder as they lie on this machine."""

    source: Path
    out: Path


class Job(Protocol[T_co]):
    """What is done to each item; sent to the processes, so it is to be pickled.

    Called once in each process, with what takes its events; gives the work.
    """

    def __call__(
        self, on_event: EventCallback
    ) -> AbstractContextManager[Callable[[Item], T_co | Split]]: ...


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """What became of an item.

    Attributes:
        item: the item.
        result: what the work gave; None if it failed.
        error: why it failed; None if it did not.
        attempts: how often it was begun.
        retried: why it was begun again, each time.
    """

    item: Item
    result: T | None = None
    error: AvaffectError | None = None
    attempts: int = 1
    retried: tuple[str, ...] = ()


@contextmanager
def opened(item: Item) -> Iterator[Opened]:
    """A block in which an item's input and output folder can be used as local ones."""
    yield Opened(Path(item.source), Path(item.out))


def bytes_of(source: Path) -> int:
    """The size of a file; 1 of all else, since what was preprocessed takes no time."""
    with suppress(OSError):
        if source.is_file():
            return max(source.stat().st_size, 1)
    return 1
