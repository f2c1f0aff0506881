"""Settings of encoders in a recipe: nets on crops (``networks.frame_encoders``)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from avaffect.checked import STRICT
from avaffect.recipes.values import Count, Fraction, Layers, Norm, Sizes


@dataclass(frozen=True, config=STRICT)
class Backbone:
    """A convolutional net on each frame's crop.

    Attributes:
        net: a key of ``networks.backbones.BACKBONES``.
        pretrained: whether training starts from ImageNet's weights; without them at hand it starts
            at random, with a notice.
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


@dataclass(frozen=True, config=STRICT)
class PhaseDifference:
    """How each frame's face moves: differences of local phase between neighbouring frames, and a
    small convolutional net on them (Xie et al., ABAW2, after MIMAMO-Net, Deng et al. 2020).

    Attributes:
        size: pixels that grey faces are brought to.
        differences: so many around each frame, even.
        bands: orientations of the steerable pyramid.
        levels: of the pyramid, from 1, the finest, on.
        channels: of each convolution block.
        units: size of each dense layer behind, which is what comes out.
        layers: dense layers behind, each with ReLU, ``norm`` and dropout.
        norm: of the dense layers.
        dropout: on the maps of the convolutions.
        out_dropout: of the dense layers.
        context: whether a window is read with half as many frames more on each side as there are
            differences, so that those at its ends have all that is around them; else what lies
            beyond the window counts as no motion.
    """

    kind: Literal["phase"] = "phase"
    size: Annotated[int, Field(ge=16, le=128, multiple_of=8)] = 48
    differences: Annotated[int, Field(ge=2, le=256, multiple_of=2)] = 12
    bands: Layers = 2
    levels: Annotated[
        tuple[Annotated[int, Field(ge=1, le=3)], ...], Field(min_length=1, max_length=3)
    ] = (1, 2)
    channels: Sizes = (64,)
    units: Count = 256
    layers: Layers = 1
    norm: Norm = "none"
    dropout: Fraction = 0.2
    out_dropout: Fraction = 0.3
    context: bool = False


Encoder = Annotated[Backbone | PhaseDifference, Field(discriminator="kind")]
