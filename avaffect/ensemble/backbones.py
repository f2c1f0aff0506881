"""``features`` of an ensemble: what the backbones of its models make of a face, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avaffect.config import fingerprint
from avaffect.errors import CheckpointError, boundary, need
from avaffect.networks.embed import TrainedBackbone, load_backbone
from avaffect.predictors.joined import Joined

if TYPE_CHECKING:
    from torch import Tensor


@boundary()
def load_backbones(
    place: Path | str, branch: str | None = None, *, device: str = "cpu"
) -> tuple[TrainedBackbone, str]:
    """The backbones of an ensemble as one, whose vector is theirs side by side, in their order.

    All are in memory; a face is decoded once for them.

    Args:
        place: a folder that ``ensemble`` wrote.
        branch: of each model, see `networks.embed.load_backbone`.
        device: ``cpu``, ``cuda`` or ``cuda:N``.

    Returns:
        the whole, and what its array is called unless somebody knows better: as the ensemble.

    Raises:
        CheckpointError: it is not finished, a model has no backbone, or they were trained on
            faces of different sizes, or aligned differently.
    """
    need("features", "torch")
    joined = Joined.load(Path(place))
    paths = [path for models in joined.members.values() for path in models]
    parts = [load_backbone(Path(place) / path, branch, device=device) for path in paths]
    first = parts[0]
    if {(part.side, part.aligner) for part in parts} != {(first.side, first.aligner)}:
        raise CheckpointError(
            f"the models in '{place}' were trained on different crops",
            "give the folder of one of its models",
        )
    whole = TrainedBackbone(
        first.net,
        first.branch,
        fingerprint([part.model for part in parts]),
        first.side,
        first.aligner,
        _side_by_side([part.encoder for part in parts]),
        first.device,
    )
    return whole, joined.name


def _side_by_side(encoders: Sequence[Any]) -> Any:
    """Encoders of pictures as one."""
    import torch

    class SideBySide(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.parts = torch.nn.ModuleList(encoders)
            self.size = sum(int(encoder.size) for encoder in encoders)

        def forward(self, pictures: Tensor, seen: Tensor) -> Tensor:
            return torch.cat([part(pictures, seen) for part in self.parts], dim=-1)

    return SideBySide().eval()
