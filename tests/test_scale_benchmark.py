"""The arithmetic of docs/scale.md, by hand; and a small run of its simulation."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from avaffect.engines import planner

ROOT = Path(__file__).parents[1]
with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(str(ROOT / "benchmarks"))
    from scale import Rates, arithmetic  # type: ignore[import-not-found]
    from stragglers import (  # type: ignore[import-not-found]
        Policy,
        World,
        lengths,
        simulate,
    )

SMALL = World(hours=60, nodes=2, workers=4, longest=6)
CALM = replace(SMALL, life=1e9, poison=0, flaky=0, slow=0, start=0, warmup=0)


def figures(rates: Rates) -> dict[str, float]:
    return {line.what: line.value for line in arithmetic(rates)}


def test_arithmetic_by_hand() -> None:
    rates = Rates(hours=10, clip_minutes=30, fps=25, cpu_ms=20, start_s=0, bitrate=8, days=1)
    found = figures(rates)
    assert found["videos"] == 20
    assert found["CPU time"] == pytest.approx(900_000 * 0.02 / 3600)
    assert found["read an hour of video"] == pytest.approx(3.6)
    assert found["kept by preprocess: crops"] == pytest.approx(900_000 * rates.crop_bytes / 1e12)
    assert figures(replace(rates, hours=20))["CPU time"] == pytest.approx(2 * found["CPU time"])


def test_money_is_the_readers() -> None:
    assert not [name for name in figures(Rates()) if name.startswith("cost")]
    found = figures(Rates(hours=1, cpu_ms=40, start_s=0, price_core_hour=3))
    assert found["cost: CPU"] == pytest.approx(3.0)


def test_the_page_shows_what_the_script_prints() -> None:
    page = (ROOT / "docs/scale.md").read_text(encoding="utf-8")
    for line in arithmetic(Rates()):
        digits = 1 if line.value < 100 else 0
        value = f"{line.value:,.{digits}f} {line.unit}".strip()
        assert f"| {line.what} | {value} | {line.how} |" in page


def test_without_trouble_nothing_is_wasted() -> None:
    found = simulate(CALM, Policy(), 0)
    assert found.lost == 0
    assert found.wasted == pytest.approx(0, abs=1e-6)
    ideal = found.spent / (CALM.nodes * CALM.workers)
    assert ideal <= found.makespan < 2 * ideal


def test_a_seed_gives_one_outcome_and_lengths_have_a_tail() -> None:
    assert simulate(SMALL, Policy(), 3) == simulate(SMALL, Policy(), 3)
    hours = sorted(lengths(World(), random.Random(0)))
    assert sum(hours[-len(hours) // 10 :]) > sum(hours) / 3


def test_tries_save_videos_and_poison_ends() -> None:
    rough = replace(SMALL, flaky=0.05, life=2, poison=0.05)
    lost = [
        sum(simulate(rough, Policy(tries=tries), seed).lost for seed in range(3))
        for tries in (1, 2, 4)
    ]
    assert lost[0] > lost[1] >= lost[2]
    few, many = (simulate(rough, Policy(tries=tries), 0).poison_hours for tries in (4, 31))
    assert few < many


def test_lost_nodes_are_no_tries() -> None:
    """As the planner counts them."""
    assert (Policy().tries, Policy().losses) == (planner.TRIES, planner.LOSSES)
    rough = replace(SMALL, flaky=0, poison=0, life=0.5)
    counted, apart = (
        sum(simulate(rough, Policy(tries=1, losses=losses), seed).lost for seed in range(3))
        for losses in (0, 10)
    )
    assert counted > apart


def test_long_videos_end_sooner_in_segments() -> None:
    whole = simulate(CALM, Policy(minutes=0, longest_first=False), 1)
    assert simulate(CALM, Policy(minutes=30), 1).makespan < whole.makespan
