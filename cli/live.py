"""``avaffect live``."""

from __future__ import annotations

import click


@click.command()
@click.option("--camera", type=int, metavar="N", help="Watch camera N of this computer, from 0.")
@click.option(
    "--source",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Play a video at its own speed in place of a camera.",
)
@click.option(
    "-o",
    "--out",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Write a table of all results, .csv; until the end it is called FILE.part.",
)
@click.option(
    "-t",
    "--task",
    default="all",
    show_default=True,
    metavar="va|expr|au|all",
    help="What to predict; several with commas.",
)
@click.option(
    "-m", "--model", default="starter-2", show_default=True, help="Which model predicts."
)
@click.option(
    "--checkpoint",
    type=click.Path(),
    help="Folder that `avaffect train` wrote: predict with that model.",
)
@click.option(
    "--smooth",
    default="auto",
    show_default=True,
    metavar="auto|off|KIND:SECONDS",
    help="Smooth over the time so far, and over that of --delay.",
)
@click.option(
    "--delay",
    type=float,
    default=0.0,
    show_default=True,
    metavar="SECONDS",
    help="Wait so long for what follows a frame: results come later, and are smoother.",
)
@click.option(
    "--seconds", type=float, metavar="N", help="End after so many seconds of the source."
)
@click.option(
    "--window/--no-window",
    default=None,
    help="Show the frames with what is predicted.  [default: where there is a display]",
)
@click.option(
    "--sound/--no-sound",
    default=True,
    show_default=True,
    help="Hear the sound of --source; no microphone is heard beside a camera.",
)
@click.option(
    "--device", default="auto", show_default=True, metavar="auto|cpu|cuda|cuda:N",
    help="Where the nets are run.",
)  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace a table that `avaffect live` wrote.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
def live(
    camera: int | None,
    source: str | None,
    out: str | None,
    task: str,
    model: str,
    checkpoint: str | None,
    smooth: str,
    delay: float,
    seconds: float | None,
    window: bool | None,
    sound: bool,
    device: str,
    overwrite: bool,
    quiet: bool,
) -> None:
    """Predict what a camera sees, frame by frame, as it comes.

    Only what was seen so far counts. What comes while a frame is worked on is dropped but for the
    newest, so that results never fall behind. Ctrl-C, or q in the window, ends it.

    \b
    Examples:
      avaffect live --camera 0
      avaffect live --camera 0 --no-window --seconds 60 -o live.csv
      avaffect live --source video.mp4 -o live.csv --delay 0.25
    """
    from avaffect.cli.terminal import Reporter
    from avaffect.live.run import live as watch

    with Reporter(quiet) as reporter:
        done = watch(
            camera,
            source,
            out,
            window=window,
            sound=sound,
            seconds=seconds,
            overwrite=overwrite,
            on_event=reporter,
            task=task,
            model=model,
            checkpoint=checkpoint,
            smooth=smooth,
            delay=delay,
            device=device,
        )
        people = "1 person" if done.people == 1 else f"{done.people} people"
        parts = [
            f"{done.frames} frames in {done.seconds:.1f} s",
            f"{done.dropped} dropped",
            people,
        ]
        if done.delay is not None and done.delay_95 is not None:
            late = f"{1000 * done.delay:.0f} ms (95 %: {1000 * done.delay_95:.0f} ms)"
            parts.append(f"results {late} after their frames")
        reporter.say("; ".join(parts))
        if done.path is not None:
            reporter.say(f"{done.rows} rows: {done.path}")
