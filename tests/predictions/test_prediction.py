from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from avaffect.challenge.text import write_challenge
from avaffect.files.table import read_table, write_table
from avaffect.predictions.prediction import ACTION_UNITS, EXPRESSIONS, Prediction

NAN = np.nan


def make(n: int = 3, **changes: Any) -> Prediction:
    """n frames, the second without a face."""
    rng = np.random.default_rng(1)
    missing = np.arange(n) == 1
    values: dict[str, Any] = {
        "times": np.arange(n) / 25,
        "present": ~missing,
        "confidence": np.where(missing, NAN, 0.9),
        "va": rng.uniform(-1, 1, (n, 2)),
        "expr": rng.dirichlet(np.ones(8), n),
        "au": rng.random((n, 12)),
        "au_intensity": rng.uniform(0, 5, (n, 12)),
    }
    for name in ("va", "expr", "au", "au_intensity"):
        values[name][missing] = NAN
    return Prediction("clip", "test", **(values | changes))


def test_arrays_get_their_types_and_default() -> None:
    p = make()
    assert (p.times.dtype, p.va.dtype, p.expr.dtype) == (np.float64, np.float32, np.float32)
    assert p.filled.tolist() == [False, False, False]
    assert len(p) == 3
    assert p.tasks == ("va", "expr", "au")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"va": np.zeros((2, 2))}, "va has shape"),
        ({"expr": np.full((3, 7), 1 / 7)}, "expr has shape"),
        ({"au": np.zeros((3, 8))}, "au has shape"),
        ({"present": np.ones(4)}, "present has shape"),
        ({"times": np.array([0, 0.2, 0.1])}, "times must"),
        ({"times": np.array([0, NAN, 1])}, "times must"),
        ({"va": np.full((3, 2), 1.01)}, "va must lie"),
        ({"va": np.full((3, 2), np.inf)}, "va must lie"),
        ({"va": np.array([[0, NAN], [0, 0], [0, 0]])}, "NaN in part"),
        ({"expr": np.array([[0.5, 0.5] + [NAN] * 6] * 3)}, "expr has rows that are NaN in part"),
        ({"heard": np.ones(2)}, "heard has shape"),
        ({"expr": np.full((3, 8), 0.2)}, "sum to one"),
        ({"au": np.full((3, 12), -0.1)}, "au must lie"),
        ({"au_intensity": np.full((3, 12), 5.1)}, "au_intensity must lie"),
        ({"confidence": np.array([0, 1, 2])}, "confidence must lie"),
        ({"au": None}, "au_intensity needs au"),
        ({"au": None, "au_intensity": None, "au_thresholds": [0.5] * 12}, "au_thresholds needs"),
        ({"au_thresholds": [0.5] * 11}, "au_thresholds has shape"),
        ({"au_thresholds": [0.5] * 11 + [NAN]}, "au_thresholds must lie"),
        ({"au_thresholds": [0.5] * 11 + [1.5]}, "au_thresholds must lie"),
    ],
)
def test_wrong_arrays_are_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make(**changes)


def test_units_have_thresholds_of_their_own(tmp_path: Path) -> None:
    au = np.full((3, 12), 0.4)
    au[1] = NAN
    limits = [0.4, 0.41, *[0.5] * 10]
    p = make(au=au, au_thresholds=limits)
    assert p.au_presence()[:, :3].tolist() == [[1, 0, 0], [-1, -1, -1], [1, 0, 0]]
    assert p.au_presence(0.3)[0].tolist() == [1] * 12
    assert p.columns()["AU1"][[0, 2]].tolist() == [1, 1]
    write_challenge(p, "au", tmp_path)
    (file,) = tmp_path.glob("*/*.txt")
    assert file.read_text().splitlines()[1].startswith("1,0,0")
    back = Prediction.from_columns(p.columns(), "clip", "test", limits)
    np.testing.assert_array_equal(back.au_presence(), p.au_presence())


def test_decisions() -> None:
    expr = np.array([[0.1, 0.2, 0, 0, 0, 0, 0, 0.7], [NAN] * 8, [0.5, 0.5, 0, 0, 0, 0, 0, 0]])
    au = np.full((3, 12), 0.3)
    au[0, 0], au[1] = 0.5, NAN
    p = make(expr=expr, au=au)
    assert p.expression_ids().tolist() == [7, -1, 0]
    assert p.expression_ids(classes=7).tolist() == [1, -1, 0]
    assert p.au_presence()[:, 0].tolist() == [1, -1, 0]
    assert p.au_presence(0.3)[2].tolist() == [1] * 12
    with pytest.raises(ValueError, match="does not predict expr"):
        make(expr=None).expression_ids()


def test_frame_has_everything() -> None:
    p = make()
    frame = p.to_frame()
    assert frame.index.tolist() == frame["frame"].tolist() == [1, 2, 3]
    assert frame.columns[:8].tolist() == [
        "frame",
        "time",
        "present",
        "heard",
        "filled",
        "confidence",
        "valence",
        "arousal",
    ]
    assert frame["expression"].cat.categories.tolist() == list(EXPRESSIONS)
    assert frame["expression"].isna().tolist() == [False, True, False]
    assert frame["expression"][1] == EXPRESSIONS[p.expression_ids()[0]]
    assert frame.loc[3, "p_Other"] == p.expr[2, 7]
    assert frame.loc[3, "AU26"] == p.au_presence()[2, 11]
    assert np.isnan(frame.loc[2, "AU26"])
    assert frame.loc[1, "AU1_p"] == p.au[0, 0]
    assert frame.loc[1, "AU1_intensity"] == p.au_intensity[0, 0]
    assert len(frame.columns) == 6 + 2 + 9 + 3 * len(ACTION_UNITS)


def test_va_alone() -> None:
    p = make(expr=None, au=None, au_intensity=None)
    assert p.tasks == ("va",)
    assert p.to_frame().columns[6:].tolist() == ["valence", "arousal"]


@pytest.mark.parametrize("absent", [[], ["expr"], ["va", "au_intensity"], ["au", "au_intensity"]])
def test_table_and_back(tmp_path: Path, absent: list[str]) -> None:
    p = make(5, **dict.fromkeys(absent), filled=np.arange(5) > 3, heard=np.arange(5) % 2)
    write_table(tmp_path / "x.parquet", p.columns(), {})
    back = Prediction.from_columns(read_table(tmp_path / "x.parquet")[0], "clip", "test")
    for name in (
        "times",
        "present",
        "confidence",
        "va",
        "expr",
        "au",
        "au_intensity",
        "filled",
        "heard",
    ):
        np.testing.assert_array_equal(getattr(back, name), getattr(p, name))
    with pytest.raises(ValueError, match="'time' is missing"):
        Prediction.from_columns({}, "clip", "test")


def test_where_the_face_lies_is_at_the_end_of_the_table(tmp_path: Path) -> None:
    places = np.arange(51, dtype=float).reshape(3, 17)
    places[1] = NAN
    p = make(geometry=places)
    assert p.to_frame().columns[-17:].tolist() == [
        "box_left", "box_top", "box_right", "box_bottom",
        "left_eye_x", "left_eye_y", "right_eye_x", "right_eye_y", "nose_x", "nose_y",
        "mouth_left_x", "mouth_left_y", "mouth_right_x", "mouth_right_y",
        "yaw", "pitch", "roll",
    ]  # fmt: skip
    write_table(tmp_path / "x.parquet", p.columns(), {})
    columns = read_table(tmp_path / "x.parquet")[0]
    np.testing.assert_array_equal(
        Prediction.from_columns(columns, "clip", "test").geometry, p.geometry
    )
    # Tables of earlier versions do not have it.
    for name in p.to_frame().columns[-17:]:
        del columns[name]
    assert Prediction.from_columns(columns, "clip", "test").geometry is None
    with pytest.raises(ValueError, match="geometry has shape"):
        make(geometry=np.zeros((3, 4)))


def test_a_table_on_the_clock_of_the_file() -> None:
    p = make(start=1.5)
    assert p.to_frame()["time"].tolist() == [1.5, 1.54, 1.58]
    back = Prediction.from_columns(p.columns(), "clip", "test")
    assert back.start == 1.5
    np.testing.assert_allclose(back.times, p.times, atol=1e-12)


def test_no_frames_at_all() -> None:
    p = make(0)
    assert len(p) == 0
    assert p.expression_ids().shape == (0,)
    assert len(p.to_frame()) == 0


def partly(n: int = 4) -> Prediction:
    """Valence without arousal, two of the units; the second frame has no value."""
    va, au = np.full((n, 2), NAN), np.full((n, 12), NAN)
    va[:, 0], au[:, [0, 6]] = np.linspace(-1, 1, n), 0.75
    va[1], au[1] = NAN, NAN
    return make(n, va=va, expr=None, au=au, au_intensity=None)


def test_columns_that_the_model_does_not_know(tmp_path: Path) -> None:
    p = partly()
    assert p.tasks == ("va", "au")
    presence = p.au_presence()
    assert presence[:, 0].tolist() == presence[:, 6].tolist() == [1, -1, 1, 1]
    assert (np.delete(presence, [0, 6], axis=1) == -1).all()
    table = p.to_frame()
    assert table["arousal"].isna().all()
    assert table["valence"].isna().tolist() == [False, True, False, False]
    assert table[["AU2", "AU2_p"]].isna().all(axis=None)
    write_table(tmp_path / "x.parquet", p.columns(), {})
    back = Prediction.from_columns(read_table(tmp_path / "x.parquet")[0], "clip", "test")
    np.testing.assert_array_equal(back.va, p.va)
    np.testing.assert_array_equal(back.au, p.au)


def test_how_many_frames_have_a_value_of_their_own() -> None:
    assert make().valued == 2
    assert make(filled=np.array([True, False, False])).valued == 1
    assert partly().valued == 3
    # A value in any task counts.
    va = np.array([[NAN] * 2, [0.5] * 2, [NAN] * 2])
    assert make(va=va).valued == 3
    assert make(va=va, expr=None, au=None, au_intensity=None).valued == 1
    assert make(va=np.full((3, 2), NAN), expr=None, au=None, au_intensity=None).valued == 0
    nothing = dict.fromkeys(("va", "expr", "au", "au_intensity"))
    assert make(**nothing).valued == 0


def test_nobody_is_heard_unless_said() -> None:
    assert make().heard.tolist() == [False] * 3
    heard = make(heard=[1, 0, 1]).heard
    assert (heard.dtype, heard.tolist()) == (bool, [True, False, True])


def with_interval(p: Prediction, **changes: Any) -> Prediction:
    """``p`` with bounds .25 below and .5 above its values, within [-1, 1]."""
    interval = np.clip(p.va[:, :, None] + np.array([-0.25, 0.5]), -1, 1)
    return replace(p, **({"va_interval": interval} | changes))


def test_interval_has_its_columns_after_the_values(tmp_path: Path) -> None:
    p = with_interval(make())
    assert p.va_interval.dtype == np.float32
    frame = p.to_frame()
    names = ["valence", "arousal", "valence_low", "valence_high", "arousal_low", "arousal_high"]
    assert frame.columns[6:12].tolist() == names
    assert frame.loc[1, "valence_low"] == p.va_interval[0, 0, 0]
    assert frame.loc[3, "arousal_high"] == p.va_interval[2, 1, 1]
    assert np.isnan(frame.loc[2, "arousal_low"])
    write_table(tmp_path / "x.parquet", p.columns(), {})
    back = Prediction.from_columns(read_table(tmp_path / "x.parquet")[0], "clip", "test")
    np.testing.assert_array_equal(back.va_interval, p.va_interval)


def test_interval_of_valence_alone(tmp_path: Path) -> None:
    p = with_interval(partly())
    assert np.isnan(p.va_interval[:, 1]).all()
    write_table(tmp_path / "x.parquet", p.columns(), {})
    back = Prediction.from_columns(read_table(tmp_path / "x.parquet")[0], "clip", "test")
    np.testing.assert_array_equal(back.va_interval, p.va_interval)


@pytest.mark.parametrize(
    ("low", "high", "says"),
    [
        (0.1, 0.2, "low <= va <= high"),
        (-0.2, -0.1, "low <= va <= high"),
        (0.1, -0.1, "low <= va <= high"),
        (-1.1, 0.1, "between -1 and 1"),
        (-0.1, np.inf, "between -1 and 1"),
        (NAN, 0.1, "NaN where va is"),
    ],
)
def test_wrong_intervals_are_refused(low: float, high: float, says: str) -> None:
    interval = np.zeros((3, 2, 2))
    interval[2, 1] = low, high
    with pytest.raises(ValueError, match=says):
        make(va=np.zeros((3, 2)), va_interval=interval)


def test_interval_needs_va_of_the_same_frames() -> None:
    with pytest.raises(ValueError, match="va_interval needs va"):
        make(va=None, va_interval=np.zeros((3, 2, 2)))
    with pytest.raises(ValueError, match="va_interval has shape"):
        make(va_interval=np.zeros((3, 2)))
    with pytest.raises(ValueError, match="NaN where va is"):
        make(va_interval=np.stack([np.full((3, 2), -1.0), np.full((3, 2), 1.0)], axis=2))


def test_table_with_half_an_interval_is_refused() -> None:
    columns = with_interval(make()).columns()
    del columns["arousal_high"]
    with pytest.raises(ValueError, match="'arousal_high' is missing"):
        Prediction.from_columns(columns, "clip", "test")


def test_units_may_be_missing_one_by_one() -> None:
    au = np.array([[0, NAN] + [0.5] * 10, [NAN] * 12, [0.5] * 12])
    prediction = make(au=au)
    assert prediction.au_presence()[0, :3].tolist() == [0, -1, 1]
    assert np.isnan(prediction.columns()["AU2"][0]) and prediction.columns()["AU1"][0] == 0
