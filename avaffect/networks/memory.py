"""A GPU whose memory does not hold a batch: it is computed in halves."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from avaffect.errors import ModelError

Part = TypeVar("Part")


def by_halves(compute: Callable[[slice], Part], rows: int, what: str) -> list[Part]:
    """What ``compute`` gives for all rows of a batch, in as many parts as the memory needs.

    Args:
        compute: gives what it makes of some of the rows.
        rows: how many there are.
        what: what one is, for the message: ``"window of 64 frames"``.

    Raises:
        ModelError: the GPU's memory does not hold a single one.
    """
    import torch

    done: list[Part] = []
    waiting = [slice(0, rows)]
    while waiting:
        part = waiting.pop()
        middle = (part.start + part.stop) // 2
        try:
            done.append(compute(part))
            continue
        except torch.OutOfMemoryError as error:
            if middle == part.start:
                raise ModelError(
                    f"the GPU's memory does not hold one {what}",
                    'close other programs that use it, or set device="cpu"',
                ) from error
        # Behind the block, since the error holds on to all that was computed.
        torch.cuda.empty_cache()
        waiting += [slice(middle, part.stop), slice(part.start, middle)]
    return done
