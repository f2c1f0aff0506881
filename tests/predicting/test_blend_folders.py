"""Folders of predictions as one folder, which everything that reads predictions can read."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from avaffect.challenge.text import read_annotations, write_challenge
from avaffect.errors import (
    BusyError,
    ForeignFileError,
    FormatError,
    InputNotFoundError,
    UsageError,
)
from avaffect.files.table import read_table, write_table
from avaffect.labels import ACTION_UNITS
from avaffect.metrics.pairs import read_pairs
from avaffect.predicting.blend_folders import blend_folders
from avaffect.predicting.read_back import open_predictions
from avaffect.predictions.blend import Blending, blend
from avaffect.predictions.missing import fill, marked
from avaffect.predictions.prediction import Prediction
from avaffect.predictions.smooth import apply, parse_smoothing

FILES = {"va": "VA_Estimation_Challenge", "expr": "EXPR_Classification_Challenge",
         "au": "AU_Detection_Challenge"}  # fmt: skip


def made(subject, model, seed, frames=30):
    rng = np.random.default_rng(seed)
    values = {
        "va": rng.uniform(-1, 1, (frames, 2)),
        "expr": rng.dirichlet(np.ones(8), frames),
        "au": rng.random((frames, 12)),
    }
    seen = np.ones(frames, bool)
    seen[4:6] = False
    for value in values.values():
        value[~seen] = np.nan
    confidence = np.where(seen, 0.5, np.nan)
    return Prediction(subject, model, np.arange(frames) / 20, seen, confidence, **values)


def keep(root, *predictions, tables=True):
    """As predict does, its challenge files filled."""
    for prediction in predictions:
        if tables:
            about = {
                "model": prediction.model,
                "video": {"name": f"{prediction.subject}.mp4", "sha256": "0"},
            }
            write_table(
                root / f"tables/{prediction.subject}.parquet", fill(prediction).columns(), about
            )
        for task in prediction.tasks:
            write_challenge(fill(prediction), task, root)


@pytest.fixture
def pair(tmp_path: Path):
    """Two models' predictions of subjects a and b, in the folders m and n."""
    kept = {}
    for at, model in enumerate("mn"):
        kept[model] = [made(name, model, 10 * at + i) for i, name in enumerate("ab")]
        keep(tmp_path / model, *kept[model])
    return kept


def test_files_and_tables_hold_the_blend(tmp_path: Path, pair) -> None:
    how = Blending((3, 1), "vote", "vote:2")
    smooth = "va=box:0.3,au=median:0.2"
    out = tmp_path / "out"
    done = blend_folders([tmp_path / "m", tmp_path / "n"], out, how, smooth=smooth)
    assert (done.subjects, done.frames, done.left_out) == (("a", "b"), 60, ())
    assert done.models == {str(tmp_path / name): (name,) for name in "mn"}
    back = open_predictions(out, "abaw10").read("b")
    # What predict filled in is gone before anything is averaged or smoothed.
    empty = apply(blend([pair["m"][1], pair["n"][1]], how), parse_smoothing(smooth))
    wanted = fill(empty)
    for name in ("va", "expr", "au"):
        np.testing.assert_allclose(getattr(back, name), getattr(empty, name), atol=1e-6)
    assert back.filled.tolist() == wanted.filled.tolist()
    for task, folder in FILES.items():
        labels = read_annotations(out / folder / "b.txt", task)
        if task == "va":
            np.testing.assert_allclose(labels, wanted.va, atol=1e-4)
        else:
            decided = wanted.expression_ids() if task == "expr" else wanted.au_presence()
            np.testing.assert_array_equal(labels, decided)
        assert len(read_pairs(out, tmp_path / "m", task, "abaw10").pairs) == 2


def test_tables_with_and_without_made_up_values_blend_to_the_same(tmp_path: Path, pair) -> None:
    """Those of earlier versions were filled, those of this one are not."""
    for name in "mn":
        for prediction in pair[name]:
            about = {"model": prediction.model, "missing": "linear"}
            table = tmp_path / f"empty-{name}/tables/{prediction.subject}.parquet"
            write_table(table, marked(prediction).columns(), about)
    blend_folders([tmp_path / "m", tmp_path / "n"], tmp_path / "old")
    blend_folders([tmp_path / "empty-m", tmp_path / "empty-n"], tmp_path / "new")
    for folder in FILES.values():
        for name in "ab":
            texts = [tmp_path / age / folder / f"{name}.txt" for age in ("old", "new")]
            assert texts[0].read_bytes() == texts[1].read_bytes()
    assert read_table(tmp_path / "new/tables/a.parquet")[1]["missing"] == "linear"


def test_clocks_of_a_blend_may_differ_by_their_zero(tmp_path: Path, pair) -> None:
    first, second = pair["m"][0], pair["n"][0]
    for name, prediction, clock, way in (
        ("m2", first, "frame", "tuned"), ("n2", second, "media", "trained")
    ):  # fmt: skip
        shifted = replace(prediction, start=1.25 * (clock == "media"))
        about = {"model": name, "clock": clock, "media": {"first_time_s": 1.25}}
        about["known"] = {"a": [way]}
        write_table(tmp_path / name / "tables/a.parquet", shifted.columns(), about)
    blend_folders([tmp_path / "n2", tmp_path / "m2"], tmp_path / "out")
    columns, about = read_table(tmp_path / "out/tables/a.parquet")
    assert (columns["time"][0], about["clock"]) == (1.25, "media")
    assert about["media"] == {"first_time_s": 1.25}
    # What one of them knows, the blend knows.
    assert about["known"] == {"a": ["trained", "tuned"]}


def test_the_record_says_how_it_was_made(tmp_path: Path, pair) -> None:
    out = tmp_path / "out"
    blend_folders([tmp_path / "m", tmp_path / "n"], out, Blending((2, 1)))
    record = json.loads((out / "blend.json").read_text())
    assert record["folders"] == [str(tmp_path / "m"), str(tmp_path / "n")]
    assert (record["weights"], record["smooth"], record["missing"]) == ([2, 1], "off", "linear")
    assert record["subjects"] == ["a", "b"]
    _, about = read_table(out / "tables/a.parquet")
    assert about["model"] == "blend of m, n"
    assert about["video"]["name"] == "a.mp4"
    assert [len(input["sha256"]) for input in about["blend"]["inputs"]] == [64, 64]


@pytest.mark.parametrize("tables", [True, False])
def test_its_key_depends_on_the_predictions_and_not_on_their_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tables: bool
) -> None:
    def key(place: str, seed: int = 1, how: Blending | None = None) -> str:
        folders = [tmp_path / place / name for name in ("m", "n")]
        for number, folder in enumerate(folders):
            keep(folder, made("a", folder.name, seed + number), tables=tables)
        out = tmp_path / place / "out"
        blend_folders(folders, out, how)
        return str(json.loads((out / "records/a.json").read_text())["key"])

    first = key("here")
    monkeypatch.setattr("avaffect.predicting.blend_folders.__version__", "99")
    assert key("there") == first
    assert len({first, key("other", seed=5), key("weighted", how=Blending((2, 1)))}) == 3


def test_folders_of_labels_count_with_their_labels(tmp_path: Path, pair) -> None:
    keep(tmp_path / "theirs", *pair["n"], tables=False)
    out = tmp_path / "out"
    blend_folders([tmp_path / "theirs", tmp_path / "m"], out, missing="invalid")
    back = open_predictions(out, "abaw10").read("a")
    ours, theirs = pair["m"][0], pair["n"][0]
    at = 7
    np.testing.assert_allclose(back.times, ours.times)
    np.testing.assert_allclose(back.va[at], (ours.va[at] + theirs.va[at]) / 2, atol=1e-3)
    certain = np.eye(8)[theirs.expression_ids()[at]]
    np.testing.assert_allclose(back.expr[at], (ours.expr[at] + certain) / 2, atol=1e-6)
    # Of their files nobody can tell what stood in for a missing value.
    np.testing.assert_allclose(back.va[4], fill(theirs).va[4], atol=1e-3)


def test_subjects_that_only_some_folders_have(tmp_path: Path, pair) -> None:
    keep(tmp_path / "m", made("c", "m", 5))
    folders, out = [tmp_path / "m", tmp_path / "n"], tmp_path / "out"
    with pytest.raises(
        UsageError, match=r"1 subjects are in some of the folders only \('c'; .*/n' la"
    ):
        blend_folders(folders, out)
    assert not out.exists()
    done = blend_folders(folders, out, common=True)
    assert (done.subjects, done.left_out) == (("a", "b"), ("c",))
    keep(tmp_path / "alone", made("d", "m", 6))
    with pytest.raises(UsageError, match="no subject is in all"):
        blend_folders([*folders, tmp_path / "alone"], tmp_path / "new", common=True)


def test_an_earlier_blend_is_replaced_when_asked_for_and_nothing_else_is(
    tmp_path: Path, pair
) -> None:
    folders, out = [tmp_path / "m", tmp_path / "n"], tmp_path / "out"
    for root in folders:
        keep(root, made("c", "m", 5))
    blend_folders(folders, out)
    for root in folders:
        (root / "tables/c.parquet").unlink()
    with pytest.raises(UsageError, match="overwrite=True"):
        blend_folders(folders, out)
    blend_folders(folders, out, overwrite=True)
    assert sorted(path.stem for path in out.rglob("*.txt")) == ["a"] * 3 + ["b"] * 3
    assert sorted(path.stem for path in out.rglob("*.parquet")) == ["a", "b"]
    keep(tmp_path / "predicted", *pair["m"])
    with pytest.raises(UsageError, match=r"another output folder$"):
        blend_folders(folders, tmp_path / "predicted", overwrite=True)
    for place in (tmp_path / "m", tmp_path / "x/../n"):
        with pytest.raises(UsageError, match="is what is blended"):
            blend_folders(folders, place, overwrite=True)


def test_single_and_multi_task_files(tmp_path: Path, pair) -> None:
    folders = [tmp_path / "m", tmp_path / "n"]
    blend_folders(folders, tmp_path / "one", form="single")
    for folder in FILES.values():
        lines = (tmp_path / "one" / folder / "predictions.txt").read_text().splitlines()
        assert len(lines) == 61
    blend_folders(folders, tmp_path / "two", form="mtl", edition="abaw3")
    text = (tmp_path / "two/MTL_Challenge/MTL_predictions.txt").read_text()
    assert len(text.splitlines()) == 61
    assert text.splitlines()[1].count(",") == 3 + len(ACTION_UNITS)


def test_what_does_not_fit_is_refused_before_anything_is_written(tmp_path: Path, pair) -> None:
    folders, out = [tmp_path / "m", tmp_path / "n"], tmp_path / "out"
    with pytest.raises(UsageError, match="3 weights for 2"):
        blend_folders(folders, out, Blending((1, 2, 3)))
    with pytest.raises(UsageError, match="no files of format 'single'"):
        blend_folders(folders, out, form="single", edition="abaw2")
    with pytest.raises(InputNotFoundError, match="no predictions"):
        blend_folders([*folders, tmp_path / "nowhere"], out)
    keep(tmp_path / "short", *(made(name, "s", 1, frames=29) for name in "ab"))
    with pytest.raises(FormatError, match="30 frames by m and 29 by s"):
        blend_folders([tmp_path / "m", tmp_path / "short"], out)
    assert not out.exists()


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("name", ["VA_Estimation_Challenge/b.txt", "blend.json"])
def test_what_avaffect_did_not_write_is_refused_and_stays(
    name: str, overwrite: bool, tmp_path: Path, pair
) -> None:
    path = tmp_path / "out" / name
    path.parent.mkdir(parents=True)
    path.write_text("theirs")
    with pytest.raises(ForeignFileError, match=name):
        blend_folders([tmp_path / "m", tmp_path / "n"], tmp_path / "out", overwrite=overwrite)
    assert path.read_text() == "theirs"


def test_a_blend_that_was_killed_is_gone_on_with(tmp_path: Path, pair) -> None:
    folders, out = [tmp_path / "m", tmp_path / "n"], tmp_path / "out"
    blend_folders(folders, tmp_path / "whole")

    def stop(event):
        raise KeyboardInterrupt

    for overwrite in (False, True):
        with pytest.raises(KeyboardInterrupt):
            blend_folders(folders, out, overwrite=overwrite, on_event=stop)
        # Half of it is new: it is no blend until it is finished.
        assert not (out / "blend.json").exists()
        blend_folders(folders, out)
        for file in (tmp_path / "whole").rglob("*.txt"):
            there = out / file.relative_to(tmp_path / "whole")
            assert there.read_bytes() == file.read_bytes()
    assert not list(out.glob(".*"))


def test_two_blends_at_once(tmp_path: Path, pair) -> None:
    folders, out = [tmp_path / "m", tmp_path / "n"], tmp_path / "out"

    def second(event):
        with pytest.raises(BusyError, match=f"working on '{out}'"):
            blend_folders(folders, out, overwrite=True)

    blend_folders(folders, out, on_event=second)
    assert (out / "blend.json").exists()
