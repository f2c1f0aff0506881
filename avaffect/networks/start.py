"""Starting a training from a trained network: the weights that fit are taken over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from avaffect.errors import UsageError
from avaffect.networks.checkpoint import Checkpoint, load_checkpoint
from avaffect.networks.network import AffectNetwork

_SHOWN = 4


@dataclass(frozen=True)
class Started:
    """What was taken over.

    Attributes:
        checkpoint: where it comes from.
        taken: the names of the weights and statistics that were.
        left: those of the network that keep the values that they had, and why.
        share: the taken values by all values of the network.
    """

    checkpoint: Checkpoint
    taken: tuple[str, ...]
    left: Mapping[str, str]
    share: float

    @property
    def branches(self) -> frozenset[str]:
        """The branches of which something was taken."""
        parts = (name.split(".") for name in self.taken)
        return frozenset(each[1] for each in parts if each[0] == "branches")

    @property
    def text(self) -> str:
        """It in one sentence."""
        of = len(self.taken) + len(self.left)
        text = f"{len(self.taken)} of {of} weights ({100 * self.share:.0f} % of the values) taken"
        if not self.left:
            return f"{text} over"
        named = [f"{name} ({why})" for name, why in [*self.left.items()][:_SHOWN]]
        more = f" and {len(self.left) - _SHOWN} more" if len(self.left) > _SHOWN else ""
        return f"{text} over; new: {', '.join(named)}{more}"


def start_from(
    network: AffectNetwork, targets: Mapping[str, Sequence[str]], place: Path | str
) -> Started:
    """Give ``network`` the weights of a checkpoint that fit by name and shape.

    So do the statistics that features are standardised by, as the weights were learnt for them. A
    head whose task has other targets, and a branch that reads other features, keep their own: the
    same place would mean something else there.

    Args:
        network: the network, whose weights are replaced.
        targets: by task, the names of its targets.
        place: see `checkpoint.load_checkpoint`.

    Raises:
        InputNotFoundError, CheckpointError: there is no checkpoint, or it is damaged.
        UsageError: nothing of it fits.
    """
    checkpoint, other = load_checkpoint(place)
    theirs, ours = other.state_dict(), network.state_dict()
    taken, left = {}, {}
    for name, tensor in ours.items():
        if why := _otherwise(name, network, targets, checkpoint):
            left[name] = why
        elif name not in theirs:
            left[name] = "not there"
        elif theirs[name].shape != tensor.shape:
            shapes = (" x ".join(map(str, each.shape)) for each in (theirs[name], tensor))
            left[name] = "{} there, {} here".format(*shapes)
        else:
            taken[name] = theirs[name].to(tensor)
    if not taken:
        raise UsageError(
            f"no weight of '{place}' fits the recipe '{network.recipe.name}'",
            "train its recipe, or one whose branches have the same names and sizes",
        )
    network.load_state_dict({**ours, **taken})
    values = sum(tensor.numel() for tensor in taken.values())
    whole = sum(tensor.numel() for tensor in ours.values())
    return Started(checkpoint, tuple(taken), left, values / max(whole, 1))


def _otherwise(
    name: str,
    network: AffectNetwork,
    targets: Mapping[str, Sequence[str]],
    checkpoint: Checkpoint,
) -> str:
    """Why weights of one name mean something else in the two; empty if they do not."""
    part, *rest = name.split(".")
    if part in ("heads", "stack", "auxiliary"):
        task = rest[1] if part == "auxiliary" else rest[0]
        if tuple(checkpoint.targets.get(task, ())) != tuple(targets[task]):
            return "other targets" if task in checkpoint.targets else "not there"
    if part == "branches":
        mine = network.recipe.branches[rest[0]]
        theirs = checkpoint.recipe.branches.get(rest[0])
        if theirs is not None and theirs.features != mine.features:
            return "other features"
    return ""
