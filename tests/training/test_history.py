"""Log, curves, early stopping and TensorBoard."""

import builtins
import json
from pathlib import Path

import pytest
from PIL import Image

from avaffect.errors import UsageError
from avaffect.training.history import CURVES, LOG, Epoch, History

NAN = float("nan")


def epoch(number, score=None, **scores):
    if score is not None:
        scores = {"score": score, "va": score, "va CCC valence": score, **scores}
    return Epoch(number, 1e-3, {"loss": 0.5, "va": 0.4}, scores, 2.0, 100, 0.1)


def history(tmp_path, recipe, scores, *changes, **options):
    made = History(tmp_path, recipe(*changes), **options)
    found = [made.add(epoch(i, score)) for i, score in enumerate(scores, 1)]
    return made, found


@pytest.mark.parametrize(
    ("scores", "better", "best"),
    [
        ([0.1, 0.2, 0.2, 0.1, 0.3], [True, True, False, False, True], 5),
        ([-0.2, -0.1], [True, True], 2),
        ([NAN, NAN, -0.5, NAN], [True, True, True, False], 3),
        ([None, None], [True, True], 0),
    ],
)
def test_the_best_so_far(scores, better, best: int, tmp_path: Path, recipe) -> None:
    made, found = history(tmp_path, recipe, scores)
    assert (found, made.best) == (better, best)
    assert made.scores.get("score") is scores[-1]


@pytest.mark.parametrize(
    ("scores", "patience", "stalled"),
    [
        ([0.3, 0.2], 2, False),
        ([0.3, 0.2, 0.3], 2, True),
        ([0.3, 0.2, 0.4], 2, False),
        ([0.3] + 9 * [0.1], 0, False),
        (9 * [None], 1, False),
        ([], 1, False),
    ],
)
def test_patience(scores, patience: int, stalled: bool, tmp_path: Path, recipe) -> None:
    made, _ = history(tmp_path, recipe, scores, f"train.patience={patience}")
    assert made.stalled is stalled


def test_the_log_is_json_lines(tmp_path: Path, recipe) -> None:
    made, _ = history(tmp_path, recipe, [0.5, NAN])
    made.write(wanted=False)
    assert not (tmp_path / LOG).exists()
    made.write()
    made.write()

    def strict(name):
        raise AssertionError(name)

    rows = [
        json.loads(line, parse_constant=strict)
        for line in (tmp_path / LOG).read_text().splitlines()
    ]
    assert [row["epoch"] for row in rows] == [1, 2]
    assert rows[0] == {
        "epoch": 1, "lr": 1e-3, "losses": {"loss": 0.5, "va": 0.4},
        "scores": {"score": 0.5, "va": 0.5, "va CCC valence": 0.5},
        "seconds": 2.0, "windows": 100, "waiting": 0.1,
    }  # fmt: skip
    assert rows[1]["scores"] == {"score": None, "va": None, "va CCC valence": None}


def test_it_goes_on_from_its_state(tmp_path: Path, recipe) -> None:
    made, _ = history(tmp_path, recipe, [0.5, 0.1], "train.patience=2")
    other = History(tmp_path, recipe("train.patience=2"))
    other.load_state_dict(json.loads(json.dumps(made.state_dict())))
    assert (other.epochs, other.best, other.stalled) == (made.epochs, 1, False)
    assert not other.add(epoch(3, 0.2))
    assert other.stalled


@pytest.mark.parametrize("scores", [[0.5, 0.4], [None], [NAN, NAN]])
def test_curves_are_a_picture(scores, tmp_path: Path, recipe) -> None:
    made, _ = history(tmp_path, recipe, scores)
    made.plot()
    with Image.open(tmp_path / CURVES) as picture:
        assert (picture.format, picture.size) == ("PNG", (1080, 480))
        assert len(picture.convert("RGB").getcolors(1 << 20)) > 10


@pytest.fixture
def axes(monkeypatch: pytest.MonkeyPatch):
    """The axes of the figure that is drawn."""
    from matplotlib.figure import Figure

    found = []
    make = Figure.subplots

    def remembered(*args, **kwargs):
        found.extend(make(*args, **kwargs))
        return found

    monkeypatch.setattr(Figure, "subplots", remembered)
    return found


def test_an_epoch_alone_is_a_dot_with_its_number(tmp_path: Path, recipe, axes) -> None:
    made, _ = history(tmp_path, recipe, [0.5])
    made.plot()
    for each in axes:
        assert each.lines[0].get_marker() == "."
        assert each.get_xlim() == (0.5, 1.5)
        assert 1 in each.get_xticks()


def test_a_score_between_two_that_are_none_is_a_dot(tmp_path: Path, recipe, axes) -> None:
    made, _ = history(tmp_path, recipe, [NAN, 0.2, NAN])
    made.plot()
    assert axes[1].lines[0].get_marker() == "."


def test_a_run_without_validation_says_so(tmp_path: Path, recipe, axes) -> None:
    made, _ = history(tmp_path, recipe, [None, None])
    made.plot()
    assert [text.get_text() for text in axes[1].texts] == ["not validated"]


def test_no_epoch_no_curves(tmp_path: Path, recipe) -> None:
    History(tmp_path, recipe()).plot()
    assert not list(tmp_path.iterdir())


def test_tensorboard_gets_everything_at_once(tmp_path: Path, recipe) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    made, _ = history(tmp_path, recipe, [0.5, 0.25], tensorboard=True)
    # Before `close`, which an interrupted run does not come to.
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    made.close()
    assert set(events.Tags()["scalars"]) == {
        "loss/loss", "loss/va", "validation/score", "validation/va", "validation/va CCC valence",
        "lr",
    }  # fmt: skip
    assert [(e.step, e.value) for e in events.Scalars("validation/score")] == [(1, 0.5), (2, 0.25)]


def test_tensorboard_that_is_not_installed(
    tmp_path: Path, recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("torch.utils.tensorboard"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UsageError, match="pip install tensorboard"):
        History(tmp_path, recipe(), tensorboard=True)
    assert not list(tmp_path.iterdir())
