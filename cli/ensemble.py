"""``avaffect ensemble``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from avaffect.cli.options import data_config, data_options, device_option

if TYPE_CHECKING:
    from avaffect.cli.terminal import Reporter
    from avaffect.ensemble.members import Model
    from avaffect.ensemble.plan import Estimate
    from avaffect.ensemble.run import EnsembleResult
    from avaffect.networks.checkpoint import Checkpoint

DEFAULT_ENSEMBLE = "av-gru-folds"
# From so many seconds on it is asked before anything is trained.
_ASK_FROM_S = 600.0
DEFAULT_RUN = "avaffect_ensemble"


@click.command()
@data_options
@click.option(
    "--recipe",
    default=DEFAULT_ENSEMBLE,
    show_default=True,
    help="Name of an ensemble from `avaffect recipes list`, or a YAML file.",
)
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change a setting of every member's recipe, e.g. train.lr=3e-4.",
)
@click.option(
    "--set-join",
    "join_changes",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change a setting of the recipe of the second stage.",
)
@click.option(
    "--folds",
    type=click.IntRange(2),
    help="Parts of the training clips, each left out once.  [default: by recipe]",
)
@click.option(
    "--repeats",
    type=click.IntRange(1),
    help="Do it so often, each time with other folds; multiplies the trainings. abaw3-va does it "
    "5 times (25 trainings, 5 valences and 5 arousals a frame).  [default: by recipe]",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Of weights, order and folds; of each repeat the next number.",
)
@click.option(
    "-o",
    "--out",
    type=click.Path(file_okay=False),
    default=DEFAULT_RUN,
    show_default=True,
    help="Folder of the ensemble; the same command again goes on with what is there.",
)
@click.option("--overwrite", is_flag=True, help="Throw away the ensemble that is in OUT.")
@click.option(
    "--rejoin",
    is_flag=True,
    help="Join the members in OUT anew, by another --recipe of the same members or --set-join.",
)
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(1),
    help="Models trained at a time.  [default: one a GPU; on the CPU one for every 4 cores]",
)
@click.option(
    "-y",
    "--yes",
    is_flag=True,
    help="Begin without asking. Otherwise, on a terminal, what takes more than ten minutes is "
    "asked about.",
)
@device_option("Where to train")
@click.option("-q", "--quiet", is_flag=True, help="Print errors only, and ask nothing.")
@click.pass_context
def ensemble(ctx: click.Context, out: str, **options: Any) -> None:
    """Train several models and join them: by average, by vote, or by a network on top.

    Each member is an ordinary run of `avaffect train` in a process of its own, in OUT/members.
    Folds are made of the training clips; the whole is scored on the validation split, or on
    groups that are held out. What a network on top learns from are predictions of models for clips
    that they never saw. Ctrl-C saves everything; the same command again goes on.

    A few batches of each recipe are tried first to tell how long it will take. On a terminal you
    are asked whether to go on; where standard input or error is no terminal (a script, a cluster)
    it begins at once.

    OUT is then a model: avaffect predict VIDEO --checkpoint OUT

    \b
    Examples:
      avaffect ensemble --data Aff-Wild2/ --features prepared/ -o va/
      avaffect ensemble --recipe abaw3-va --repeats 1 --jobs 2 --yes -o va/
      avaffect ensemble --recipe abaw3-au-vote --set train.epochs=10 -o au/
      avaffect ensemble --recipe mine.yaml --features tables/ --labels labels/ -o mine/
    """
    from avaffect.cli.terminal import Reporter
    from avaffect.ensemble.run import EnsembleConfig, run_ensemble
    from avaffect.ensemble.smoothing import own_intervals
    from avaffect.recipes.ensemble_recipe import load_ensemble

    recipe = load_ensemble(
        options["recipe"],
        options["changes"],
        options["join_changes"],
        folds=options["folds"],
        repeats=options["repeats"],
    )
    config = EnsembleConfig(recipe, data_config(options), options["seed"])
    with Reporter(options["quiet"]) as reporter:
        reporter.say(f"ensemble: {recipe.name} ({', '.join(recipe.tasks)}, {recipe.join.kind})")

        def trained(model: Model, checkpoint: Checkpoint) -> None:
            score = checkpoint.metrics.get("score")
            text = "no score" if score is None else f"score {score:.4f}"
            reporter.say(f"{model.name}: {text} on its own validation clips")
            if score is not None:
                for task, interval in own_intervals(model.folder, checkpoint).items():
                    reporter.say(f"{model.name}, {task}: {interval}")

        def asking(estimate: Estimate) -> bool:
            return _go_on(estimate, reporter, yes=options["yes"])

        try:
            result = run_ensemble(
                config,
                Path(out),
                device=options["device"],
                jobs=options["jobs"],
                overwrite=options["overwrite"],
                rejoin=options["rejoin"],
                go_on=None if options["quiet"] else asking,
                on_event=reporter,
                on_model=trained,
            )
        except KeyboardInterrupt as error:
            raise KeyboardInterrupt("all is saved, the same command again goes on") from error
    if result is None:
        reporter.say("nothing was trained")
        ctx.exit(1)
    _close(reporter, recipe.join.kind, result, out)


def _go_on(estimate: Estimate, reporter: Reporter, *, yes: bool) -> bool:
    """Say how long it will take, and ask where somebody is there to answer."""
    from avaffect.cli.terminal import duration

    seconds = estimate.seconds
    time = "nobody knows how long" if seconds is None else f"about {duration(seconds)}"
    several = f", {estimate.at_a_time} at a time" if estimate.at_a_time > 1 else ""
    text = f"{_models(estimate.models)}{several} on {estimate.device}, {time}"
    if yes or not _is_terminal() or (seconds is not None and seconds < _ASK_FROM_S):
        reporter.say(text)
        return True
    return click.confirm(f"{text}: go on?", default=True, err=True)


def _is_terminal() -> bool:
    """Whether somebody reads what is printed, and can answer."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def _models(count: int) -> str:
    return "1 model" if count == 1 else f"{count} models"


def _close(reporter: Reporter, kind: str, result: EnsembleResult, out: str) -> None:
    from avaffect.cli.predicting import ensemble_command
    from avaffect.cli.terminal import print_table

    rows, parts = [], result.part_intervals
    for member, scores in result.members.items():
        models = [name for name in result.models if name.startswith(f"{member}/")]
        rows += [(name, result.models[name], parts[name]) for name in models]
        rows.append((member, scores, parts[member]))
    # A mean of scores is the score of nothing.
    rows.append(("mean of the members' scores", result.mean, {}))
    if kind != "average":
        rows.append(("average of predictions", result.average, result.average_intervals))
    rows.append((f"joined by {kind}", result.joined, result.intervals))
    if result.smoothed:
        smoothed = result.smoothed, result.smoothed_intervals
        rows.append(("smoothed, as the recipe has it", *smoothed))
    # Those of single units and classes are in summary.json.
    shown = [name for name in result.joined if " F1 " not in name]
    heads, cells = ["model"], [[name] for name, *_ in rows]
    for part in shown:
        heads += [part, "95 % interval"] if part in result.intervals else [part]
        for row, (_, scores, sure) in zip(cells, rows, strict=True):
            row.append(f"{scores.get(part, float('nan')):.4f}")
            if part in result.intervals:
                row.append(sure[part].short if part in sure else "-")
    print_table(reporter, tuple(heads), [tuple(row) for row in cells])
    for task, interval in rows[-1][2].items():
        reporter.say(f"{rows[-1][0]}, {task}: {interval}")
    reporter.say(f"the predictions for the validation clips are in {Path(out) / 'validation'}")
    reporter.say(f"smoothing and thresholds of the whole: avaffect tune {out}")
    reporter.say(f"predict with it: {ensemble_command(out)}")
