"""Predictions read back from tables, from a run's validation, and from challenge files alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fixtures.single import write_single

from avaffect.challenge.mtl import MtlSubject, write_mtl
from avaffect.challenge.text import write_annotations, write_challenge
from avaffect.errors import FormatError, InputNotFoundError, UsageError
from avaffect.files.table import write_table
from avaffect.labels import ACTION_UNITS, EXPRESSIONS
from avaffect.predicting.read_back import open_predictions
from avaffect.predictions.prediction import Prediction

EDITION = "abaw10"


def made(subject="a", frames=5, seed=0, **changes):
    rng = np.random.default_rng(seed)
    values = {
        "va": rng.uniform(-1, 1, (frames, 2)),
        "expr": rng.dirichlet(np.ones(8), frames),
        "au": rng.random((frames, 12)),
    }
    for value in values.values():
        value[1] = np.nan
    seen = np.arange(frames) != 1
    given = {"confidence": np.where(seen, 0.5, np.nan), **values, **changes}
    return Prediction(subject, "m", np.arange(frames) / 20, seen, **given)


def keep(prediction, root, **about):
    name = f"tables/{prediction.subject}.parquet"
    write_table(root / name, prediction.columns(), {"model": "m", **about})


def test_tables_give_back_the_prediction(tmp_path: Path) -> None:
    prediction = made(au_thresholds=[0.25] * 12)
    keep(prediction, tmp_path, au_thresholds=[0.25] * 12)
    folder = open_predictions(tmp_path, EDITION)
    assert folder.subjects == {"a"}
    np.testing.assert_array_equal(folder.times("a"), prediction.times)
    back = folder.read("a")
    for name in ("va", "expr", "au", "present", "confidence"):
        np.testing.assert_array_equal(getattr(back, name), getattr(prediction, name))
    np.testing.assert_array_equal(back.au_presence(), prediction.au_presence())


def test_tables_and_text_lie_in_folders_too(tmp_path: Path) -> None:
    for name in ("P01/s1", "P02/s1", "s2"):
        prediction = made(name.replace("/", "_"))
        write_table(tmp_path / f"a/tables/{name}.parquet", prediction.columns(), {"model": "m"})
        labels = np.zeros((5, 2))
        path = tmp_path / f"b/VA_Estimation_Challenge/{name}.txt"
        write_annotations(path, labels, "va", EDITION)
    for root in ("a", "b"):
        folder = open_predictions(tmp_path / root, EDITION)
        assert folder.subjects == {"P01_s1", "P02_s1", "s2"}
        assert len(folder.read("P02_s1")) == 5


def validation(path, frames=4, **columns):
    seen = np.arange(frames) != 2
    table = {"frame": np.arange(1, frames + 1), "seen_face": seen, "seen_voice": seen & False}
    for name in ("valence", "p_anger", "p_happy", "p_joy", "p_calm", "AU2_p"):
        table[name] = np.where(seen, 0.25, np.nan).astype(np.float32)
    write_table(path, table | columns, {"clip": "x", "model": "net"})


def test_a_run_gives_its_validation_of_all_folds(tmp_path: Path) -> None:
    validation(tmp_path / "fold-0/validation/tables/a.parquet")
    validation(tmp_path / "fold-1/validation/tables/b.parquet", time=np.arange(4) / 10)
    folder = open_predictions(tmp_path, EDITION)
    assert folder.subjects == {"a", "b"}
    a, b = folder.read("a", np.arange(4) / 25), folder.read("b", np.arange(4) / 25)
    np.testing.assert_allclose(a.times, np.arange(4) / 25)
    np.testing.assert_allclose(b.times, np.arange(4) / 10)
    np.testing.assert_allclose(folder.read("a").times, np.arange(4) / 30)
    assert folder.times("a") is None
    assert (a.model, a.present.tolist()) == ("net", [True, True, False, True])
    assert a.va[0].tolist() == pytest.approx([0.25, np.nan], nan_ok=True)
    # Classes with names of their own: happy and joy are one, calm is Neutral.
    assert a.expr[0].tolist() == [0.25, 0.25, 0, 0, 0.5, 0, 0, 0]
    assert np.isnan(a.expr[2]).all()
    assert a.au[0, ACTION_UNITS.index("AU2")] == 0.25
    assert np.isnan(a.au[:, 0]).all()
    assert open_predictions(tmp_path / "fold-0", EDITION).subjects == {"a"}
    assert open_predictions(tmp_path / "fold-0/validation", EDITION).subjects == {"a"}


def test_two_tables_of_one_subject_are_refused(tmp_path: Path) -> None:
    for fold in (0, 1):
        validation(tmp_path / f"fold-{fold}/validation/tables/a.parquet")
    with pytest.raises(UsageError, match="the same subject"):
        open_predictions(tmp_path, EDITION)


@pytest.mark.parametrize("kind", ["files", "single", "mtl"])
def test_challenge_files_count_as_certain(tmp_path: Path, kind: str) -> None:
    prediction = made()
    sure = (prediction.expression_ids(), prediction.au_presence())
    if kind == "mtl":
        va = np.where(np.isnan(prediction.va), -5, np.round(prediction.va, 3)).astype(float)
        numbers = np.arange(1, len(prediction) + 1)
        mtl = MtlSubject("a", numbers[:4], va[:4], sure[0][:4], sure[1][:4])
        write_mtl(tmp_path / "MTL_predictions.txt", [mtl])
    for task in prediction.tasks:
        if kind == "files":
            write_challenge(prediction, task, tmp_path)
        elif kind == "single":
            folders = {"va": "VA_Estimation", "expr": "EXPR_Classification", "au": "AU_Detection"}
            path = tmp_path / f"{folders[task]}_Challenge/predictions.txt"
            write_single([prediction], task, path)
    folder = open_predictions(tmp_path, EDITION)
    assert folder.subjects == {"a"}
    assert folder.times("a") is None
    back = folder.read("a", prediction.times)
    rows = 4 if kind == "mtl" else 5
    np.testing.assert_allclose(back.va[:rows], prediction.va[:rows], atol=1e-3)
    assert back.expression_ids()[:rows].tolist() == sure[0][:rows].tolist()
    assert back.expr[0].max() == 1
    assert back.au_presence()[:rows].tolist() == sure[1][:rows].tolist()
    assert back.present.tolist() == [True, False, True, True, rows == 5]
    np.testing.assert_allclose(folder.read("a").times, np.arange(rows) / 30)
    with pytest.raises(FormatError, match=r"rows of task 'va' .* for 3 frames"):
        folder.read("a", prediction.times[:3])


def test_seven_classes_and_eight_units_of_an_old_edition(tmp_path: Path) -> None:
    au = np.array([[1, 0, 1, 0, 1, 0, 1, 0]])
    write_annotations(tmp_path / "AU_Set/a.txt", au, "au", "abaw1")
    write_annotations(tmp_path / "EXPR_Set/a.txt", np.array([6]), "expr", "abaw1")
    back = open_predictions(tmp_path, "abaw1").read("a")
    assert EXPRESSIONS[back.expression_ids()[0]] == "Surprise"
    presence = dict(zip(ACTION_UNITS, back.au_presence()[0].tolist(), strict=True))
    assert [presence[name] for name in ("AU1", "AU4", "AU12", "AU25", "AU26")] == [1, 1, 1, 0, -1]


def test_what_is_no_prediction_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputNotFoundError, match="no predictions"):
        open_predictions(tmp_path, EDITION)
    with pytest.raises(InputNotFoundError, match="no predictions"):
        open_predictions(tmp_path / "nothing", EDITION)
    prediction = made()
    columns = {name: values for name, values in prediction.columns().items() if name != "time"}
    write_table(tmp_path / "x/tables/a.parquet", columns, {"model": "m"})
    keep(prediction, tmp_path / "y", au_thresholds=["high"] * 12)
    write_table(tmp_path / "z/tables/a.parquet", prediction.columns(), {})
    for name in "xyz":
        with pytest.raises(FormatError, match=r"a\.parquet' holds no predictions"):
            open_predictions(tmp_path / name, EDITION).read("a")
