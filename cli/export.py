"""``avaffect export``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("checkpoint", type=click.Path())
@click.option(
    "-o",
    "--out",
    type=click.Path(),
    help="The file to write, of an ensemble the folder.  [default: model.onnx, model_onnx]",
)
def export(checkpoint: str, out: str | None) -> None:
    """Write the model of CHECKPOINT, a folder that `avaffect train` wrote, as ONNX.

    The file is compared with PyTorch before it is kept. Of what `avaffect ensemble` wrote each
    model is: the folder predicts as the ensemble does, also where torch is not installed.

    \b
    Examples:
      avaffect export avaffect_run -o model.onnx
      avaffect export avaffect_ensemble -o small/ && avaffect predict clips/ --checkpoint small/
    """
    from avaffect.predictors.joined import is_ensemble
    from avaffect.training.export import export_onnx

    if is_ensemble(Path(checkpoint)):
        from avaffect.cli.predicting import ensemble_command
        from avaffect.ensemble.export import export_ensemble

        whole = export_ensemble(checkpoint, Path(out or "model_onnx"))
        size = f"{whole.bytes / 1e6:.1f} MB"
        click.echo(f"{whole.folder}: {whole.models} models as ONNX, {size}")
        click.echo(f"predict with it: {ensemble_command(whole.folder)}")
        return
    done = export_onnx(checkpoint, Path(out or "model.onnx"))
    click.echo(f"{done.path}: inputs {', '.join(done.inputs)}; outputs {', '.join(done.outputs)}")
    click.echo(f"largest difference from PyTorch: {done.difference:.1e}")
