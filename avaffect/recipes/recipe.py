"""A recipe: the network, its losses, windows and training, typed and checked.

A recipe is a YAML file of this package (`recipes.library`) or of the user. Everything has a
default except the branches and the tasks; a key that does not exist is an error.
"""

from __future__ import annotations

from dataclasses import field
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from avaffect.checked import STRICT
from avaffect.recipes.blocks import Block, Tcn
from avaffect.recipes.encoders import Encoder, PhaseDifference
from avaffect.recipes.pictures import FACE_PICTURES
from avaffect.recipes.training import Loss, Train, Window
from avaffect.recipes.values import (
    Activation,
    BranchName,
    Count,
    Fraction,
    Norm,
    NotNegative,
    Sizes,
    TaskName,
)
from avaffect.tasks.registry import TASKS, VA

MOST_LAYERS = 512


@dataclass(frozen=True, config=STRICT)
class Branch:
    """The way of one modality's (or another branch's) features to the fusion.

    Attributes:
        modality: ``audio`` or ``video``, what ``modalities`` chooses by; of a branch that goes
            on from another one, that one's.
        features: arrays of the feature store, concatenated.
        encoder: a net on pictures; the branch then reads the array ``faces`` alone.
        input: an earlier branch that this one goes on from, in place of features.
        target: an earlier branch that the decoder of ``encoder_decoder`` reads.
        layers: blocks, one after the other.
        fused: whether it takes part in the fusion; else it is only there for others.
        normalise: ``train`` (mean and deviation of the training frames), ``clip`` (of the clip's
            own frames) or ``none``; pictures and other branches are never normalised.
    """

    modality: Literal["audio", "video"] = "video"
    features: tuple[str, ...] = ()
    layers: Annotated[tuple[Block, ...], Field(max_length=64)] = ()
    encoder: Encoder | None = None
    input: BranchName | None = None
    target: BranchName | None = None
    fused: bool = True
    normalise: Literal["train", "clip", "none"] = "train"

    @model_validator(mode="after")
    def _check(self) -> Branch:
        if self.input is not None and (self.features or self.encoder):
            raise ValueError("a branch with an input has neither features nor an encoder")
        if self.encoder is not None and self.features != (FACE_PICTURES,):
            raise ValueError(f"an encoder reads features: [{FACE_PICTURES}]")
        if self.encoder is None and FACE_PICTURES in self.features:
            raise ValueError(f"'{FACE_PICTURES}' are pictures, which want an encoder")
        if self.input is None and not self.features:
            raise ValueError("a branch reads features or has an input")
        kinds = [layer.kind for layer in self.layers]
        if self.target is not None and "encoder_decoder" not in kinds:
            raise ValueError("only the block encoder_decoder reads a target")
        pools = [isinstance(layer, Tcn) and layer.pool > 1 for layer in self.layers]
        if self.target is not None and any(pools[: kinds.index("encoder_decoder")]):
            raise ValueError("a block that pools cannot stand before one that reads a target")
        return self

    @property
    def margin(self) -> int:
        """Frames beside its window that its encoder looks at, on each side."""
        encoder = self.encoder
        if isinstance(encoder, PhaseDifference) and encoder.context:
            return encoder.differences // 2
        return 0

    @property
    def reads(self) -> tuple[tuple[str, ...], str]:
        """What tells branches apart that read the same of the store from those that do not."""
        return self.features, "none" if self.encoder else self.normalise


@dataclass(frozen=True, config=STRICT)
class Fusion:
    """How branches become one.

    Attributes:
        kind: ``concat``; ``gated`` (branches brought to ``size``, weighted by a softmax gate over
            those that are there); ``cross_attention`` (each branch attends to the others,
            ``size`` wide); ``late`` (a head a branch, predictions averaged over those that are
            there); ``stacked`` (a head a branch, all predictions into dense layers).
        size: width, of ``gated`` and ``cross_attention``.
        heads: attention heads, must divide ``size``.
        units: sizes of the dense layers of ``stacked`` before its last one.
        dropout: on what comes out.
        layers: blocks on what comes out, one after the other; not of ``late`` and ``stacked``.
    """

    kind: Literal["concat", "gated", "cross_attention", "late", "stacked"] = "concat"
    size: Count = 128
    heads: Count = 4
    units: Annotated[tuple[Count, ...], Field(max_length=64)] = ()
    dropout: Fraction = 0.0
    layers: Annotated[tuple[Block, ...], Field(max_length=64)] = ()

    @model_validator(mode="after")
    def _check(self) -> Fusion:
        if self.kind == "cross_attention" and self.size % self.heads:
            raise ValueError("size must be a multiple of heads")
        if self.layers and self.kind in ("late", "stacked"):
            raise ValueError(f"there is nothing for layers to stand on in the fusion {self.kind}")
        if any(isinstance(layer, Tcn) and layer.pool > 1 for layer in self.layers):
            raise ValueError("layers behind the fusion cannot pool")
        return self


@dataclass(frozen=True, config=STRICT)
class Head:
    """The head of each task on top of the fusion: these layers, then one dense layer.

    Attributes:
        units: sizes of dense layers, may be empty.
        pool: ``none`` gives an output a frame; ``mean``, ``attention``, ``statistics`` (mean,
            deviation and maximum) or ``attentive_statistics`` (mean and deviation weighted by
            attention, Okabe et al. 2018) make one of a window, which then holds for all its
            frames.
        out_norm: between pooling and the last layer.
        out_dropout: behind that.
    """

    units: Annotated[tuple[Count, ...], Field(max_length=64)] = ()
    activation: Activation = "relu"
    dropout: Fraction = 0.0
    norm: Norm = "none"
    pool: Literal["none", "mean", "attention", "statistics", "attentive_statistics"] = "none"
    out_norm: Norm = "none"
    out_dropout: Fraction = 0.0


@dataclass(frozen=True, config=STRICT)
class Polarity:
    """Classifiers of the extremes of valence and arousal: -1, other, +1 (Wang et al., ABAW5).

    They are trained first. Where one of them predicts an extreme, that is the value; the
    regression learns from the other frames, and its arousal reads the features of its valence too.

    Attributes:
        epochs: in which they are trained alone.
        units: sizes of dense layers, of each classifier and each regression.
        weight: of their cross-entropy in the later epochs, so that they go on to fit features that
            the regression changes.
    """

    epochs: Annotated[int, Field(ge=0)] = 2
    units: Sizes = (256,)
    weight: NotNegative = 1.0


@dataclass(frozen=True, config=STRICT)
class Recipe:
    """A network and how it is trained.

    Attributes:
        name: what it is called.
        about: what it is, in a sentence or two.
        source: paper and section, or where it comes from.
        branches: by name (letters, digits, ``_`` and ``-``); their order is that of the fusion.
        tasks: by task of ``tasks.registry``, its loss.
        auxiliary: branches that get heads of their own in training. The loss of a task is the mean
            of that of the fusion's head and of theirs; with ``late`` and ``stacked`` they are the
            very heads that are fused.
        polarity: of the task ``va``; None has none.
    """

    name: str
    branches: Annotated[dict[BranchName, Branch], Field(min_length=1, max_length=64)]
    tasks: Annotated[dict[TaskName, Loss], Field(min_length=1)]
    about: str = ""
    source: str = ""
    fusion: Fusion = field(default_factory=Fusion)
    head: Head = field(default_factory=Head)
    window: Window = field(default_factory=Window)
    train: Train = field(default_factory=Train)
    auxiliary: tuple[BranchName, ...] = ()
    polarity: Polarity | None = None

    @model_validator(mode="after")
    def _check(self) -> Recipe:
        earlier: list[str] = []
        blocks = [
            *self.fusion.layers,
            *(block for branch in self.branches.values() for block in branch.layers),
        ]
        if sum(_depth(block) for block in blocks) > MOST_LAYERS:
            raise ValueError(f"branches: more than {MOST_LAYERS} layers in all")
        for name, branch in self.branches.items():
            for other in (branch.input, branch.target):
                if other is not None and other not in earlier:
                    raise ValueError(f"branches.{name}: there is no earlier branch '{other}'")
            earlier.append(name)
        if not any(branch.fused for branch in self.branches.values()):
            raise ValueError("branches: none is fused")
        read = {source for b in self.branches.values() for source in (b.input, b.target)}
        for name, branch in self.branches.items():
            if not branch.fused and name not in read and name not in self.auxiliary:
                raise ValueError(f"branches.{name}: is neither fused nor read by another branch")
        looks = any(branch.encoder is not None for branch in self.branches.values())
        if looks and self.train.augment.stretch:
            raise ValueError("train.augment.stretch: pictures cannot be played faster or slower")
        if self.polarity is not None and VA.name not in self.tasks:
            raise ValueError(f"polarity: wants the task {VA.name}")
        apart = self.fusion.kind in ("late", "stacked")
        if self.polarity is not None and (apart or self.auxiliary):
            raise ValueError("polarity: wants one head, neither several fused nor auxiliary ones")
        if self.polarity is not None and self.head != Head():
            raise ValueError("polarity: has layers of its own, polarity.units; leave head alone")
        if self.polarity is not None and 0 < self.train.patience <= self.polarity.epochs:
            raise ValueError("train.patience: must be more than polarity.epochs, or 0")
        for name in self.auxiliary:
            if name not in self.branches or (apart and not self.branches[name].fused):
                raise ValueError(f"auxiliary: there is no fused branch '{name}'")
        return self

    @property
    def roots(self) -> dict[str, Branch]:
        """The branches that read features, by name."""
        return {name: branch for name, branch in self.branches.items() if branch.input is None}

    @property
    def margins(self) -> dict[str, int]:
        """By branch that reads features, the frames beside a window that are read on each side:
        of pictures, which are read once for all, as many as any encoder looks at; else none."""
        most = max(branch.margin for branch in self.roots.values())
        return {name: most * (branch.encoder is not None) for name, branch in self.roots.items()}

    @property
    def fused(self) -> tuple[str, ...]:
        """The branches that the fusion joins, in order."""
        return tuple(name for name, branch in self.branches.items() if branch.fused)

    def modality(self, name: str) -> str:
        """That of a branch, or of the one that it goes on from."""
        branch = self.branches[name]
        return branch.modality if branch.input is None else self.modality(branch.input)

    @property
    def task_names(self) -> tuple[str, ...]:
        """The tasks in the order of ``TASKS``."""
        return tuple(task for task in TASKS if task in self.tasks)

    @property
    def modalities(self) -> tuple[str, ...]:
        """Those that a branch reads, in order."""
        return tuple(dict.fromkeys(branch.modality for branch in self.roots.values()))

    @property
    def features(self) -> tuple[str, ...]:
        """The arrays that branches read, in order."""
        every = (name for branch in self.branches.values() for name in branch.features)
        return tuple(dict.fromkeys(every))

    def to_dict(self) -> dict[str, Any]:
        """The whole recipe as JSON-able values."""
        from pydantic import TypeAdapter

        plain: dict[str, Any] = TypeAdapter(Recipe).dump_python(self, mode="json")
        return plain


def _depth(block: Block) -> int:
    """How many layers a block has."""
    units = len(getattr(block, "units", ())) * getattr(block, "depth", 1)
    return max(2, units, getattr(block, "layers", 1))
