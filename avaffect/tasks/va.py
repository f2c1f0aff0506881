"""Valence and arousal."""

from __future__ import annotations

from avaffect.tasks.kinds import Values

# Names that others write for ours.
_SPELLINGS = {
    "valence": "valence", "val": "valence", "v": "valence",
    "arousal": "arousal", "aro": "arousal", "a": "arousal",
}  # fmt: skip

VA = Values(
    name="va",
    title="valence/arousal",
    targets=("valence", "arousal"),
    folder="VA_Estimation_Challenge",
    spelled=_SPELLINGS.get,
    low=-1.0,
    high=1.0,
)
