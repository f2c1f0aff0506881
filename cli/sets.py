"""``avaffect data sets`` and ``avaffect data align``, and ``data check`` of a public set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from avaffect.cli.options import device_option

if TYPE_CHECKING:
    from avaffect.cli.terminal import Reporter
    from avaffect.datasets.sets.check import SetReport
    from avaffect.datasets.sets.sample import PublicSet

_SHOWN = 20
_LEFT_OUT = "left out"


@click.command("sets")
@click.argument("name", required=False)
def sets_command(name: str | None) -> None:
    """List the public sets that can be trained on, or say how the set NAME is read.

    \b
    Examples:
      avaffect data sets
      avaffect data sets affectnet
    """
    from avaffect.cli.terminal import Reporter, print_table
    from avaffect.datasets.sets.registry import SETS, set_named

    reporter = Reporter()
    if name is not None:
        _print_set(reporter, set_named(name))
        return
    rows = [(each.name, each.title, each.kind, each.splits) for each in SETS.values()]
    print_table(reporter, ("name", "set", "of", "splits"), rows)


def _print_set(reporter: Reporter, entry: PublicSet) -> None:
    click.echo(f"{entry.title} ({entry.kind})\n\n{entry.layout}\n")
    _print_mapping(reporter, entry)
    click.echo(f"\nsubjects: {entry.groups}\nsplits: {entry.splits}\nsource: {entry.source}")


@click.command("align")
@click.argument("data", metavar="NAME=DIR")
@click.option(
    "-o", "--out", type=click.Path(file_okay=False), required=True, help="Folder of aligned faces."
)
@device_option("Where the nets that look at faces run")
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
def align_command(data: str, out: str, device: str, quiet: bool) -> None:
    """Find and align the face in each picture of a public set, as `preprocess` does with frames.

    Give OUT to `avaffect train` as --features NAME=OUT. What is in OUT already stays; the same
    command goes on where it was interrupted.

    \b
    Example:
      avaffect data align affectnet=AffectNet/ -o affectnet_faces/
    """
    from avaffect.cli.terminal import Reporter
    from avaffect.datasets.sets.aligned import align_set
    from avaffect.datasets.sets.registry import named_data
    from avaffect.errors import UsageError

    name, root = named_data(data)
    if not name:
        raise UsageError(f"'{data}' names no public set", "write NAME=DIR, as affectnet=DIR")
    with Reporter(quiet) as reporter:
        made = align_set(name, Path(root), Path(out), device=device, on_event=reporter)
    if not quiet:
        click.echo(
            f"{made.faces:,} faces of {made.pictures:,} pictures in {out}"
            + (f", {made.damaged:,} pictures cannot be decoded" if made.damaged else "")
        )


def check_public(text: str, json_path: str | None) -> bool:
    """Print what is in ``NAME=DIR``; whether training can start."""
    from dataclasses import asdict

    from avaffect.cli.terminal import Reporter, printable, say_error
    from avaffect.datasets.sets.check import check_set
    from avaffect.datasets.sets.registry import set_named
    from avaffect.files.atomic import write_json
    from avaffect.files.ours import holds, require_own_file

    with Reporter() as reporter:
        report = check_set(text, reporter)
    click.echo(f"{printable(report.root)} (read as {set_named(report.name).title})\n")
    _print_parts(reporter, report)
    click.echo("")
    _print_mapping(reporter, set_named(report.name))
    for why, count in report.left_out.items():
        click.echo(printable(f"left out: {count:,} {why}"))
    for line in report.faults[:_SHOWN]:
        click.echo(printable(f"wrong: {line}"))
    if len(report.faults) > _SHOWN:
        click.echo(f"{len(report.faults):,} such lines are listed with --json")
    if json_path is not None:
        require_own_file(Path(json_path), holds(b'"ready"', b'"root"', b'"left_out"'))
        write_json(Path(json_path), {"ready": report.ready, **asdict(report)})
    if report.ready:
        click.echo("training can start")
    else:
        first = report.faults[0] if report.faults else "there is nothing to train with"
        say_error(f"training cannot start: {printable(first)}")
    return report.ready


def _print_mapping(reporter: Reporter, entry: PublicSet) -> None:
    from avaffect.cli.terminal import print_table

    rows = [(theirs, ours or _LEFT_OUT) for theirs, ours in entry.mapping]
    print_table(reporter, ("its label", "here"), rows)


def _print_parts(reporter: Reporter, report: SetReport) -> None:
    from avaffect.cli.terminal import print_table
    from avaffect.tasks.registry import TASKS

    names = [part.split or "no split" for part in report.parts]
    rows = [
        (title, *(f"{getattr(part, field):,}" for part in report.parts))
        for title, field in (("samples", "samples"), ("rows", "rows"), ("subjects", "groups"))
    ]
    tasks = [task for task in TASKS if any(task in part.counts for part in report.parts)]
    for task in tasks:
        for target in TASKS[task].targets:
            counts = [part.counts.get(task, {}).get(target, 0) for part in report.parts]
            means = [part.means.get(target) for part in report.parts]
            cells = [
                f"{count:,}" if mean is None else f"{count:,} ({mean[0]:+.3f} sd {mean[1]:.3f})"
                for count, mean in zip(counts, means, strict=True)
            ]
            rows.append((target, *cells))
    print_table(reporter, ("", *names), rows)
