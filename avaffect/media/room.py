"""How many bytes of pictures may be in memory together.

A picture is held several times on its way: by the decoder, while the next one is looked at, as
RGB, in queues. A few kilobytes can claim pictures of any size, and the size may change in
mid-stream, so bytes are counted and not frames.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

from avaffect.errors import MediaError
from avaffect.media.container import check_size
from avaffect.media.decode import Decoded

MAX_MOVING_PIXELS = 36_000_000
"""Of each frame where there are more than one: 8K (8192x4320). A single picture may be larger."""


class Room:
    """Lets so many things with so many bytes in; what is too large for all waits to be alone.

    Args:
        things: at most so many.
        most_bytes: together.
    """

    def __init__(self, things: int, most_bytes: int) -> None:
        self._things, self._most = things, most_bytes
        self._inside = self._bytes = 0
        self._closed = False
        self._changed = threading.Condition()

    def enter(self, size: int) -> None:
        """Wait until there is room for ``size`` bytes, or for nothing once it is closed."""
        with self._changed:
            self._changed.wait_for(
                lambda: (
                    self._closed
                    or not self._inside
                    or (self._inside < self._things and self._bytes + size <= self._most)
                )
            )
            self._inside += 1
            self._bytes += size

    def leave(self, size: int) -> None:
        """What has entered with ``size`` bytes is gone."""
        with self._changed:
            self._inside -= 1
            self._bytes -= size
            self._changed.notify_all()

    def close(self) -> None:
        """Nobody waits any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


def within_bounds(frames: Iterable[Decoded], path: Path) -> Iterator[Decoded]:
    """``frames`` as long as none is absurdly large.

    Raises:
        MediaError: one is, see `check_size`, or there are several above `MAX_MOVING_PIXELS`.
    """
    for number, decoded in enumerate(frames):
        frame = decoded.frame
        check_size(frame.width, frame.height, path)
        if number and frame.width * frame.height > MAX_MOVING_PIXELS:
            raise MediaError(
                f"'{path}' has moving pictures of {frame.width}x{frame.height} pixels",
                f"at most {MAX_MOVING_PIXELS // 1_000_000} million (8K) are allowed: make them "
                "smaller, e.g. with ffmpeg -vf scale=3840:-2",
            )
        yield decoded
