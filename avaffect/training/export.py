"""A trained network as an ONNX file, checked against PyTorch."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from avaffect.errors import CheckpointError
from avaffect.files.atomic import atomic_path, write_json
from avaffect.files.hashing import file_sha256
from avaffect.files.ours import holds, require_own_file
from avaffect.networks.apply import probabilities
from avaffect.networks.checkpoint import Checkpoint, load_checkpoint, read_checkpoint
from avaffect.networks.exported import EXPORTED, NET, is_exported
from avaffect.networks.network import AffectNetwork
from avaffect.progress import EventCallback, Notice, ignore_events
from avaffect.tasks.registry import VA

VERSION = 1
OPSET = 17
TOLERANCE = 1e-4
_ROUNDS = 4
# Of the frames beside a window.
_UNSEEN = 0.2
_POLARITY = f"{VA.name}_polarity"


@dataclass(frozen=True)
class Exported:
    """The exported files and facts.

    Attributes:
        path: the file.
        inputs: names of the inputs: by branch that reads features ``<branch>`` float32 [B, T, F],
            or pictures [B, T, S, S, 3] RGB in 0..255 of the recipe's size, and ``<branch>_seen``
            bool [B, T]; ``exists`` bool [B, T], unless it changes nothing. Pictures, and where
            they are seen, have ``recipe.margins`` frames more before and behind.
        outputs: by task float32 [B, T, K], values or probabilities. With classifiers of extremes
            also what ``va`` is decided from: ``va_regression`` [B, T, V], and ``va_polarity``
            [B, T, V, 3], the probabilities of -1, other and +1.
        difference: largest difference from PyTorch's output that the check met.
    """

    path: Path
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    difference: float


class _Flat(nn.Module):
    """The network with positional inputs and probabilities out, as ONNX wants it."""

    def __init__(self, network: AffectNetwork) -> None:
        super().__init__()
        self.network = network
        self.names = tuple(network.recipe.roots)
        self.tasks = tuple(network.heads)
        extra = () if network.recipe.polarity is None else (f"{VA.name}_regression", _POLARITY)
        self.outputs = (*self.tasks, *extra)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        network, count = self.network, len(self.names)
        given = dict(zip(self.names, inputs[:count], strict=True))
        seen = dict(zip(self.names, inputs[count : 2 * count], strict=True))
        outputs = network.outputs(network.standardise(given, seen), seen, inputs[-1])
        final = network.final(outputs)
        values = tuple(probabilities(task, final[task]) for task in self.tasks)
        if outputs.polarity is None:
            return values
        return (*values, outputs.main[VA.name], outputs.polarity.softmax(-1))


def export_onnx(place: Path | str, path: Path | str) -> Exported:
    """Write the network of a checkpoint as ONNX, for any number of windows and frames.

    The standardisation of features by the training set is inside; that of a clip by its own
    moments (``normalise: clip``) is not. The file is compared with PyTorch on random windows of
    several shapes, with modalities missing and padding, before it takes its name.

    Args:
        place: see :func:`avaffect.networks.checkpoint.load_checkpoint`.
        path: the file to write.

    Raises:
        CheckpointError: no checkpoint that can be used, or ONNX and PyTorch differ.
        ForeignFileError: a file is there that is no such network.
        OutputError: the file cannot be written.
    """
    path = Path(path)
    checkpoint, network = load_checkpoint(place)
    flat = _Flat(network).eval()
    names = (*flat.names, *(f"{name}_seen" for name in flat.names), "exists")
    example = _windows(checkpoint, 2, checkpoint.recipe.window.length, seed=0)
    axes = {name: {0: "windows", 1: "frames"} for name in (*names, *flat.outputs)}
    for name, margin in checkpoint.recipe.margins.items():
        if margin:
            axes[name] = axes[f"{name}_seen"] = {0: "windows", 1: "frames_and_beside"}
    with atomic_path(path) as temporary:
        with warnings.catch_warnings():
            # The tracer warns of shapes that it takes as constants; the check below is for that.
            warnings.simplefilter("ignore")
            torch.onnx.export(
                flat,
                example,
                str(temporary),
                input_names=list(names),
                output_names=list(flat.outputs),
                dynamic_axes=axes,
                opset_version=OPSET,
                dynamo=False,
            )
        difference, there = _compare(flat, checkpoint, temporary, names)
        if not difference <= TOLERANCE:
            raise CheckpointError(
                f"ONNX Runtime and PyTorch differ by {difference:.2g} for '{place}'",
                "nothing was written; please report the recipe",
            )
        require_own_file(path, holds(b"pytorch", b"_seen", b"windows", b"frames"))
    return Exported(path, there, flat.outputs, difference)


def export_beside(folder: Path, on_event: EventCallback = ignore_events) -> None:
    """Export the checkpoint in ``folder`` into that folder, so that it runs without torch.

    One that was exported since it has these weights is left as it is. A failure is a Notice: the
    checkpoint itself is whole.
    """
    try:
        weights = read_checkpoint(folder).sha256
        if is_exported(folder, weights):
            return
        done = export_onnx(folder, folder / NET)
        facts = {"weights": weights, "sha256": file_sha256(done.path), "version": VERSION}
        write_json(folder / EXPORTED, facts | {"difference": done.difference})
    # torch's exporter raises errors of many kinds for what ONNX has no operation for.
    except Exception as error:
        why = " ".join(str(error).split())[:200]
        text = f"'{folder}' was not exported to ONNX and runs with torch only ({why})"
        on_event(Notice(text, warning=True))


def _compare(
    flat: _Flat, checkpoint: Checkpoint, path: Path, names: tuple[str, ...]
) -> tuple[float, tuple[str, ...]]:
    """The largest difference, and the inputs that the file has: those that change nothing in this
    network, such as ``exists`` where nothing looks ahead, are not in it."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    wanted = {given.name for given in session.get_inputs()}
    worst = 0.0
    for round_ in range(_ROUNDS):
        # Other numbers of windows and frames than those that were traced.
        frames = checkpoint.recipe.window.length + 3 * round_
        windows = _windows(checkpoint, 1 + round_, frames, seed=round_)
        with torch.inference_mode():
            ours = flat(*windows)
        feeds = {n: w.numpy() for n, w in zip(names, windows, strict=True) if n in wanted}
        theirs = session.run(list(flat.outputs), feeds)
        for name, mine, other in zip(flat.outputs, ours, theirs, strict=True):
            # What is decided jumps where the classifiers nearly tie; what it is decided from not.
            if name != VA.name or _POLARITY not in flat.outputs:
                worst = max(worst, float(np.abs(mine.numpy() - other).max()))
    return worst, tuple(name for name in names if name in wanted)


def _windows(checkpoint: Checkpoint, count: int, frames: int, seed: int) -> tuple[Tensor, ...]:
    """Random windows: the last one is shorter, and in each another modality is missing."""
    drawn = torch.Generator().manual_seed(seed)
    exists = torch.ones(count, frames, dtype=torch.bool)
    exists[-1, frames - frames // 3 :] = False
    features, seen = [], []
    margins = checkpoint.recipe.margins
    for i, (name, branch) in enumerate(checkpoint.recipe.roots.items()):
        if branch.encoder is not None:
            side = branch.encoder.size
            shape = (count, frames + 2 * margins[name], side, side, 3)
            features.append(255 * torch.rand(shape, generator=drawn))
        else:
            width = checkpoint.widths[name]
            features.append(torch.randn(count, frames, width, generator=drawn))
        there = exists.clone()
        if len(checkpoint.widths) > 1:
            there[i % count, : frames // 2] = False
        beside = torch.rand(count, margins[name], generator=drawn) > _UNSEEN
        seen.append(torch.cat((beside, there, beside & exists[:, -1:]), dim=1))
    return (*features, *seen, exists)
