"""A plan has the true set's quirks, as often as the true set has them."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avaffect.datasets.synth.plan import LONGEST_SECONDS, QUIRKY_VIDEOS, Take, plan
from avaffect.errors import UsageError
from avaffect.tasks.registry import TASKS


@pytest.fixture(scope="module")
def large() -> tuple[Take, ...]:
    return plan(videos=104, seconds=6.0, seed=4)


def rows(takes, task):
    return [
        take.annotations(place)[task] for take in takes for place in range(len(take.film.roles))
    ]


def test_frame_rates(large: tuple[Take, ...]) -> None:
    rates = [take.film.fps for take in large]
    share = Counter(rates)
    assert share[Fraction(30)] == pytest.approx(104 * 316 / 624, abs=1.01)
    assert share[Fraction(30000, 1001)] == pytest.approx(104 * 103 / 624, abs=1.01)
    assert sum(rate.denominator > 1 for rate in rates) / 104 == pytest.approx(276 / 624, abs=0.03)
    assert min(rates) == Fraction(15, 2)
    assert max(rates) == 30


def test_rows_beyond_the_frames(large: tuple[Take, ...]) -> None:
    found = Counter(
        len(values) - take.film.frames
        for take in large
        for place in range(len(take.film.roles))
        for values in [take.annotations(place)["va"]]
    )
    tracks = found.total()
    for surplus, of_317 in ((1, 208), (2, 9), (-1, 6), (0, 94)):
        assert found[surplus] == pytest.approx(tracks * of_317 / 317, abs=1.01)


def test_all_tasks_have_as_many_rows(large: tuple[Take, ...]) -> None:
    for take in large[:10]:
        assert len({len(values) for values in take.annotations(0).values()}) == 1


@pytest.mark.parametrize(("task", "share"), [("va", 0.02), ("expr", 0.437), ("au", 0.02)])
def test_invalid_frames(large: tuple[Take, ...], task: str, share: float) -> None:
    normal = [take for take in large if take.film.faceless is None]
    invalid = [(v == TASKS[task].invalid).reshape(len(v), -1) for v in rows(normal, task)]
    for track in invalid:
        np.testing.assert_array_equal(track.all(axis=1), track.any(axis=1))
    assert np.concatenate([track.any(axis=1) for track in invalid]).mean() == pytest.approx(
        share, abs=0.04 if task == "expr" else 0.01
    )
    # Spans, not single frames.
    changes = sum(int(np.diff(track.any(axis=1).astype(int)).clip(0).sum()) for track in invalid)
    assert sum(int(track.any(axis=1).sum()) for track in invalid) > 3 * changes


def test_valence_and_arousal_have_three_decimals_in_range(large: tuple[Take, ...]) -> None:
    for values in rows(large, "va")[:20]:
        valid = values[values[:, 0] != -5]
        assert np.abs(valid).max() <= 1
        np.testing.assert_allclose(np.round(valid, 3), valid, atol=1e-12)


def test_durations(large: tuple[Take, ...]) -> None:
    seconds = np.array([float(take.film.frames / take.film.fps) for take in large])
    assert seconds.mean() == pytest.approx(6.0, rel=0.05)
    assert seconds.min() >= 1.9
    assert np.log(seconds).std() == pytest.approx(0.55, abs=0.08)
    val = np.array([take.split == "val" for take in large])
    assert seconds[val].mean() == pytest.approx(seconds[~val].mean(), rel=0.05)


def test_names(large: tuple[Take, ...]) -> None:
    names = [take.film.name for take in large]
    assert len(set(names)) == len(names)
    assert sum("-" not in name for name in names) == pytest.approx(104 * 135 / 624, abs=1.01)
    for take in large:
        film = take.film
        width, height = film.size
        if "-" in film.name:
            assert film.name.split("-", 1)[1] == f"{int(film.fps)}-{width}x{height}"
        assert width % (2 * len(film.roles)) == height % 2 == 0


def test_split_keeps_persons_apart(large: tuple[Take, ...]) -> None:
    people: dict[str, set[int]] = {"train": set(), "val": set()}
    for take in large:
        people[take.split].update(take.people)
    assert not people["train"] & people["val"]
    assert sum(take.split == "val" for take in large) == 35
    # Some persons are in several videos.
    assert len(people["train"] | people["val"]) < 104
    assert people["train"] | people["val"] == set(range(max(people["val"]) + 1))


@given(st.integers(1, 9), st.floats(2, 4), st.integers(0, 2**40))
@settings(max_examples=25)
def test_any_plan_is_sound(videos, seconds, seed) -> None:
    takes = plan(videos=videos, seconds=seconds, seed=seed)
    assert len(takes) == videos
    assert {take.split for take in takes} == ({"train", "val"} if videos > 1 else {"train"})
    pairs = [take for take in takes if len(take.film.roles) == 2]
    silent = [take for take in takes if take.film.voice is None]
    faceless = [take for take in takes if take.film.faceless]
    quirks = 1 if videos >= QUIRKY_VIDEOS else 0
    assert (len(pairs), len(silent), len(faceless)) == (quirks, quirks, quirks)
    assert len({take.film.name for take in [*pairs, *silent, *faceless]}) == 3 * quirks
    for take in pairs:
        name = take.film.name
        assert [role.subject for role in take.film.roles] == [f"{name}_left", f"{name}_right"]
        assert take.people[0] != take.people[1]
    for take in faceless:
        found, hidden = take.annotations(0), ~take.film.has_face
        assert 0 < hidden.sum() < len(hidden) / 2
        length = min(len(found["va"]), take.film.frames)
        assert (found["expr"][:length][hidden[:length]] == -1).all()
        assert (found["au"][:length][hidden[:length]] == -1).all()
        assert (found["va"][:length][hidden[:length]] != -5).any()
    for take in takes:
        assert len(take.film.roles[0].actions) >= take.film.times[-1] * 100
        assert set(take.annotations(0)) == set(TASKS)


def test_seed() -> None:
    def facts(seed):
        takes = plan(videos=6, seconds=3.0, seed=seed)
        return [take.about() for take in takes], [
            values.tobytes() for task in TASKS for values in rows(takes, task)
        ]

    assert facts(1) == facts(1)
    assert facts(1)[0] != facts(2)[0]
    assert facts(1)[1] != facts(2)[1]


@pytest.mark.parametrize(
    "wrong",
    [
        {"videos": 0},
        {"seconds": 1.9},
        {"seconds": float("nan")},
        {"seconds": float("inf")},
        {"seconds": LONGEST_SECONDS + 1},
        {"seed": -1},
    ],
)
def test_numbers_out_of_range(wrong) -> None:
    with pytest.raises(UsageError):
        plan(**({"videos": 2, "seconds": 2.0, "seed": 0} | wrong))
