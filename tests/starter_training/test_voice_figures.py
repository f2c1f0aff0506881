"""starter_training/voice_figures.py: scores and calibration."""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import f1_score

sys.path.insert(0, str(Path(__file__).parents[2] / "starter_training"))

import voice_figures as figures

LABELS = ("neutral", "calm", "happy")
EXPRESSION = {"neutral": "Neutral", "calm": "Neutral", "happy": "Happiness"}


@dataclass
class Takes:
    key: np.ndarray
    sex: np.ndarray
    intensity: np.ndarray
    actor: np.ndarray
    fold: np.ndarray
    label: np.ndarray


def some(count=400, sharpness=1.0, seed=0):
    """Takes, and logits whose softmax is the chance of each label if ``sharpness`` is 1."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=1.5, size=(count, 3))
    chances = figures.softmax(logits)
    label = (rng.random((count, 1)) > chances.cumsum(1)[:, :-1]).sum(1)
    actor = np.arange(count) % 20
    takes = Takes(
        np.arange(count).astype(str), np.where(actor % 2, "F", "M"), np.full(count, "01"),
        actor, actor % 5, label,
    )  # fmt: skip
    outputs = [(sharpness * row[None] * np.ones((1 + i % 3, 1))).astype(np.float32)
            for i, row in enumerate(logits)]  # fmt: skip
    return takes, outputs


def test_scores_are_sklearns() -> None:
    rng = np.random.default_rng(0)
    truth, guess = rng.integers(0, 5, (2, 300))
    table = figures.confusion(truth, guess, 5)
    assert figures.macro_f1(table) == pytest.approx(f1_score(truth, guess, average="macro"))
    assert figures.accuracy(table) == pytest.approx((truth == guess).mean())


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 3.0])
def test_the_temperature_that_was_is_found(sharpness: float) -> None:
    takes, outputs = some(3000, sharpness)
    whole, others = figures.temperatures(takes, {"clean": outputs})
    assert whole == pytest.approx(sharpness, rel=0.1)
    assert set(others) == set(range(5))


def test_a_fold_takes_no_part_in_its_own_temperature() -> None:
    takes, outputs = some(600)
    before = figures.temperatures(takes, {"clean": outputs})[1]
    changed = [
        10 * rows if fold == 2 else rows for rows, fold in zip(outputs, takes.fold, strict=True)
    ]
    after = figures.temperatures(takes, {"clean": changed})[1]
    assert after[2] == before[2]
    assert after[1] != before[1]


def test_calibration_error() -> None:
    takes, outputs = some(20_000)
    logits = np.stack([rows[0] for rows in outputs])
    assert figures.calibration_error(figures.softmax(logits), takes.label) < 0.02
    assert figures.calibration_error(figures.softmax(4 * logits), takes.label) > 0.1


def test_figures_hold_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "DRAWS", 200)
    takes, outputs = some()
    noise = np.random.default_rng(1)
    worse = [rows + noise.normal(scale=3, size=(1, 3)).astype(np.float32) for rows in outputs]
    result = figures.figures(takes, {"clean": outputs, "degraded": worse}, LABELS, EXPRESSION)
    clean = result["clean"]["accuracy"]
    low, high = clean["95 % over actors"]
    assert low < clean["all takes"] < high
    assert clean["all takes"] > result["degraded"]["accuracy"]["all takes"] + 0.05
    both = result["clean"]["as expressions (neutral and calm one)"]["accuracy"]["all takes"]
    assert both > clean["all takes"]
    table = np.array(result["clean"]["confusion (rows are true)"])
    assert table.sum(1).tolist() == np.bincount(takes.label).tolist()
    first = result["clean"]["worst"][0]
    assert first["probability true"] <= result["clean"]["worst"][-1]["probability true"]
    figures.draw_reliability(takes, {"clean": outputs}, tmp_path / "r.png")
    assert (tmp_path / "r.png").read_bytes().startswith(b"\x89PNG")
