"""starter_training/voice_multi_net.py: what is heard, how often, and what the loss leaves out."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "starter_training"))

import voice_multi_net
from voice_corpora import LABELS, Take
from voice_multi_net import (
    EMOTIONS,
    Lessons,
    MultiNet,
    Training,
    drawn,
    losses,
    train,
    with_noise,
)
from voice_net import LENGTH, Heard

QUICK = Training(steps=4, batch=6, warmup=1)


def take(corpus: str, speaker: str, label: str) -> Take:
    return Take(corpus, "", "", speaker, "F", label, "01", 0)


TAKES = [
    *(take("ravdess", "a", label) for label in LABELS),
    *(take("ravdess", "a", "calm") for _ in range(3)),
    take("ravdess", "b", "angry"),
    *(take("casia", "c", label) for label in ("angry", "sad")),
    *(take("tess", "d", label) for label in ("sad", "disgust")),
]
EVERYONE = np.ones(len(TAKES), bool)


def heard(copies: int = 2) -> Heard:
    """The second copy lacks the first take."""
    rng = np.random.default_rng(0)
    rows = np.full((copies, len(TAKES)), 160)
    speech = np.full((copies, len(TAKES), 2), (30, 120))
    if copies > 1:
        rows[1, 0], speech[1, 0] = 0, 0
    mel = [rng.normal(-50, 8, (count.sum(), 128)).astype(np.float16) for count in rows]
    return Heard(tuple(mel), np.cumsum(rows, axis=1), speech)


def mel(count: int = 3) -> torch.Tensor:
    return torch.randn(count, LENGTH, 128, generator=torch.Generator().manual_seed(1)) * 8 - 50


def test_corpora_speakers_and_emotions_are_heard_alike() -> None:
    lessons = Lessons.of(TAKES, EVERYONE)
    corpus = np.array([one.corpus for one in TAKES])
    speaker = np.array([one.speaker for one in TAKES])
    chance = lessons.chance
    assert chance.sum() == pytest.approx(1)
    assert chance[corpus == "ravdess"].sum() == pytest.approx(3 / 7)
    assert chance[corpus == "tess"].sum() == pytest.approx(1 / 7)
    assert chance[speaker == "a"].sum() == pytest.approx(chance[speaker == "b"].sum())
    calm = np.array([one.label == "calm" for one in TAKES])
    assert chance[calm].sum() == pytest.approx(chance[0])


def test_what_is_left_out_is_never_drawn_but_its_classes_are_known() -> None:
    mine = np.array([one.corpus != "casia" for one in TAKES])
    lessons = Lessons.of(TAKES, mine)
    assert lessons.chance[~mine].sum() == 0
    assert lessons.allowed[~mine].sum(axis=1).tolist() == [2, 2]


def test_a_class_that_a_corpus_lacks_is_no_part_of_the_loss() -> None:
    lessons = Lessons.of(TAKES, EVERYONE)
    rows = np.flatnonzero([one.corpus == "casia" for one in TAKES])
    said = torch.zeros(2, EMOTIONS + 1)
    shouted = said.clone()
    shouted[:, LABELS.index("calm")] = 50
    assert losses(shouted, lessons, rows, QUICK) == pytest.approx(
        losses(said, lessons, rows, QUICK)
    )
    shouted[:, LABELS.index("sad")] = 50
    assert losses(shouted, lessons, rows, QUICK) > losses(said, lessons, rows, QUICK) + 1


def test_a_microphone_changes_nothing_once_the_whole_mean_is_taken_off() -> None:
    net, slope = MultiNet(share=1.0), torch.linspace(-2, 2, 128)
    free = (net.columns(mel() + slope) - net.columns(mel()))[..., 40:].abs().max()
    kept = (MultiNet(0.0).columns(mel() + slope) - MultiNet(0.0).columns(mel()))[..., 40:]
    assert free < 0.5 < 1.5 < kept.abs().max()


def test_silence_is_no_number_out_of_range() -> None:
    with torch.inference_mode():
        said = MultiNet().eval()(torch.full((1, LENGTH, 168), -100.0))
    assert said.shape == (1, EMOTIONS + 1) and torch.isfinite(said).all()


def test_noise_adds_power_and_never_hides_the_voice() -> None:
    quiet, generator = mel(40), torch.Generator().manual_seed(0)
    noisy = with_noise(quiet, 1.0, generator)
    assert (noisy >= quiet - 1e-3).all() and (noisy > quiet + 1).any()
    added = (10 ** (noisy / 10)).mean((1, 2)) / (10 ** (quiet / 10)).mean((1, 2))
    assert (added < 4).all()
    torch.testing.assert_close(with_noise(quiet, 0.0, generator), quiet, atol=0.01, rtol=0)


def test_a_take_that_is_in_no_scene_is_heard_clean() -> None:
    rng, sounds = np.random.default_rng(0), heard()
    calm = replace(QUICK, stretch=0.0)
    window = drawn(sounds, np.zeros(1, np.int64), 0.0, calm, rng)
    assert window.shape == (1, LENGTH, 128)
    assert -60 < float(window[window > -99].mean()) < -40


def test_training_goes_on_where_it_was_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voice_multi_net, "BLOCK", 2)
    lessons, sounds = Lessons.of(TAKES, EVERYONE), heard()
    through, stopped, resumed = MultiNet(size=16), MultiNet(size=16), MultiNet(size=16)
    steps = [step for step, _ in train(through, sounds, lessons, tmp_path / "a.pt", QUICK, 3)]
    assert steps == [2, 4]
    next(train(stopped, sounds, lessons, tmp_path / "b.pt", QUICK, 3))
    steps = [step for step, _ in train(resumed, sounds, lessons, tmp_path / "b.pt", QUICK, 3)]
    assert steps == [4]
    for name, value in through.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], value, msg=name)
