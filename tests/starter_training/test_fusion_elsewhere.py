"""starter_training/fusion_elsewhere.py: weights by voices that the net never heard."""

import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[2] / "starter_training"))

import fusion_elsewhere
from fusion_elsewhere import NUMBER, Pairs, elsewhere, fitted, held, mixed, pairs, surprise
from voice_corpora import LABELS, Take
from voice_multi_figures import Truth
from voice_said import write_said

from avaffect.labels import EXPRESSIONS

CLASSES = np.array([0, 1, 2, 3, 4, 5, 6])


def opinions(label: NDArray[np.int64], sure: float, seed: int) -> NDArray[np.float64]:
    """[N, 8] calibrated log probabilities: Gaussian evidence for the true class."""
    rng = np.random.default_rng(seed)
    evidence = rng.normal(0, np.sqrt(sure), (len(label), 8))
    evidence[np.arange(len(label)), label] += sure
    evidence[:, 7] = -20
    return evidence - np.log(np.exp(evidence).sum(axis=1, keepdims=True))


def test_calibrated_opinions_keep_their_power_and_two_surprise_less_than_one() -> None:
    label = np.random.default_rng(0).choice(CLASSES, 6000)
    face, voice = opinions(label, 2.0, 1), opinions(label, 0.5, 2)
    some = Pairs(face, voice, label)
    found = fitted(some)
    assert found["face"] == pytest.approx(1, abs=0.1)
    assert found["voice"] == pytest.approx(1, abs=0.15)
    assert found["neutral"] == pytest.approx(0, abs=0.15)
    assert found["arousal"] < 0.5
    both = mixed(some, found)
    assert surprise(both, label) < surprise(face, label) < surprise(voice, label)


def test_a_voice_that_knows_nothing_gets_no_share() -> None:
    label = np.random.default_rng(0).choice(CLASSES, 6000)
    flat = np.full((6000, 8), np.log(1 / 8))
    found = fitted(Pairs(opinions(label, 2.0, 1), flat, label))
    assert found["valence"] < 0.1 and found["arousal"] < 0.2


def test_neutral_gains_what_a_voice_that_seldom_hears_it_lacks() -> None:
    label = np.random.default_rng(0).choice(CLASSES, 6000)
    face, voice = opinions(label, 2.0, 1), opinions(label, 0.5, 2)
    some = Pairs(face, voice - 1.5 * (np.arange(8) == 0), label)
    found = fitted(some)
    assert found["neutral"] == pytest.approx(1.5, abs=0.3)
    guess = mixed(some, found).argmax(axis=1)
    unmended = mixed(some, found | {"neutral": 0.0}).argmax(axis=1)
    plain = label == 0
    assert (guess == 0)[plain].mean() > (unmended == 0)[plain].mean() + 0.1


def test_what_weights_are_worth_is_told_of_corpora_that_they_do_not_know() -> None:
    rng = np.random.default_rng(0)
    label = rng.choice(CLASSES, 2000)
    good = Pairs(opinions(label, 2.0, 1), opinions(label, 2.0, 2), label)
    # A corpus in which the voice is right where it never is elsewhere: that is not learnt from it.
    odd = Pairs(opinions(label, 2.0, 3), np.roll(opinions(label, 2.0, 4), 1, axis=1), label)
    found = elsewhere({("casia", "clean"): good, ("nemo", "clean"): good, ("tess", "clean"): odd})
    assert set(found) == {"casia, clean", "nemo, clean", "tess, clean", "mean"}
    assert found["tess, clean"]["both"]["accuracy"] < found["tess, clean"]["face"]["accuracy"]
    assert found["nemo, clean"]["both"]["accuracy"] > found["nemo, clean"]["face"]["accuracy"]


def test_voices_are_put_beside_faces_of_the_same_expression(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fusion_elsewhere, "PAIRS", 4)
    takes = [Take("casia", "", "", f"p{i % 2}", "F", LABELS[i], "01", 0) for i in (0, 2, 4)]
    windows = []
    for take in takes:
        said = np.zeros((2, 9), np.float32)
        said[:, LABELS.index(take.label)] = 4
        windows.append(said)
    write_said(tmp_path / "casia.npz", {"clean": (np.arange(3), windows)})
    seen = (np.log(np.eye(8) * 0.9 + 0.0125), np.arange(8))
    some = pairs(tmp_path, Truth.of(takes), seen, hot=2.0)
    assert list(some) == [("casia", "clean")]
    face, voice, label = some["casia", "clean"]
    assert sorted(set(label.tolist())) == sorted(NUMBER[[0, 2, 4]].tolist())
    # Neutral as often as in conversation.
    assert (label == NUMBER[0]).mean() == pytest.approx(fusion_elsewhere.CONVERSATION, abs=0.05)
    np.testing.assert_array_equal(face.argmax(axis=1), label)
    np.testing.assert_array_equal(voice.argmax(axis=1), label)
    harder = pairs(tmp_path, Truth.of(takes), seen, hot=1.0)["casia", "clean"].voice
    assert (harder.max(axis=1) > voice.max(axis=1)).all()


def test_an_interval_holds_the_value_of_what_is_said_and_not_of_the_opposite() -> None:
    happy, sad = EXPRESSIONS.index("Happiness"), EXPRESSIONS.index("Sadness")
    found = held(np.eye(8)[[happy, happy]], np.array([happy, sad]))
    assert found["valence"][0] == 0.5
    assert 0.3 < found["valence"][1] < 1.5
