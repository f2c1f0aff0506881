"""``avaffect features``."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from avaffect.cli.options import device_option
from avaffect.errors import UsageError, need

if TYPE_CHECKING:
    from avaffect.cli.terminal import Reporter
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
      avaffect features prepared/ --backbone timm:vit_small_patch14_dinov2.lvd142m --size 112
      avaffect features prepared/ --backbone torchaudio:WAV2VEC2_BASE --layers last:4
      avaffect features prepared/ --from openface/ --name openface
      avaffect features prepared/ --from openface/ --columns 'pose_*,AU*_r' --name units
      avaffect features prepared/ --from wav2vec/ --rate 50 --name wav2vec
    """
    from avaffect.cli.terminal import Reporter, Row, run_all
    from avaffect.errors import InputNotFoundError
    from avaffect.predicting.sources import preprocessed_in

    if (options["backbone"] is None) == (options["source"] is None):
        raise UsageError(
            "either a net or features of your own are wanted", "give --backbone or --from"
        )
    if options["offline"]:
        os.environ["AVAFFECT_OFFLINE"] = "1"
    sources: list[Path] = []
    for folder in folders:
        found = preprocessed_in(Path(folder)) if folder else []
        if not found:
            raise InputNotFoundError(
                f"'{folder}' holds nothing preprocessed", "run `avaffect preprocess VIDEO` first"
            )
        sources += found
    with Reporter(options["quiet"]) as reporter:
        make = (_of_net if options["backbone"] else _of_files)(options, reporter)

        def work(source: Path) -> Row:
            done = make(source)
            outcome = f"{done.name} in {source}" if done.done else f"{done.name}: nothing to do"
            if options["source"]:
                # Rows are counted, whatever they are of.
                subjects = " ".join(done.subjects)
                return Row(source.name, f"ok ({outcome})", str(done.frames), "-", subjects)
            return Row.done(source, done.frames, done.faces, done.subjects, outcome)

        ctx.exit(run_all(list(dict.fromkeys(sources)), work, reporter, debug=ctx.obj))


def _of_files(options: dict[str, Any], reporter: Reporter) -> Work:
    """Puts own features into a folder's store."""
    from avaffect.datasets.own_arrays import OwnFeatures, store_own
    from avaffect.files.outside import real_path
    from avaffect.store.adding import require_name

    for name in ("branch", "layers", "size"):
        if options[name] is not None:
            raise UsageError(f"--{name} is of a net", "leave it out")
    columns = [part.strip() for part in (options["wanted"] or "").split(",") if part.strip()]
    own = OwnFeatures.find(options["source"], columns, options["time"], options["rate"])
    name = require_name(options["name"] or real_path(own.folder).name)
    return lambda source: store_own(source, own, name, on_event=reporter)


def _of_net(options: dict[str, Any], reporter: Reporter) -> Work:
    """Puts what a net makes of the faces into a folder's store."""
    from avaffect.models.device import choose_device
    from avaffect.networks.embed import array_name, embed, load_backbone
    from avaffect.networks.hub import is_named
    from avaffect.predictors.joined import is_ensemble

    of_files = {"--columns": "wanted", "--time": "time", "--rate": "rate"}
    if given := [flag for flag, name in of_files.items() if options[name] is not None]:
        raise UsageError(f"{given[0]} is for features of your own", "leave it out, or give --from")
    chosen = choose_device(options["device"])
    reporter.say(f"device: {chosen.description}")
    if is_named(options["backbone"]):
        return _of_encoder(options, chosen.name, reporter)
    if options["layers"] or options["size"]:
        raise UsageError(
            "--layers and --size are of encoders by name", "leave them out, or give timm:NAME"
        )
    if is_ensemble(Path(options["backbone"])):
        from avaffect.ensemble.backbones import load_backbones

        trained, name = load_backbones(options["backbone"], options["branch"], device=chosen.name)
        array = array_name(trained, options["name"] or name)
    else:
        trained = load_backbone(
            options["backbone"], options["branch"], device=chosen.name, on_event=reporter
        )
        array = array_name(trained, options["name"])
    return lambda source: embed(source, trained, array, on_event=reporter)


def _of_encoder(options: dict[str, Any], device: str, reporter: Reporter) -> Work:
    """Puts what a ready-made encoder makes of faces or sound into a folder's store."""
    need("features", "torch", purpose="an encoder by name")
    from avaffect.networks.encode import encode, encoder_name, load_encoder

    if options["branch"]:
        raise UsageError("--branch is of a checkpoint", "leave it out")
    encoder = load_encoder(
        options["backbone"], device=device, layers=options["layers"], size=options["size"]
    )
    name = encoder_name(encoder, options["name"])
    reporter.say(f"licence of {encoder.weights.name}: {encoder.weights.licence}")
    return lambda source: encode(source, encoder, name, on_event=reporter)
