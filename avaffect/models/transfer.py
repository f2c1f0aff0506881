"""Weights carried to machines without a network: out of the cache into a folder, and back.

The folder is flat, like the cache: each file under its name in the zoo, beside its seal, which
the program ``sha256sum`` checks. It also serves as a mirror (``AVAFFECT_MODEL_MIRROR``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from avaffect.errors import InputNotFoundError, ModelDamagedError, ModelError, OutputError
from avaffect.files.atomic import write_bytes
from avaffect.files.seal import read_seal, write_seal
from avaffect.models import cache
from avaffect.models.cache import CacheState, cache_access
from avaffect.models.content import model_content
from avaffect.models.fetch import from_folder
from avaffect.models.zoo import ZOO, ModelFile, find_model
from avaffect.progress import EventCallback, ignore_events


@dataclass(frozen=True, slots=True)
class Carried:
    """What became of one model.

    Attributes:
        name: the model's.
        path: where its file lies now.
        new: False if it was there before.
        error: why it could not be carried over; None if it was.
    """

    name: str
    path: Path
    new: bool = False
    error: ModelError | None = None


def export_models(
    names: Iterable[str],
    folder: Path | str,
    *,
    offline: bool | None = None,
    on_event: EventCallback = ignore_events,
) -> Iterator[Carried]:
    """Copy weights and their seals into ``folder``, which is made; those not here are fetched.

    A file that is in the folder and right stays. Weights that come with avaffect are left out.

    Args:
        names: of models, see ``models.zoo``.
        folder: where to.
        offline, on_event: as for ``fetch.model_path``.

    Raises:
        UnknownNameError: there is no model of that name.
        OutputError: the folder cannot be written, or holds another file of that name.
    """
    folder = Path(folder)

    def carry(model: ModelFile) -> Carried:
        content = model_content(model.name, offline=offline, on_event=on_event)
        target = folder / model.file
        new = not (target.exists() or target.is_symlink())
        if new:
            write_bytes(target, content.data)
        elif _other(model, target):
            raise OutputError(
                f"'{target}' is there, and is not the file of model '{model.name}'",
                "delete it, or choose another folder",
            )
        digest = sha256(content.data).hexdigest()
        if read_seal(target) != digest:
            write_seal(target, digest)
        return Carried(model.name, target, new)

    return _each([find_model(name) for name in names], folder, carry)


def import_models(
    folder: Path | str, names: Iterable[str] = (), *, on_event: EventCallback = ignore_events
) -> Iterator[Carried]:
    """Copy weights out of ``folder`` into the cache; only what is right comes in.

    Args:
        folder: holds files under their names in the zoo; other files in it are left alone.
        names: of models; none for all that the folder has.
        on_event: gets notices.

    Raises:
        InputNotFoundError: there is no such folder, or it holds no weights.
        UnknownNameError: there is no model of that name.
        OutputError: the cache cannot be written.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputNotFoundError(f"there is no folder '{folder}'", "check the path")
    models = [find_model(name) for name in names]
    if not models:
        models = [model for model in ZOO.values() if _is_there(folder / model.file)]
        if not models:
            raise InputNotFoundError(
                f"'{folder}' holds no weights under the names of their files",
                "give the folder that `avaffect models export` wrote",
            )

    def carry(model: ModelFile) -> Carried:
        with cache_access(model, on_event):
            new = cache.state(model)[0] is not CacheState.CACHED
            if new:
                file = folder / model.file
                _require_seal(file)
                from_folder(model, file, on_event)
        return Carried(model.name, cache.cached_path(model), new)

    return _each(models, cache.cache_folder(), carry)


def _each(
    models: Iterable[ModelFile], folder: Path, carry: Callable[[ModelFile], Carried]
) -> Iterator[Carried]:
    """What ``carry`` makes of each model; one that fails does not stop the others."""
    cache.tidy()
    for model in models:
        if model.packaged is not None:
            continue
        try:
            yield carry(model)
        except ModelError as error:
            yield Carried(model.name, folder / model.file, error=error)


def _is_there(path: Path) -> bool:
    return path.exists() or path.is_symlink()


def _other(model: ModelFile, path: Path) -> bool:
    """Whether ``path`` is something else than the file of ``model``."""
    try:
        return bool(cache.damage(model, path))
    except OSError:  # a link to nowhere
        return True


def _require_seal(file: Path) -> None:
    """Raise ModelDamagedError if ``file`` has a seal and does not fit it: the zoo may know the
    first digits alone."""
    seal = read_seal(file)
    if seal is None or not file.is_file():
        return
    if cache.known_sha256(file) != seal:
        raise ModelDamagedError(
            f"'{file}' is not the file that was exported: its seal gives another SHA-256",
            "copy it once more",
        )
