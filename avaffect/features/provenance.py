"""What features were made from and with: keys that tell when to make them again, and a record."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata
from typing import Any

from avaffect.config import fingerprint

# Changes whenever the stored arrays would, though the settings do not.
STORE_VERSION = 1
_LIBRARIES = (
    "ai-edge-litert",
    "av",
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
        "versions": {name: _version(name) for name in ("avaffect", *_LIBRARIES)},
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
