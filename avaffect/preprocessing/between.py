"""What is recorded of a face that was held: the straight line between the frames around.

A face is held where it hardly changed (``faces.holding``), so that a line is nearer to what would
have been found than the net's own noise is.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from avaffect.files.npy import Array
from avaffect.media.frames import Frame
from avaffect.store.spool import Spool

# Degrees. A head does not turn by more in a few frames; what does is an angle that begins anew.
_TURN = 90.0


class Lines:
    """Draws the lines, of the faces of one pass.

    Args:
        spool: what was recorded so far.
    """

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._starts: dict[int, tuple[float, Array]] = {}

    def begin(self, track: int, time: float, record: Array) -> None:
        """The face of ``track`` was looked at, at ``time``: lines go on from ``record``."""
        self._starts[track] = time, record

    def keep(self, tracks: set[int]) -> None:
        """Forget all other tracks, that are no longer followed."""
        self._starts = {track: self._starts[track] for track in tracks & self._starts.keys()}

    def between(self, track: int, frame: Frame, after: tuple[float, Array] | None) -> Array:
        """The record of a face that was held.

        Args:
            track: its track.
            frame: the frame in which it was held.
            after: time and record of the next frame in which it was looked at; None if it was
                not followed up to there: then it stays as it was before.

        Returns:
            structured [], of the spool's dtype.
        """
        if track not in self._starts:  # the last record of the run before
            (last,) = self._spool.track(track, self._spool.tracks[track] - 1)
            self._starts[track] = float(self._spool.times()[last["frame"]]), last
        start, before = self._starts[track]
        record: Any = before.copy()
        if after is not None and float(np.abs(after[1]["pose"] - before["pose"]).max()) < _TURN:
            part = (frame.time - start) / (after[0] - start)
            for name in before.dtype.names or ():
                if before.dtype[name].base.kind == "f":
                    record[name] = mixed(before[name], after[1][name], part)
        record["frame"], record["held"] = frame.index, True
        return record


def mixed(before: Array, after: Array, part: float) -> Array:
    """``before`` and ``after``, of any shape, at ``part`` of the way; float32."""
    start = np.asarray(before, np.float32)
    return start + np.float32(part) * (np.asarray(after, np.float32) - start)
