"""``avaffect features``."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from avaffect.cli.jobs import Engine, alone, engine_options, run_items
from avaffect.cli.options import device_option, scratch_option
from avaffect.errors import UsageError, need

if TYPE_CHECKING:
    from avaffect.cli.terminal import Row
    from avaffect.engines.item import Item, Split
    from avaffect.progress import EventCallback
    from avaffect.remote.stage import Stage
    from avaffect.store.adding import Added

    Work = Callable[[Path], Added]


@click.command()
@click.argument("folders", nargs=-1, required=True, metavar="PREPARED ...")
@click.option(
    "--backbone",
    metavar="CKPT|NET|LIBRARY:NAME",
    help="Folder that `avaffect train` or `avaffect ensemble` wrote; a net such as resnet50, with "
    "ImageNet's weights; or an encoder by name: timm:NAME, torchaudio:NAME, hf:NAME or hf:FOLDER.",
)
@click.option("--branch", help="The branch whose backbone it is, where there are several.")
@click.option(
    "--from",
    "source",
    type=click.Path(file_okay=False),
    help="Folder of your own features: a CSV, parquet, npy, npz or safetensors file a subject or "
    "video, called as it is, with a row a frame.",
)
@click.option(
    "--columns",
    "wanted",
    metavar="NAME,...",
    help="Which columns of these files are features; * and ? are wildcards.  [default: all "
    "numbers but frame, time, success and the like]",
)
@click.option(
    "--time",
    metavar="COLUMN",
    help="Their column of seconds: each frame gets the row that is nearest in time.",
)
@click.option(
    "--rate",
    type=click.FloatRange(0, min_open=True),
    metavar="N",
    help="Their rows a second, where these are no frames and have no times.",
)
@click.option(
    "--layers",
    metavar="N|last:N",
    help="Of an encoder of sound, the N-th layer, or the mean of the last N.  [default: last:1]",
)
@click.option(
    "--size",
    type=click.IntRange(16, 1024),
    metavar="N",
    help="Of an encoder of pictures, pixels that faces are brought to.  [default: its own]",
)
@click.option("--name", help="What the array is called.  [default: as the net, or the folder]")
@scratch_option
@engine_options
@device_option("Where the backbone runs")
@click.option("--offline", is_flag=True, help="Never fetch weights.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
@click.pass_context
def features(ctx: click.Context, folders: tuple[str, ...], **options: Any) -> None:
    """Add an array to the feature store: what a net makes of the faces, or features of your own.

    PREPARED is what `avaffect preprocess` wrote: one video's folder, or the folder of many. The
    array can be trained on with --set 'branches.BRANCH.features=[NAME]', and such a model predicts
    on folders that have it. Run again it does only what is missing, or was made of something else.

    \b
    Examples:
      avaffect features prepared/ --backbone avaffect_run
      avaffect features prepared/ --backbone avaffect_run --branch face --name stage1
      avaffect features prepared/ --backbone resnet50
      avaffect features s3://bucket/prepared --backbone resnet50
      avaffect features prepared/ --backbone timm:vit_small_patch14_dinov2.lvd142m --size 112
      avaffect features prepared/ --backbone torchaudio:WAV2VEC2_BASE --layers last:4
      avaffect features prepared/ --from openface/ --name openface
      avaffect features prepared/ --from openface/ --columns 'pose_*,AU*_r' --name units
      avaffect features prepared/ --from wav2vec/ --rate 50 --name wav2vec
    """
    from avaffect.cli.remote import shown
    from avaffect.cli.terminal import Reporter, conclude, run_all
    from avaffect.engines.item import Item
    from avaffect.errors import InputNotFoundError
    from avaffect.predicting.sources import preprocessed_in
    from avaffect.remote.address import Address, is_remote
    from avaffect.remote.inputs import find_prepared
    from avaffect.remote.stage import Stage

    if (options["backbone"] is None) == (options["source"] is None):
        raise UsageError(
            "either a net or features of your own are wanted", "give --backbone or --from"
        )
    _require_fitting(options)
    if options["offline"]:
        os.environ["AVAFFECT_OFFLINE"] = "1"
    sources: list[Path] = []
    stage = Stage.open("", options["scratch"])
    for folder in folders:
        if is_remote(folder):
            inside = find_prepared(Address.of(folder))
            stage = stage.with_prepared(inside)
            found = [stage.local(each) for each in inside]
        else:
            found = preprocessed_in(Path(folder)) if folder else []
        if not found:
            raise InputNotFoundError(
                f"'{folder}' holds nothing preprocessed", "run `avaffect preprocess VIDEO` first"
            )
        sources += found
    sources = [*dict.fromkeys(sources)]
    engine = Engine.of(options, debug=ctx.obj)
    reporter = Reporter(options["quiet"])
    items = {each: Item(str(each), str(each)) for each in sources}
    with reporter, engine.ready(reporter):
        device = ""
        if options["backbone"]:
            chosen = engine.device(options["device"])
            device = chosen.name
            reporter.say(f"device: {chosen.description}")
        job = Adding(options, device, stage)
        if engine.spreads(len(sources)):
            out = stage.root if is_remote(folders[0]) else Path(folders[0])
            rows = run_items([*items.values()], job, engine, out, device or "cpu", reporter)
            code = conclude(sources, rows, reporter)
        else:
            with job(reporter) as work:
                do, given = alone(work, items), shown(stage)
                code = run_all(sources, do, reporter, debug=ctx.obj, called=given)
    if stage.is_used:
        stage.close()
    ctx.exit(code)


def _require_fitting(options: Mapping[str, Any]) -> None:
    """Raise UsageError for options of the other kind of features."""
    for name in ("branch", "layers", "size"):
        if options["source"] and options[name] is not None:
            raise UsageError(f"--{name} is of a net", "leave it out")
    of_files = {"--columns": "wanted", "--time": "time", "--rate": "rate"}
    if options["backbone"] and (
        given := [flag for flag, name in of_files.items() if options[name] is not None]
    ):
        raise UsageError(f"{given[0]} is for features of your own", "leave it out, or give --from")


@dataclass(frozen=True)
class Adding:
    """What is done to each folder, in this process or another; see ``engines.item.Job``.

    Attributes:
        options: those of the command.
        device: ``cpu``, ``cuda`` or ``cuda:N``; empty where no net runs.
        stage: of folders that lie in a store.
    """

    options: Mapping[str, Any]
    device: str
    stage: Stage

    @contextmanager
    def __call__(self, on_event: EventCallback) -> Iterator[Callable[[Item], Row | Split]]:
        """The work, with a net that is loaded once; ``on_event`` gets its events."""
        from avaffect.cli.terminal import Row
        from avaffect.engines.item import opened
        from avaffect.remote.stage import edited

        if self.options["backbone"]:
            make = _of_net(self.options, self.device, on_event)
        else:
            make = _of_files(self.options, on_event)

        def work(item: Item) -> Row:
            with opened(item) as here, edited(self.stage, here.out):
                done = make(here.out)
            name = Path(item.source).name
            outcome = (
                f"{done.name} in {item.source}" if done.done else f"{done.name}: nothing to do"
            )
            if self.options["source"]:
                # Rows are counted, whatever they are of.
                subjects = " ".join(done.subjects)
                return Row(name, f"ok ({outcome})", str(done.frames), "-", subjects)
            source = Path(item.source)
            return Row.done(source, done.frames, done.faces, done.subjects, outcome)

        yield work


def _of_files(options: Mapping[str, Any], on_event: EventCallback) -> Work:
    """Puts own features into a folder's store."""
    from avaffect.datasets.own_arrays import OwnFeatures, store_own
    from avaffect.files.outside import real_path
    from avaffect.store.adding import require_name

    columns = [part.strip() for part in (options["wanted"] or "").split(",") if part.strip()]
    own = OwnFeatures.find(options["source"], columns, options["time"], options["rate"])
    name = require_name(options["name"] or real_path(own.folder).name)
    return lambda source: store_own(source, own, name, on_event=on_event)


def _of_net(options: Mapping[str, Any], device: str, on_event: EventCallback) -> Work:
    """Puts what a net makes of the faces into a folder's store."""
    from avaffect.networks.embed import array_name, embed, load_backbone
    from avaffect.networks.hub import is_named
    from avaffect.predictors.joined import is_ensemble

    if is_named(options["backbone"]):
        return _of_encoder(options, device, on_event)
    if options["layers"] or options["size"]:
        raise UsageError(
            "--layers and --size are of encoders by name", "leave them out, or give timm:NAME"
        )
    if is_ensemble(Path(options["backbone"])):
        from avaffect.ensemble.backbones import load_backbones

        trained, name = load_backbones(options["backbone"], options["branch"], device=device)
        array = array_name(trained, options["name"] or name)
    else:
        trained = load_backbone(
            options["backbone"], options["branch"], device=device, on_event=on_event
        )
        array = array_name(trained, options["name"])
    return lambda source: embed(source, trained, array, on_event=on_event)


def _of_encoder(options: Mapping[str, Any], device: str, on_event: EventCallback) -> Work:
    """Puts what a ready-made encoder makes of faces or sound into a folder's store."""
    need("features", "torch", purpose="an encoder by name")
    from avaffect.networks.encode import encode, encoder_name, load_encoder
    from avaffect.progress import Notice

    if options["branch"]:
        raise UsageError("--branch is of a checkpoint", "leave it out")
    encoder = load_encoder(
        options["backbone"], device=device, layers=options["layers"], size=options["size"]
    )
    name = encoder_name(encoder, options["name"])
    on_event(Notice(f"licence of {encoder.weights.name}: {encoder.weights.licence}"))
    return lambda source: encode(source, encoder, name, on_event=on_event)
