"""Settings of losses, windows and the loop in a recipe."""

from __future__ import annotations

from dataclasses import field
from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from avaffect.checked import STRICT
from avaffect.recipes.values import Count, Fraction, NotNegative, Positive


@dataclass(frozen=True, config=STRICT)
class Loss:
    """A task's loss: a weighted sum of terms.

    Attributes:
        terms: by name (``training.losses.LOSSES``), the factor.
        weight: factor of the whole in a multi-task sum.
        over: ``batch`` or ``sequence``: what one CCC is taken over.
        gamma: of the focal terms.
        alpha: of the binary focal term, the weight of the positive class; None weighs alike.
        balance: weights of classes or units by their counts in training: ``none``, ``inverse``,
            ``sqrt_inverse`` or ``frequency``. Of units, the first two make present and absent
            frames of each weigh alike; ``frequency`` weighs units against each other, one over
            how often each is present with a mean of 1, and leaves the rest to ``alpha``.
        lds: label distribution smoothing of regression (Yang et al. 2021): ``none``,
            ``inverse`` or ``sqrt_inverse``.
        lds_bins: bins over [-1, 1].
        lds_kernel: bins of the Gaussian kernel, odd.
        lds_sigma: its deviation in bins.
        smoothing: label smoothing of the cross-entropy.
        other_threshold: of expressions, trains without the frames of the class Other, and predicts
            Other where no other class reaches this probability (Wang et al., ABAW5, section 3.2);
            None trains it as a class.
    """

    terms: Annotated[dict[str, NotNegative], Field(min_length=1)]
    weight: Positive = 1.0
    over: Literal["batch", "sequence"] = "batch"
    gamma: NotNegative = 2.0
    alpha: Fraction | None = None
    balance: Literal["none", "inverse", "sqrt_inverse", "frequency"] = "none"
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


@dataclass(frozen=True, config=STRICT)
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


@dataclass(frozen=True, config=STRICT)
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
        aspect: such crops are up to so many times wider than high, or higher than wide, within
            the picture.
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
    feature_masks: Annotated[int, Field(ge=0, le=1000)] = 0
    feature_mask: Count = 20
    time_masks: Annotated[int, Field(ge=0, le=1000)] = 0
    time_mask: Count = 20
    mixup: NotNegative = 0.0
    flip: Annotated[float, Field(ge=0, le=1)] = 0.0
    rotation: Annotated[float, Field(ge=0, le=180)] = 0.0
    crop: Fraction = 0.0
    aspect: Annotated[float, Field(ge=1, le=4)] = 1.0
    brightness: Fraction = 0.0
    contrast: Fraction = 0.0
    saturation: Fraction = 0.0
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.0


@dataclass(frozen=True, config=STRICT)
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
        amp: ``auto`` (bf16 or fp16 on CUDA, none on the CPU), ``none``, ``bf16`` or ``fp16``; on a
            CPU that cannot compute in what is chosen, none.
        modality_dropout: chance of each modality to be taken from a training window, unless that
            would take all that it has.
        sampling: ``shuffle``, or ``balanced`` (windows drawn so that classes occur alike).
        weighting: of the tasks' losses against each other: ``fixed`` (each task's ``weight``), or
            ``uncertainty``: by learnt log variances too (Kendall, Gal and Cipolla 2018), where a
            task counts in those batches alone in which it is labelled.
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
    weighting: Literal["fixed", "uncertainty"] = "fixed"
    select: Literal["best", "last"] = "best"
    augment: Augment = field(default_factory=Augment)

    @property
    def chooses(self) -> bool:
        """Whether scores of the validation change the model that comes out."""
        return self.select == "best" or self.patience > 0 or self.schedule == "plateau"
