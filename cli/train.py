"""``avaffect train``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from avaffect.cli.options import data_config, data_options, device_option
from avaffect.errors import UsageError
from avaffect.tasks.kinds import Values
from avaffect.tasks.registry import EXPR, TASKS, is_dimension

if TYPE_CHECKING:
    from avaffect.cli.terminal import Reporter
    from avaffect.training.history import Epoch
    from avaffect.training.run import RunConfig, RunResult

DEFAULT_RECIPE = "abaw1-av-gru"
DEFAULT_RUN = "avaffect_run"
# The options that a resumed run may get anew; everything else comes from its run.json.
_FREE = (
    "out", "device", "workers", "resume", "tensorboard", "no_export", "quiet", "fold", "epochs",
)  # fmt: skip


@click.command()
@data_options
@click.option(
    "--recipe",
    default=DEFAULT_RECIPE,
    show_default=True,
    help="Name from `avaffect recipes list`, or a YAML file.",
)
@click.option(
    "-m", "--modalities", metavar="audio|video|audio,video", help="Keep only these branches."
)
@click.option(
    "--branches",
    metavar="NAME,NAME",
    help="Predict from these branches of the recipe alone, e.g. `embedding` of abaw1-av-gru.",
)
@click.option("-t", "--task", metavar="va|expr|au", help="Train for these, several with commas.")
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change a setting of the recipe, e.g. train.lr=3e-4.",
)
@click.option(
    "--epochs",
    type=click.IntRange(1),
    metavar="N",
    help="Train N epochs at most; with --resume a finished run goes on to so many.",
)
@click.option(
    "--init",
    type=click.Path(),
    metavar="CHECKPOINT",
    help="Start from the weights of a trained run that fit by name and shape (fine-tuning).",
)
@click.option(
    "--folds",
    default="none",
    show_default=True,
    metavar="K|KxL|leave-one-out|given|FILE|none",
    help="Train once a fold, no group in both parts of one; KxL makes K parts of the groups times "
    "L of the stimuli (--column stimulus=NAME), no stimulus in both either; FILE is another run's "
    "folds.json.",
)
@click.option("--fold", type=click.IntRange(0), help="Train this fold only.")
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Of weights, order and folds.",
)
@click.option(
    "-o",
    "--out",
    type=click.Path(file_okay=False),
    default=DEFAULT_RUN,
    show_default=True,
    help="Folder of the run.",
)
@click.option(
    "--resume", is_flag=True, help="Go on with the interrupted run in OUT, with its own settings."
)
@click.option("--overwrite", is_flag=True, help="Throw away the run that is in OUT.")
@device_option("Where to train")
@click.option(
    "--workers", type=click.IntRange(0), help="Processes that read windows.  [default: by device]"
)
@click.option("--tensorboard", is_flag=True, help="Write TensorBoard's files too.")
@click.option(
    "--no-export",
    is_flag=True,
    help="Leave out the ONNX file by which the model runs without torch.",
)
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
@click.pass_context
def train(ctx: click.Context, out: str, resume: bool, **options: Any) -> None:
    """Train a model on features with labels.

    Without options, in the folder of a dataset in Aff-Wild2's layout whose videos were
    preprocessed into ./avaffect_out. Writes checkpoints (best, last), a log, curves, and the
    predictions for the validation clips in the challenge's format. Ctrl-C saves.

    On several GPUs: torchrun --nproc-per-node 4 -m avaffect train ...

    \b
    Examples:
      avaffect train --modalities audio,video
      avaffect train --data Aff-Wild2/ --features prepared/ --task va -o run/
      avaffect train --features voices/ --labels manifest.csv --column clip=path
          --column expression=label --column group=speaker --recipe speech-gru --folds 5
      avaffect train --features tables/ --labels tables/ --clips clips.csv --column clip=file
          --column valence=rating --column group=listener --column stimulus=story
          --recipe table-gru --folds 5x5
      avaffect train --recipe abaw1-av-gru --set train.lr=3e-4 --set window.length=64
      avaffect train --data affectnet=AffectNet/ --data rafdb=RAF-DB/ --recipe face-expr -o faces/
      avaffect train --resume -o run/
      avaffect train --resume -o run/ --epochs 60
    """
    from avaffect.cli.terminal import Reporter
    from avaffect.files.names import RUN
    from avaffect.training.run import longer, read_run, run

    if resume:
        _require_free(ctx)
        config = read_run(Path(out))
        if options["epochs"] is not None:
            config = longer(config, options["epochs"])
    else:
        config = _config(options)
    # Of several processes the first one talks.
    first = os.environ.get("RANK", "0") == "0"
    with Reporter(options["quiet"] or not first) as reporter:
        reporter.say(f"recipe: {config.recipe.name} ({', '.join(config.recipe.modalities)})")
        table = EpochTable(reporter)
        try:
            result = run(
                config,
                Path(out),
                device=options["device"],
                workers=options["workers"],
                resume=resume,
                overwrite=options["overwrite"],
                only_fold=options["fold"],
                tensorboard=options["tensorboard"],
                export=not options["no_export"],
                on_event=reporter,
                on_epoch=table.row,
                on_fold=table.start,
            )
        except KeyboardInterrupt as error:
            if not (Path(out) / RUN).is_file():
                raise KeyboardInterrupt("nothing was begun yet") from error
            saved = str(error) or "what was saved before is kept"
            raise KeyboardInterrupt(
                f"{saved}, `avaffect train --resume -o {out}` goes on"
            ) from error
    _close(reporter, config, result, out)


def _config(options: dict[str, Any]) -> RunConfig:
    from avaffect.predicting.settings import parse_tasks
    from avaffect.recipes.ensemble_recipe import ensemble_names
    from avaffect.training.run import run_config

    if options["recipe"] in ensemble_names():
        raise UsageError(
            f"'{options['recipe']}' is an ensemble of several models",
            f"use `avaffect ensemble --recipe {options['recipe']}`",
        )
    task, changes = options["task"], options["changes"]
    if options["epochs"] is not None:
        changes = (*changes, f"train.epochs={options['epochs']}")
    return run_config(
        options["recipe"],
        data_config(options),
        modalities=_names(options["modalities"]),
        branches=_names(options["branches"]),
        tasks=None if task is None else parse_tasks(task),
        changes=changes,
        init=options["init"],
        folds=options["folds"],
        seed=options["seed"],
    )


def _names(text: str | None) -> list[str] | None:
    """What an option names, parted by commas; None without the option."""
    return None if text is None else [name.strip() for name in text.split(",")]


def _require_free(ctx: click.Context) -> None:
    """Refuse options that a resumed run takes from its own settings."""
    for parameter in ctx.command.params:
        name = parameter.name or ""
        given = ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if given and name not in _FREE:
            raise UsageError(
                f"{parameter.opts[-1]} does not go with --resume",
                "a resumed run keeps its settings; leave the option out",
            )


class EpochTable:
    """The live table of losses and scores on stdout.

    Args:
        reporter: also knows whether to be quiet.
    """

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._columns: list[str] = []

    def start(self, name: str) -> None:
        """A new fold begins."""
        self._columns = []
        if name and not self._reporter.quiet:
            click.echo(f"\n{name}")

    def row(self, epoch: Epoch) -> None:
        """One epoch is done."""
        if self._reporter.quiet:
            return
        shown = {name: epoch.losses[name] for name in ("loss",)}
        shown |= {name: epoch.scores[name] for name in _scores(epoch.scores)}
        if not self._columns:
            self._columns = list(shown)
            heads = "".join(f"{_heading(name):>12}" for name in shown)
            click.echo(f"{'epoch':>5}{'lr':>10}{heads}{'windows/s':>12}")
        values = "".join(f"{shown.get(name, float('nan')):>12.4f}" for name in self._columns)
        speed = epoch.windows / epoch.seconds if epoch.seconds else 0.0
        click.echo(f"{epoch.epoch:>5}{epoch.lr:>10.2g}{values}{speed:>12.0f}")


def _scores(scores: dict[str, float]) -> list[str]:
    """The columns of the table: each task, and the dimensions or the accuracy."""
    return [
        name
        for name in scores
        if name in TASKS or is_dimension(name) or name == f"{EXPR.name} accuracy"
    ]


def _heading(name: str) -> str:
    if name in TASKS:
        return Values.part if isinstance(TASKS[name], Values) else TASKS[name].measure
    return name.partition(" ")[2] or name


def _close(reporter: Reporter, config: RunConfig, result: RunResult, out: str) -> None:
    from avaffect.challenge.known import WAYS
    from avaffect.cli.predicting import in_store, predict_command

    if reporter.quiet:
        return
    for part, name in zip(result.parts, result.names or ("",), strict=True):
        score = part.checkpoint.metrics.get("score")
        text = "no validation" if score is None else f"score {score:.4f}"
        early = ", stopped early" if part.stopped_early else ""
        where = f"{name}: " if name else ""
        click.echo(f"{where}{text} (epoch {part.checkpoint.epoch}{early})")
    for intervals, name in zip(result.intervals, result.names or ("",), strict=False):
        for task, interval in intervals.items():
            click.echo(f"{f'{name}: ' if name else ''}{_heading(task)}: {interval}")
    if result.intervals and not result.names and config.recipe.train.chooses:
        reporter.say(f"the validation clips are clips that {WAYS['validated']}")
    if result.spread:
        for name in _scores(result.scores):
            mean, spread = result.scores[name], result.spread[name]
            together = result.pooled.get(name)
            pooled = "" if together is None else f"; all held-out clips together {together:.4f}"
            if together is not None and name in result.pooled_intervals:
                pooled += f", {result.pooled_intervals[name]}"
            click.echo(f"{_heading(name)}: mean {mean:.4f}, sd {spread:.4f} over folds{pooled}")
    alone = len(result.parts) == 1
    checkpoint = result.parts[0].folder if alone else Path(out) / "fold-N"
    folder = checkpoint.parent if alone else checkpoint
    reporter.say(f"the predictions for the validation clips are in {folder / 'validation'}")
    kind = "SOUND" if config.recipe.modalities == ("audio",) else "VIDEO"
    stored = in_store(result.parts[0].checkpoint)
    command = predict_command(checkpoint, config.recipe.features, stored, video=kind)
    reporter.say(f"predict with it: {command}")
