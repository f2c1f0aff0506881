"""Data sets in Aff-Wild2's layout: labels by position, features by name, notes on the rest."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from avaffect.challenge.mtl import MtlSubject, write_mtl
from avaffect.challenge.text import write_annotations
from avaffect.datasets.affwild import (
    coded,
    fitted,
    load_affwild,
    load_mtl,
    one_split,
)
from avaffect.datasets.feature_folders import find_stores, store_for
from avaffect.errors import FeatureError, FormatError, InputNotFoundError, UsageError
from avaffect.files.npy import ArraySpec
from avaffect.progress import Notice, Progress
from avaffect.store.provenance import provenance
from avaffect.store.spool import Spool
from avaffect.store.subject import SpooledSubject
from avaffect.store.writing import write_subject

AUDIO = {"audio": ArraySpec((2,), "float32")}


def store(features: Path, subject: str, frames: int) -> Path:
    """Features of a subject, as preprocess lays them out: its row number in both columns."""
    spool = Spool.create(features / ".spool", {}, "k")
    for frame in range(frames):
        spool.append_frame(frame / 29.97)
    spool.write_rows(AUDIO, [{"audio": np.repeat(np.arange(frames, dtype="f4")[:, None], 2, 1)}])
    video = subject.removesuffix("_left").removesuffix("_right")
    folder = features / video / "features" / subject
    about = provenance(f"{video}.mp4", "00", {}, {})
    write_subject(folder, SpooledSubject(subject, spool, []), about, {"faces": "k", "audio": "k"})
    return folder


def va(rows: int) -> np.ndarray:
    return np.linspace(-1, 1, 2 * rows).reshape(rows, 2).round(3)


@pytest.fixture
def root(tmp_path: Path):
    """Four subjects of three videos with VA, one also with EXPR and AU; features of all."""
    at = tmp_path / "set/6th ABAW Annotations"
    train, val = (
        at / "VA_Estimation_Challenge" / folder for folder in ("Train_Set", "Validation_Set")
    )
    write_annotations(train / "100-29-1080x1920.txt", va(21), "va")
    write_annotations(train / "video2_left.txt", va(10), "va")
    write_annotations(train / "video2.txt", va(9), "va")
    write_annotations(val / "7.txt", va(12), "va")
    expr = np.array([0, 7, -1, 3, 3, 3, 3, 3, 3, 3, 3, 3])
    au = np.tile([[1, 0, -1]], (12, 4))
    write_annotations(at / "EXPR_Classification_Challenge/Validation_Set/7.txt", expr, "expr")
    write_annotations(at / "AU_Detection_Challenge/Validation_Set/7.txt", au, "au")
    for subject, frames in (("100-29-1080x1920", 20), ("video2_left", 10), ("video2", 10)):
        store(tmp_path / "features", subject, frames)
    store(tmp_path / "features", "7", 12)
    return tmp_path / "set"


@pytest.fixture
def features(tmp_path: Path):
    return tmp_path / "features"


def test_clips_carry_labels_groups_and_splits(root, features) -> None:
    data = load_affwild(root, features, ["va", "expr", "au"])
    assert [(clip.name, clip.group, clip.split, clip.frames) for clip in data.clips] == [
        ("100-29-1080x1920", "100-29-1080x1920", "train", 20),
        ("7", "7", "val", 12),
        ("video2", "video2", "train", 10),
        ("video2_left", "video2", "train", 10),
    ]
    assert [sorted(clip.labels) for clip in data.clips] == [
        ["va"], ["au", "expr", "va"], ["va"], ["va"],
    ]  # fmt: skip
    seven = data.clips[1]
    assert seven.labels["expr"].tolist() == [0, 7, -1] + [3] * 9
    assert seven.labels["au"].tolist() == [[1, 0, -1] * 4] * 12
    assert seven.labels["va"].dtype == np.float32
    np.testing.assert_allclose(seven.labels["va"], va(12), atol=1e-4)
    assert seven.features.array("audio", 3, 5).tolist() == [[3, 3], [4, 4]]
    assert data.targets["va"] == ("valence", "arousal")
    assert (len(data.targets["expr"]), data.targets["au"][7]) == (8, "AU15")
    assert data.about["edition"] == "abaw10"
    assert data.about["left_out"] == []


def test_surplus_rows_are_dropped_and_missing_rows_invalid(root, features) -> None:
    data = load_affwild(root, features, ["va"])
    assert len(data.clips[0].labels["va"]) == 20  # 21 rows
    np.testing.assert_allclose(data.clips[0].labels["va"], va(21)[:20], atol=1e-4)
    assert data.clips[2].valid("va").all(axis=1).tolist() == [True] * 9 + [False]
    more, fewer = data.notes
    assert "1 of 4 label files have more rows" in more
    assert "(+1: 1)" in more
    assert "1 of 4 label files have fewer rows" in fewer
    assert "(-1: 1)" in fewer


def test_notes_are_told_and_far_off_rows_are_loud(root, features) -> None:
    path = root / "6th ABAW Annotations/VA_Estimation_Challenge/Train_Set/video2.txt"
    for rows, loud in ((12, False), (13, True), (8, False), (7, True)):
        write_annotations(path, va(rows), "va")
        events = []
        data = load_affwild(root, features, ["va"], on_event=events.append)
        warned = [event.text for event in events if isinstance(event, Notice) and event.warning]
        assert bool(warned) == loud
        if loud:
            assert f"video2.txt' has {rows} rows for 10 frames" in warned[0]
            assert data.notes[0] == f"warning: {warned[0]}"
        progress = [event for event in events if isinstance(event, Progress)]
        assert progress[-1].finished
        assert progress[-1].done == 4


def test_a_split_of_its_own_for_another_task(root, features) -> None:
    """What one task validates on, another does not train on."""
    at = root / "6th ABAW Annotations/EXPR_Classification_Challenge"
    write_annotations(at / "Train_Set/100-29-1080x1920.txt", np.zeros(20, int), "expr")
    (at / "Validation_Set/7.txt").rename(at / "Train_Set/7.txt")
    data = load_affwild(root, features, ["va", "expr"])
    seven = data.clips[1]
    assert (seven.split, sorted(seven.labels)) == ("val", ["va"])
    assert data.of("train")[0].labels.keys() == {"va", "expr"}
    assert any("1 subjects are in a later split" in note for note in data.notes)
    assert one_split(["train", "test", "val"]) == "test"


def test_a_video_in_train_and_val_is_loud(root, features) -> None:
    """True Aff-Wild2 has two such videos, 6-30-1920x1080 and 135-24-1920x1080."""
    at = root / "6th ABAW Annotations/VA_Estimation_Challenge"
    (at / "Train_Set/video2_left.txt").rename(at / "Validation_Set/video2_left.txt")
    notes = load_affwild(root, features, ["va"]).notes
    assert any(note.startswith("warning:") and note.endswith("split: video2") for note in notes)


def test_subjects_without_features_are_left_out_and_named(root, features) -> None:
    for path in (features / "7/features/7").iterdir():
        path.unlink()
    (features / "7/features/7").rmdir()
    (torn,) = (features / "video2/features/video2").glob("audio-*.npy")
    torn.write_bytes(b"torn")
    data = load_affwild(root, features, ["va"])
    assert [clip.name for clip in data.clips] == ["100-29-1080x1920", "video2_left"]
    assert data.about["left_out"] == ["7", "video2"]
    assert any(note.endswith("have no features and are left out: 7") for note in data.notes)
    assert any(note.endswith("damaged features and are left out: video2") for note in data.notes)


def test_without_any_features_the_command_is_named(root, tmp_path: Path) -> None:
    with pytest.raises(InputNotFoundError, match="avaffect preprocess"):
        load_affwild(root, tmp_path / "none", ["va"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(FeatureError, match="avaffect preprocess"):
        load_affwild(root, tmp_path / "empty", ["va"])
    store(tmp_path / "other", "someone", 3)
    with pytest.raises(FeatureError, match=r"none of the 4 annotated .*avaffect preprocess"):
        load_affwild(root, tmp_path / "other", ["va"])


def test_the_only_person_of_a_video_is_taken(tmp_path: Path) -> None:
    folder = tmp_path / "annotations/VA_Set/Training_Set"
    write_annotations(folder / "video49_left.txt", va(5), "va")
    write_annotations(folder / "3_left.txt", va(5), "va")
    write_annotations(folder / "3_right.txt", va(5), "va")
    store(tmp_path / "features", "video49", 5)
    store(tmp_path / "features", "3", 5)
    data = load_affwild(tmp_path, tmp_path / "features", ["va"], "abaw2")
    (clip,) = data.clips
    assert (clip.name, clip.group) == ("video49_left", "video49")
    assert getattr(clip.features, "name", None) == "video49"
    assert any("only person of their video: video49_left" in note for note in data.notes)
    assert data.about["left_out"] == ["3_left", "3_right"]


def test_store_for() -> None:
    assert store_for("a", {"a", "a_left"}, {"a"}) == "a"
    assert store_for("a", {"a_left"}, {"a"}) is None
    assert store_for("a_main", {"a"}, {"a_main", "b"}) == "a"
    assert store_for("a_left", {"a"}, {"a_left", "a"}) is None


def test_one_video_may_be_the_whole_features_folder(root, features) -> None:
    data = load_affwild(root, features / "7", ["va"])
    assert [clip.name for clip in data.clips] == ["7"]
    (features / "copy").mkdir()
    (features / "7/features").rename(features / "copy/features")
    (features / "7/features/7").mkdir(parents=True)
    with pytest.raises(FeatureError, match="'7' has features in both"):
        find_stores(features)


def test_first_edition_has_its_own_units_and_classes(tmp_path: Path) -> None:
    at = tmp_path / "annotations"
    write_annotations(at / "AU_Set/Training_Set/1.txt", np.zeros((4, 8), int), "au", "abaw1")
    write_annotations(at / "EXPR_Set/Training_Set/1.txt", np.full(4, 6), "expr", "abaw1")
    store(tmp_path / "features", "1", 4)
    data = load_affwild(tmp_path, tmp_path / "features", ["au", "expr"], "abaw1")
    assert data.targets["au"] == ("AU1", "AU2", "AU4", "AU6", "AU12", "AU15", "AU20", "AU25")
    assert data.targets["expr"][-1] == "Surprise"
    assert data.clips[0].labels["au"].shape == (4, 8)


def test_wrong_lines_name_file_and_line(root, features) -> None:
    path = root / "6th ABAW Annotations/VA_Estimation_Challenge/Validation_Set/7.txt"
    path.write_text("valence,arousal\n0.1,0.2\n0.1;0.2\n")
    with pytest.raises(FormatError, match=r"7.txt' line 3"):
        load_affwild(root, features, ["va"])
    with pytest.raises(UsageError, match="no task"):
        load_affwild(root, features, [])


def test_the_fingerprint_follows_the_labels(root, features) -> None:
    first = load_affwild(root, features, ["va"]).about["fingerprint"]
    assert load_affwild(root, features, ["va"]).about["fingerprint"] == first
    path = root / "6th ABAW Annotations/VA_Estimation_Challenge/Validation_Set/7.txt"
    path.write_text(path.read_text().replace("-1.0000", "-0.9000"))
    assert load_affwild(root, features, ["va"]).about["fingerprint"] != first


def test_an_artificial_set_says_so(root, features) -> None:
    assert not any("ARTIFICIAL" in note for note in load_affwild(root, features, ["va"]).notes)
    (root / "synthetic.json").touch()
    for part in (root, root / "6th ABAW Annotations"):
        assert "ARTIFICIAL" in load_affwild(part, features, ["va"]).notes[0]


@settings(max_examples=60)
@given(st.data(), st.integers(0, 12), st.integers(0, 12))
def test_row_i_is_frame_i_whatever_the_counts(data, rows: int, frames: int) -> None:
    raw = data.draw(
        hnp.arrays(float, (rows, 2), elements=st.one_of(st.floats(-1, 1), st.just(-5.0)))
    )
    got = fitted(coded(raw, "va"), frames)
    assert (got.dtype, got.shape) == (np.float32, (frames, 2))
    for frame in range(frames):
        if frame >= rows or -5 in raw[frame]:
            assert np.isnan(got[frame]).all()
        else:
            assert (got[frame] == raw[frame].astype("f4")).all()
    cells = data.draw(hnp.arrays(np.int64, (rows, 3), elements=st.integers(-1, 1)))
    got = fitted(coded(cells, "au"), frames)
    common = min(rows, frames)
    assert got.dtype == np.int8
    assert (got[:common] == cells[:common]).all()
    assert (got[common:] == -1).all()


def test_multi_task_labels_stand_on_the_listed_frames(tmp_path: Path) -> None:
    def subject(name: str, frames: list[int]) -> MtlSubject:
        n = len(frames)
        values = np.full((n, 2), 0.5)
        values[0] = -5
        return MtlSubject(
            name, np.array(frames), values, np.arange(n), np.tile([[1, 0, -1]], (n, 4))
        )

    at = tmp_path / "annotations/MTL_Challenge"
    write_mtl(at / "train_set.txt", [subject("a_left", [2, 3, 9]), subject("gone", [1])])
    write_mtl(at / "validation_set.txt", [subject("b", [1, 4])])
    store(tmp_path / "features", "a_left", 5)
    store(tmp_path / "features", "b", 4)
    data = load_mtl(tmp_path, tmp_path / "features")
    first, second = data.clips
    assert (first.group, first.split, second.split) == ("a", "train", "val")
    assert first.labels["expr"].tolist() == [-1, 0, 1, -1, -1]
    assert first.valid("va").all(axis=1).tolist() == [False, False, True, False, False]
    assert first.labels["au"][1].tolist() == [1, 0, -1] * 4
    assert (first.labels["au"][[0, 3, 4]] == -1).all()
    assert second.labels["expr"].tolist() == [0, -1, -1, 1]
    assert set(data.targets) == {"va", "expr", "au"}
    assert any("1 listed images are behind the last frame" in note for note in data.notes)
    assert data.about["left_out"] == ["gone"]
    write_mtl(at / "validation_set.txt", [subject("a_left", [4])])
    with pytest.raises(UsageError, match="listed for both train and val"):
        load_mtl(tmp_path, tmp_path / "features")


def pictures(folder: Path, *numbers: int, side: int = 4) -> None:
    folder.mkdir(parents=True)
    for number in numbers:
        image = np.full((side, side, 3), 10 * number, np.uint8)
        (folder / f"{number:05d}.png").write_bytes(cv2.imencode(".png", image)[1].tobytes())


def shades(clip) -> list[int]:
    return clip.features.array("faces")[:, 0, 0, 0].tolist()


def test_pictures_beside_features(root, features) -> None:
    pictures(features / "7/cropped_aligned/7", 2, 11, side=6)
    pictures(features / "video2/cropped_aligned/video2_left", 1, side=4)
    hundred, seven, video2, left = load_affwild(root, features, ["va"]).clips
    assert shades(seven) == [0, 20] + [0] * 8 + [110, 0]
    assert shades(left) == [10] + [0] * 9
    # All are of one size.
    assert left.features.specs["faces"].shape == (6, 6, 3)
    assert seven.features.array("audio", 3, 4).tolist() == [[3, 3]]
    # Nobody is in these videos: once their size is known there are pictures of nobody.
    assert hundred.features.specs.keys() == {"audio"}
    assert video2.features.specs["faces"].shape == (6, 6, 3)
    assert not video2.features.array("has_face").any()


@pytest.mark.parametrize("inner", ["cropped_aligned", "."])
def test_pictures_alone(root, tmp_path: Path, inner: str) -> None:
    """As the organisers hand them out: a frame without a face has none."""
    pictures(tmp_path / "crops" / inner / "7", 2, 11)
    pictures(tmp_path / "crops" / inner / "video2", 12)
    (tmp_path / "crops" / inner / "video2_left").mkdir()
    data = load_affwild(root, tmp_path / "crops", ["va", "expr"])
    seven, video2 = data.clips
    # As many frames as rows, or as pictures.
    assert (seven.frames, len(seven.labels["expr"]), shades(seven)[:3]) == (12, 12, [0, 20, 0])
    assert (video2.frames, video2.valid("va")[:, 0].tolist()) == (12, [True] * 9 + [False] * 3)
    assert data.about["left_out"] == ["100-29-1080x1920", "video2_left"]
    assert any("has 9 rows for 12 frames" in note for note in data.notes)


def test_pictures_alone_stand_in_by_the_same_rule(root, tmp_path: Path) -> None:
    pictures(tmp_path / "crops/7", 1)
    assert find_stores(tmp_path / "crops") == {"7": tmp_path / "crops/7"}
    pictures(tmp_path / "crops/cropped_aligned/7", 1)
    with pytest.raises(FeatureError, match="'7' has features in both"):
        load_affwild(root, tmp_path / "crops", ["va"])


def test_stores_come_before_pictures_alone(features, root) -> None:
    pictures(features / "8", 1)
    assert "8" not in find_stores(features)


def test_listed_images_of_pictures_alone(tmp_path: Path) -> None:
    at = tmp_path / "set/MTL_Challenge"
    listed = MtlSubject(
        "5", np.array([2, 4]), np.float64([[0.5, 0], [0, 1]]), np.array([3, 1]),
        np.zeros((2, 12), np.int64),
    )  # fmt: skip
    write_mtl(at / "train_set.txt", [listed])
    pictures(tmp_path / "crops/5", 1, 2, 3)
    data = load_mtl(tmp_path / "set", tmp_path / "crops")
    (clip,) = data.clips
    assert (clip.labels["expr"].tolist(), shades(clip)) == ([-1, 3, -1], [10, 20, 30])
    assert any("1 listed images are behind the last frame" in note for note in data.notes)
