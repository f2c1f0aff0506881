"""The chart of an evaluation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from avaffect.errors import ForeignFileError
from avaffect.metrics import chart
from avaffect.metrics.evaluation import Pair, score_pairs


@pytest.fixture
def axes(monkeypatch: pytest.MonkeyPatch):
    """The axes of the figure that is drawn."""
    from matplotlib.figure import Figure

    found = []
    make = Figure.subplots

    def remembered(*args, **kwargs):
        found[:] = make(*args, **kwargs)
        return found

    monkeypatch.setattr(Figure, "subplots", remembered)
    return found


def expr(names, classes=(0, 1, 4)):
    """An evaluation of subjects, the later the better, annotated with some classes alone."""
    rng = np.random.default_rng(0)
    pairs = []
    for at, name in enumerate(names):
        annotated = np.resize(classes, 300)
        right = np.arange(300) < 300 * (at + 1) / len(names)
        pairs.append(Pair(name, np.where(right, annotated, rng.integers(5, 8, 300)), annotated))
    return score_pairs(pairs, "expr", "abaw10", resamples=10)


def names_on(axis):
    return [label.get_text() for label in axis.get_yticklabels()]


def test_a_dot_a_subject_with_its_name(axes, tmp_path: Path) -> None:
    evaluation = expr(["a", "b$x_{", "映\n" * 50, "d"])
    chart.draw(evaluation, tmp_path / "a.png", title="$x_{")
    line = axes[1].lines[0]
    scores = sorted(subject.score for subject in evaluation.subjects)
    assert line.get_linestyle() == "None"
    assert list(line.get_xdata()) == pytest.approx(scores)
    named = names_on(axes[1])
    assert named[:2] == ["a", r"b\$x_{"]
    assert all(len(name) < 40 and name.isprintable() for name in named)
    assert axes[1].get_title() == "4 subjects"


@pytest.mark.parametrize(("count", "named"), [(1, 1), (40, 40), (41, 0)])
def test_names_as_long_as_they_can_be_read(count: int, named: int, axes, tmp_path: Path) -> None:
    chart.draw(expr([f"s{at}" for at in range(count)]), tmp_path / "a.png")
    assert len(names_on(axes[1])) == named
    assert len(axes[1].lines[0].get_xdata()) == count
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.height < 1200


def test_absent_classes_are_grey(axes, tmp_path: Path) -> None:
    evaluation = expr(["a", "b"])
    chart.draw(evaluation, tmp_path / "a.png")
    assert len(evaluation.absent) == 5
    grey = {label.get_text() for label in axes[0].get_yticklabels() if label.get_color() == "0.55"}
    assert grey == {f"{name} (absent)" for name in evaluation.absent}
    rows = [label.get_text() for label in axes[2].get_yticklabels() if label.get_color() == "0.55"]
    assert rows == ["Disgust (0)", "Fear (0)", "Sadness (0)", "Surprise (0)", "Other (0)"]
    shares = axes[2].images[0].get_array()
    assert shares.mask.all(axis=1).tolist() == [row in (2, 3, 5, 6, 7) for row in range(8)]


def test_nobody_with_a_score(axes, tmp_path: Path) -> None:
    pair = Pair("a", np.zeros((5, 2)), np.full((5, 2), -5.0))
    pair_known = Pair(
        "b", np.linspace(-1, 1, 10).reshape(5, 2), np.linspace(-1, 1, 10).reshape(5, 2)
    )
    chart.draw(score_pairs([pair, pair_known], "va", "abaw10", resamples=10), tmp_path / "a.png")
    assert names_on(axes[1]) == ["b"]


def test_foreign_files_stay(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"mine")
    with pytest.raises(ForeignFileError):
        chart.draw(expr(["a"]), tmp_path / "a.png")
    chart.draw(expr(["a"]), tmp_path / "b.png")
    chart.draw(expr(["a"]), tmp_path / "b.png")
