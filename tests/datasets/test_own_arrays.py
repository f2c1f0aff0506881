"""Features of users as arrays of the store."""

import json
from pathlib import Path

import numpy as np
import pytest
from fixtures.prepared import make_prepared

from avaffect.datasets.own_arrays import OwnFeatures, name_for, store_own
from avaffect.errors import FeatureError, FormatError, InputNotFoundError, UsageError
from avaffect.progress import Notice, Progress
from avaffect.store.provenance import backbones_in
from avaffect.store.subject import SubjectFeatures

VALUES = np.random.default_rng(3).normal(size=(12, 4)).astype(np.float32)


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    (tmp_path / "tables").mkdir()
    return tmp_path / "tables"


def stored(root: Path, name: str) -> np.ndarray:
    return SubjectFeatures.open(root / "features" / name).array("mine")


def test_rows_become_frames(tmp_path: Path, tables: Path) -> None:
    folder = make_prepared(tmp_path / "clip", 12)
    np.save(tables / "clip.npy", VALUES)
    events: list[object] = []
    done = store_own(folder.root, OwnFeatures.find(tables), "mine", on_event=events.append)
    assert (done.name, done.done, done.frames) == ("mine", ("clip",), 12)
    np.testing.assert_array_equal(stored(folder.root, "clip"), VALUES)
    assert events == [Progress("features", 12, 12), Progress("features", 12, 12, finished=True)]
    about = json.loads((folder.root / "features/clip/provenance.json").read_text())
    facts = about["arrays"]["mine"]["about"]
    assert (facts["kind"], facts["file"], facts["matched_by"]) == ("own", "clip.npy", "position")
    assert facts["columns"] == ["0", "1", "2", "3"]
    assert "audio" in about["arrays"]
    # The same again is nothing to do; another file or rule is.
    assert store_own(folder.root, OwnFeatures.find(tables), "mine").done == ()
    np.save(tables / "clip.npy", VALUES + 1)
    assert store_own(folder.root, OwnFeatures.find(tables), "mine").done == ("clip",)
    first = backbones_in(SubjectFeatures.open(folder.root / "features/clip").keys)
    assert store_own(folder.root, OwnFeatures.find(tables, ["0"]), "mine").done == ("clip",)
    assert stored(folder.root, "clip").shape == (12, 1)
    # Other columns are another maker, which training tells apart.
    assert backbones_in(SubjectFeatures.open(folder.root / "features/clip").keys) != first


@pytest.mark.parametrize("rows", [10, 11, 13, 14])
def test_a_row_or_two_more_or_fewer(rows: int, tmp_path: Path, tables: Path) -> None:
    folder = make_prepared(tmp_path / "clip", 12)
    values = np.resize(VALUES, (rows, 4))
    np.save(tables / "clip.npy", values)
    events: list[object] = []
    store_own(folder.root, OwnFeatures.find(tables), "mine", on_event=events.append)
    (notice,) = [event for event in events if isinstance(event, Notice)]
    assert f"has {rows} rows for 12 frames: row 1 is frame 1" in notice.text
    found = stored(folder.root, "clip")
    np.testing.assert_array_equal(found[:rows], values[:12])
    assert np.isnan(found[rows:]).all()


def test_far_more_is_an_error(tmp_path: Path, tables: Path) -> None:
    folder = make_prepared(tmp_path / "clip", 12)
    np.save(tables / "clip.npy", np.resize(VALUES, (15, 4)))
    with pytest.raises(FormatError, match="15 rows for 12 frames"):
        store_own(folder.root, OwnFeatures.find(tables), "mine")
    assert "mine" not in SubjectFeatures.open(folder.root / "features/clip").names
    # By time, or a rate, it is none.
    store_own(folder.root, OwnFeatures.find(tables, rate=31.25), "mine")
    np.testing.assert_array_equal(
        stored(folder.root, "clip")[:4], np.resize(VALUES, (15, 4))[[0, 1, 2, 4]]
    )


def test_whose_file_it_is() -> None:
    pair = ["a_left", "a_right"]
    assert name_for("a_left", ["a_left", "a"], pair) == "a_left"
    assert name_for("a_left", ["a"], pair) == "a"
    assert name_for("a", ["a_right"], ["a"]) == "a_right"
    assert name_for("a_left", ["a_right"], pair) is None
    assert name_for("a", ["a_left", "a_right"], ["a"]) is None


def test_one_file_for_two_people_is_told(tmp_path: Path, tables: Path) -> None:
    folder = make_prepared(tmp_path / "clip", 12, "clip_left", "clip_right")
    np.save(tables / "clip.npy", VALUES)
    events: list[object] = []
    store_own(folder.root, OwnFeatures.find(tables), "mine", on_event=events.append)
    (notice,) = [event for event in events if isinstance(event, Notice)]
    assert notice.warning
    assert "is given to clip_left and clip_right: right for features of the sound" in notice.text
    np.testing.assert_array_equal(stored(folder.root, "clip_right"), VALUES)


def test_wrong_use(tmp_path: Path, tables: Path) -> None:
    folder = make_prepared(tmp_path / "clip", 12)
    with pytest.raises(InputNotFoundError, match=r"holds no features: their files end in \.csv"):
        OwnFeatures.find(tables)
    with pytest.raises(InputNotFoundError, match="there is no folder"):
        OwnFeatures.find(tmp_path / "nowhere")
    np.save(tables / "other.npy", VALUES)
    own = OwnFeatures.find(tables)
    with pytest.raises(FeatureError, match=r"no features of 'clip': name its file .* clip\.npy"):
        store_own(folder.root, own, "mine")
    for name in ("audio", "faces", "a b"):
        with pytest.raises(UsageError, match="name="):
            store_own(folder.root, own, name)
    with pytest.raises(UsageError, match=r"leave out time=\.\.\. or rate"):
        OwnFeatures.find(tables, time="t", rate=3)
