"""A checkpoint's network as ONNX, in the checkpoint's folder: it runs where there is no torch.

<checkpoint>/network.onnx    the network, see `training.export`
<checkpoint>/exported.json   which weights it was made of, and its own hash
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avaffect.errors import AvaffectError, CheckpointError, MissingPackageError, boundary
from avaffect.files.hashing import file_sha256
from avaffect.files.outside import read_json, reading
from avaffect.models.session import OnnxNet
from avaffect.networks.apply import Run
from avaffect.networks.checkpoint import Checkpoint, checkpoint_folder
from avaffect.processors import cores
from avaffect.windows.arrays import WindowArrays

NET = "network.onnx"
EXPORTED = "exported.json"
# ONNX itself, whose files are protocol buffers, holds no more.
_MOST_BYTES = 2 << 30
_FACTS = {"weights": str, "sha256": str}
_AGAIN = "run `avaffect export` again where torch is installed"


@boundary()
def load_exported(place: Path | str, checkpoint: Checkpoint, device: str = "cpu") -> Run:
    """The network of a checkpoint, by ONNX Runtime.

    Bounds: `outside.read_json`; 2 GB, the most that ONNX itself allows.

    Args:
        place: see `networks.checkpoint.read_checkpoint`.
        checkpoint: what is known of the network.
        device: see `models.session.OnnxNet`.

    Raises:
        MissingPackageError: it was not exported.
        CheckpointError: what is there is damaged, or another network.
    """
    folder = checkpoint_folder(Path(place))
    absent = MissingPackageError(
        "torch", "train", f"'{folder}', which was not exported to ONNX by `avaffect export`,"
    )
    facts = read_json(
        folder / EXPORTED, _FACTS, CheckpointError, "is damaged", _AGAIN, missing=absent
    )
    if facts["weights"] != checkpoint.sha256:
        raise CheckpointError(f"'{folder / NET}' was made of other weights", _AGAIN)
    with reading(folder / NET, CheckpointError, "is damaged", _AGAIN, missing=absent):
        if (folder / NET).stat().st_size > _MOST_BYTES:
            raise CheckpointError(f"'{folder / NET}' is too large for a network", _AGAIN)
        # Its content and not its path: no file of weights that it might name is read.
        content = (folder / NET).read_bytes()
    if hashlib.sha256(content).hexdigest() != facts["sha256"]:
        raise CheckpointError(f"'{folder / NET}' is not the file of '{EXPORTED}'", _AGAIN)
    threads = min(4, cores())
    return _Exported(OnnxNet(content, threads, device), checkpoint, folder / NET)


def is_exported(folder: Path, weights: str) -> bool:
    """Whether the checkpoint in ``folder`` was exported since it has the weights of this hash."""
    try:
        facts = read_json(folder / EXPORTED, _FACTS, CheckpointError, "is damaged", _AGAIN)
        return facts["weights"] == weights and facts["sha256"] == file_sha256(folder / NET)
    except (AvaffectError, OSError):
        return False


class _Exported:
    """The network as a `networks.apply.Run`."""

    def __init__(self, net: OnnxNet, checkpoint: Checkpoint, path: Path) -> None:
        self._net, self._path = net, path
        self._targets = {task: len(names) for task, names in checkpoint.targets.items()}
        roots = checkpoint.recipe.roots
        known = {*roots, *(f"{name}_seen" for name in roots), "exists"}
        if not (known >= {*net.input_names} and {*net.output_names} >= self._targets.keys()):
            raise self._other()

    def __call__(self, windows: WindowArrays) -> dict[str, NDArray[np.float32]]:
        given = {
            **{name: values.astype(np.float32) for name, values in windows.inputs.items()},
            **{f"{name}_seen": there for name, there in windows.seen.items()},
            "exists": windows.exists,
        }
        try:
            outputs = self._net(*(given[name] for name in self._net.input_names))
        # ONNX Runtime's errors derive from Exception and nothing nearer.
        except Exception as error:
            raise self._other() from error
        found = dict(zip(self._net.output_names, outputs, strict=True))
        for task, width in self._targets.items():
            if found[task].shape != (*windows.exists.shape, width):
                raise self._other()
        return {task: np.asarray(found[task], np.float32) for task in self._targets}

    def _other(self) -> CheckpointError:
        return CheckpointError(f"'{self._path}' is not the network of its checkpoint", _AGAIN)
