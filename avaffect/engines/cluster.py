"""Items on a Ray cluster: each a Ray task with the processors that it needs.

Ray finds a machine for each item, and asks for more machines where it may. Which item is begun
again is our planner's to say, not Ray's, since a video that ends its process must not take others
with it for ever. So many items are handed to Ray that it sees what is wanted, and no more: each
is a few words long, and its result a row.
"""

from __future__ import annotations

import os
import platform
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from avaffect.engines.attempt import Doer, Explain, died, explain
from avaffect.engines.board import Board
from avaffect.engines.item import Item, Job, Outcome
from avaffect.engines.planner import TRIES, Attempt, Ended, Planner
from avaffect.errors import AvaffectError, need
from avaffect.interrupts import heed, raise_on_signals
from avaffect.processors import cores
from avaffect.progress import Event, EventCallback, Notice, Progress, ignore_events

T = TypeVar("T")

# One video uses about two cores.
CPUS = 2
# Items that wait at Ray, beyond those that it can run: what an autoscaler sees.
_WAITING = 64
_LOOK_S = 0.5
# How often an item tells how far it is.
_TELL_EVERY_S = 1.0
# What saving may take when all are asked to stop.
_PATIENCE_S = 100.0
_ANSWER_S = 10.0
# Settings of ours, and those of `cli.main`, for the processes that Ray starts.
_OURS = "AVAFFECT_"
_ENVIRONMENT = {"OMP_WAIT_POLICY": "PASSIVE", "CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
# Without a cluster to take part in, Ray is started here with so much shared memory.
_SHARED_BYTES = 128 << 20


@dataclass(frozen=True)
class Needs:
    """What each item is given.

    Attributes:
        cpus: processor cores, declared to Ray.
        gpus: GPUs, or a part of one.
    """

    cpus: float = CPUS
    gpus: float = 0.0


@contextmanager
def connected(on_event: EventCallback = ignore_events) -> Iterator[None]:
    """A block in which Ray is there: that of ``RAY_ADDRESS``, one that runs here, or our own.

    One that was begun before by the caller is taken, and left as it is.

    Raises:
        MissingPackageError: Ray is not installed.
        AvaffectError: nothing answers at ``RAY_ADDRESS``.
    """
    need("ray")
    # Before it is imported: it reports to its makers otherwise.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray

    if ray.is_initialized():
        yield
        return
    address = os.environ.get("RAY_ADDRESS")
    if address:
        _require_answer(address)
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    try:
        ray.init(address=address or "auto", **quiet)
    except (ConnectionError, RuntimeError, ValueError) as error:
        if address and address != "local":
            raise _no_cluster(address, error) from error
        on_event(Notice("no Ray cluster runs here: one of this machine alone is started"))
        ray.init(
            address="local",
            num_cpus=cores(),
            include_dashboard=False,
            object_store_memory=_SHARED_BYTES,
            **quiet,
        )
    # Ray puts a handler of its own in the place of ours.
    raise_on_signals()
    try:
        yield
    finally:
        ray.shutdown()


def _require_answer(address: str) -> None:
    """Raise AvaffectError if nothing answers at ``address``: Ray itself waits for minutes."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not host or not port.isdigit():
        return  # a word of Ray's
    try:
        socket.create_connection((host.strip("[]"), int(port)), _ANSWER_S).close()
    except (OSError, OverflowError) as error:
        raise _no_cluster(address, error) from error


def _no_cluster(address: str, error: Exception) -> AvaffectError:
    return AvaffectError(
        f"no Ray cluster answers at RAY_ADDRESS={address} ({error})",
        "start Ray there, or unset RAY_ADDRESS to use this machine alone",
    )


def has_gpus() -> bool:
    """Whether the cluster, as it is now, has GPUs; within :func:`connected`."""
    import ray

    return bool(ray.cluster_resources().get("GPU", 0))


def on_ray(
    items: Sequence[Item],
    job: Job[T],
    needs: Needs = Needs(),
    *,
    tries: int = TRIES,
    explain: Explain = explain,
    on_event: EventCallback = ignore_events,
) -> list[Outcome[T]]:
    """Do ``job`` for all ``items`` on the cluster; within :func:`connected`.

    Args:
        items: one an input.
        job: what is done; avaffect is installed on all machines, and what it reads and writes
            lies on a disk that all share.
        needs: what each is given.
        tries: how often an item is begun at most whose process ends; for machines that are lost
            see ``planner.LOSSES``.
        explain: makes one of ours of any error; sent to the machines.
        on_event: progress of all together, and notices.

    Returns:
        An outcome for each of ``items``, in their order.

    Raises:
        KeyboardInterrupt: after Ctrl-C, when all have saved what they had.
    """
    import ray

    board = Board(items, on_event)
    cluster = _Cluster(ray, job, needs, explain, board)
    plan: Planner[T] = Planner(items, tries)
    if lack := cluster.lack():
        on_event(Notice(lack, warning=True))
    try:
        while not plan.done:
            while plan.begun < cluster.window() and (attempt := plan.next()) is not None:
                cluster.begin(attempt)
            for attempt, ended in cluster.ended():
                if ended.again == "lost":
                    on_event(Notice(f"{attempt.item.name}: {ended.error}: it is begun elsewhere"))
                if plan.ended(attempt.number, ended) is not None:
                    board.end(attempt.input)
        board.finish()
    except KeyboardInterrupt as error:
        reasons = cluster.stop()
        raise KeyboardInterrupt("; ".join(filter(None, reasons))) from error
    finally:
        cluster.close()
    return [plan.outcomes[number] for number in range(len(items))]


class _Cluster:
    """What is under way at Ray."""

    def __init__(
        self, ray: Any, job: Job[Any], needs: Needs, explain: Explain, board: Board
    ) -> None:
        self._ray = ray
        self._needs = needs
        self._board = board
        self._under_way: dict[Any, Attempt] = {}
        self._attempts: dict[int, Attempt] = {}
        # Where an attempt began; and by item, the machines that it was lost with.
        self._where: dict[int, str] = {}
        self._avoided: dict[tuple[int, int | None], set[str]] = {}
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        # Beside us: it is gone only if we are.
        us = ray.get_runtime_context().get_node_id()
        beside = NodeAffinitySchedulingStrategy(node_id=us, soft=False)
        box = ray.remote(num_cpus=0, max_restarts=-1)(_Box)
        self._box = box.options(scheduling_strategy=beside).remote()
        here = {name: value for name, value in os.environ.items() if name.startswith(_OURS)}
        self._run = ray.put(_Run(os.urandom(8).hex(), job, explain, str(Path.cwd()), here))
        # It is we who say what is begun again.
        self._do = ray.remote(max_retries=0, num_cpus=needs.cpus, num_gpus=needs.gpus)(_do)

    def window(self) -> int:
        """How many items to have under way."""
        try:
            have = self._ray.cluster_resources()
        except self._ray.exceptions.RayError:
            return _WAITING
        at_once = [have.get("CPU", 0) / self._needs.cpus] if self._needs.cpus else []
        at_once += [have.get("GPU", 0) / self._needs.gpus] if self._needs.gpus else []
        return int(min(at_once, default=0)) + _WAITING

    def lack(self) -> str:
        """What no machine of the cluster has that an item needs; empty if nothing."""
        needs = {"CPU": self._needs.cpus, "GPU": self._needs.gpus}
        for node in self._ray.nodes():
            have = node["Resources"] if node["Alive"] else {}
            if all(have.get(name, 0) >= count for name, count in needs.items()):
                return ""
        wanted = " and ".join(f"{count:g} {name}" for name, count in needs.items() if count)
        return (
            f"no machine of the Ray cluster has {wanted} for an item: all wait until one is "
            "added; cpus=N asks for fewer cores"
        )

    def begin(self, attempt: Attempt) -> None:
        """Hand an attempt to Ray, to go anywhere but where it was lost before, if possible."""
        options: dict[str, Any] = {"name": f"avaffect {attempt.item.name}"}
        if avoided := self._avoided.get((attempt.input, attempt.item.segment)):
            from ray.util.scheduling_strategies import NodeLabelSchedulingStrategy, NotIn

            elsewhere: dict[str, Any] = {"ray.io/node-id": NotIn(*sorted(avoided))}
            options["scheduling_strategy"] = NodeLabelSchedulingStrategy(hard={}, soft=elsewhere)
        do = self._do.options(**options)
        found = do.remote(self._run, attempt.number, attempt.item, self._box)
        self._under_way[found] = attempt
        self._attempts[attempt.number] = attempt

    def ended(self) -> Iterator[tuple[Attempt, Ended]]:
        """Wait a little; what has ended meanwhile."""
        if not self._under_way:
            time.sleep(_LOOK_S)
            return
        waiting = [*self._under_way]
        done, _ = self._ray.wait(waiting, num_returns=len(waiting), timeout=_LOOK_S)
        self._listen()
        for found in done:
            attempt = self._under_way.pop(found)
            self._attempts.pop(attempt.number)
            yield attempt, self._how(found, attempt)

    def stop(self) -> list[str]:
        """Have all items save what they have; what each of them says. Another Ctrl-C does not
        wait."""
        for found in self._under_way:
            with suppress(self._ray.exceptions.RayError):
                self._ray.cancel(found, force=False)
        waiting = [*self._under_way]
        done, _ = self._ray.wait(waiting, num_returns=len(waiting), timeout=_PATIENCE_S)
        said = [self._how(found, self._under_way[found]).result for found in done]
        return [text for text in said if isinstance(text, str)]

    def close(self) -> None:
        """Nothing of ours is left running."""
        for found in self._under_way:
            with suppress(self._ray.exceptions.RayError):
                self._ray.cancel(found, force=True)
        with suppress(self._ray.exceptions.RayError):
            self._ray.kill(self._box)

    def _how(self, found: Any, attempt: Attempt) -> Ended:
        """How an attempt ended."""
        errors = self._ray.exceptions
        try:
            ended: Ended = self._ray.get(found)
            return ended
        except (errors.NodeDiedError, errors.LocalRayletDiedError):
            error = AvaffectError("its machine was lost", "run the same command again")
            where = self._where.pop(attempt.number, None)
            if where is not None:
                place = attempt.input, attempt.item.segment
                self._avoided.setdefault(place, set()).add(where)
            return Ended(error=error, again="lost")
        except errors.OutOfMemoryError:
            return died("Ray ended its process, for its machine ran out of memory")
        except errors.TaskCancelledError:
            return Ended(error=AvaffectError("it was stopped"))
        except errors.WorkerCrashedError:
            return died("its process ended")
        except errors.RayError as error:
            text = str(error).strip().partition("\n")[0]
            return died(f"Ray could not do it ({type(error).__name__}: {text})")

    def _listen(self) -> None:
        """Pass on what the items have told."""
        with suppress(self._ray.exceptions.RayError):
            for number, event in self._ray.get(self._box.take.remote(), timeout=10):
                if isinstance(event, str):
                    self._where[number] = event
                elif number is None:
                    self._board.hear(None, event)
                elif number in self._attempts:
                    self._board.hear(self._attempts[number], event)


@dataclass(frozen=True)
class _Run:
    """What all items of a run share.

    Attributes:
        key: another one for each run.
        job: what is done.
        explain: makes one of ours of any error.
        folder: where the command was started: what relative paths mean.
        environment: our own settings, for machines that do not have others.
    """

    key: str
    job: Job[Any]
    explain: Explain
    folder: str
    environment: dict[str, str]

    def set_up(self) -> Ended | None:
        """Be as the process that began the run; how the attempt ends if that cannot be."""
        for name, value in {**_ENVIRONMENT, **self.environment}.items():
            os.environ.setdefault(name, value)
        try:
            os.chdir(self.folder)
        except OSError as error:
            where = platform.node()
            wrong = AvaffectError(
                f"the machine '{where}' cannot use the folder '{self.folder}' ({error.strerror})",
                "start the command in a folder of a disk that all machines share",
            )
            return Ended(error=wrong)
        return None


class _Box:
    """Where items put what they tell, until it is taken; an actor."""

    def __init__(self) -> None:
        self._told: list[tuple[int | None, Event | str]] = []

    def put(self, number: int | None, told: Event | str) -> None:
        self._told.append((number, told))

    def take(self) -> list[tuple[int | None, Event | str]]:
        told, self._told = self._told, []
        return told


# What does the items of a run in this process of a machine, by the run's key; it keeps the nets.
_kept: dict[str, _Kept] = {}


class _Kept:
    """A doer that stays from item to item, each of which hears events by its own ``tell``."""

    def __init__(self, run: _Run) -> None:
        self.tell: Callable[[Event, bool], None] = lambda event, of_item: None
        self.do = Doer(run.job, run.explain, lambda event, of_item: self.tell(event, of_item))


def _do(run: _Run, number: int, item: Item, box: Any) -> Ended:
    """A Ray task: one attempt."""
    import ray

    heed()  # Ray asks by it, and may have been started where it is ignored
    if (failed := run.set_up()) is not None:
        return failed
    if run.key not in _kept:
        _kept.clear()
        _kept[run.key] = _Kept(run)
    box.put.remote(number, ray.get_runtime_context().get_node_id())
    last = -_TELL_EVERY_S

    def tell(event: Event, of_item: bool) -> None:
        nonlocal last
        if isinstance(event, Progress) and not event.finished:
            if time.monotonic() - last < _TELL_EVERY_S:
                return
            last = time.monotonic()
        box.put.remote(number if of_item else None, event)

    kept = _kept[run.key]
    kept.tell = tell
    try:
        return kept.do(item)
    except KeyboardInterrupt as error:
        # Whoever asked for it hears what was saved.
        return Ended(str(error))
