"""A voice net that hears more of the speaker than the window in question: an experiment.

A voice is high or low, dark or bright before it is excited. Of linear models of utterances, with
corpora left out, the mean recall was .32, and .43 once the mean of ten other utterances of the
speaker was taken off, whatever was acted in them; but .15 if all eleven were of one emotion. Here
a net is told both, the window and how it differs from the mean of what it has heard of the
speaker, and learns from groups of every mixture how far to trust that.

Not in the package: avaffect.sound.voice would have to collect a file's embeddings, and judge then.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from voice_multi_net import EMOTIONS, Lessons, MultiNet
from voice_net import Heard, window_starts

GROUP = 8
"""Windows of one speaker in a row, in training."""
KINDS_OF_GROUP = (0.5, 0.25, 0.25)
"""Chances of a group of any emotions, of two, and of one."""
OTHERS = 10


class ContextNet(MultiNet):
    """As :class:`MultiNet`; its judgement is of embeddings and their distance from a mean."""

    def __init__(self, share: float = 0.0, size: int = 128) -> None:
        super().__init__(share, size)
        self.head = nn.Identity()
        self.judge = nn.Sequential(
            nn.BatchNorm1d(4 * size),
            nn.Dropout(0.3),
            nn.Linear(4 * size, size),
            nn.ReLU(),
            nn.Dropout(0.2),
            nn.Linear(size, EMOTIONS + 1),
        )

    def draw(self, lessons: Lessons, batch: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Groups of ``GROUP`` takes of a speaker, one after the other."""
        out = []
        for first in rng.choice(len(lessons.label), batch // GROUP, p=lessons.chance):
            chance = lessons.chance * (lessons.speaker == lessons.speaker[first])
            emotions = rng.choice((len(lessons.label), 2, 1), p=KINDS_OF_GROUP)
            known = rng.permutation(np.unique(lessons.label[chance > 0]))
            kept = np.append(lessons.label[first], known[known != lessons.label[first]])
            chance = chance * np.isin(lessons.label, kept[:emotions])
            out.append(rng.choice(len(chance), GROUP, p=chance / chance.sum()))
        return np.concatenate(out)

    def classify(self, x: Tensor) -> Tensor:
        """Logits; in training beside some of the group, else of each window alone."""
        said = self.embed(x)
        return self.judged(said, self._mean_of_some(said) if self.training else said)

    def judged(self, said: Tensor, mean: Tensor) -> Tensor:
        """Logits [B, 9] of embeddings [B, 2 * size], and of the mean of what was heard."""
        return self.judge(torch.cat((said, said - mean), dim=1))

    def _mean_of_some(self, said: Tensor) -> Tensor:
        """For each window the mean over itself and a number of others of its group."""
        groups = said.unflatten(0, (-1, GROUP))
        share = torch.rand(*groups.shape[:2], 1)
        some = (torch.rand(len(groups), GROUP, GROUP) < share).float()
        some = torch.maximum(some, torch.eye(GROUP))
        return (some @ groups / some.sum(-1, keepdim=True)).flatten(0, 1)

    def with_more(
        self, heard: Heard, takes: NDArray[np.int64], lessons: Lessons, hop: int
    ) -> dict[str, list[NDArray[np.float32]]]:
        """What it says of takes, a row each, beside ``OTHERS`` of the speaker: any, or alike."""
        self.eval()
        rng, said = np.random.default_rng(0), []
        label, speaker = lessons.label[takes], lessons.speaker[takes]
        with torch.inference_mode():
            for take in takes.tolist():
                starts = window_starts(len(heard.rows(0, take)), hop)
                mel = torch.from_numpy(np.stack([heard.window(0, take, s) for s in starts]))
                said.append(self.embed(self.standardise(self.columns(mel))).mean(0))
            whole = torch.stack(said)
            out = {}
            for title, alike in (("beside any", False), ("beside the same emotion", True)):
                means = []
                for i in range(len(takes)):
                    same = (speaker == speaker[i]) & (not alike or label == label[i])
                    others = rng.choice(np.flatnonzero(same), OTHERS)
                    means.append(whole[np.append(others, i)].mean(0))
                logits = self.judged(whole, torch.stack(means)).numpy()
                out[title] = [row[None] for row in logits]
        return out
