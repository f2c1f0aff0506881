"""The training loop, to be read from top to bottom.

A run is a function of its configuration, data and seed. Whatever is drawn by chance (order of
windows, dropout, augmentation) depends on seed, epoch, step and process alone, so that a run that
was interrupted anywhere goes on exactly as it would have.

<out>/last/      the latest checkpoint, and ``state.pt``: what resuming needs
<out>/best/      that of the best validation score (unless the recipe selects the last)
<out>/log.jsonl  a line an epoch
<out>/curves.png losses and scores
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from avaffect.datasets.clip import Clip, Dataset
from avaffect.errors import TrainingError, UsageError
from avaffect.interrupts import Interrupts
from avaffect.networks.checkpoint import Checkpoint, read_checkpoint, save_checkpoint
from avaffect.networks.network import AffectNetwork
from avaffect.progress import EventCallback, Notice, Progress, ignore_events
from avaffect.recipes.recipe import Recipe
from avaffect.training.history import Epoch, History
from avaffect.training.memory import BatchMemory, memory_explained
from avaffect.training.optimiser import OPTIMISERS, Schedule
from avaffect.training.precision import precision_word
from avaffect.training.processes import Processes, processes
from avaffect.training.score import validate
from avaffect.training.setup import Setup
from avaffect.training.state import STATE, begun_precision, load_state, save_state
from avaffect.windows.batch import Batch
from avaffect.windows.order import batch_count, epoch_order

# The notice of a run that was asked to stop and has saved itself.
SAVED = "all is saved"
EpochCallback = Callable[[Epoch], None]
# torch's own hints lack what it holds.
_MEMORY: Any = torch.utils.deterministic
# A run that is killed loses at most this much.
_SAVE_EVERY_S = 600.0


@dataclass(frozen=True)
class Trained:
    """The result of a run.

    Attributes:
        folder: of the checkpoint to predict with.
        checkpoint: what it is.
        epochs: one entry each.
        stopped_early: whether the score had stopped rising.
    """

    folder: Path
    checkpoint: Checkpoint
    epochs: tuple[Epoch, ...]
    stopped_early: bool


def train(
    recipe: Recipe,
    dataset: Dataset,
    train_clips: tuple[Clip, ...],
    val_clips: tuple[Clip, ...],
    out: Path,
    *,
    seed: int = 0,
    device: str = "auto",
    workers: int | None = None,
    resume: bool = False,
    init: Path | str | None = None,
    tensorboard: bool = False,
    on_event: EventCallback = ignore_events,
    on_epoch: EpochCallback = lambda epoch: None,
) -> Trained:
    """Train what ``recipe`` describes.

    Under ``torchrun`` every process calls this; the batch is shared among them.

    Args:
        recipe: network, losses, windows and training; its tasks must be in ``dataset.targets``.
        dataset: of the clips; it names the targets.
        train_clips: of the dataset, to learn from.
        val_clips: to score after each epoch; may be empty, then the last epoch is selected.
        out: the run's folder.
        seed: of everything drawn by chance.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        workers: processes that read windows; None takes none on the CPU, up to 12 beside a GPU.
        resume: go on from ``out/last`` if it is there, also beyond the epochs that it was begun
            with.
        init: a checkpoint whose weights training starts from, as far as they fit; see
            ``networks.start``. A run that is gone on with has its own.
        tensorboard: also write TensorBoard's event files to ``out/tensorboard`` (needs the
            package of that name).
        on_event: progress in windows, and notices.
        on_epoch: called after each epoch, in the first process only.

    Raises:
        UsageError: tasks without labels, nothing to train on, or a resumed run's data changed.
        FeatureError: clips without the features that the recipe reads.
        TrainingError: the loss is not a number any more, or the GPU's memory is full.
        KeyboardInterrupt: after Ctrl-C, with everything saved.
    """
    with (
        processes(device) as group,
        deterministic(),
        Interrupts() as interrupts,
        memory_explained(recipe),
    ):
        begun = resume and (out / "last" / STATE).is_file()
        amp = begun_precision(out / "last") if begun else None
        given = recipe, dataset, train_clips, val_clips, seed, group, on_event
        setup = Setup(*given, begun=begun, amp=amp, init=init)
        network, objective = setup.network.to(group.device), setup.objective.to(group.device)
        if group.device.type == "cuda":
            network.to(memory_format=torch.channels_last)  # as pictures come
        learnt = [*objective.log_variances.parameters()]
        groups: list[dict[str, Any]] = [{"params": network.parameters()}]
        if learnt:  # a decay would pull the variances to 1
            groups.append({"params": learnt, "weight_decay": 0.0})
        optimiser = OPTIMISERS[recipe.train.optimiser](groups, recipe.train)
        schedule = Schedule(optimiser, recipe.train)
        scaler = torch.amp.GradScaler(group.device.type, enabled=setup.amp is torch.float16)
        average = _average(network, recipe.train.ema)
        # What is scored and saved.
        trained: AffectNetwork = average.module if average else network  # type: ignore[assignment]
        history = History(out, recipe, tensorboard=tensorboard and group.first)
        first_epoch, first_batch, sums = 0, 0, _Sums()
        memory = BatchMemory(on_event, divides=group.world == 1)
        parts = {
            "network": network,
            "optimiser": optimiser,
            "schedule": schedule,
            "scaler": scaler,
            **({"average": average} if average else {}),
            **({"log variances": objective.log_variances} if learnt else {}),
        }

        def save(epoch: int, batch: int) -> None:
            if group.first:
                facts = setup.checkpoint(history.scores, epoch)
                save_checkpoint(out / "last", facts, trained)
                place = {
                    "epoch": epoch,
                    "batch": batch,
                    "sums": sums.state_dict(),
                    "data": setup.data_key,
                    "amp": precision_word(setup.amp),
                    "parts": memory.parts,
                }
                save_state(out / "last", parts, place | history.state_dict())

        if resume and (state := load_state(out / "last", parts)) is not None:
            if state["data"] != setup.data_key:
                raise UsageError(
                    f"the data is not what the run in '{out}' began with: other clips, frames or "
                    "labels",
                    "bring it back, or begin anew with overwrite=True",
                )
            first_epoch, first_batch = state["epoch"], state["batch"]
            sums.load_state_dict(state["sums"])
            memory.parts = state.get("parts", 1)  # earlier versions knew one alone
            history.load_state_dict(state)
            if history.stalled and first_epoch < recipe.train.epochs:
                on_event(
                    Notice(
                        f"the run stopped after {first_epoch} epochs, since its score rose no "
                        "longer (train.patience): it is not trained on"
                    )
                )
        history.write(group.first)

        model, votes = group.wrap(objective), group.votes()

        def compute(batch: Batch) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
            with torch.autocast(group.device.type, setup.amp, enabled=setup.amp is not None):
                loss, losses = model(batch.to(group.device))
            return loss, losses

        saved = time.monotonic()
        epoch = first_epoch
        while epoch < recipe.train.epochs and not history.stalled:
            order = epoch_order(len(setup.reader), seed, epoch, setup.chances)
            steps = batch_count(len(order), recipe.train.batch_size, group.world)
            network.train()
            objective.epoch = epoch
            loader = setup.loader(order, first_batch, workers)
            mark, done = time.monotonic(), first_batch
            for batch in loader:
                sums.waiting += time.monotonic() - mark
                schedule.step(epoch * steps + done, epoch + done / steps)

                def begin(number: int = done, epoch: int = epoch) -> None:
                    seed_step(seed, epoch, number, group.rank)
                    optimiser.zero_grad(set_to_none=True)

                loss, losses = memory.backward(batch, begin, compute, scaler)
                if recipe.train.clip_norm:
                    scaler.unscale_(optimiser)
                    torch.nn.utils.clip_grad_norm_(network.parameters(), recipe.train.clip_norm)
                scaler.step(optimiser)
                scaler.update()
                if average:
                    average.update_parameters(network)
                sums.add(loss, losses, len(batch))
                done += 1
                sums.seconds += time.monotonic() - mark
                if done % 10 == 0 or done == steps:
                    on_event(Progress("train", done, steps, "batches"))
                if votes.any(interrupts.asked):
                    save(epoch, done)
                    group.wait()
                    raise KeyboardInterrupt(SAVED)
                if time.monotonic() - saved > _SAVE_EVERY_S:
                    save(epoch, done)
                    saved = time.monotonic()
                mark = time.monotonic()
            means = sums.means(group)  # waits for the device
            sums.seconds += time.monotonic() - mark
            on_event(Progress("train", done, steps, "batches", finished=True))

            group.share_buffers(trained)
            scores: dict[str, float] = {}
            if setup.val_reader is not None:
                scores = validate(
                    trained,
                    setup.val_reader,
                    setup.targets,
                    group,
                    per_clip=dataset.per_clip,
                )
            rate = schedule.lr
            schedule.epoch_done(scores.get("score"))
            entry = Epoch(
                epoch=epoch + 1,
                lr=rate,
                losses=means,
                scores=scores,
                seconds=sums.seconds,
                windows=min(len(order), steps * recipe.train.batch_size),
                waiting=sums.waiting / sums.seconds if sums.seconds else 0.0,
            )
            if not np.isfinite(entry.losses["loss"]):
                raise TrainingError(
                    f"the loss is not a number any more in epoch {epoch + 1}",
                    "lower train.lr, set train.clip_norm=1, or train.amp=none",
                )
            better = history.add(entry)
            sums, first_batch, epoch = _Sums(), 0, epoch + 1
            if better and recipe.train.select == "best" and group.first:
                save_checkpoint(out / "best", setup.checkpoint(scores, epoch), trained)
            save(epoch, 0)
            saved = time.monotonic()
            history.write(group.first)
            if group.first:
                on_epoch(entry)
            if group.any(interrupts.asked):
                raise KeyboardInterrupt(SAVED)
        if group.first:
            history.plot()
        history.close()
        group.wait()
        chosen = out / recipe.train.select
        return Trained(chosen, read_checkpoint(chosen), tuple(history.epochs), history.stalled)


class _Sums:
    """Running sums of an epoch: of losses on the device, so that no step waits for it, and of
    seconds, in all and waiting for windows."""

    def __init__(self) -> None:
        self.windows = 0
        self.seconds = 0.0
        self.waiting = 0.0
        self._sums: dict[str, torch.Tensor] = {}

    def add(self, loss: torch.Tensor, parts: dict[str, torch.Tensor], windows: int) -> None:
        self.windows += windows
        for name, value in {"loss": loss.detach(), **parts}.items():
            part = value.double() * windows
            self._sums[name] = self._sums[name] + part if name in self._sums else part

    def means(self, group: Processes) -> dict[str, float]:
        """Over the windows of all processes."""
        own = self.windows, {name: float(value) for name, value in self._sums.items()}
        every = group.gather(own)
        windows = sum(count for count, _ in every)
        names = dict.fromkeys(name for _, sums in every for name in sums)
        return {name: sum(sums.get(name, 0.0) for _, sums in every) / windows for name in names}

    def state_dict(self) -> dict[str, Any]:
        return {
            "windows": self.windows,
            "seconds": self.seconds,
            "waiting": self.waiting,
            "sums": {n: float(v) for n, v in self._sums.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.windows = state["windows"]
        self.seconds, self.waiting = state["seconds"], state["waiting"]
        self._sums = {
            name: torch.tensor(value, dtype=torch.float64) for name, value in state["sums"].items()
        }


def seed_step(seed: int, epoch: int, step: int, rank: int) -> None:
    """Seed torch for one step of one process."""
    torch.manual_seed(int(np.random.SeedSequence((seed, epoch, step, rank)).generate_state(1)[0]))


class deterministic:
    """A block in which torch takes algorithms that give the same result each time."""

    def __enter__(self) -> None:
        self._before = (
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
            torch.backends.cudnn.benchmark,
            _MEMORY.fill_uninitialized_memory,
        )
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.backends.cudnn.benchmark = False
        # NaN in all new memory finds faults, decides nothing, and costs a pass over each tensor.
        _MEMORY.fill_uninitialized_memory = False

    def __exit__(self, *error: object) -> None:
        enabled, warn_only, benchmark, fill = self._before
        _MEMORY.fill_uninitialized_memory = fill
        torch.use_deterministic_algorithms(enabled, warn_only=warn_only)
        torch.backends.cudnn.benchmark = benchmark


def _average(network: AffectNetwork, decay: float) -> AveragedModel | None:
    if not decay:
        return None
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
    for module in average.modules():
        if isinstance(module, torch.nn.RNNBase):
            module.flatten_parameters()  # a copy's weights lie apart, which cuDNN warns of
    return average
