"""Files made from checked weights, once, and kept in the cache (an ONNX graph of a checkpoint)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from avaffect.errors import UsageError
from avaffect.files.atomic import atomic_path, write_text
from avaffect.files.hashing import file_sha256
from avaffect.files.lock import alone
from avaffect.files.outside import read_bytes
from avaffect.models.cache import cache_folder
from avaffect.models.fetch import model_path

# What making one takes at most.
_PATIENCE_S = 600.0
# Bytes of a SHA-256 in hexadecimal, and a line end.
_LONGEST_SEAL = 80
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
    # Two processes would each write a file of its own, and one of them the other's hash.
    with alone(target.with_name(f"{name}.lock"), target, wait=_PATIENCE_S):
        if not _is_sealed(target, seal):
            with atomic_path(target) as temporary:
                make(weights, temporary)
                digest = file_sha256(temporary)
            write_text(seal, digest + "\n")
    return target


def _is_sealed(file: Path, seal: Path) -> bool:
    """Whether ``file`` is there and fits its hash; bounds: `_LONGEST_SEAL`."""
    try:
        return read_bytes(seal, _LONGEST_SEAL).strip() == file_sha256(file).encode()
    except (OSError, UsageError):
        return False
