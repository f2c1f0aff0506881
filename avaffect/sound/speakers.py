"""What an emotion sounds like in a speaker who was never heard before.

Voices differ more between speakers than between emotions. Who hears one window cannot tell them
apart; who hears more of the speaker can, unless all of it was of one emotion. So both are worked
out at once: a window is the mean of its emotion, moved by what is the speaker's, and chance. Of
the speaker is known how far speakers differ; what else there is in the file tells more, the
surer its emotions are (loopy belief propagation on a model of Gaussians with one speaker a file).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avaffect.arrays import ArrayRecord, require_shape, softmax
from avaffect.errors import UsageError
from avaffect.files.outside import parse_json

Array = NDArray[np.float64]

ROUNDS = 8


@dataclass(frozen=True, eq=False, repr=False)
class Speakers(ArrayRecord):
    """Emotions and speakers in a space where chance has a deviation of 1 in each direction.

    Attributes:
        means: float64 [C, K], of each class.
        spread: float64 [K], the variance between speakers.
        prior: float64 [C], how likely the classes are before anything is heard.
        heed: 0..1, how much windows that do not overlap count as news of the speaker; less than 1
            because speech goes on as it was.
    """

    means: Array
    spread: Array
    prior: Array
    heed: float

    def __post_init__(self) -> None:
        require_shape("means", self.means, (None, None))
        require_shape("spread", self.spread, (self.means.shape[1],))
        require_shape("prior", self.prior, (len(self.means),))
        if not all(np.isfinite(getattr(self, name)).all() for name in self.__annotations__):
            raise UsageError("what is said of speakers holds what is no number")
        if not ((self.spread > 0).all() and (self.prior > 0).all() and 0 <= self.heed <= 1):
            raise UsageError("a spread or a prior is not above 0, or heed is not between 0 and 1")

    @classmethod
    def parse(cls, metadata: Mapping[str, str]) -> Speakers:
        """From the metadata of an ONNX file; an error of the parser's if it is wrong."""
        means, spread, prior, heed = (parse_json(metadata[name]) for name in cls.__annotations__)
        return cls(
            np.array(means, np.float64),
            np.array(spread, np.float64),
            np.array(prior, np.float64),
            float(heed),
        )

    def probabilities(
        self, windows: NDArray[np.float32], centres: Array, seconds: float, temperature: float
    ) -> NDArray[np.float32]:
        """Of each class, in windows of one file, all by one speaker.

        Args:
            windows: float32 [W, K].
            centres: float64 [W], seconds, rising.
            seconds: length of a window: what overlaps a window tells nothing new of its speaker.
            temperature: what the logits are divided by.

        Returns:
            float32 [W, C].
        """
        first = np.searchsorted(centres, centres - seconds, side="right")
        last = np.searchsorted(centres, centres + seconds, side="left")
        # Each second of speech counts once.
        share = self.heed / np.maximum(last - first, 1) * 2
        share = np.minimum(share, self.heed)[:, None]
        squares, prior = np.square(self.means), temperature * np.log(self.prior)
        mine = np.zeros(windows.shape)
        variance = np.broadcast_to(self.spread, windows.shape)
        for _ in range(ROUNDS):
            precision = 1 / (1 + variance)
            logits = ((windows - mine) * precision) @ self.means.T - precision @ squares.T / 2
            chances = softmax(logits + prior, temperature)
            mean = chances @ self.means
            unsure = np.maximum(chances @ squares - np.square(mean), 0)
            weight = share / (1 + unsure)
            known = _elsewhere(weight, first, last)
            variance = 1 / (1 / self.spread + known)
            mine = variance * _elsewhere(weight * (windows - mean), first, last)
        return chances.astype(np.float32)


def _elsewhere(values: Array, first: NDArray[np.intp], last: NDArray[np.intp]) -> Array:
    """[W, K]: for each row the sum of those before ``first`` and from ``last`` on."""
    total = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])
    return total[first] + (total[-1] - total[last])
