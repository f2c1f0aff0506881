"""What features were made from and with: a record, and keys that change with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from avaffect.config import fingerprint
from avaffect.extras import version_of

# Changes whenever the stored arrays would, or how they are stored, though the settings do not.
STORE_VERSION = 2
_BACKBONE = "backbone:"
_OWN = "own:"
_LIBRARIES = (
    "ai-edge-litert",
    "av",
    "imageio-ffmpeg",
    "librosa",
    "numpy",
    "onnxruntime",
    "opencv-python",
    "scipy",
    "torch",
)


def array_key(
    video_hash: str, name: str, configuration: Any, model_hashes: Mapping[str, str] | None = None
) -> str:
    """A fingerprint of everything that an array depends on.

    Args:
        video_hash: SHA-256 of the video file.
        name: the array, or ``faces`` for the frame table.
        configuration: the settings it depends on, JSON-able, and no others.
        model_hashes: the weights it depends on, name to hash.
    """
    return fingerprint([STORE_VERSION, video_hash, name, configuration, dict(model_hashes or {})])


def backbone_key(model: str, crops: str) -> str:
    """The key of an array that a trained backbone made of the crops.

    Args:
        model: which backbone: its net, branch and weights.
        crops: the key of the pictures.
    """
    return f"{_BACKBONE}{model}@{crops}"


def own_model(columns: Sequence[str]) -> str:
    """What stands for the backbone where an array is of a user's own tables: their columns."""
    return f"{_OWN}{len(columns)}:{fingerprint(list(columns))}"


def remade(array: str, model: str) -> str:
    """How an array is made again that ``model`` made, for messages."""
    if model.startswith(_OWN):
        return (
            f'run `avaffect features` with name="{array}" and, as source=..., tables with the '
            "same columns"
        )
    return f'run `avaffect features` with name="{array}" and, as backbone=..., that one'


def backbones_in(keys: Mapping[str, str]) -> dict[str, str]:
    """By array of those that a trained backbone made, which; from a store's keys."""
    return {
        name: key.removeprefix(_BACKBONE).rpartition("@")[0]
        for name, key in keys.items()
        if key.startswith(_BACKBONE)
    }


def provenance(
    video_name: str,
    video_sha256: str,
    configuration: Mapping[str, Any],
    model_hashes: Mapping[str, str],
) -> dict[str, Any]:
    """What to write into ``provenance.json``: the arguments and the libraries' versions."""
    return {
        "video": {
            # A name that is no Unicode is legal on disk but not in JSON.
            "name": video_name.encode(errors="surrogateescape").decode(errors="replace"),
            "sha256": video_sha256,
        },
        "configuration": dict(configuration),
        "models": dict(model_hashes),
        "versions": {name: version_of(name) for name in ("avaffect", *_LIBRARIES)},
    }


# Settings of the feature store that decide what the arrays mean.
_SETTINGS = ("audio", "faces", "sound_rate")


_FACES = ("aligner", "crop_size")


def trained_backbones(features: Mapping[str, Any]) -> dict[str, str]:
    """By array, the backbone that made it, from what :func:`feature_settings` found."""
    backbones = features.get("backbones")
    if not isinstance(backbones, Mapping):
        return {}
    return {str(name): str(model) for name, model in backbones.items()}


def relevant_settings(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """Of a store's configuration, what decides what its arrays mean."""
    kept = {name: configuration[name] for name in _SETTINGS if name in configuration}
    if isinstance(kept.get("faces"), Mapping):
        kept["faces"] = {name: kept["faces"].get(name) for name in _FACES}
    return kept
