"""Several inputs at once, each in a process of its own, with one display and one closing table.

A job's process is started anew (spawn) and gets one input after the other. Ctrl-C reaches it
through us alone, once: it saves what it has and ends. It ends with us too, however we end.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from avaffect.cli.terminal import Reporter, Row, explain
from avaffect.errors import AvaffectError
from avaffect.interrupts import raise_on_signals
from avaffect.progress import Event, EventCallback, Notice, Progress


class Job(Protocol):
    """What is done to each input; sent to the processes, so it is to be pickled."""

    def __call__(
        self, on_event: EventCallback
    ) -> AbstractContextManager[Callable[[Path], Row]]: ...


@dataclass
class _Worker:
    """A process, and what it is at."""

    process: Any
    pipe: Any
    at: int | None = None


@dataclass
class _Board:
    """How far all inputs together have come, those of many bytes counting for more."""

    sizes: Sequence[int]
    parts: dict[int, float] = field(default_factory=dict)

    def event(self, finished: bool = False) -> Progress:
        """For the one progress display."""
        done = sum(self.sizes[at] * part for at, part in self.parts.items())
        return Progress("all inputs", int(100 * done / sum(self.sizes)), 100, "%", finished)


def in_processes(sources: Sequence[Path], job: Job, jobs: int, reporter: Reporter) -> list[Row]:
    """Do ``job`` for all ``sources``, ``jobs`` of them at once.

    Args:
        sources: the inputs.
        job: what is done; what it raises for one of them is told in its row.
        jobs: processes.
        reporter: shows how far they are, all together.

    Returns:
        A row for each of ``sources``, in their order.

    Raises:
        KeyboardInterrupt: after Ctrl-C, when all have saved what they had.
    """
    from multiprocessing import connection

    rows: dict[int, Row] = {}
    waiting = list(range(len(sources)))
    board = _Board([_bytes(source) for source in sources])
    workers = [_start(job) for _ in range(min(jobs, len(sources)))]
    try:
        for worker in workers:
            _give(worker, waiting, sources)
        while len(rows) < len(sources):
            for pipe in connection.wait([worker.pipe for worker in workers]):
                (worker,) = [each for each in workers if each.pipe is pipe]
                said = _hear(worker)
                at = worker.at
                if at is None:
                    continue
                if isinstance(said, Notice):
                    reporter(_named(said, sources[at]))
                elif isinstance(said, Progress):
                    if said.stage == "faces" and said.total:
                        board.parts[at] = min(1.0, said.done / said.total)
                        reporter(board.event())
                else:
                    rows[at], board.parts[at] = _row(said, sources[at], worker), 1.0
                    reporter(board.event())
                    if not isinstance(said, Row):  # it died
                        workers[workers.index(worker)] = worker = _start(job)
                    _give(worker, waiting, sources)
        reporter(board.event(finished=True))
    except KeyboardInterrupt as error:
        reasons = _stop(workers)
        raise KeyboardInterrupt("; ".join(filter(None, reasons))) from error
    finally:
        for worker in workers:
            worker.pipe.close()
            worker.process.join(10)
            worker.process.kill()
    return [rows[at] for at in range(len(sources))]


def _named(notice: Notice, source: Path) -> Notice:
    """``notice`` with the name of the input, which most have."""
    return (
        notice
        if source.name in notice.text
        else replace(notice, text=f"{source.name}: {notice.text}")
    )


def _bytes(source: Path) -> int:
    with suppress(OSError):
        if source.is_file():
            return max(source.stat().st_size, 1)
    return 1  # what was preprocessed takes no time


def _start(job: Job) -> _Worker:
    from multiprocessing import get_context

    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, job), daemon=True)
    process.start()
    theirs.close()
    return _Worker(process, ours)


def _give(worker: _Worker, waiting: list[int], sources: Sequence[Path]) -> None:
    """Send the next input; without any the process waits for the end."""
    worker.at = waiting.pop(0) if waiting else None
    if worker.at is not None:
        with suppress(OSError):  # it died: that is heard
            worker.pipe.send(sources[worker.at])


def _hear(worker: _Worker) -> Event | Row | None:
    """What a process says next; None if it died."""
    try:
        said: Event | Row = worker.pipe.recv()
    except (EOFError, OSError):
        return None
    return said


def _row(said: Row | None, source: Path, worker: _Worker) -> Row:
    if said is not None:
        return said
    worker.process.join(10)
    died = AvaffectError(
        f"its process ended with code {worker.process.exitcode}",
        "run the same command again, with fewer jobs if memory is short",
    )
    return Row.failed(source, died)


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


def _serve(pipe: Any, job: Job) -> None:
    """What a process does: work through what comes until nothing more does."""
    raise_on_signals()
    with suppress(AttributeError, OSError):
        os.setpgrp()  # the terminal's Ctrl-C is for the first process
    threading.Thread(target=_watch, name="avaffect-watch", daemon=True).start()
    try:
        with job(pipe.send) as work:
            while True:
                source: Path = pipe.recv()
                try:
                    row = work(source)
                except Exception as error:
                    row = Row.failed(source, explain(error))
                pipe.send(row)
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
