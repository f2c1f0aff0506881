"""Pauses of known length."""

from __future__ import annotations

import numpy as np

from avaffect.config import SAMPLE_RATE
from avaffect.sound.pauses import talk_of
from avaffect.sound.speech import STEP_S, Speech


def talk(*pieces: tuple[float, float]):
    """Of ``pieces`` (seconds, probability of speech)."""
    chunks = [np.full(round(length / STEP_S), value) for length, value in pieces]
    probability = np.concatenate([np.zeros(0), *chunks]).astype(np.float32)
    return talk_of(Speech(probability, round(len(probability) * STEP_S * SAMPLE_RATE)))


def test_pauses_lie_between_speech() -> None:
    found = talk((0.96, 0), (1.92, 0.9), (0.64, 0.1), (0.96, 0.9), (0.96, 0))
    np.testing.assert_allclose(found.speech, [(0.96, 2.88), (3.52, 4.48)])
    np.testing.assert_allclose(found.pauses, [(2.88, 3.52)])


def test_a_stop_is_no_pause_and_a_click_no_speech() -> None:
    found = talk(
        (0.96, 0.9), (0.16, 0), (0.96, 0.9), (0.64, 0), (0.064, 0.9), (0.64, 0), (0.32, 1)
    )
    np.testing.assert_allclose(found.speech[0], (0, 2.08), atol=1e-9)
    assert len(found.speech) == 2 and len(found.pauses) == 1
    np.testing.assert_allclose(found.pauses[0][1] - found.pauses[0][0], 1.344, atol=0.02)


def test_silence_and_nothing() -> None:
    assert talk((1, 0)).speech == talk((1, 0)).pauses == ()
    assert talk().speech == ()
    assert talk((1.6, 1)).pauses == ()
