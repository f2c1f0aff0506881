"""Simulated expression nets: calibrated probabilities for pictures whose votes are known.

Each class has a point in a space, confusable ones near each other. A picture is seen, with
Gaussian noise, at its votes' centre (sees="picture": the net is unsure of what people are unsure
of) or at its label's point (sees="label": its errors have nothing to do with the picture, the
worst case). Bayes' rule gives the probabilities of a label, by plurality or by one rater's vote.
They are calibrated by construction.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ratings import OTHER

from avaffect.labels import EXPRESSIONS

Array = NDArray[np.float64]

# How alike a net finds two expressions, 0 to 1, after the usual confusions on FER2013.
ALIKE = {
    ("Fear", "Surprise"): 0.6,
    ("Fear", "Sadness"): 0.5,
    ("Anger", "Disgust"): 0.5,
    ("Neutral", "Sadness"): 0.5,
    ("Anger", "Sadness"): 0.4,
    ("Neutral", "Anger"): 0.3,
    ("Anger", "Fear"): 0.3,
    ("Happiness", "Surprise"): 0.2,
}
# By plurality each list gives accuracies of about 55, 70 and 85 %.
NOISE = {"picture": (0.4, 0.25, 0.15), "label": (0.75, 0.55, 0.4)}


@dataclass(frozen=True)
class Pictures:
    """Votes [N, 7] as shares, without Other, and mean ratings [N, 2]."""

    votes: Array
    means: Array

    def __getitem__(self, rows: Any) -> Pictures:
        return Pictures(self.votes[rows], self.means[rows])


@dataclass(frozen=True)
class Net:
    """A simulated net, see the module's text; ``alike`` counts in ALIKE."""

    sees: str
    label: str
    alike: bool
    noise: float

    def __str__(self) -> str:
        confusions = "plausible" if self.alike else "uniform"
        return f"sees {self.sees}, label by {self.label}, {confusions} confusions"

    def probabilities(self, votes: Array, rng: np.random.Generator) -> tuple[Array, Array]:
        """Calibrated probabilities [N, 7] and the labels [N, 7] that they are about."""
        points = _points(self.alike)
        plurality = np.eye(OTHER)[votes.argmax(axis=1)]
        vote = np.eye(OTHER)[(rng.random((len(votes), 1)) > votes.cumsum(axis=1)[:, :-1]).sum(1)]
        labels = plurality if self.label == "plurality" else vote
        centres = (votes if self.sees == "picture" else labels) @ points
        seen = centres + self.noise * rng.normal(size=centres.shape)
        if self.sees == "label":
            chances = self._likelihood(seen, points) * labels.mean(axis=0)
        else:
            # Among all other pictures, since one's own votes would give it away.
            likelihood = self._likelihood(seen, centres, own=False)
            chances = likelihood @ (plurality if self.label == "plurality" else votes)
        return chances / chances.sum(axis=1, keepdims=True), labels

    def _likelihood(self, seen: Array, centres: Array, own: bool = True) -> Array:
        distance = ((seen[:, None] - centres[None]) ** 2).sum(axis=2)
        if not own:
            np.fill_diagonal(distance, np.inf)
        nearest = distance.min(axis=1, keepdims=True)
        return np.exp((nearest - distance) / (2 * self.noise**2))


def _points(alike: bool) -> Array:
    """[7, 7], a point a class whose inner products are their likeness."""
    likeness = np.eye(OTHER)
    for (one, other), value in ALIKE.items() if alike else ():
        i, j = EXPRESSIONS.index(one), EXPRESSIONS.index(other)
        likeness[i, j] = likeness[j, i] = value
    values, vectors = np.linalg.eigh(likeness)
    return vectors * np.sqrt(np.maximum(values, 0))


NETS = tuple(
    Net(sees, label, alike, noise)
    for sees, label, alike in product(NOISE, ("plurality", "vote"), (False, True))
    for noise in NOISE[sees]
)
MIDDLE = tuple(net for net in NETS if net.noise == NOISE[net.sees][1])


@dataclass(frozen=True)
class Seen:
    """What every net says of the same pictures: probabilities and labels, [N, 7] each."""

    pictures: Pictures
    probabilities: dict[Net, Array]
    labels: dict[Net, Array]

    def rows(self, rows: Any) -> Seen:
        return Seen(
            self.pictures[rows],
            {net: p[rows] for net, p in self.probabilities.items()},
            {net: y[rows] for net, y in self.labels.items()},
        )

    def fitted_on(self) -> tuple[Array, Array]:
        """Probabilities and mean ratings of all nets that see pictures, one after the other."""
        parts = [p for net, p in self.probabilities.items() if net.sees == "picture"]
        return np.concatenate(parts), np.tile(self.pictures.means, (len(parts), 1))


def look(pictures: Pictures) -> Seen:
    found = {
        net: net.probabilities(pictures.votes, np.random.default_rng(seed))
        for seed, net in enumerate(NETS)
    }
    return Seen(pictures, *({net: pair[i] for net, pair in found.items()} for i in (0, 1)))
