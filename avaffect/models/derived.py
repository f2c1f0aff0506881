"""Files made from checked weights, once, and kept in the cache (an ONNX graph of a checkpoint)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from avaffect.files.atomic import atomic_path
from avaffect.files.hashing import file_sha256
from avaffect.files.lock import alone
from avaffect.files.seal import SUFFIX, read_seal, seal_of, write_seal
from avaffect.models.cache import cache_folder, pinned_hash
from avaffect.models.content import Content, model_content
from avaffect.models.zoo import ZOO, ModelFile, find_model
from avaffect.progress import EventCallback, ignore_events

# What making one takes at most.
_PATIENCE_S = 600.0
_DIGITS = 16
_FOLDER = "derived"
Make = Callable[[Content, Path], None]


@dataclass(frozen=True, slots=True)
class Derived:
    """A derived file in the cache.

    Attributes:
        path: where it lies.
        model: the name of the weights that it was made from; None if no weights in use have
            that hash: it is of no use any more.
        problem: what is wrong with it, one phrase; empty if it fits its seal.
    """

    path: Path
    model: str | None
    problem: str


def derived_content(
    model: str, name: str, make: Make, on_event: EventCallback = ignore_events
) -> Content:
    """The file ``name`` made from the weights of ``model``; made now if it is not in the cache.

    It lies in a folder named after the weights' hash, beside its seal; a file that does not
    fit its seal is made again, never loaded. The seal was made with it, here: it tells damage, not
    somebody who may write to the cache and changes both.

    Args:
        model: a name of ``models.zoo``.
        name: file name of the result.
        make: writes the result (second argument) from the weights (first argument).
        on_event: gets progress of fetching the weights.

    Raises:
        ModelError: the weights are not to be had or damaged.
    """
    digest = _digest(find_model(model))
    weights = None
    if digest is None:
        weights = model_content(model, on_event=on_event)
        digest = sha256(weights.data).hexdigest()
    target = cache_folder() / _FOLDER / digest[:_DIGITS] / name
    # Two processes would each write a file of its own, and one of them the other's hash.
    with alone(target.with_name(f"{name}.lock"), target, wait=_PATIENCE_S):
        data = _sealed(target)
        if data is None:
            weights = weights or model_content(model, on_event=on_event)
            with atomic_path(target) as temporary:
                make(weights, temporary)
                data = temporary.read_bytes()
            write_seal(target, sha256(data).hexdigest())
    return Content(target, data)


def _digest(model: ModelFile) -> str | None:
    """The full SHA-256 of the weights, as far as it is known without reading them."""
    return pinned_hash(model) if model.check.weak else model.check.digest


def _sealed(file: Path) -> bytes | None:
    """The content of ``file`` if it is there and fits its seal."""
    seal = read_seal(file)
    try:
        data = file.read_bytes() if seal else b""
    except OSError:
        return None
    return data if sha256(data).hexdigest() == seal else None


def derived_files() -> Iterator[Derived]:
    """All derived files in the cache, checked."""
    known = {digest[:_DIGITS]: name for name, each in ZOO.items() if (digest := _digest(each))}
    for path in sorted(cache_folder().glob(f"{_FOLDER}/*/*")):
        # Hidden ones are written just now.
        if path.name.startswith(".") or path.name.endswith((SUFFIX, ".lock")):
            continue
        yield Derived(path, known.get(path.parent.name), _problem(path))


def _problem(path: Path) -> str:
    if (seal := read_seal(path)) is None:
        return f"has no seal ('{seal_of(path).name}') that can be read"
    try:
        return "" if file_sha256(path) == seal else "has another SHA-256 than when it was made"
    except OSError as error:
        return f"cannot be read ({error.strerror or error})"
