"""The state that resuming needs beside the checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from avaffect.errors import CheckpointError, InputNotFoundError, UsageError
from avaffect.files.atomic import atomic_path
from avaffect.files.outside import reading

STATE = "state.pt"
_WRONG = "is damaged or of another run"


def save_state(folder: Path, parts: Mapping[str, Any], place: Mapping[str, Any]) -> None:
    """Write the state of ``parts`` and the place in the run into ``folder``.

    Args:
        folder: the checkpoint's.
        parts: what has a ``state_dict``.
        place: numbers, texts, lists and dicts of them.
    """
    state = {"parts": {n: part.state_dict() for n, part in parts.items()}, "place": dict(place)}
    with atomic_path(folder / STATE) as path:
        torch.save(state, path)


def begun_precision(folder: Path) -> str | None:
    """What the run in ``folder`` computes in, ``none``, ``bf16`` or ``fp16``.

    None if there is no state, or one that does not say: of an earlier version, or damaged, which
    :func:`load_state` will tell.
    """
    try:
        with reading(folder / STATE, CheckpointError, _WRONG):
            state = torch.load(folder / STATE, map_location="cpu", weights_only=True, mmap=True)
            amp = state["place"].get("amp")
    except (CheckpointError, InputNotFoundError):
        return None
    return amp if isinstance(amp, str) else None


def load_state(folder: Path, parts: Mapping[str, Any]) -> dict[str, Any] | None:
    """Bring ``parts`` to where they were; one that was not in use (a scaler) stays as it is.

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
        for name, part in parts.items():
            if state["parts"][name] or not part.state_dict():
                part.load_state_dict(state["parts"][name])
        place: dict[str, Any] = state["place"]
        return place
