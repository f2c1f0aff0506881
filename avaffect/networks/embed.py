"""``features``: a trained backbone's features of the crops, into the feature store."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from math import isqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from avaffect.datasets.clip import Clip
from avaffect.errors import (
    CheckpointError,
    FeatureError,
    UnknownNameError,
    UsageError,
    boundary,
    need,
    setting,
)
from avaffect.files.npy import Array, ArraySpec
from avaffect.models.zoo import find_model
from avaffect.networks.memory import by_halves
from avaffect.progress import EventCallback, ignore_events
from avaffect.recipes.recipe import Branch
from avaffect.store.adding import (
    RESERVED,
    Added,
    NewArray,
    add_array,
    require_name,
    require_replaceable,
)
from avaffect.store.pictures import FACE_PICTURES, WithPictures, side_of
from avaffect.store.prepared import Prepared
from avaffect.store.provenance import backbone_key
from avaffect.store.subject import StoredSubject
from avaffect.windows.cut import cut

if TYPE_CHECKING:
    import torch

    from avaffect.networks.frame_encoders import FrameEncoder

# Of pictures in memory at a time: some 400 of 112 pixels.
_BYTES = 1 << 24


@dataclass(frozen=True)
class TrainedBackbone:
    """A backbone with trained weights, ready to look at faces.

    Attributes:
        net: a key of ``networks.backbones.BACKBONES``.
        branch: of the checkpoint that it is from, empty for ImageNet's weights.
        weights: hash of the file of weights.
        side: pixels of the faces that it was trained on; None takes any.
        aligner: where their five points came from; None if nothing tells.
        encoder: the net, in evaluation mode.
        device: where it is.
    """

    net: str
    branch: str
    weights: str
    side: int | None
    aligner: str | None
    encoder: FrameEncoder
    device: torch.device

    @property
    def model(self) -> str:
        """What distinguishes it from every other backbone."""
        return f"{self.net}:{self.branch}:{self.weights}"

    def __call__(self, pictures: Array, seen: Array) -> Array:
        """Its vectors.

        Args:
            pictures: uint8 [M, S, S, 3] RGB.
            seen: bool [M], where there is a face.

        Returns:
            float16 [M, size], NaN where there is none.

        Raises:
            CheckpointError: it gives what is no number, or none that float16 can hold.
            ModelError: the GPU's memory does not hold a single face.
        """
        import torch

        from avaffect.networks.half import halved

        out = ArraySpec((self.encoder.size,), "float16").missing(len(pictures))
        found = pictures[seen]

        def compute(part: slice) -> Array:
            with torch.inference_mode():
                faces = torch.from_numpy(found[part]).to(self.device)[None]
                there = torch.ones(faces.shape[:2], dtype=torch.bool, device=self.device)
                wrong = "its training went wrong: look at its losses, and train again"
                return halved(self.encoder(faces, there)[0], self.net, wrong)

        out[seen] = np.concatenate(by_halves(compute, len(found), "face"))
        return out


@boundary()
def load_backbone(
    place: Path | str,
    branch: str | None = None,
    *,
    device: str = "cpu",
    on_event: EventCallback = ignore_events,
) -> TrainedBackbone:
    """A backbone that ``train`` trained, or one with ImageNet's weights.

    Args:
        place: a folder that ``train`` wrote, or a key of ``networks.backbones.BACKBONES``, which
            stands for ImageNet's weights unless a folder is called so.
        branch: of the checkpoint; None takes the only one with a backbone.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        on_event: progress of fetching weights.

    Raises:
        UsageError: there is no such checkpoint, or a branch must be named.
        UnknownNameError: no branch of that name has a backbone.
        CheckpointError: the checkpoint cannot be used, or has no backbone.
        ModelError: ImageNet's weights are not to be had or damaged.
    """
    need("features", "torch")
    import torch

    from avaffect.networks.backbones import BACKBONES

    if str(place) in BACKBONES and not Path(place).exists():
        if branch is not None:
            raise UsageError(
                f"'{place}' is no checkpoint and has no branches", "leave out branch=..."
            )
        return _from_imagenet(str(place), torch.device(device), on_event)
    return _from_checkpoint(Path(place), branch, torch.device(device))


def _from_imagenet(net: str, device: torch.device, on_event: EventCallback) -> TrainedBackbone:
    from avaffect.models.content import model_content
    from avaffect.networks.backbones import BackboneEncoder, load_pretrained
    from avaffect.networks.frame_encoders import FrameEncoder
    from avaffect.recipes.encoders import Backbone

    model_content(net, on_event=on_event)  # raises where `load_pretrained` goes on without
    encoder = BackboneEncoder(Backbone(net=net))
    load_pretrained(encoder, on_event)
    ready = FrameEncoder(encoder).eval().to(device)
    return TrainedBackbone(net, "", find_model(net).identity, None, None, ready, device)


def _from_checkpoint(place: Path, branch: str | None, device: torch.device) -> TrainedBackbone:
    from avaffect.networks.checkpoint import load_checkpoint
    from avaffect.recipes.encoders import Backbone

    checkpoint, network = load_checkpoint(place)
    nets = {
        name: root.encoder
        for name, root in checkpoint.recipe.roots.items()
        if isinstance(root.encoder, Backbone)
    }
    if not nets:
        raise CheckpointError(
            f"no branch of '{place}' has a backbone",
            "give a model that was trained with `encoder: {kind: backbone}`",
        )
    if branch is None and len(nets) > 1:
        raise UsageError(f"'{place}' has several backbones", f"choose {setting('branch', nets)}")
    branch = branch or next(iter(nets))
    if branch not in nets:
        raise UnknownNameError("branch with a backbone", branch, nets)
    faces = checkpoint.features.get("faces")
    encoder: Any = network.branches[branch].encoder
    return TrainedBackbone(
        nets[branch].net,
        branch,
        checkpoint.sha256,
        isqrt(max(0, checkpoint.widths[branch]) // 3),
        faces.get("aligner") if isinstance(faces, dict) else None,
        encoder.eval().to(device),
        device,
    )


def array_name(backbone: TrainedBackbone, name: str | None = None) -> str:
    """How the array is called: ``name``, or the net's, with the branch's where that is taken.

    Raises:
        UsageError: no array of a backbone can be called so.
    """
    if name is None:
        name = backbone.net
        if name in RESERVED and backbone.branch:
            name = f"{name}-{backbone.branch}"
    return require_name(name)


@boundary()
def embed(
    folder: Path | str,
    backbone: TrainedBackbone,
    name: str | None = None,
    *,
    on_event: EventCallback = ignore_events,
) -> Added:
    """Write a backbone's features of each crop into the feature store.

    The array is float16 [N, size], NaN in frames without a face. A subject whose array this
    backbone made of the same pictures is left as it is; another backbone's is replaced. Memory
    does not grow with the video's length.

    Args:
        folder: what ``preprocess`` wrote for a video.
        backbone: from :func:`load_backbone`.
        name: of the array, see :func:`array_name`.
        on_event: progress.

    Raises:
        UsageError: the array cannot be called so, or an array of that name is something else.
        FeatureError: the folder holds no pictures, or others than the backbone was trained on.
        CheckpointError: the backbone gives what is no number.
        BusyError: another process writes there.
        OutputError: results cannot be written; subjects that were finished are kept.
    """
    name = array_name(backbone, name)
    whole = Prepared(Path(folder))
    whole.subjects()  # refuses what is no preprocessed folder before anything is written
    with whole.alone():
        return _embed(whole, backbone, name, on_event)


def _embed(
    whole: Prepared, backbone: TrainedBackbone, name: str, on_event: EventCallback
) -> Added:
    stored = whole.subjects()
    require_replaceable(stored, name)
    pictured = whole.pictured()
    _require_fit(backbone, stored[0], pictured[0])
    key = backbone_key(backbone.model, str(whole.record.crops))
    spec = ArraySpec((backbone.encoder.size,), "float16")
    arrays = [NewArray(key, spec, partial(_embedded, faces, backbone)) for faces in pictured]
    return add_array(whole, stored, name, arrays, "embed", on_event)


def _require_fit(backbone: TrainedBackbone, stored: StoredSubject, pictured: WithPictures) -> None:
    """Raise FeatureError if the pictures are others than the backbone was trained on."""
    side = side_of(pictured)
    if backbone.side is not None and side != backbone.side:
        raise FeatureError(
            f"the crops of '{stored.name}' have {side} pixels, '{backbone.net}' was "
            f"trained on {backbone.side}",
            f"preprocess again with crop_size={backbone.side}",
        )
    aligner = stored.provenance["configuration"].get("faces", {}).get("aligner")
    if None not in (aligner, backbone.aligner) and aligner != backbone.aligner:
        raise FeatureError(
            f"the faces of '{stored.name}' were aligned by {aligner}, '{backbone.net}' was "
            f"trained on faces aligned by {backbone.aligner}",
            f'preprocess again with aligner="{backbone.aligner}"',
        )


def _embedded(subject: WithPictures, backbone: TrainedBackbone) -> Iterator[Array]:
    from avaffect.recipes.encoders import Backbone
    from avaffect.windows.loader import read_ahead
    from avaffect.windows.reader import WindowReader

    rows = max(1, _BYTES // math.prod(subject.specs[FACE_PICTURES].shape))
    looks = Branch("video", (FACE_PICTURES,), encoder=Backbone(net=backbone.net))
    clip = Clip(subject.name, subject.name, subject)
    reader = WindowReader([clip], {"face": looks}, cut([subject.frames], rows, 0), {})
    done = 0
    for batch in read_ahead(reader, [[i] for i in range(len(reader))], backbone.device):
        # The last window ends with the clip, and begins with frames that are done.
        new = slice(done - int(batch.start[0]), None)
        seen = batch.seen["face"][0, new].numpy()
        yield backbone(batch.inputs["face"][0, new].numpy(), seen)
        done += len(seen)
