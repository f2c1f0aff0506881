"""starter_training/conversation_intervals.py: how often an interval holds what people say."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "starter_training"))

import conversation_intervals
from conversation_intervals import NEUTRAL

from avaffect.predictors.starter.starter2 import rest


def write(folder: Path, listener: int, story: int, rated: list[float], seen: list[str]) -> None:
    rows = [f"{i},{v},{s}" for i, (v, s) in enumerate(zip(rated, seen, strict=True))]
    path = folder / f"Subject_{listener}_Story_{story}.csv"
    path.write_text("\n".join(["index,valence,image_valence", *rows]) + "\n", encoding="utf-8")


def test_coverage_is_told_by_listener_and_story(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Calm listeners, and one who is delighted half of the time; a row that lacks a value is left.
    seen = ["0.1", "0.3", "0.5", "0.7", ""]
    for story in (1, 2):
        write(tmp_path, 1, story, [0.0, 0.0, 0.1, 0.1, 1.0], seen)
        write(tmp_path, 2, story, [0.0, 0.1, 0.9, 0.9, -1.0], seen)
    out = tmp_path / "out.json"
    monkeypatch.setattr(sys, "argv", ["", "--omg", str(tmp_path), "--out", str(out)])
    conversation_intervals.main()
    found = json.loads(out.read_text())
    assert (found["rows"], found["plain"]) == (16, 0.75)
    calm = found["held"]["Neutral throughout"]
    assert calm["by listener"] == {"1": 1.0, "2": 0.5} and calm["by story"] == {
        "1": 0.75,
        "2": 0.75,
    }
    assert calm["mean"] == 0.75
    assert found["width"] == pytest.approx(np.ptp(rest().around[NEUTRAL, 0]), abs=1e-3)
    assert found["needed"]["least"] < found["needed"]["most"]
