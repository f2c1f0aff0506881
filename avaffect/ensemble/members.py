"""Training the models of an ensemble: each an ordinary ``avaffect train``, several at a time.

A model's folder (of a fold, ``fold-N`` in its run's) holds beside what ``train`` writes:

train.log   what ``train`` printed
done.json   that it is finished: written last
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from avaffect.errors import TrainingError
from avaffect.files.atomic import write_json
from avaffect.files.lock import alone_in
from avaffect.files.outside import read_end
from avaffect.interrupts import Interrupts
from avaffect.models.device import choose_device, device_index, device_kind
from avaffect.networks.checkpoint import Checkpoint, read_checkpoint
from avaffect.processors import cores
from avaffect.progress import EventCallback, Notice, Progress, ignore_events
from avaffect.training.history import LOG as HISTORY

LOG = "train.log"
DONE = "done.json"
_LONGEST_REASON = 1000
_LONGEST_HISTORY = 1 << 22
_LOOK_EVERY_S = 0.1
# How often epochs are counted.
_COUNT_EVERY_S = 2.0
# Small networks have no use for more cores; each process takes a gigabyte or more.
_CORES, _MOST_ON_CPU = 4, 8
# What a process of `train` gets to save itself after Ctrl-C before it is killed.
SAVING_S = 120.0


@dataclass(frozen=True)
class Model:
    """One of the models to train.

    Attributes:
        run: the folder of its run, which holds ``run.json`` and, with folds, ``folds.json``.
        fold: the fold that it does not see; None for a run without folds.
        epochs: that it trains at the most.
        held: names of the clips of that fold.
    """

    run: Path
    fold: int | None = None
    epochs: int = 1
    held: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """For people."""
        return self.run.name if self.fold is None else f"{self.run.name}/fold-{self.fold}"

    @property
    def folder(self) -> Path:
        """Where its files are."""
        return self.run if self.fold is None else self.run / f"fold-{self.fold}"

    @property
    def finished(self) -> bool:
        """Whether it is trained."""
        return (self.folder / DONE).is_file()

    @property
    def epochs_done(self) -> int:
        """Epochs behind it; all of them once it is finished, if it stopped early too."""
        if self.finished:
            return self.epochs
        try:
            lines = read_end(self.folder / HISTORY, _LONGEST_HISTORY).count(b"\n")
        except OSError:
            lines = 0
        return min(lines, self.epochs)

    @property
    def command(self) -> list[str]:
        """The command that trains it or goes on with it, without the device."""
        fold = [] if self.fold is None else ["--fold", str(self.fold)]
        # -P: a folder called avaffect where the user stands is not this package.
        train = [sys.executable, "-P", "-m", "avaffect.cli.watched", "train", "--resume"]
        return [*train, "-o", str(self.run), *fold]


@dataclass(frozen=True)
class Places:
    """Where models are trained at the same time.

    Attributes:
        device: the name of a ``models.device.Device``.
        environments: of each place, what is set in the environment.
    """

    device: str
    environments: tuple[dict[str, str], ...]

    @property
    def apart(self) -> int:
        """How many of them do not share a device."""
        return len({place.get("CUDA_VISIBLE_DEVICES") for place in self.environments})


def places(device: str = "auto", jobs: int | None = None) -> Places:
    """Where to train.

    Args:
        device: see ``models.device.choose_device``; ``cuda:1`` takes that GPU alone.
        jobs: models at a time; they share GPUs and cores evenly. None takes one a GPU, and on
            the CPU one for every 4 cores, 8 at the most.
    """
    chosen = choose_device(device).name
    gpus = _gpus() if device_kind(chosen) == "cuda" else []
    if (number := device_index(chosen)) is not None:
        gpus = [gpus[number]]
    count = jobs or len(gpus) or max(1, min(_MOST_ON_CPU, cores() // _CORES))
    # Unless the user has decided, processes would each take all cores.
    share = max(1, cores() // count)
    threads = {} if "OMP_NUM_THREADS" in os.environ else {"OMP_NUM_THREADS": str(share)}
    environments = []
    for place in range(count):
        gpu = {"CUDA_VISIBLE_DEVICES": gpus[place % len(gpus)]} if gpus else {}
        environments.append({**threads, **gpu})
    return Places(chosen, tuple(environments))


def _gpus() -> list[str]:
    """The GPUs that this process sees, as ``CUDA_VISIBLE_DEVICES`` names them."""
    import torch

    count = torch.cuda.device_count()
    names = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")]
    return names[:count] if names[0] and len(names) >= count else [str(i) for i in range(count)]


def train_models(
    models: Sequence[Model],
    where: Places,
    on_event: EventCallback = ignore_events,
    on_model: Callable[[Model, Checkpoint], None] = lambda model, checkpoint: None,
) -> None:
    """Train those that are not finished, as many at a time as there are places.

    Args:
        models: the models; their runs have been set up.
        where: see :func:`places`.
        on_event: progress in epochs, and notices.
        on_model: called with each model that gets finished.

    Raises:
        TrainingError: a model could not be trained; those that were running are finished all
            the same.
        BusyError: another process trains one of them.
        KeyboardInterrupt: after Ctrl-C, with everything saved.
    """
    waiting = [model for model in models if not model.finished]
    if done := len(models) - len(waiting):
        on_event(Notice(f"{done} of {len(models)} models are trained already"))
    epochs = _Epochs(models, on_event)
    running: dict[int, _Running] = {}
    failed: list[Model] = []
    with Interrupts() as interrupts:
        try:
            while running or (waiting and not failed):
                for place, environment in enumerate(where.environments):
                    if place not in running and waiting and not failed:
                        model = waiting.pop(0)
                        on_event(Notice(f"{model.name}: training, log in {model.folder / LOG}"))
                        running[place] = _Running(model, where.device, environment)
                time.sleep(_LOOK_EVERY_S)
                epochs.count()
                if interrupts.asked:
                    raise KeyboardInterrupt
                for place, process in list(running.items()):
                    if (code := process.process.poll()) is None:
                        continue
                    del running[place]
                    process.close()
                    if code:
                        failed.append(process.model)
                        on_event(
                            Notice(
                                f"{process.model.name}: {_reason(process.model.folder / LOG)}",
                                warning=True,
                            )
                        )
                        continue
                    checkpoint = read_checkpoint(process.model.folder)
                    score = checkpoint.metrics.get("score")
                    facts = {"sha256": checkpoint.sha256, "score": score}
                    write_json(process.model.folder / DONE, facts)
                    epochs.count(now=True)
                    on_model(process.model, checkpoint)
        finally:
            _stop(list(running.values()))
    if failed:
        raise TrainingError(
            f"{failed[0].name} could not be trained: {_reason(failed[0].folder / LOG)}",
            f"see '{failed[0].folder / LOG}'; the same command goes on with what is missing",
        )


class _Epochs:
    """Tells how many epochs are behind all models together."""

    def __init__(self, models: Sequence[Model], on_event: EventCallback) -> None:
        self._models, self._on_event = models, on_event
        self._told, self._counted = -1, float("-inf")
        self.count()

    def count(self, *, now: bool = False) -> None:
        """Count, unless that was done a moment ago, and tell what is new."""
        if not now and time.monotonic() - self._counted < _COUNT_EVERY_S:
            return
        self._counted = time.monotonic()
        total = sum(model.epochs for model in self._models)
        done = sum(model.epochs_done for model in self._models)
        if done != self._told or now:
            self._told = done
            whole = all(model.finished for model in self._models)
            self._on_event(Progress("training", done, total, "epochs", finished=whole))


class _Running:
    """A process that trains ``model``; its output goes to the model's log."""

    def __init__(self, model: Model, device: str, environment: dict[str, str]) -> None:
        self.model = model
        model.folder.mkdir(parents=True, exist_ok=True)
        # A training whose ensemble was killed may still be saving itself.
        with alone_in(model.folder, wait=SAVING_S):
            pass
        self.log: IO[bytes] = (model.folder / LOG).open("ab")
        self.process = subprocess.Popen(
            # Of the GPUs it sees only the one it is meant for.
            [*model.command, "--device", device_kind(device)],
            # It ends with us: see `cli.watched`.
            stdin=subprocess.PIPE,
            stdout=self.log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
            # Else Ctrl-C would reach it twice: from the terminal, and from us.
            start_new_session=True,
        )

    def close(self) -> None:
        """To be called when the process has ended."""
        self.log.close()
        if self.process.stdin is not None:
            self.process.stdin.close()


def _ask(process: subprocess.Popen[bytes]) -> None:
    if os.name == "nt" and process.stdin is not None:
        process.stdin.close()  # it saves itself then, see `cli.watched`; there is no SIGINT there
    else:
        process.send_signal(signal.SIGINT)


def _stop(running: Sequence[_Running]) -> None:
    """Ask processes to save and stop, as Ctrl-C does; a second Ctrl-C kills them."""
    for process in running:
        if process.process.poll() is None:
            _ask(process.process)
    end = time.monotonic() + SAVING_S
    try:
        for process in running:
            process.process.wait(max(0.0, end - time.monotonic()))
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        for process in running:
            process.process.kill()
            process.process.wait()
    finally:
        for process in running:
            process.close()


def _reason(log: Path) -> str:
    """The last line that a failed process printed; bounds: `_LONGEST_REASON` bytes."""
    try:
        lines = read_end(log, _LONGEST_REASON).decode("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    printed = [line.strip() for line in lines if line.strip()]
    return printed[-1].removeprefix("avaffect: ") if printed else "it printed nothing"
