"""Settings of blocks in a recipe: what a branch is made of (``networks.blocks``)."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from avaffect.checked import STRICT
from avaffect.recipes.values import Activation, Count, Fraction, Layers, Norm, Sizes

Step = Literal["dense", "activation", "dropout", "norm"]


@dataclass(frozen=True, config=STRICT)
class Dense:
    """Dense layers on each frame for itself (Keras: TimeDistributed).

    Attributes:
        units: size of each layer.
        activation: of each layer.
        dropout: of each layer.
        norm: of each layer; ``batch`` over all valid frames of a batch.
        order: of the steps of each layer; before the dense one only dropout may stand.
    """

    kind: Literal["mlp"] = "mlp"
    units: Sizes = (64,)
    activation: Activation = "relu"
    dropout: Fraction = 0.0
    norm: Norm = "none"
    order: tuple[Step, Step, Step, Step] = ("dense", "activation", "dropout", "norm")

    @model_validator(mode="after")
    def _check(self) -> Dense:
        if sorted(self.order) != sorted(get_args(Step)):
            raise ValueError(f"order must hold each of {', '.join(get_args(Step))} once")
        if self.order[: self.order.index("dense")] not in ((), ("dropout",)):
            raise ValueError("order: before the dense step only dropout may stand")
        return self


@dataclass(frozen=True, config=STRICT)
class Recurrent:
    """A stack of recurrent layers; activation, dropout and norm follow each.

    Attributes:
        units: size of each layer, of each direction in the ``bi`` kinds (so twice as wide).
        residual: whether a layer's input is added to its output (through a dense layer where
            the sizes differ).
        last_dropout: whether dropout follows the last layer too; torch's own layers have it
            between layers only.
    """

    kind: Literal["gru", "bigru", "lstm", "bilstm"] = "gru"
    units: Sizes = (64,)
    residual: bool = False
    last_dropout: bool = True
    activation: Activation = "none"
    dropout: Fraction = 0.0
    norm: Norm = "none"


@dataclass(frozen=True, config=STRICT)
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
    depth: Layers = 1
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


@dataclass(frozen=True, config=STRICT)
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
    layers: Layers = 2
    heads: Count = 4
    feedforward: Count = 256
    dropout: Fraction = 0.1

    @model_validator(mode="after")
    def _check(self) -> Transformer:
        if self.size is not None and self.size % self.heads:
            raise ValueError("size must be a multiple of heads")
        return self


@dataclass(frozen=True, config=STRICT)
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
    layers: Layers = 3
    heads: Count = 8
    feedforward: Count = 1024
    dropout: Fraction = 0.3
    position: Literal["none", "time"] = "none"
    causal: bool = False


@dataclass(frozen=True, config=STRICT)
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
    layers: Layers = 2
    heads: Count = 1
    causal: bool = False
    dropout: Fraction = 0.0

    @model_validator(mode="after")
    def _check(self) -> LocalAttention:
        if not self.causal and self.window % 2 == 0:
            raise ValueError("a centred window must be odd")
        return self


@dataclass(frozen=True, config=STRICT)
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
