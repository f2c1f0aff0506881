"""Public sets as one dataset: parts, groups, features, and what is not labelled."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fixtures.public_sets import MAKERS, afewva, affectnet, disfa, omg, picture, rafdb

from avaffect.datasets.clip import Clip
from avaffect.datasets.sets.aligned import RECORD
from avaffect.datasets.sets.clips import join, load_sets
from avaffect.errors import FeatureError, UsageError
from avaffect.files.atomic import write_json
from avaffect.files.npy import ArraySpec
from avaffect.progress import Notice
from avaffect.store.spool import Spool
from avaffect.store.subject import FACES, SpooledSubject
from avaffect.store.writing import write_subject


def store(root: Path, name: str, frames: int) -> None:
    """A preprocessed folder with one array ``audio``."""
    spool = Spool.create(root / "spool" / name, {}, "key")
    values = np.zeros((frames, 3), np.float32)
    for row in range(frames):
        spool.append_frame(row / 25)
    spool.write_rows({"audio": ArraySpec((3,), "float32")}, [{"audio": values}])
    subject = SpooledSubject(name, spool, ())
    target = root / name / "features" / name
    write_subject(target, subject, {}, {FACES: "f", "audio": "a"})


def aligned(root: Path, name: str, *places: str) -> Path:
    """A folder as `align_set` leaves it."""
    write_json(root / RECORD, {"set": name, "pictures": 1, "faces": 1, "damaged": 0})
    for place in places:
        picture(root / place, side=16)
    return root


def by_name(clips: tuple[Clip, ...]) -> dict[str, Clip]:
    return {clip.name: clip for clip in clips}


def test_two_sets_of_pictures(tmp_path: Path) -> None:
    """Each keeps the labels it has; all pictures get the size of the first."""
    rafdb(tmp_path / "r", [(f"train_{at:05d}", 4) for at in range(1, 11)] + [("test_0001", 1)])
    affectnet(tmp_path / "a", [(1, 0.5, 0.25)], [(0, 0, 0)])
    picture(tmp_path / "a/train_set/images/0.jpg", side=60)
    said: list[Notice] = []
    sets = [f"rafdb={tmp_path / 'r'}", f"affectnet={tmp_path / 'a'}"]
    dataset = load_sets(sets, on_event=lambda e: said.append(e) if isinstance(e, Notice) else None)
    assert list(dataset.targets) == ["va", "expr"]
    assert dataset.per_clip
    clips = by_name(dataset.clips)
    assert set(clips["rafdb_train_00001"].labels) == {"expr"}
    assert clips["affectnet_train_0"].labels["va"].tolist() == [[0.5, 0.25]]
    assert {clip.features.specs["faces"].shape for clip in dataset.clips} == {(24, 24, 3)}
    assert clips["affectnet_train_0"].features.array("faces").shape == (1, 24, 24, 3)
    assert "rafdb_test_0001" not in clips
    assert "1 of the test part left alone" in said[0].text


def test_a_fifth_of_the_groups_validates(tmp_path: Path) -> None:
    """Only where the set has no part for it; whole subjects, the same each time."""
    root = afewva(tmp_path / "w", {f"{at:03d}": [(0, 0)] for at in range(10)}, actor="")
    aligned(tmp_path / "f", "afew-va", *(f"{at:03d}/00000.jpg" for at in range(10)))
    sets, features = [f"afew-va={root}"], [str(tmp_path / "f")]
    splits = [clip.split for clip in load_sets(sets, features).clips]
    assert sorted(splits) == ["train"] * 8 + ["val"] * 2
    assert splits == [clip.split for clip in load_sets(sets, features).clips]


def test_frames_without_a_face_are_unseen(tmp_path: Path) -> None:
    root = afewva(tmp_path / "w", {"001": [(1, 1), (2, 2), (3, 3)], "002": [(0, 0)]})
    faces = aligned(tmp_path / "f", "afew-va", "001/00000.jpg", "001/00002.jpg")
    said: list[object] = []
    dataset = load_sets([f"afew-va={root}"], [f"afew-va={faces}"], on_event=said.append)
    (clip,) = dataset.clips
    assert clip.features.array("has_face").tolist() == [True, False, True]
    assert clip.features.array("faces", 1, 2).max() == 0
    np.testing.assert_allclose(clip.labels["va"][:, 0], [0.1, 0.2, 0.3], atol=1e-6)
    assert not dataset.per_clip
    assert any("002" in note.text for note in said if isinstance(note, Notice))


@pytest.mark.parametrize("name", ["afew-va", "bp4d"])
def test_whole_pictures_are_refused(name: str, tmp_path: Path) -> None:
    root = MAKERS[name](tmp_path)
    with pytest.raises(UsageError, match="more than the face") as caught:
        load_sets([f"{name}={root}"])
    assert "avaffect data align" in str(caught.value)
    assert f"{name}=DIR" in str(caught.value)


@pytest.mark.parametrize("name", ["omg", "disfa", "ravdess"])
def test_videos_and_sounds_want_features(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="avaffect preprocess"):
        load_sets([f"{name}={MAKERS[name](tmp_path)}"])


def test_labels_of_frames_against_a_video(tmp_path: Path) -> None:
    """Row i is frame i; a frame more has no label, a label more is dropped."""
    root = disfa(tmp_path / "d", {"SN001": [0, 5, 5], "SN002": [5, 5, 5]})
    store(tmp_path / "p", "LeftVideoSN001_comp", 4)
    store(tmp_path / "p", "LeftVideoSN002_comp", 2)
    clips = by_name(load_sets([f"disfa={root}"], [str(tmp_path / "p")]).clips)
    units = clips["disfa_LeftVideoSN001_comp"].labels["au"]
    assert units[:, 6].tolist() == [0, 1, 1, -1]
    assert clips["disfa_LeftVideoSN002_comp"].labels["au"][:, 6].tolist() == [1, 1]


def test_one_label_holds_for_the_whole_clip(tmp_path: Path) -> None:
    root = omg(tmp_path / "o", {"omg_TrainVideos.csv": ["a1_1,utterance_1.mp4,0.25,-0.5,3"]})
    store(tmp_path / "p", "a1_1_video_utterance_1", 5)
    dataset = load_sets([f"omg={root}"], [str(tmp_path / "p")])
    assert dataset.per_clip
    assert dataset.clips[0].labels["va"].tolist() == [[-0.5, -0.5]] * 5


def test_a_store_that_could_be_of_two(tmp_path: Path) -> None:
    rows = ["a1_1,utterance_1.mp4,0.25,-0.5,3", "b2_1,utterance_1.mp4,0.25,-0.5,3"]
    root = omg(tmp_path / "o", {"omg_TrainVideos.csv": rows})
    store(tmp_path / "p", "utterance_1", 5)
    with pytest.raises(FeatureError, match="could be of both"):
        load_sets([f"omg={root}"], [str(tmp_path / "p")])


def test_nothing_has_features(tmp_path: Path) -> None:
    store(tmp_path / "p", "other", 2)
    root = MAKERS["ravdess"](tmp_path / "r")
    with pytest.raises(FeatureError, match="no sample of RAVDESS"):
        load_sets([f"ravdess={root}"], [str(tmp_path / "p")])


def test_features_of_nothing_are_not_passed_over(tmp_path: Path) -> None:
    """Else pictures would silently be read as they are, and not the aligned ones."""
    root = MAKERS["rafdb"](tmp_path / "r")
    faces = aligned(tmp_path / "f", "affectnet")
    with pytest.raises(FeatureError, match="no aligned faces of RAF-DB"):
        load_sets([f"rafdb={root}"], [f"rafdb={faces}"])
    with pytest.raises(FeatureError, match="features of none of the sets"):
        load_sets([f"rafdb={root}"], [str(faces)])


def test_what_does_not_go_together(tmp_path: Path) -> None:
    root = MAKERS["rafdb"](tmp_path)
    with pytest.raises(UsageError, match="given twice"):
        load_sets([f"rafdb={root}", f"rafdb={root}"])
    with pytest.raises(UsageError, match="features of the same sets"):
        load_sets([f"rafdb={root}"], ["a", "b"])
    dataset = load_sets([f"rafdb={root}"])
    with pytest.raises(UsageError, match="two clips"):
        join([dataset, dataset])
