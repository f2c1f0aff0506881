"""Several inputs at once: the options of the engines, and their outcomes as rows of the table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from avaffect.cli.options import NameChoice
from avaffect.engines.item import Split
from avaffect.errors import AvaffectError, UsageError

if TYPE_CHECKING:
    from avaffect.cli.terminal import Reporter, Row
    from avaffect.engines.item import Item, Job, Outcome
    from avaffect.models.device import Device

F = TypeVar("F", bound=Callable[..., Any])

ENGINES = ("local", "ray")
# Those of `engines.planner` and `engines.cluster`, whose tests hold them to it.
TRIES, CPUS = 3, 2


def engine_options(function: F) -> F:
    """How many inputs are worked on at once, and where; :meth:`Engine.of` reads them."""
    options = [
        click.option(
            "--jobs",
            type=click.IntRange(1),
            metavar="N",
            help="Work on N inputs at once, each in a process of its own (some 300 MB of "
            "memory).  [default: 1]",
        ),
        click.option(
            "--engine",
            type=NameChoice(ENGINES, "engine"),
            default=ENGINES[0],
            show_default=True,
            help="local: processes of this machine, see --jobs. ray: an item an input on the Ray "
            "cluster of RAY_ADDRESS, or on the one that runs here.",
        ),
        click.option(
            "--cpus",
            type=click.FloatRange(0, min_open=True),
            metavar="N",
            help="Cores that each item of --engine ray is given; with --device gpu a GPU too."
            f"  [default: {CPUS}]",
        ),
        click.option(
            "--tries",
            type=click.IntRange(1),
            default=TRIES,
            show_default=True,
            metavar="N",
            help="Begin an input N times at most if its process dies, before it counts as failed.",
        ),
    ]
    for option in reversed(options):
        function = option(function)
    return function


def segment_option(function: F) -> F:
    """Whether long videos are cut."""
    return click.option(
        "--segment",
        type=click.FloatRange(1),
        metavar="MINUTES",
        help="With --jobs or --engine ray: cut longer videos into segments of so many minutes, "
        "which are worked on at once and joined. Results differ a little.  [default: never]",
    )(function)


def seconds_of(options: dict[str, Any], debug: bool = False) -> float | None:
    """What :func:`segment_option` asked for, in seconds; None cuts nothing.

    Raises:
        UsageError: everything is done by one process.
    """
    if options["segment"] is None or debug:
        return None
    if options["engine"] != "ray" and (options["jobs"] or 1) == 1:
        raise UsageError("segments are worked on by several processes at once", "give --jobs N")
    return float(60 * options["segment"])


@dataclass(frozen=True)
class Engine:
    """Where inputs are worked on, and how many at once.

    Attributes:
        name: of :data:`ENGINES`.
        jobs: processes, of the engine ``local``.
        cpus: cores of an item, of the engine ``ray``.
        tries: how often an input is begun whose process dies.
    """

    name: str
    jobs: int
    cpus: float
    tries: int

    @classmethod
    def of(cls, options: dict[str, Any], debug: bool = False) -> Engine:
        """What :func:`engine_options` asked for; ``debug`` does all in this process.

        Raises:
            UsageError: for options of the other engine.
            MissingPackageError: for Ray, where it is not installed.
        """
        name, jobs, cpus = options["engine"], options["jobs"], options["cpus"]
        if name == "ray" and jobs is not None:
            raise UsageError(
                "how many items run at once on a cluster is for its cores to say",
                "leave out --jobs, or set --cpus",
            )
        if name != "ray" and cpus is not None:
            raise UsageError("--cpus is of --engine ray", "leave it out")
        if name == "ray":
            from avaffect.errors import need

            need("ray")
        engine = ENGINES[0] if debug else name
        return cls(engine, 1 if debug else jobs or 1, cpus or CPUS, options["tries"])

    def spreads(self, inputs: int, cut: bool = False) -> bool:
        """Whether ``inputs`` are worked on by other processes than this one.

        Args:
            inputs: how many.
            cut: each may be many.
        """
        return self.name == "ray" or (self.jobs if cut else min(self.jobs, inputs)) > 1

    @contextmanager
    def ready(self, reporter: Reporter) -> Iterator[None]:
        """A block in which the engine can be used."""
        if self.name != "ray":
            yield
            return
        from avaffect.engines.cluster import connected

        with connected(reporter):
            yield

    def device(self, word: str) -> Device:
        """The device that ``word`` means; on a cluster it is the machines' own.

        Raises:
            UsageError: there is none, or one of several GPUs is named for a whole cluster.
        """
        from avaffect.models.device import Device, choose_device

        if self.name != "ray":
            return choose_device(word)
        from avaffect.engines.cluster import has_gpus

        if ":" in word:
            raise UsageError(
                f"which GPU an item gets is for the cluster to say, not '{word}'",
                'use device="gpu"',
            )
        gpu = has_gpus() if word == "auto" else word != "cpu"
        where = "of the cluster's machines, one an item" if gpu else "of the cluster's machines"
        return Device("cuda", f"GPU {where}") if gpu else Device("cpu", f"CPU {where}")


def alone(
    work: Callable[[Item], Row | Split], items: Mapping[Path, Item]
) -> Callable[[Path], Row]:
    """Work of this process, by input, which cuts nothing."""

    def do(source: Path) -> Row:
        row = work(items[source])
        assert not isinstance(row, Split)  # noqa: S101
        return row

    return do


def run_items(
    items: Sequence[Item],
    job: Job[Row],
    engine: Engine,
    out: Path,
    device: str,
    reporter: Reporter,
) -> list[Row]:
    """Do ``job`` for all ``items``; within :meth:`Engine.ready`.

    Args:
        items: one an input.
        job: what is done.
        engine: where.
        out: the output folder, for the list of failures.
        device: where the nets run.
        reporter: shows how far they are, all together.

    Returns:
        A row for each of ``items``, in their order.
    """
    from avaffect.cli.terminal import explain
    from avaffect.engines.failures import write_failures

    if engine.name == "ray":
        from avaffect.engines.cluster import Needs, on_ray

        needs = Needs(engine.cpus, float(device != "cpu"))
        outcomes = on_ray(
            items, job, needs, tries=engine.tries, explain=explain, on_event=reporter
        )
    else:
        from avaffect.engines.processes import in_processes

        outcomes = in_processes(
            items, job, engine.jobs, tries=engine.tries, explain=explain, on_event=reporter
        )
    rows = [_row(outcome) for outcome in outcomes]
    # A row may tell of a failure as well, such as a video without a face.
    told = [
        replace(outcome, error=outcome.error or AvaffectError(row.error))
        if row.exit_code
        else outcome
        for row, outcome in zip(rows, outcomes, strict=True)
    ]
    if (path := write_failures(out, told)) is not None:
        reporter.say(f"failures: {path}")
    return rows


def _row(outcome: Outcome[Row]) -> Row:
    from avaffect.cli.terminal import Row

    if outcome.result is not None:
        return outcome.result
    assert outcome.error is not None  # noqa: S101
    return Row.failed(Path(outcome.item.source), outcome.error)
