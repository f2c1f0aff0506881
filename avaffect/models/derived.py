"""Files made from checked weights, once, and kept in the cache (an ONNX graph of a checkpoint)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from avaffect.files.atomic import atomic_path, write_text
from avaffect.models.cache import cache_folder, file_sha256
from avaffect.models.fetch import model_path

Make = Callable[[Path, Path], None]


def derived_file(model: str, name: str, make: Make) -> Path:
    """The file ``name`` made from the weights of ``model``; made now if it is not in the cache.

    It lies in a folder named after the weights' hash, beside its own SHA-256; a file that does not
    fit its hash is made again, never loaded.

    Args:
        model: a name of ``models.zoo``.
        name: file name of the result.
        make: writes the result (second path) from the weights (first path).

    Raises:
        ModelError: if the weights are not to be had or damaged.
    """
    weights = model_path(model)
    target = cache_folder() / "derived" / file_sha256(weights)[:16] / name
    seal = target.with_name(f"{name}.sha256")
    if target.is_file() and seal.is_file() and seal.read_text().strip() == file_sha256(target):
        return target
    with atomic_path(target) as temporary:
        make(weights, temporary)
        digest = hashlib.sha256(temporary.read_bytes()).hexdigest()
    write_text(seal, digest + "\n")
    return target
