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
        size: width; a dense layer brings the input to it.
        layers: how many.
        heads: attention heads, must divide ``size``.
        feedforward: width of the inner dense layers.
        dropout: everywhere in the layers.
    """

    kind: Literal["transformer"] = "transformer"
    size: Count = 128
    layers: Count = 2
    heads: Count = 4
    feedforward: Count = 256
    dropout: Fraction = 0.1

    @model_validator(mode="after")
    def _check(self) -> Transformer:
        if self.size % self.heads:
            raise ValueError("size must be a multiple of heads")
        return self


Block = Annotated[Dense | Recurrent | Tcn | Transformer, Field(discriminator="kind")]


@dataclass(frozen=True, config=_STRICT)
class Branch:
    """What becomes of the features of one modality before fusion.

    Attributes:
        modality: ``audio`` or ``video``, what ``--modalities`` chooses by.
        features: arrays of the feature store, concatenated.
        layers: blocks, one after the other.
        normalise: ``train`` (mean and deviation of the training frames), ``clip`` (of the clip's
            own frames) or ``none``.
    """

    modality: Literal["audio", "video"]
    features: Annotated[tuple[str, ...], Field(min_length=1)]
    layers: Annotated[tuple[Block, ...], Field(min_length=1)]
    normalise: Literal["train", "clip", "none"] = "train"


@dataclass(frozen=True, config=_STRICT)
class Fusion:
    """How branches become one.

    Attributes:
        kind: ``concat``; ``gated`` (branches brought to ``size``, weighted by a softmax gate over
            those that are there); ``cross_attention`` (each branch attends to the others,
            ``size`` wide); ``late`` (a head a branch, opinions averaged over those that are
            there).
        size: width, of ``gated`` and ``cross_attention``.
        heads: attention heads, must divide ``size``.
        dropout: on what comes out.
    """

    kind: Literal["concat", "gated", "cross_attention", "late"] = "concat"
    size: Count = 128
    heads: Count = 4
    dropout: Fraction = 0.0

    @model_validator(mode="after")
    def _check(self) -> Fusion:
        if self.kind == "cross_attention" and self.size % self.heads:
            raise ValueError("size must be a multiple of heads")
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
    standardised, the others behind.

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

    @property
    def task_names(self) -> tuple[str, ...]:
        """The tasks in the order of ``TASKS``."""
        return tuple(task for task in TASKS if task in self.tasks)

    @property
    def modalities(self) -> tuple[str, ...]:
        """Those that a branch reads, in order."""
        return tuple(dict.fromkeys(branch.modality for branch in self.branches.values()))

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
