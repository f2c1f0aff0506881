"""What resuming needs beside the checkpoint, and how a run is asked to stop."""

from __future__ import annotations

import signal
import threading
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from avaffect.errors import CheckpointError, UsageError
from avaffect.files.atomic import atomic_path
from avaffect.files.outside import reading

STATE = "state.pt"
_WRONG = "is damaged or of another run"
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def save_state(folder: Path, parts: Mapping[str, Any], place: Mapping[str, Any]) -> None:
    """Write the state of ``parts`` and the place in the run into ``folder``.

    Args:
        folder: the checkpoint's.
        parts: what has a ``state_dict``.
        place: numbers, texts, lists and dicts of them.
    """
    state = {"parts": {n: one.state_dict() for n, one in parts.items()}, "place": dict(place)}
    with atomic_path(folder / STATE) as path:
        torch.save(state, path)


def load_state(folder: Path, parts: Mapping[str, Any]) -> dict[str, Any] | None:
    """Bring ``parts`` to where they were.

    Only tensors and plain values are unpickled (``weights_only``). Bounds: the file's own size; it
    lies in the folder of a run, which is the user's own.

    Returns:
        the place in the run; None if there is no state.

    Raises:
        CheckpointError: the state is damaged, or of another run.
    """
    path = folder / STATE
    if not path.is_file():
        return None
    with reading(path, CheckpointError, _WRONG, "train again into another folder"):
        # Parts bring tensors to their own device; Adam's step counts must stay on the CPU.
        state = torch.load(path, map_location="cpu", weights_only=True)
        if state["parts"].keys() != parts.keys():
            raise UsageError("other parts")
        for name, one in parts.items():
            one.load_state_dict(state["parts"][name])
        place: dict[str, Any] = state["place"]
        return place


class Interrupts:
    """A block in which Ctrl-C and SIGTERM are noted, so that the loop can stop between steps.

    A second Ctrl-C stops at once. In threads, where signals cannot be caught, nothing is noted.

    Attributes:
        asked: whether the run should stop.
    """

    asked = False

    def __enter__(self) -> Interrupts:
        self._before: dict[signal.Signals, Any] = {}
        if threading.current_thread() is threading.main_thread():
            for one in _SIGNALS:
                self._before[one] = signal.signal(one, self._note)
        return self

    def __exit__(self, *error: object) -> None:
        for one, handler in self._before.items():
            signal.signal(one, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
