"""The history of a run, epoch by epoch: log, curves, early stopping."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from avaffect.errors import UsageError
from avaffect.files.atomic import atomic_path, write_text
from avaffect.networks.checkpoint import finite
from avaffect.recipes.recipe import Recipe
from avaffect.tasks.registry import TASKS, is_dimension

LOG = "log.jsonl"
CURVES = "curves.png"


def tensorboard_writer() -> Any:
    """TensorBoard's ``SummaryWriter``.

    Raises:
        UsageError: TensorBoard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise UsageError(
            "TensorBoard is not installed", "run `pip install tensorboard`"
        ) from error
    return SummaryWriter


@dataclass(frozen=True)
class Epoch:
    """One epoch.

    Attributes:
        epoch: from 1.
        lr: learning rate.
        losses: means over the windows: ``loss``, and each task's before its weight. In a
            distributed run those of the first process.
        scores: of the validation, see ``training.score``; empty without one.
        seconds: of training, without validation.
        windows: trained on.
        waiting: share of the seconds in which the loop waited for windows to be read.
    """

    epoch: int
    lr: float
    losses: dict[str, float]
    scores: dict[str, float]
    seconds: float
    windows: int
    waiting: float


class History:
    """All epochs so far.

    Args:
        out: the run's folder.
        recipe: when to stop.
        tensorboard: write TensorBoard's event files too.

    Attributes:
        epochs: so far.
        best: the number of the epoch with the best score, 0 without one.

    Raises:
        UsageError: TensorBoard is not installed.
    """

    def __init__(self, out: Path, recipe: Recipe, *, tensorboard: bool = False) -> None:
        self.epochs: list[Epoch] = []
        self.best = 0
        self._out = out
        self._recipe = recipe
        self._patience = recipe.train.patience
        self._board: Any = None
        if tensorboard:
            self._board = tensorboard_writer()(str(out / "tensorboard"))

    @property
    def scores(self) -> dict[str, float]:
        """Of the last epoch; empty before the first."""
        return self.epochs[-1].scores if self.epochs else {}

    @property
    def stalled(self) -> bool:
        """Whether the score has not risen for as long as the recipe bears."""
        return bool(self._patience and self.best and self._since_best() >= self._patience)

    def _since_best(self) -> int:
        return len(self.epochs) - self.best

    def add(self, epoch: Epoch) -> bool:
        """Note an epoch; True if its score is the best so far, or if there is no score at all."""
        self.epochs.append(epoch)
        if self._board is not None:
            for kind, values in (("loss", epoch.losses), ("validation", epoch.scores)):
                for name, value in values.items():
                    self._board.add_scalar(f"{kind}/{name}", value, epoch.epoch)
            self._board.add_scalar("lr", epoch.lr, epoch.epoch)
            self._board.flush()
        score = epoch.scores.get("score")
        if score is None:
            return True
        before = self.epochs[self.best - 1].scores["score"] if self.best else float("nan")
        # A score that is no number (nothing labelled) is beaten by any that is.
        if not self.best or score > before or before != before:
            self.best = epoch.epoch
            return True
        return False

    def write(self, wanted: bool = True) -> None:
        """Write the log."""
        if wanted:
            lines = []
            for epoch in self.epochs:
                row = {**asdict(epoch), "losses": finite(epoch.losses)}
                lines.append(json.dumps({**row, "scores": finite(epoch.scores)}) + "\n")
            write_text(self._out / LOG, "".join(lines))

    def plot(self) -> None:
        """Write the curves as a picture."""
        if not self.epochs:
            return
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator

        figure = Figure(figsize=(9, 4), layout="constrained")
        left, right = figure.subplots(1, 2)
        at = [epoch.epoch for epoch in self.epochs]
        names = list(self.epochs[0].losses)
        # With one task the sum is that task's.
        for name in names if len(names) > 2 else names[:1]:
            # Dots, since an epoch alone has no line.
            values = [epoch.losses[name] for epoch in self.epochs]
            left.plot(at, values, marker=".", label=name)
        left.set(title="training loss", xlabel="epoch")
        tasks = [name for name in self.epochs[-1].scores if " " not in name and name != "score"]
        parts = [name for name in self.epochs[-1].scores if is_dimension(name)]
        for name in (*tasks, *parts):
            right.plot(
                at,
                [epoch.scores.get(name, float("nan")) for epoch in self.epochs],
                marker=".",
                label=_label(name),
                linewidth=2 if name in tasks else 1,
            )
        if self.best and tasks:
            right.axvline(self.best, color="0.6", linestyle=":", label=f"best: epoch {self.best}")
        if not (tasks or parts):
            right.set_yticks([])
            right.text(0.5, 0.5, "not validated", transform=right.transAxes, ha="center")
        right.set(title=f"validation, {self._recipe.name}", xlabel="epoch")
        for axes in (left, right):
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
            axes.margins(y=0.05 if len(at) > 1 else 0.6)  # room for the legend
            # Half an epoch of room, so that a single one stands in the middle and has its number.
            axes.set_xlim(at[0] - 0.5, at[-1] + 0.5)
            axes.grid(alpha=0.3)
            if axes.get_legend_handles_labels()[0]:
                axes.legend(fontsize=8)
        with atomic_path(self._out / CURVES) as path:
            figure.savefig(path, dpi=120)

    def close(self) -> None:
        """Finish TensorBoard's files."""
        if self._board is not None:
            self._board.close()

    def state_dict(self) -> dict[str, Any]:
        """The state for :meth:`load_state_dict`."""
        return {"epochs": [asdict(epoch) for epoch in self.epochs], "best": self.best}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.epochs = [Epoch(**epoch) for epoch in state["epochs"]]
        self.best = state["best"]


def _label(name: str) -> str:
    return f"{TASKS[name].title} ({TASKS[name].measure})" if name in TASKS else name
