"""Items in processes of this machine, some at once.

A process is started anew (spawn) and gets one item after the other. Ctrl-C reaches it
through us alone, once: it saves what it has and ends. It ends with us too, however we end.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from avaffect.engines.attempt import Doer, Explain, died, explain
from avaffect.engines.board import Board
from avaffect.engines.item import Item, Job, Outcome
from avaffect.engines.planner import TRIES, Attempt, Ended, Planner
from avaffect.interrupts import raise_on_signals
from avaffect.progress import Event, EventCallback, ignore_events

T = TypeVar("T")

# How often to look for items that wait for nothing but time.
_LOOK_S = 1.0


@dataclass
class _Worker:
    """A process, and what it is at."""

    process: Any
    pipe: Any
    at: Attempt | None = None


def in_processes(
    items: Sequence[Item],
    job: Job[T],
    jobs: int,
    *,
    tries: int = TRIES,
    explain: Explain = explain,
    on_event: EventCallback = ignore_events,
) -> list[Outcome[T]]:
    """Do ``job`` for all ``items``, ``jobs`` of them at once.

    Args:
        items: one an input.
        job: what is done; what it raises for an item is told in its outcome.
        jobs: processes.
        tries: how often an item is begun at most whose process ends.
        explain: makes one of ours of any error; sent to the processes.
        on_event: progress of all together, and notices.

    Returns:
        An outcome for each of ``items``, in their order.

    Raises:
        KeyboardInterrupt: after Ctrl-C, when all have saved what they had.
    """
    from multiprocessing import connection

    plan: Planner[T] = Planner(items, tries)
    board = Board(items, on_event)
    workers: list[_Worker] = []
    try:
        while not plan.done:
            _begin(plan, workers, jobs, job, explain)
            pipes = [worker.pipe for worker in workers]
            for pipe in connection.wait(pipes, _LOOK_S if plan.rests else None):
                (worker,) = [each for each in workers if each.pipe is pipe]
                said = _hear(worker)
                if isinstance(said, tuple):
                    event, of_item = said
                    board.hear(worker.at if of_item else None, event)
                    continue
                at, worker.at = worker.at, None
                if said is None:
                    workers.remove(worker)
                if at is not None:
                    outcome = plan.ended(at.number, said or _dead(worker))
                    if outcome is not None:
                        board.end(at.input)
        board.finish()
    except KeyboardInterrupt as error:
        reasons = _stop(workers)
        raise KeyboardInterrupt("; ".join(filter(None, reasons))) from error
    finally:
        for worker in workers:
            worker.pipe.close()
            worker.process.join(10)
            worker.process.kill()
    return [plan.outcomes[number] for number in range(len(items))]


def _begin(
    plan: Planner[Any], workers: list[_Worker], jobs: int, job: Job[Any], explain: Explain
) -> None:
    """Give each process that has nothing to do an item; start processes while there are items."""
    while plan.begun < jobs and (item := plan.next()) is not None:
        worker = next((each for each in workers if each.at is None), None)
        if worker is None:
            worker = _start(job, explain)
            workers.append(worker)
        worker.at = item
        with suppress(OSError):  # it died: that is heard
            worker.pipe.send(item.item)


def _start(job: Job[Any], explain: Explain) -> _Worker:
    from multiprocessing import get_context

    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, job, explain), daemon=True)
    process.start()
    theirs.close()
    return _Worker(process, ours)


def _hear(worker: _Worker) -> tuple[Event, bool] | Ended | None:
    """What a process says next: an event, and whether it is of its item; None if it died."""
    try:
        said: tuple[Event, bool] | Ended = worker.pipe.recv()
    except (EOFError, OSError):
        return None
    return said


def _dead(worker: _Worker) -> Ended:
    worker.pipe.close()
    worker.process.join(10)
    return died(f"its process ended with code {worker.process.exitcode}")


def _stop(workers: Sequence[_Worker]) -> list[str]:
    """Have all processes save what they have; what each of them says at its end.

    A second Ctrl-C does not wait.
    """
    for worker in workers:
        worker.process.terminate()
    said = []
    for worker in workers:
        with suppress(EOFError, OSError):
            while not isinstance(text := worker.pipe.recv(), str):
                pass
            said.append(text)
    return said


def _serve(pipe: Any, job: Job[Any], explain: Explain) -> None:
    """What a process does: work through what comes until nothing more does."""
    raise_on_signals()
    with suppress(AttributeError, OSError):
        os.setpgrp()  # the terminal's Ctrl-C is for the first process
    threading.Thread(target=_watch, name="avaffect-watch", daemon=True).start()
    try:
        with Doer(job, explain, lambda event, of_item: pipe.send((event, of_item))) as do:
            while True:
                item: Item = pipe.recv()
                pipe.send(do(item))
    except EOFError:
        pass
    except KeyboardInterrupt as error:
        with suppress(OSError):
            pipe.send(str(error))


def _watch() -> None:
    """End when the process does that started us."""
    from multiprocessing import connection, parent_process

    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)
