"""``avaffect features``."""

from __future__ import annotations

import os
from pathlib import Path

import click

from avaffect.cli.options import device_option


@click.command()
@click.argument("folders", nargs=-1, required=True, metavar="PREPARED ...")
@click.option(
    "--backbone",
    required=True,
    metavar="CKPT|NET",
    help="Folder that `avaffect train` wrote; or a net such as resnet50, with ImageNet's weights.",
)
@click.option("--branch", help="The branch whose backbone it is, where there are several.")
@click.option("--name", help="What the array is called.  [default: as the net]")
@device_option("Where the backbone runs")
@click.option("--offline", is_flag=True, help="Never fetch weights.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
@click.pass_context
def features(
    ctx: click.Context,
    folders: tuple[str, ...],
    backbone: str,
    branch: str | None,
    name: str | None,
    device: str,
    offline: bool,
    quiet: bool,
) -> None:
    """Add what a trained backbone makes of each aligned face to the feature store.

    PREPARED is what `avaffect preprocess` wrote: one video's folder, or the folder of many. The
    array can be trained on with --set 'branches.BRANCH.features=[NAME]', and such a model predicts
    on folders that have it. Run again it does only what is missing, or was made by another
    backbone.

    \b
    Examples:
      avaffect features prepared/ --backbone avaffect_run
      avaffect features prepared/ --backbone avaffect_run --branch face --name stage1
      avaffect features prepared/ --backbone resnet50
    """
    from avaffect.cli.terminal import Reporter, Row, run_all
    from avaffect.errors import InputNotFoundError
    from avaffect.models.device import choose_device
    from avaffect.networks.embed import array_name, embed, load_backbone
    from avaffect.predicting.sources import preprocessed_in

    if offline:
        os.environ["AVAFFECT_OFFLINE"] = "1"
    sources: list[Path] = []
    for folder in folders:
        found = preprocessed_in(Path(folder)) if folder else []
        if not found:
            raise InputNotFoundError(
                f"'{folder}' holds nothing preprocessed", "run `avaffect preprocess VIDEO` first"
            )
        sources += found
    chosen = choose_device(device)
    with Reporter(quiet) as reporter:
        reporter.say(f"device: {chosen.description}")
        trained = load_backbone(backbone, branch, device=chosen.name, on_event=reporter)
        array = array_name(trained, name)

        def work(source: Path) -> Row:
            done = embed(source, trained, array, on_event=reporter)
            outcome = f"{array} in {source}" if done.done else f"{array}: nothing to do"
            return Row.done(source, done.frames, done.faces, done.subjects, outcome)

        ctx.exit(run_all(list(dict.fromkeys(sources)), work, reporter, debug=ctx.obj))
