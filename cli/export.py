"""``avaffect export``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("checkpoint", type=click.Path())
@click.option(
    "-o",
    "--out",
    type=click.Path(dir_okay=False),
    default="model.onnx",
    show_default=True,
    help="The file to write.",
)
def export(checkpoint: str, out: str) -> None:
    """Write the model of CHECKPOINT, a folder that `avaffect train` wrote, as ONNX.

    The file is compared with PyTorch before it is kept.

    \b
    Examples:
      avaffect export avaffect_run -o model.onnx
    """
    from avaffect.training.export import export_onnx

    done = export_onnx(checkpoint, Path(out))
    click.echo(f"{done.path}: inputs {', '.join(done.inputs)}; outputs {', '.join(done.outputs)}")
    click.echo(f"largest difference from PyTorch: {done.difference:.1e}")
