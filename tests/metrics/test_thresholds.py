"""Thresholds: the best there is on these frames, applied."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import f1_score, precision_recall_curve

from avaffect.challenge.text import read_annotations, write_challenge
from avaffect.errors import FormatError, InputNotFoundError
from avaffect.files.table import write_table
from avaffect.labels import ACTION_UNITS
from avaffect.metrics.evaluation import Pair, score_pairs
from avaffect.metrics.thresholds import apply, best_threshold, tune, with_probabilities
from avaffect.predictions.missing import fill
from avaffect.predictions.prediction import Prediction

probabilities = hnp.arrays(
    np.float64,
    st.integers(1, 40),
    # Coarse values make ties; the others are what a float32 table holds.
    elements=st.one_of(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), st.floats(0, 1, width=32)),
)


def au_pair(seed: int, frames: int = 60) -> Pair:
    """Probabilities that are far too low, each unit by its own measure."""
    rng = np.random.default_rng(seed)
    truth = (rng.random((frames, 12)) < 0.4).astype(np.int64)
    scores = (0.5 * truth + 0.5 * rng.random(truth.shape)) * np.linspace(0.3, 1, 12)
    truth[::9] = -1
    scores[5] = np.nan
    return Pair(f"v{seed}", scores, truth)


@given(probabilities, st.data())
def test_no_cut_is_better(scores, data) -> None:
    labels = data.draw(hnp.arrays(np.int64, len(scores), elements=st.integers(0, 1)))
    best = best_threshold(scores, labels)
    assert 0 <= best <= 1
    if not labels.any():
        assert best == 0.5
        return
    precision, recall, _ = precision_recall_curve(labels, scores)
    total = precision + recall
    f1 = 2 * precision * recall / np.where(total > 0, total, 1)
    assert f1_score(labels, scores >= best) == pytest.approx(f1.max())


def test_probabilities_are_filled_as_the_text_files_are(tmp_path: Path) -> None:
    """So that decisions by .5 are those of the files, whether or not the table is filled."""
    scores = np.linspace(0.2, 0.9, 12, dtype=np.float32) * np.ones((5, 1), np.float32)
    scores[0], scores[1:4] = 0, np.nan
    prediction = Prediction("v", "m", np.arange(5) / 25, ~np.isnan(scores[:, 0]),
                            np.full(5, np.nan), au=scores)  # fmt: skip
    pairs = [Pair("v", np.zeros((5, 12), np.int64), np.zeros((5, 12), np.int64))]
    for policy in ("linear", "previous", "invalid"):
        root = tmp_path / policy
        about = {"missing": policy}
        write_table(root / "tables/v.parquet", prediction.columns(), about)
        path = write_challenge(fill(prediction, policy), "au", root)
        predicted = with_probabilities(root, pairs, "abaw10")
        (decided,) = apply(dict.fromkeys(ACTION_UNITS, 0.5), predicted, "abaw10")
        np.testing.assert_array_equal(decided.predicted, read_annotations(path, "au"))


def test_of_equally_good_cuts_the_one_next_to_a_half_is_taken() -> None:
    assert best_threshold(np.array([0.1, 0.9]), np.array([0, 1])) == 0.5
    assert best_threshold(np.array([0.1, 0.3]), np.array([0, 1])) == pytest.approx(0.2)
    # All present: anything up to the lowest is right.
    assert best_threshold(np.array([0.7, 0.9]), np.array([1, 1])) == 0.5
    assert best_threshold(np.array([0.2, 0.9]), np.array([1, 1])) == pytest.approx(0.2)


def test_tuning_raises_the_score_on_the_same_frames() -> None:
    pairs = [au_pair(seed) for seed in range(4)]
    plain = apply(dict.fromkeys(ACTION_UNITS, 0.5), pairs, "abaw10")
    best = tune(pairs, "abaw10")
    before, after = (
        score_pairs(decided, "au", "abaw10", resamples=100)
        for decided in (plain, apply(best, pairs, "abaw10"))
    )
    assert after.score > before.score + 0.2
    assert all(after.parts[f"F1 {u}"] >= before.parts[f"F1 {u}"] for u in ACTION_UNITS)
    assert after.frames == before.frames
    assert sum(subject.unpredicted for subject in after.subjects) == 4


def test_probabilities_are_read_beside_the_predictions(tmp_path: Path) -> None:
    pair = au_pair(1)
    columns = {f"{unit}_p": pair.predicted[:, at] for at, unit in enumerate(ACTION_UNITS)}
    folder = tmp_path / "AU_Detection_Challenge"
    folder.mkdir()
    (folder / "v1.txt").touch()
    write_table(tmp_path / "tables/v1.parquet", columns, {})
    decided = Pair("v1", np.zeros_like(pair.annotated), pair.annotated)
    for place in (tmp_path, folder, folder / "v1.txt"):
        (back,) = with_probabilities(place, [decided], "abaw10")
        np.testing.assert_array_equal(back.predicted, pair.predicted)
        assert back.annotated is pair.annotated
    with pytest.raises(InputNotFoundError, match=r"v2\.parquet"):
        with_probabilities(tmp_path, [Pair("v2", decided.predicted, decided.annotated)], "abaw10")
    del columns["AU7_p"]
    write_table(tmp_path / "tables/v1.parquet", columns, {})
    with pytest.raises(FormatError, match="no column AU7_p"):
        with_probabilities(tmp_path, [decided], "abaw10")
