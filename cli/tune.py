"""``avaffect tune``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("run", type=click.Path(file_okay=False))
@click.option("--no-thresholds", is_flag=True, help="Leave the thresholds of action units at .5.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
def tune(run: str, no_thresholds: bool, quiet: bool) -> None:
    """Choose smoothing and AU thresholds of a training RUN, or ensemble, on its validation clips.

    For each task, means, Gaussians and medians over .1 to 6 seconds are tried on the network's
    predictions for the validation clips (RUN/validation/tables; of folds, all held-out clips),
    and for action units a threshold each. Every choice is scored three ways: without it; with it,
    on the clips that it was chosen on (optimistic); and cross-validated, each fifth of the videos
    by what was chosen on the others (by inner folds of these), which is the figure to report, with
    its interval over videos. Clips that the network was trained on, or that chose its epoch, are
    warned about. What gains cross-validated is kept in postprocess.json beside the checkpoint;
    `avaffect predict --checkpoint RUN` then follows it (--smooth off switches the smoothing off).
    Of an ensemble the whole is tuned; a member (OUT/members/NAME) that was tuned is joined by its
    own smoothing and thresholds when `avaffect ensemble` is run again.

    \b
    Examples:
      avaffect tune avaffect_run && avaffect predict clips/ --checkpoint avaffect_run -o out/
      avaffect tune avaffect_ensemble
    """
    from avaffect.cli.terminal import Reporter, print_table
    from avaffect.predicting.tune import tune as choose

    with Reporter(quiet) as reporter:
        done = choose(Path(run), thresholds=not no_thresholds, on_event=reporter)
        print_table(
            reporter,
            ("task", "what", "without", "optimistic", "cross-validated", "kept"),
            [
                (
                    step.task,
                    step.what,
                    f"{step.without:.4f}",
                    f"{step.optimistic:.4f}",
                    f"{step.cross_validated:.4f}",
                    "yes" if step.kept else "no",
                )
                for step in done.steps
            ],
        )
        if not quiet:
            for step in done.steps:
                click.echo(f"{step.task}, {step.what}: {step.chosen}")
        for step in done.steps:
            if step.what == "smoothing":
                reporter.say(f"{step.task}, without: {step.without_interval}")
            reporter.say(f"{step.task}, {step.what}, cross-validated: {step.interval}")
        reporter.say(f"chosen on {done.clips} clips of {done.groups} videos")
        for path in done.files:
            reporter.say(f"written: {path}")
