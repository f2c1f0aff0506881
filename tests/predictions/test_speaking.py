"""Who speaks: lips in step with a sound, others that move or rest, and what cannot be told."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from avaffect.faces.face_pose import face_pose_names
from avaffect.predictions.blend import blend
from avaffect.predictions.prediction import SPEAKING, Prediction
from avaffect.predictions.speaking import (
    LATE_S,
    compare,
    fitted,
    lips_of,
    shares,
    speaking_of,
    with_speaking,
)
from avaffect.sound.loudness import Loudness

RATE = 25
TIMES = np.arange(12 * RATE) / RATE
NAMES = face_pose_names()
UPPER = NAMES.index("y62")
# A sound's power is known each 2.5 ms.
STEPS = np.arange(13 * 400) / 400


def syllables(seed: int, at: np.ndarray) -> np.ndarray:
    """How far a mouth is open when syllables of .15 to .3 s follow each other, 0 to 1."""
    rng = np.random.default_rng(seed)
    starts = np.cumsum(rng.uniform(0.15, 0.3, 100)) - 1
    heights = rng.uniform(0.3, 1, 100)
    apart = (at[:, None] - starts) / 0.05
    return (heights * np.exp(-0.5 * apart**2)).max(axis=1)


def sound(seed: int, late: float = 0.0) -> Loudness:
    """A sound that is as loud as the mouth of ``seed`` is open, over 25 dB."""
    power = 10 ** ((syllables(seed, STEPS - late) * 25 - 40) / 10) * 40
    return Loudness(np.concatenate([[0.0], np.cumsum(power)]), None)


def mouth(seed: int) -> np.ndarray:
    """A gap as the landmarks have it, with the net's noise."""
    noise = np.random.default_rng(seed + 1000).normal(0, 0.003, len(TIMES))
    return 0.02 + 0.1 * syllables(seed, TIMES) + noise


def still() -> np.ndarray:
    return 0.02 + np.random.default_rng(5).normal(0, 0.003, len(TIMES))


def named(*lips: np.ndarray, voice: int = 1) -> list[float]:
    level = sound(voice).at(TIMES)
    return shares([compare(each, level, TIMES) for each in lips]).mean(axis=1).tolist()


def subject(gap: Any = 0.0, seen: Any = 1.0, present: Any = True, **more: Any) -> Any:
    poses = np.zeros((len(TIMES), len(NAMES)), np.float32)
    poses[:, UPPER] = gap
    there = np.broadcast_to(present, len(TIMES))
    poses[~there] = np.nan
    voice = np.zeros((len(TIMES), 9), np.float32)
    voice[:, -1] = more.get("heard", 0.9)
    arrays = {"face_pose": poses, "voice": voice}
    return SimpleNamespace(
        names=more.get("names", tuple(arrays)), frames=len(TIMES), times=TIMES, present=there,
        seen=np.broadcast_to(np.reshape(seen, (-1, 1)), (len(TIMES), 3)),
        array=lambda name, start, stop: arrays[name][start:stop],
    )  # fmt: skip


def test_lips_in_step_with_the_sound_speak() -> None:
    (alone,) = named(mouth(1))
    assert alone > 0.9
    ours, theirs = named(mouth(1), still())
    assert ours > 0.9 and theirs < 0.05
    ours, theirs = named(mouth(1), mouth(2))
    assert ours > 0.7 and theirs < 0.2


def test_neither_a_bang_nor_a_soft_voice_matters() -> None:
    level = sound(1).at(TIMES)
    level[200:203] = -2
    level[:120] -= 20
    found = shares([compare(each, level, TIMES) for each in (mouth(1), still())])
    assert found[0, :90].mean() > 0.9 and found[0, 240:].mean() > 0.9 and found[1].max() < 0.1


def test_nobody_speaks_whose_lips_do_not_fit() -> None:
    assert max(named(still(), still())) < 0.1
    assert sum(named(mouth(2), mouth(3))) < 0.5
    # A yawn is slower than syllables, whatever is said at the time.
    yawn = 0.02 + 0.15 * np.exp(-0.5 * ((TIMES - 6) / 1.5) ** 2)
    assert max(named(yawn)) < 0.1


@pytest.mark.parametrize("late", [-0.1, 0.0, 0.14])
def test_sound_that_comes_late_is_found(late: float) -> None:
    share, found = fitted([mouth(1), still()], sound(1, late), np.ones(len(TIMES)), TIMES)
    assert abs(found - late) <= 0.021 and found in LATE_S
    assert share[0].mean() > 0.9


def test_it_is_missing_where_it_cannot_be_told() -> None:
    lips, level = mouth(1), sound(1).at(TIMES)
    lips[100:140] = np.nan
    found = compare(lips, level, TIMES)
    assert np.isnan(found.step[100:140]).all() and np.isfinite(found.step[:95]).all()
    # At ten frames a second there are no syllables.
    slow = compare(lips[::3], level[::3], TIMES[::3])
    assert np.isnan(slow.step).all() and np.isnan(slow.movement).all()
    assert np.isnan(compare(lips, np.full(len(TIMES), np.nan), TIMES).step).all()
    share = shares([found, compare(still(), level, TIMES)])
    # Of the other one it is known.
    assert np.isnan(share[0, 120]) and share[1, 120] < 0.1


def test_columns_of_people() -> None:
    heard = np.where(TIMES < 6, 0.9, 0.0)
    first = subject(mouth(1), heard=heard)
    covered = subject(mouth(2), seen=np.where(TIMES < 3, 1.0, 0.0), heard=heard)
    (ours, theirs), late = speaking_of([first, covered], sound(1))
    assert late == 0
    np.testing.assert_allclose(ours[:, 0], heard, rtol=1e-6)
    assert ours[:150, 1].mean() > 0.7 and (ours[150:, 1] == 0).all()
    assert np.isnan(theirs[100:, 1]).all() and not np.isnan(theirs[:70, 1]).any()
    (unknown,), late = speaking_of([first], None)
    assert late is None and np.isnan(unknown[:, 1]).all() and unknown[0, 0] == np.float32(0.9)
    assert speaking_of([subject(names=("face_pose",))], sound(1)) == (None, None)


def test_a_gap_between_lips_that_are_seen() -> None:
    gap = lips_of(subject(0.1, present=TIMES < 6))
    np.testing.assert_allclose(gap[:150], 0.1, rtol=1e-6)
    assert np.isnan(gap[150:]).all()


def test_tables_have_it_and_give_it_back() -> None:
    plain = Prediction("v", "m", TIMES, np.ones(len(TIMES), bool), np.ones(len(TIMES)))
    (whole,), _ = with_speaking([plain], [subject(mouth(1))], sound(1))
    columns = whole.columns()
    assert [*columns][-2:] == [*SPEAKING]
    back = Prediction.from_columns(columns, "v", "m")
    np.testing.assert_array_equal(back.speaking, whole.speaking)
    np.testing.assert_array_equal(blend([plain, whole]).speaking, whole.speaking)
    assert with_speaking([plain], [subject(names=())], sound(1)) == ([plain], None)
    assert "speaking" not in plain.columns()
