"""openSMILE's low-level descriptors on the frames' clock, where the user has the package.

openSMILE (audEERING) is free for research and education alone; commercial use needs its owner's
licence. It is no part of avaffect and of no extra.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avaffect.config import SAMPLE_RATE
from avaffect.errors import UnknownNameError, UsageError
from avaffect.extras import is_installed
from avaffect.media.sound import read_blocks
from avaffect.progress import EventCallback, Progress, ignore_events

SETS = ("eGeMAPSv02", "GeMAPSv01b", "ComParE_2016")
# A block and what is heard before and behind it, in seconds. Smoothing looks some frames around.
_BLOCK_S, _BESIDE_S = 60, 1

Floats = NDArray[np.float32]


def measure_smile(
    wav: Path, name: str, moments: NDArray[np.float64], on_event: EventCallback = ignore_events
) -> dict[str, Floats]:
    """The descriptors of an openSMILE set around moments.

    Args:
        wav: mono, 16 kHz.
        name: one of :data:`SETS`.
        moments: float64 [N], rising, seconds in the sound.
        on_event: progress in seconds, stage ``smile``.

    Returns:
        float32 [N] by descriptor, as openSMILE calls it: that of the window whose middle is
        nearest; NaN farther than 50 ms from any.

    Raises:
        UnknownNameError: another set.
        UsageError: the package ``opensmile`` is not installed.
        MediaError: the file cannot be read or is not mono.
    """
    if name not in SETS:
        raise UnknownNameError("set of openSMILE", name, SETS)
    if not is_installed("opensmile"):
        raise UsageError(
            f"the set {name} needs opensmile, which is not installed",
            "run `pip install opensmile`; its licence is for research only",
        )
    import opensmile

    smile: Any = opensmile.Smile(
        feature_set=getattr(opensmile.FeatureSet, name),
        feature_level=opensmile.FeatureLevel.LowLevelDescriptors,
    )
    found: dict[str, Floats] = {
        each: np.full(len(moments), np.nan, np.float32) for each in smile.feature_names
    }
    for piece, offset, begin, end in _pieces(wav):
        table = smile.process_signal(piece, SAMPLE_RATE)
        starts, ends = (
            table.index.get_level_values(level).total_seconds().to_numpy()
            for level in ("start", "end")
        )
        middles = offset + (starts + ends) / 2
        mine = np.flatnonzero((moments >= begin) & (moments < end))
        if not len(mine) or not len(middles):
            continue
        after = np.clip(np.searchsorted(middles, moments[mine]), 1, max(len(middles) - 1, 1))
        before = after - 1
        after = np.minimum(after, len(middles) - 1)
        nearer = moments[mine] - middles[before] <= middles[after] - moments[mine]
        nearest = np.where(nearer, before, after)
        known = np.abs(middles[nearest] - moments[mine]) <= 0.05
        for each in found:
            found[each][mine[known]] = table[each].to_numpy(np.float32)[nearest[known]]
        on_event(Progress("smile", round(min(end, 1e9)), None, "seconds"))
    return found


def _pieces(wav: Path) -> Iterator[tuple[NDArray[np.float32], float, float, float]]:
    """Sound, when it begins, and from when to when it counts, in seconds."""
    block, beside = round(_BLOCK_S * SAMPLE_RATE), round(_BESIDE_S * SAMPLE_RATE)
    kept, offset, begin = np.zeros(0, np.float32), 0, 0
    for part in read_blocks(wav, _BLOCK_S):
        kept = np.concatenate([kept, part])
        while offset + len(kept) >= begin + block + beside:
            end = begin + block
            yield (
                kept[: end + beside - offset],
                offset / SAMPLE_RATE,
                begin / SAMPLE_RATE,
                (end / SAMPLE_RATE),
            )
            kept, offset, begin = kept[end - beside - offset :], end - beside, end
    if offset + len(kept) > begin:
        yield kept, offset / SAMPLE_RATE, begin / SAMPLE_RATE, float("inf")
