"""What a recipe says: the network, its losses, windows and training, typed and checked.

A recipe is a YAML file of this package (`recipes.library`) or of the user. Everything has a
default except the branches and the tasks; a key that does not exist is an error.
"""

from __future__ import annotations

from dataclasses import field
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass

from avaffect.files.editions import TASKS

_STRICT = ConfigDict(extra="forbid")

Fraction = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
# Dots would part them in --set and in the names of weights.
BranchName = Annotated[str, Field(pattern=r"^\w[\w-]*$")]
Sizes = Annotated[tuple[Count, ...], Field(min_length=1)]
Activation = Literal["none", "relu", "prelu", "gelu", "tanh"]
Norm = Literal["none", "batch", "layer"]


@dataclass(frozen=True, config=_STRICT)
class Dense:
    """Dense layers on each frame for itself (Keras: TimeDistributed).

    Attributes:
        units: size of each layer.
        activation: behind each layer.
        dropout: behind each activation.
        norm: behind each dropout; ``batch`` over all valid frames of a batch.
    """

    kind: Literal["mlp"] = "mlp"
    units: Sizes = (64,)
    activation: Activation = "relu"
    dropout: Fraction = 0.0
    norm: Norm = "none"


@dataclass(frozen=True, config=_STRICT)
class Recurrent:
    """A stack of recurrent layers; see :class:`Dense` for what follows each.

    Attributes:
        units: size of each layer, of each direction in the ``bi`` kinds (so twice as wide).
        residual: whether a layer's input is added to its output (through a dense layer where
            the sizes differ).
    """

    kind: Literal["gru", "bigru", "lstm", "bilstm"] = "gru"
    units: Sizes = (64,)
    residual: bool = False
    activation: Activation = "none"
    dropout: Fraction = 0.0
    norm: Norm = "none"


@dataclass(frozen=True, config=_STRICT)
class Tcn:
    """Temporal convolutions, each with its dilation doubled; as long as the input.

    Attributes:
        units: channels of each layer.
        depth: convolutions in each layer, one after the other.
        kernel: frames, odd.
        dilate: whether the n-th layer is dilated by 2^n; else by 1.
        causal: whether a frame sees earlier frames only; else the kernel is centred.
        residual: whether a layer's input is added to its output (through a dense layer where
            the sizes differ).
        pool: largest value of so many frames in a row, behind each layer; what follows in the
            branch then works on fewer frames, and at the branch's end each stands for as many.
    """

    kind: Literal["tcn"] = "tcn"
    units: Sizes = (64,)
    depth: Count = 1
    kernel: Count = 3
    dilate: bool = True
    causal: bool = False
    residual: bool = True
    pool: Count = 1
    activation: Activation = "relu"
    dropout: Fraction = 0.0
    norm: Norm = "none"

    @model_validator(mode="after")
    def _check(self) -> Tcn:
        if self.kernel % 2 == 0:
            raise ValueError("kernel must be odd")
        if self.causal and self.pool > 1:
            raise ValueError("a causal block cannot pool: it would look ahead")
        return self


@dataclass(frozen=True, config=_STRICT)
class Transformer:
    """Transformer encoder layers (pre-norm) with sinusoidal positions.

    Attributes:
        size: width; a dense layer brings the input to it. None keeps the input's.
        layers: how many.
        heads: attention heads, must divide the width.
        feedforward: width of the inner dense layers.
        dropout: everywhere in the layers.
    """

    kind: Literal["transformer"] = "transformer"
    size: Count | None = 128
    layers: Count = 2
    heads: Count = 4
    feedforward: Count = 256
    dropout: Fraction = 0.1

    @model_validator(mode="after")
    def _check(self) -> Transformer:
        if self.size is not None and self.size % self.heads:
            raise ValueError("size must be a multiple of heads")
        return self


@dataclass(frozen=True, config=_STRICT)
class EncoderDecoder:
    """A whole transformer (Vaswani et al. 2017), pre-norm: the encoder reads the branch, the
    decoder reads the branch's ``target`` (or the branch again) and attends to the encoder.

    Attributes:
        size: width; None keeps that of what comes in, else a dense layer brings it to this.
        layers: of the encoder, and as many of the decoder.
        heads: attention heads, must divide the width.
        feedforward: width of the inner dense layers.
        dropout: everywhere in the layers.
        position: ``none``, or ``time``: sines and cosines, of learned frequencies, of a frame's
            place in its window from 0 to 1.
        causal: whether the decoder's self-attention sees earlier frames only.
    """

    kind: Literal["encoder_decoder"] = "encoder_decoder"
    size: Count | None = None
    layers: Count = 3
    heads: Count = 8
    feedforward: Count = 1024
    dropout: Fraction = 0.3
    position: Literal["none", "time"] = "none"
    causal: bool = False


@dataclass(frozen=True, config=_STRICT)
class LocalAttention:
    """Self-attention layers in which a frame attends to its neighbourhood.

    Attributes:
        window: frames that a frame attends to, itself among them.
        layers: how many.
        heads: attention heads, must divide the width.
        causal: whether the neighbourhood ends with the frame; else it is centred, and ``window``
            odd.
        dropout: on the weights and behind each layer.
    """

    kind: Literal["local_attention"] = "local_attention"
    window: Count = 33
    layers: Count = 2
    heads: Count = 1
    causal: bool = False
    dropout: Fraction = 0.0

    @model_validator(mode="after")
    def _check(self) -> LocalAttention:
        if not self.causal and self.window % 2 == 0:
            raise ValueError("a centred window must be odd")
        return self


@dataclass(frozen=True, config=_STRICT)
class UpDown:
    """Two dense layers with ReLU, wider and back again ("feature expansion and compression").

    Attributes:
        factor: how many times wider.
        dropout: behind each layer.
    """

    kind: Literal["up_down"] = "up_down"
    factor: Annotated[float, Field(ge=1, le=16)] = 1.5
    dropout: Fraction = 0.0


Block = Annotated[
    Dense | Recurrent | Tcn | Transformer | EncoderDecoder | LocalAttention | UpDown,
    Field(discriminator="kind"),
]


@dataclass(frozen=True, config=_STRICT)
class Backbone:
    """A convolutional net on each frame's aligned face.

    Attributes:
        net: a key of ``networks.backbones.BACKBONES``.
        pretrained: whether training starts from ImageNet's weights; without them at hand it starts
            at random, and says so.
        frozen: stages that are not trained, by name; their batch statistics stay too.
        size: pixels that faces are brought to.
        checkpointing: whether activations are computed again in the backward pass, which saves
            most of the memory and costs a third more time.
        dropout: on what comes out.
    """

    kind: Literal["backbone"] = "backbone"
    net: str = "regnet_y_400mf"
    pretrained: bool = True
    frozen: tuple[str, ...] = ()
    size: Annotated[int, Field(ge=32, le=512)] = 112
    checkpointing: bool = False
    dropout: Fraction = 0.0


@dataclass(frozen=True, config=_STRICT)
class PhaseDifference:
    """How each frame's face moves: differences of local phase between neighbouring frames, and a
    small convolutional net on them (seed paper 002, after MIMAMO-Net, Deng et al. 2020).

    Attributes:
        size: pixels that grey faces are brought to.
        differences: so many around each frame, even.
        bands: orientations of the steerable pyramid.
        levels: of the pyramid, from 1, the finest, on.
        channels: of each convolution block.
        units: size of the dense layer behind, which is what comes out.
        dropout: on the maps of the convolutions.
        out_dropout: behind the dense layer.
    """

    kind: Literal["phase"] = "phase"
    size: Annotated[int, Field(ge=16, le=128, multiple_of=8)] = 48
    differences: Annotated[int, Field(ge=2, multiple_of=2)] = 12
    bands: Count = 2
    levels: Annotated[tuple[Annotated[int, Field(ge=1, le=3)], ...], Field(min_length=1)] = (1, 2)
    channels: Sizes = (64,)
    units: Count = 256
    dropout: Fraction = 0.2
    out_dropout: Fraction = 0.3


Encoder = Annotated[Backbone | PhaseDifference, Field(discriminator="kind")]
FACES = "faces"
"""The array of aligned faces, uint8 [N, S, S, 3] RGB, which ``features.pictures`` reads."""


@dataclass(frozen=True, config=_STRICT)
class Branch:
    """What becomes of the features of one modality, or of another branch, before fusion.

    Attributes:
        modality: ``audio`` or ``video``, what ``--modalities`` chooses by; of a branch that goes
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
    layers: tuple[Block, ...] = ()
    encoder: Encoder | None = None
    input: BranchName | None = None
    target: BranchName | None = None
    fused: bool = True
    normalise: Literal["train", "clip", "none"] = "train"

    @model_validator(mode="after")
    def _check(self) -> Branch:
        if self.input is not None and (self.features or self.encoder):
            raise ValueError("a branch with an input has neither features nor an encoder")
        if self.encoder is not None and self.features != (FACES,):
            raise ValueError(f"an encoder reads features: [{FACES}]")
        if self.encoder is None and FACES in self.features:
            raise ValueError(f"'{FACES}' are pictures, which want an encoder")
        if self.input is None and not self.features:
            raise ValueError("a branch reads features or has an input")
        kinds = [one.kind for one in self.layers]
        if self.target is not None and "encoder_decoder" not in kinds:
            raise ValueError("only the block encoder_decoder reads a target")
        pools = [isinstance(one, Tcn) and one.pool > 1 for one in self.layers]
        if self.target is not None and any(pools[: kinds.index("encoder_decoder")]):
            raise ValueError("a block that pools cannot stand before one that reads a target")
        return self

    @property
    def reads(self) -> tuple[tuple[str, ...], str]:
        """What tells branches apart that read the same of the store from those that do not."""
        return self.features, "none" if self.encoder else self.normalise


@dataclass(frozen=True, config=_STRICT)
class Fusion:
    """How branches become one.

    Attributes:
        kind: ``concat``; ``gated`` (branches brought to ``size``, weighted by a softmax gate over
            those that are there); ``cross_attention`` (each branch attends to the others,
            ``size`` wide); ``late`` (a head a branch, opinions averaged over those that are
            there); ``stacked`` (a head a branch, all that they say into dense layers).
        size: width, of ``gated`` and ``cross_attention``.
        heads: attention heads, must divide ``size``.
        units: sizes of the dense layers of ``stacked`` before its last one.
        dropout: on what comes out.
        layers: blocks on what comes out, one after the other; not of ``late`` and ``stacked``.
    """

    kind: Literal["concat", "gated", "cross_attention", "late", "stacked"] = "concat"
    size: Count = 128
    heads: Count = 4
    units: tuple[Count, ...] = ()
    dropout: Fraction = 0.0
    layers: tuple[Block, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> Fusion:
        if self.kind == "cross_attention" and self.size % self.heads:
            raise ValueError("size must be a multiple of heads")
        if self.layers and self.kind in ("late", "stacked"):
            raise ValueError(f"there is nothing for layers to stand on in the fusion {self.kind}")
        if any(isinstance(one, Tcn) and one.pool > 1 for one in self.layers):
            raise ValueError("layers behind the fusion cannot pool")
        return self


@dataclass(frozen=True, config=_STRICT)
class Head:
    """What each task has on top of the fusion: these layers, then one dense layer.

    Attributes:
        units: sizes of dense layers, may be empty.
        pool: ``none`` gives an output a frame; ``mean``, ``attention``, ``statistics`` (mean,
            deviation and maximum) or ``attentive_statistics`` (mean and deviation weighted by
            attention, Okabe et al. 2018) make one of a window, which then holds for all its
            frames.
        out_norm: between pooling and the last layer.
        out_dropout: behind that.
    """

    units: tuple[Count, ...] = ()
    activation: Activation = "relu"
    dropout: Fraction = 0.0
    norm: Norm = "none"
    pool: Literal["none", "mean", "attention", "statistics", "attentive_statistics"] = "none"
    out_norm: Norm = "none"
    out_dropout: Fraction = 0.0


@dataclass(frozen=True, config=_STRICT)
class Polarity:
    """Classifiers of the extremes of valence and arousal: -1, other, +1 (seed paper 001).

    They are trained first. Where one of them says an extreme, that is the value; the regression
    learns from the other frames, and its arousal reads the features of its valence too.

    Attributes:
        epochs: in which they are trained alone.
        units: sizes of dense layers, of each classifier and each regression.
        weight: of their cross-entropy in the later epochs, so that they go on to fit features that
            the regression changes.
    """

    epochs: Annotated[int, Field(ge=0)] = 2
    units: Sizes = (256,)
    weight: NotNegative = 1.0


@dataclass(frozen=True, config=_STRICT)
class Loss:
    """A task's loss: a weighted sum of terms.

    Attributes:
        terms: by name (``training.losses.LOSSES``), the factor.
        weight: factor of the whole in a multi-task sum.
        over: ``batch`` or ``sequence``: what one CCC is taken over.
        gamma: of the focal terms.
        alpha: of the binary focal term, the weight of the positive class; None weighs alike.
        balance: weights of classes or units by their counts in training: ``none``, ``inverse``
            or ``sqrt_inverse``.
        lds: label distribution smoothing of regression (Yang et al. 2021): ``none``,
            ``inverse`` or ``sqrt_inverse``.
        lds_bins: bins over [-1, 1].
        lds_kernel: bins of the Gaussian kernel, odd.
        lds_sigma: its deviation in bins.
        smoothing: label smoothing of the cross-entropy.
        other_threshold: of expressions, trains without the frames of the class Other, and says
            Other where no other class reaches this probability (seed paper 001, section 3.2);
            None trains it as a class.
    """

    terms: Annotated[dict[str, NotNegative], Field(min_length=1)]
    weight: Positive = 1.0
    over: Literal["batch", "sequence"] = "batch"
    gamma: NotNegative = 2.0
    alpha: Fraction | None = None
    balance: Literal["none", "inverse", "sqrt_inverse"] = "none"
    lds: Literal["none", "inverse", "sqrt_inverse"] = "none"
    lds_bins: Count = 20
    lds_kernel: Count = 5
    lds_sigma: Positive = 2.0
    smoothing: Fraction = 0.0
    other_threshold: Annotated[float, Field(gt=0, lt=1)] | None = None

    @model_validator(mode="after")
    def _check(self) -> Loss:
        if self.lds_kernel % 2 == 0 or self.lds_kernel > self.lds_bins:
            raise ValueError("lds_kernel must be odd and at most lds_bins")
        return self


@dataclass(frozen=True, config=_STRICT)
class Window:
    """How clips are cut into sequences.

    Attributes:
        length: frames.
        overlap: frames that a window shares with the next, in training.
        predict_overlap: the same in validation and prediction; None as in training.
    """

    length: Count = 64
    overlap: Annotated[int, Field(ge=0)] = 0
    predict_overlap: Annotated[int, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _check(self) -> Window:
        if max(self.overlap, self.predict_overlap or 0) >= self.length:
            raise ValueError("overlap must be less than length")
        return self


@dataclass(frozen=True, config=_STRICT)
class Augment:
    """Changes to training windows; ``stretch``, ``vtlp`` and ``gain_db`` before features are
    standardised, the others behind. Those of pictures are drawn once a window: all frames of a
    sequence are turned, cropped, mirrored and coloured alike.

    Attributes:
        stretch: a window is played up to this share faster or slower, labels too.
        vtlp: vocal tract length perturbation (Jaitly and Hinton 2013), of the array ``audio``: mel
            bands are read at frequencies up to ``exp(vtlp)`` times higher or lower, and the MFCC
            made again from them.
        gain_db: deviation of the loudness of a window, decibels; of the array ``audio``.
        noise: deviation of Gaussian noise.
        column_dropout: chance of each feature to be the mean for a whole window.
        feature_masks: spans of columns set to the mean, so many a window.
        feature_mask: at most so many columns a span.
        time_masks: likewise, spans of frames.
        time_mask: at most so many frames a span.
        mixup: alpha of mixing windows and their class targets (Zhang et al. 2018); 0 is off.
        flip: chance of pictures to be mirrored.
        rotation: pictures are turned by up to so many degrees.
        crop: pictures lose up to this share of their area, and are enlarged again.
        brightness: pictures become up to this share brighter or darker.
        contrast: likewise, contrast.
        saturation: likewise, saturation.
        hue: colours are turned by up to this share of the circle.
    """

    stretch: Fraction = 0.0
    vtlp: Fraction = 0.0
    gain_db: NotNegative = 0.0
    noise: NotNegative = 0.0
    column_dropout: Fraction = 0.0
    feature_masks: Annotated[int, Field(ge=0)] = 0
    feature_mask: Count = 20
    time_masks: Annotated[int, Field(ge=0)] = 0
    time_mask: Count = 20
    mixup: NotNegative = 0.0
    flip: Annotated[float, Field(ge=0, le=1)] = 0.0
    rotation: Annotated[float, Field(ge=0, le=180)] = 0.0
    crop: Fraction = 0.0
    brightness: Fraction = 0.0
    contrast: Fraction = 0.0
    saturation: Fraction = 0.0
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.0


@dataclass(frozen=True, config=_STRICT)
class Train:
    """The loop.

    Attributes:
        epochs: at most so many.
        batch_size: windows, over all processes together.
        optimiser: ``rmsprop``, ``adam``, ``adamw`` or ``sgd``.
        lr: learning rate.
        weight_decay: as the optimiser means it.
        momentum: of ``sgd`` and ``rmsprop``.
        schedule: ``none``, ``cosine`` (to ``min_lr`` behind the last epoch), ``cosine_restarts``,
            ``step`` or ``plateau``.
        schedule_epochs: epochs of the first cosine, between steps, or of patience on a plateau.
        schedule_factor: growth of the cosine's period, or factor of the learning rate.
        min_lr: where a cosine or plateau ends.
        warmup: steps in which the learning rate grows to its value.
        clip_norm: largest norm of the gradient; 0 does not clip.
        patience: epochs without a better validation score before the end; 0 never stops early.
        ema: decay of an average of the weights, used for validation and saved; 0 is off.
        amp: ``auto`` (bf16 or fp16 on CUDA, none on the CPU), ``none``, ``bf16`` or ``fp16``.
        modality_dropout: chance of each modality to be taken from a training window, unless that
            would take all that it has.
        sampling: ``shuffle``, or ``balanced`` (windows drawn so that classes occur alike).
        select: ``best`` validation score, or the ``last`` epoch, is what prediction uses.
        augment: changes to training windows.
    """

    epochs: Count = 30
    batch_size: Count = 64
    optimiser: Literal["rmsprop", "adam", "adamw", "sgd"] = "adam"
    lr: Positive = 1e-3
    weight_decay: NotNegative = 0.0
    momentum: Fraction = 0.0
    schedule: Literal["none", "cosine", "cosine_restarts", "step", "plateau"] = "none"
    schedule_epochs: Count = 10
    schedule_factor: Positive = 1.0
    min_lr: NotNegative = 0.0
    warmup: Annotated[int, Field(ge=0)] = 0
    clip_norm: NotNegative = 0.0
    patience: Annotated[int, Field(ge=0)] = 0
    ema: Fraction = 0.0
    amp: Literal["auto", "none", "bf16", "fp16"] = "auto"
    modality_dropout: Fraction = 0.0
    sampling: Literal["shuffle", "balanced"] = "shuffle"
    select: Literal["best", "last"] = "best"
    augment: Augment = field(default_factory=Augment)


@dataclass(frozen=True, config=_STRICT)
class Recipe:
    """A network and how it is trained.

    Attributes:
        name: what it is called.
        about: what it is, in a sentence or two.
        source: paper and section, or where it comes from.
        branches: by name (letters, digits, ``_`` and ``-``); their order is that of the fusion.
        tasks: by task (``va``, ``expr``, ``au``), its loss.
        auxiliary: branches that get heads of their own in training. The loss of a task is the mean
            of that of the fusion's head and of theirs; with ``late`` and ``stacked`` they are the
            very heads that are fused.
        polarity: of the task ``va``; None has none.
    """

    name: str
    branches: Annotated[dict[BranchName, Branch], Field(min_length=1)]
    tasks: Annotated[dict[Literal["va", "expr", "au"], Loss], Field(min_length=1)]
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
        for name, branch in self.branches.items():
            for other in (branch.input, branch.target):
                if other is not None and other not in earlier:
                    raise ValueError(f"branches.{name}: there is no earlier branch '{other}'")
            earlier.append(name)
        if not any(branch.fused for branch in self.branches.values()):
            raise ValueError("branches: none is fused")
        read = {one for b in self.branches.values() for one in (b.input, b.target)}
        for name, branch in self.branches.items():
            if not branch.fused and name not in read and name not in self.auxiliary:
                raise ValueError(f"branches.{name}: is neither fused nor read by another branch")
        looks = any(branch.encoder is not None for branch in self.branches.values())
        if looks and self.train.augment.stretch:
            raise ValueError("train.augment.stretch: pictures cannot be played faster or slower")
        if self.polarity is not None and "va" not in self.tasks:
            raise ValueError("polarity: wants the task va")
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
        return {name: one for name, one in self.branches.items() if one.input is None}

    @property
    def fused(self) -> tuple[str, ...]:
        """The branches that the fusion joins, in order."""
        return tuple(name for name, one in self.branches.items() if one.fused)

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
