"""Scores of a blend, and of its folders, against the labels in tables of validation clips."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from avaffect.files.table import write_table
from avaffect.metrics.arrays import score_arrays
from avaffect.predicting.blend_folders import blend_folders
from avaffect.predicting.blend_scores import labels_of
from avaffect.predictions.blend import Blending
from avaffect.predictions.prediction import Prediction

DIMENSIONS = ("valence", "arousal")
Values = NDArray[np.float64]


def labels(at: int) -> Values:
    return np.tanh(np.random.default_rng(at).normal(size=(20, 2)))


def write_run(root: Path, seed: int, clips: int, *, labelled: bool = True) -> list[Values]:
    """Validation tables as a run leaves them, two clips a video; their values."""
    found = []
    for at in range(clips):
        noise = np.random.default_rng([seed, at]).normal(0, 0.5, (20, 2))
        values = np.clip(labels(at) + noise, -1, 1)
        values[3] = np.nan
        columns = {"frame": np.arange(1, 21), "time": np.arange(20) / 25}
        columns |= {name: values[:, i] for i, name in enumerate(DIMENSIONS)}
        if labelled:
            columns |= {f"label_{name}": labels(at)[:, i] for i, name in enumerate(DIMENSIONS)}
        about = {"clip": f"v{at}", "group": f"film{at // 2}", "model": f"m{seed}"}
        write_table(root / f"validation/tables/v{at}.parquet", columns, about)
        found.append(values)
    return found


def test_each_folder_and_the_blend_have_score_and_interval(tmp_path: Path) -> None:
    values = [write_run(tmp_path / name, seed, 20) for seed, name in enumerate("ab")]
    done = blend_folders([tmp_path / "a", tmp_path / "b"], tmp_path / "out", Blending((3, 1)))
    mean = [(3 * first + second) / 4 for first, second in zip(*values, strict=True)]
    for found, theirs in zip(done.scores, (*values, mean), strict=True):
        pairs = [(some, labels(at)) for at, some in enumerate(theirs)]
        assert found["va"].score == pytest.approx(score_arrays("va", pairs, DIMENSIONS)[0])
        interval = found["va"].interval
        assert (interval.videos, interval.of) == (10, "groups")
        assert interval.low < found["va"].score < interval.high
    assert done.scores[2]["va"].score > max(part["va"].score for part in done.scores[:2])
    kept = json.loads((tmp_path / "out/blend.json").read_text())["scores"]
    assert kept["blend"]["va"] == done.scores[2]["va"].to_dict()
    assert kept["folders"] == [{"va": part["va"].to_dict()} for part in done.scores[:2]]


def test_who_has_no_labels_is_scored_by_the_others(tmp_path: Path) -> None:
    write_run(tmp_path / "a", 0, 4, labelled=False)
    write_run(tmp_path / "b", 1, 4)
    done = blend_folders([tmp_path / "a", tmp_path / "b"], tmp_path / "out", smooth="va=box:0.2")
    plain = blend_folders([tmp_path / "a", tmp_path / "b"], tmp_path / "plain")
    assert done.scores[:2] == plain.scores[:2]
    assert done.scores[2]["va"].score != plain.scores[2]["va"].score
    assert done.scores[0]["va"].interval.short == "-"


def test_without_labels_there_is_none(tmp_path: Path) -> None:
    write_run(tmp_path / "a", 0, 1, labelled=False)
    done = blend_folders([tmp_path / "a"], tmp_path / "out")
    assert done.scores == ({}, {})
    assert "scores" not in json.loads((tmp_path / "out/blend.json").read_text())


def test_seven_classes_are_scored_as_seven(tmp_path: Path) -> None:
    """As the run was; classes of other names are not scored, nor are units that nobody has."""
    names = ("Neutral", "Anger", "Disgust", "Fear", "Happiness", "Sadness", "Surprise")
    rng = np.random.default_rng(0)
    chances, truth = rng.dirichlet(np.ones(7), 70), np.arange(70) % 7
    for root, called in (("a", names), ("b", ("calm", *names[1:]))):
        columns = {"frame": np.arange(1, 71), "label_expression": truth}
        columns |= {f"p_{name}": chances[:, at] for at, name in enumerate(called)}
        write_table(tmp_path / root / "validation/tables/v.parquet", columns, {"model": "m"})
    done = blend_folders([tmp_path / "a"], tmp_path / "out")
    expected = score_arrays("expr", [(chances.argmax(axis=1), truth)], names)[0]
    assert [part["expr"].score for part in done.scores] == pytest.approx([expected] * 2)
    other = labels_of("v", [tmp_path / "b/validation/tables/v.parquet"])
    assert other is not None
    assert other.labels == {}


def test_a_label_of_a_whole_clip_counts_once(tmp_path: Path) -> None:
    """As a training scores such clips: by the mean of the frames."""
    write_run(tmp_path / "a", 0, 6)
    for at in range(6):
        columns: dict[str, NDArray[Any]] = {"frame": np.arange(1, 5)}
        for name, sign, end in (("valence", 1, at / 6), ("arousal", -1, at / 9)):
            columns[name], columns[f"label_{name}"] = (
                np.linspace(0, end, 4),
                np.full(4, sign * at / 6),
            )
        write_table(tmp_path / f"b/validation/tables/v{at}.parquet", columns, {"model": "m"})
    (tmp_path / "b/validation/clips.csv").write_text("clip\n")
    done = blend_folders([tmp_path / "b"], tmp_path / "out")
    truth = np.arange(6)[:, None] / 6 * [1, -1]
    mean = np.arange(6)[:, None] / 2 / [6, 9]
    expected = score_arrays("va", [(mean, truth)], DIMENSIONS)[0]
    assert done.scores[0]["va"].score == pytest.approx(expected, abs=1e-6)


def test_units_are_decided_by_the_models_thresholds(tmp_path: Path) -> None:
    """A prediction's own thresholds hold for it, and their mean for the blend."""
    rng = np.random.default_rng(0)
    scores, truth = rng.random((40, 12)), rng.integers(0, 2, (40, 12))
    names = [f"AU{n}" for n in (1, 2, 4, 6, 7, 10, 12, 15, 23, 24, 25, 26)]
    columns = {"frame": np.arange(1, 41)} | {f"{n}_p": scores[:, i] for i, n in enumerate(names)}
    columns |= {f"label_{name}": truth[:, at] for at, name in enumerate(names)}
    write_table(tmp_path / "run/validation/tables/v.parquet", columns, {"model": "m"})
    own = Prediction("v", "tuned", np.arange(40) / 30, np.ones(40), np.ones(40),
                     au=scores, au_thresholds=np.full(12, 0.2))  # fmt: skip
    about = {"model": "tuned", "au_thresholds": [0.2] * 12}
    write_table(tmp_path / "tuned/tables/v.parquet", own.columns(), about)
    done = blend_folders([tmp_path / "tuned", tmp_path / "run"], tmp_path / "out")
    for part, limit in zip(done.scores, (0.2, 0.5, 0.35), strict=True):
        decided = (scores >= limit).astype(int)
        expected = score_arrays("au", [(decided, truth)], names)[0]
        assert part["au"].score == pytest.approx(expected)
