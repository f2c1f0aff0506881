"""starter_training/voice_context.py: groups of a speaker, and a net that hears more of them."""

import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "starter_training"))

from voice_context import GROUP, ContextNet
from voice_corpora import LABELS, Take
from voice_multi_net import Lessons
from voice_net import LENGTH, Heard

TAKES = [
    Take("nemo", "", "", f"p{person}", "F", label, "01", 0)
    for person in range(3)
    for label in LABELS
]


def lessons() -> Lessons:
    return Lessons.of(TAKES, np.ones(len(TAKES), bool))


def test_a_group_is_one_speaker_of_any_two_or_one_emotion() -> None:
    rows = ContextNet(size=8).draw(lessons(), 400 * GROUP, np.random.default_rng(0))
    groups = rows.reshape(-1, GROUP)
    people, labels = lessons().speaker[groups], lessons().label[groups]
    assert (people == people[:, :1]).all()
    kinds = np.array([len(set(group)) for group in labels.tolist()])
    assert 0.15 < (kinds == 1).mean() < 0.35
    assert 0.15 < (kinds == 2).mean() < 0.4
    assert (kinds > 3).mean() > 0.4


def test_alone_nothing_differs_from_the_mean_and_beside_others_it_does() -> None:
    torch.manual_seed(0)
    net = ContextNet(size=8).eval()
    said = torch.randn(5, 16)
    alone, beside = net.judged(said, said), net.judged(said, said.mean(0, keepdim=True))
    assert alone.shape == (5, 9)
    assert not torch.allclose(alone, beside)


def test_others_are_of_the_group_alone() -> None:
    said = torch.arange(4.0).repeat_interleave(GROUP)[:, None]
    torch.testing.assert_close(ContextNet(size=8)._mean_of_some(said), said)


def test_takes_are_judged_beside_more_of_the_speaker() -> None:
    rng = np.random.default_rng(0)
    mel = rng.normal(-50, 5, (len(TAKES) * 90, 128)).astype(np.float16)
    ends = np.arange(1, len(TAKES) + 1)[None] * 90
    heard = Heard((mel,), ends, np.tile((10, 80), (1, len(TAKES), 1)))
    mine = np.arange(8, 16)
    out = ContextNet(size=8).with_more(heard, mine, lessons(), LENGTH)
    assert set(out) == {"beside any", "beside the same emotion"}
    for rows in out.values():
        assert np.stack(rows).shape == (8, 1, 9)
        assert np.isfinite(np.stack(rows)).all()
