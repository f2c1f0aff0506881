"""``avaffect data``: look at a data set, make an artificial one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from avaffect.challenge.editions import DEFAULT_EDITION, EDITIONS
from avaffect.cli.options import NameChoice
from avaffect.cli.sets import align_command, check_public, sets_command
from avaffect.cli.words import as_options
from avaffect.errors import UsageError
from avaffect.tasks.registry import TASKS

if TYPE_CHECKING:
    from avaffect.cli.terminal import Reporter
    from avaffect.datasets.report import Part, Report

# A test holds this to avaffect.datasets.check.KINDS, whose module would make `--help` slow.
KINDS = (*TASKS, "mtl")
_SHOWN_ERRORS = 20


@click.group()
def data() -> None:
    """Look at a data set in the layout of Aff-Wild2 or at a public set, or make an artificial one.

    \b
    Examples:
      avaffect data check Aff-Wild2/ --features features/
      avaffect data check affectnet=AffectNet/
      avaffect data synth demo/ --videos 12
    """


data.add_command(sets_command)
data.add_command(align_command)


@data.command("check")
@click.argument("root", type=click.Path())
@click.option(
    "--edition",
    type=NameChoice(list(EDITIONS), "edition"),
    default=DEFAULT_EDITION,
    show_default=True,
    help="As whose files the labels are read; ABAW1 and 2 have seven expressions.",
)
@click.option("--features", type=click.Path(), help="What `avaffect preprocess -o` has written.")
@click.option(
    "-t",
    "--task",
    "tasks",
    type=NameChoice(KINDS, "task"),
    multiple=True,
    help="What is to be trained; may be given several times.  [default: all that are there]",
)
@click.option("--json", "json_path", type=click.Path(dir_okay=False), help="Write all as JSON.")
@click.pass_context
def check_command(
    ctx: click.Context,
    root: str,
    edition: str,
    features: str | None,
    tasks: tuple[str, ...],
    json_path: str | None,
) -> None:
    """Say what is in ROOT, what is missing and what is odd.

    ROOT holds the annotations in any of the challenge's layouts and, if they are to be looked at
    too, the folders videos/ and cropped_aligned/. As NAME=DIR it is a public set, see
    `avaffect data sets`. Ends with exit code 0 if training can start, perhaps with warnings, and
    with 1 if it cannot.

    \b
    Examples:
      avaffect data check Aff-Wild2/
      avaffect data check Aff-Wild2/ --features features/ --task va --json check.json
      avaffect data check affectnet=AffectNet/
    """
    from dataclasses import asdict

    from avaffect.datasets.sets.registry import named_data

    if named_data(root)[0]:
        for option in ("edition", "features", "tasks"):
            if ctx.get_parameter_source(option) is ParameterSource.COMMANDLINE:
                raise UsageError(
                    f"--{option.removesuffix('s') if option == 'tasks' else option} is for "
                    "datasets in Aff-Wild2's layout",
                    "leave it out",
                )
        ctx.exit(0 if check_public(root, json_path) else 1)

    from avaffect.cli.terminal import Reporter, printable, say_error
    from avaffect.datasets.check import check
    from avaffect.files.atomic import write_json
    from avaffect.files.ours import holds, require_own_file

    with Reporter() as reporter:
        report = check(
            Path(root), edition, Path(features) if features else None, tasks, on_event=reporter
        )
    click.echo(f"{printable(report.root)} (read as {report.edition})")
    _print_labels(reporter, report)
    _print_rest(report)
    for title, lines in (
        ("remark", report.remarks),
        ("warning", report.warnings),
        ("cannot be read", report.errors[:_SHOWN_ERRORS]),
        ("cannot start", report.reasons),
    ):
        for line in lines:
            click.echo(f"{title}: {printable(as_options(line))}")
    if len(report.errors) > _SHOWN_ERRORS:
        click.echo(f"{len(report.errors)} such lines are listed with --json")
    if json_path is not None:
        require_own_file(Path(json_path), holds(b'"ready"', b'"root"', b'"remarks"'))
        write_json(Path(json_path), {"ready": report.ready, **asdict(report)})
    if report.ready:
        click.echo(f"training can start ({len(report.warnings)} warnings)")
    else:
        say_error(f"training cannot start: {as_options(report.reasons[0])}")
    ctx.exit(0 if report.ready else 1)


@data.command("synth")
@click.argument("out", type=click.Path(file_okay=False))
@click.option("--videos", type=click.IntRange(1), default=12, show_default=True, metavar="N")
@click.option(
    "--seconds",
    type=click.FloatRange(0, min_open=True),
    default=8.0,
    show_default=True,
    help="About how long each video is.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Same seed, same set.")
def synth_command(out: str, videos: int, seconds: float, seed: int) -> None:
    """Make a small ARTIFICIAL set in the layout of Aff-Wild2 in the folder OUT.

    For tests and demonstrations: its labels are functions of how rendered faces move and sound,
    not of anybody's feelings. What is trained on it is of no use on real people.

    \b
    Example:
      avaffect data synth demo/ && avaffect data check demo/
    """
    from avaffect.cli.terminal import Reporter
    from avaffect.datasets.synth.make import synthesise

    with Reporter() as reporter:
        made = synthesise(Path(out), videos=videos, seconds=seconds, seed=seed, on_event=reporter)
    click.echo(
        f"{made.videos} videos, {made.subjects} subjects, {made.frames} frames in {made.folder}"
    )
    click.echo("THIS SET IS ARTIFICIAL: for tests and demonstrations only, its labels are made up")


def _print_labels(reporter: Reporter, report: Report) -> None:
    from avaffect.cli.terminal import print_table

    if not report.parts:
        return
    click.echo("")
    print_table(
        reporter,
        ("task", "split", "tracks", "videos", "labelled", "invalid"),
        [
            (
                _label(part),
                part.split,
                str(part.tracks),
                str(part.videos),
                str(part.labelled),
                f"{part.invalid} ({_percent(part.invalid, part.labelled + part.invalid)})",
            )
            for part in report.parts
        ],
    )
    for label in dict.fromkeys(map(_label, report.parts)):
        mine = [part for part in report.parts if _label(part) == label]
        click.echo("")
        print_table(
            reporter,
            (label, *(part.split for part in mine)),
            [(target, *(_value(part, target) for part in mine)) for target in mine[0].values],
        )


def _label(part: Part) -> str:
    return part.task if part.kind == part.task else f"{part.kind} {part.task}"


def _value(part: Part, target: str) -> str:
    """The figures of a target: a count and its share, or mean, spread and range."""
    of = {name: value for name, value in part.values[target].items() if value is not None}
    if len(of) < len(part.values[target]):
        return "-"
    if "mean" in of:
        return f"{of['mean']:+.3f} sd {of['sd']:.3f} [{of['min']:+.3f}, {of['max']:+.3f}]"
    return f"{of['count']} ({_share(of['share'])})"


def _share(share: float) -> str:
    return f"{100 * share:.1f} %"


def _percent(part: int, whole: int) -> str:
    return _share(part / whole) if whole else "-"


def _print_rest(report: Report) -> None:
    """A few lines each on rows, videos, crops and features, where there is something to say."""
    from avaffect.cli.terminal import printable

    lines: list[str] = []

    def line(title: str, *parts: str) -> None:
        lines.append(f"{title}: " + ", ".join(part for part in parts if part))

    def count(names: Any, what: str) -> str:
        return f"{len(names)} {what}" if names else ""

    if (rows := report.rows) is not None:
        bins = "  ".join(f"{name}: {number}" for name, number in rows.counts.items())
        worst = ", ".join(f"{path} {by:+d}" for path, by in rows.worst)
        line("label rows minus frames", f"{bins} (frames from {rows.against})")
        if worst:
            line("farthest off", worst)
    if (videos := report.videos) is not None:
        line(
            "videos",
            f"{videos.videos} readable",
            count(videos.unreadable, "unreadable"),
            count(videos.missing, "missing"),
            count(videos.unannotated, "without annotation"),
        )
        if videos.fps:
            low, high = videos.fps
            line("frame rates", f"{low:.5g} to {high:.5g} Hz", f"{videos.not_whole} not whole")
        if videos.seconds:
            short, long, whole = videos.seconds
            line("durations", f"{short:.1f} to {long:.1f} s", f"{whole / 3600:.2f} h in all")
    if (crops := report.crops) is not None:
        everything = crops.images + crops.gaps
        line(
            "crops",
            f"{crops.tracks} tracks",
            count(crops.without, "without any"),
            f"{crops.gaps} of {everything} frames without ({_percent(crops.gaps, everything)})",
            f"{crops.odd} odd files" if crops.odd else "",
        )
        if crops.worst:
            line("most gaps", *(f"{name} {gaps} of {of}" for name, gaps, of in crops.worst))
    if (features := report.features) is not None:
        line(
            "features",
            f"{features.found} whole",
            count(features.missing, "missing"),
            count(features.damaged, "damaged"),
            count(features.unfinished, "videos interrupted"),
            count(features.stand_ins, "of their video's only person"),
            count(features.unused, "without annotation"),
        )
    if lines:
        click.echo("")
    for text in lines:
        click.echo(printable(text))
    click.echo("")
