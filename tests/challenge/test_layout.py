"""Annotations are found in every edition's spelling, and what is not clear is refused."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avaffect.challenge.layout import (
    annotation_files,
    is_annotation,
    mtl_files,
    source_video,
    split_folders,
)
from avaffect.errors import InputNotFoundError, UnknownNameError, UsageError


def put(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("header\n0,0\n")


@pytest.mark.parametrize(
    ("task", "folder"),
    [
        ("va", "annotations/VA_Set/{}"),
        ("au", "annotations/AU_Set/{}"),
        ("expr", "annotations/EXPR_Set/{}"),
        ("va", "Third ABAW Annotations/VA_Estimation_Challenge/{}"),
        ("va", "3rd_ABAW_Annotations/VA_Estimation_Challenge/{}"),
        ("expr", "5th_ABAW_Annotations/EXPR_Classification_Challenge/{}"),
        ("expr", "6th ABAW Annotations/EXPR_Recognition_Challenge/{}"),
        ("au", "annotations/AU_Detection_Challenge/{}"),
        ("au", "data/8th ABAW Annotations/AU_Detection_Challenge/{}"),
        ("au", "ANNOTATIONS/au_detection_challenge/{}"),
        ("va", "annotations/Valence-Arousal Estimation Challenge/{}"),
        ("va", "VA_Set/{}"),
        ("va", "annotations/{}/VA_Set"),
        ("expr", "6th_ABAW_Annotations/EXPR/{}"),
    ],
)
@pytest.mark.parametrize(
    ("train", "val"),
    [
        ("Training_Set", "Validation_Set"),
        ("Train_Set", "validation_set"),
        ("train", "Val"),
        ("train", "validate"),
    ],
)
@pytest.mark.parametrize("edition", ["abaw1", "abaw10"])
def test_every_spelling(
    tmp_path: Path, task: str, folder: str, train: str, val: str, edition: str
) -> None:
    first = tmp_path / folder.format(train) / "100-29-1080x1920.txt"
    second = tmp_path / folder.format(val) / "135-24-1920x1080_left.txt"
    put(first, second)
    assert annotation_files(tmp_path, task, edition) == {
        "train": {"100-29-1080x1920": first},
        "val": {"135-24-1920x1080_left": second},
    }
    for other in {"va", "expr", "au"} - {task}:
        with pytest.raises(InputNotFoundError, match=f"no annotations of task '{other}'"):
            annotation_files(tmp_path, other, edition)


def test_root_may_be_data_set_annotations_or_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    annotations = tmp_path / "6th ABAW Annotations"
    put(annotations / "VA_Estimation_Challenge/Train_Set/1.txt")
    put(annotations / "AU_Detection_Challenge/Train_Set/2.txt")
    for root in (tmp_path, annotations, annotations / "VA_Estimation_Challenge"):
        assert list(annotation_files(root, "va", "abaw6")["train"]) == ["1"]
    monkeypatch.chdir(annotations / "VA_Estimation_Challenge")
    assert list(annotation_files(Path(), "va", "abaw6")["train"]) == ["1"]
    with pytest.raises(InputNotFoundError):
        annotation_files(annotations / "VA_Estimation_Challenge", "au", "abaw6")


def test_the_inner_folder_says_the_task_though_the_root_is_called_like_one(tmp_path: Path) -> None:
    root = tmp_path / "VA"
    put(root / "annotations/EXPR_Set/Training_Set/1.txt", root / "MTL_Challenge/Train_Set/2.txt")
    assert {folder.task for folder in split_folders(root)} == {"expr"}


def test_splits_stand_in_order_and_subjects_are_sorted(tmp_path: Path) -> None:
    folder = tmp_path / "annotations/VA_Set"
    put(folder / "Test_Set/t.txt", folder / "Validation_Set/v.txt")
    put(*(folder / f"Training_Set/{name}.txt" for name in ("b", "a", "10-60-1280x720_right")))
    found = annotation_files(tmp_path, "va", "abaw2")
    assert list(found) == ["train", "val", "test"]
    assert list(found["train"]) == ["10-60-1280x720_right", "a", "b"]


def test_lists_templates_and_hidden_files_are_no_annotations(tmp_path: Path) -> None:
    folder = tmp_path / "annotations/VA_Set/Test_Set"
    odd = ["predictions.txt", "ABAW_VA_test_set_sample.txt", "VA_test_set_release.txt",
           "Expr_Challenge_video_and_total_number_of_frames.txt", "README.txt", "1.csv",
           "MTL_predictions.txt"]  # fmt: skip
    put(folder / "7.txt", folder / ".8.txt", *(folder / name for name in odd))
    put(tmp_path / "annotations/.old/VA_Set/Training_Set/9.txt")
    put(tmp_path / "__MACOSX/annotations/VA_Set/Training_Set/9.txt")
    assert annotation_files(tmp_path, "va", "abaw1") == {"test": {"7": folder / "7.txt"}}
    (split,) = split_folders(tmp_path)
    assert [path.name for path in split.odd_files()] == sorted(odd)


@given(st.integers(1, 999), st.sampled_from(["", "_left", "_right", "_1", "-30-1280x720"]))
def test_names_of_videos_are_subjects(number: int, rest: str) -> None:
    for stem in (f"{number}{rest}", f"video{number}{rest}"):
        assert is_annotation(Path(stem + ".txt"))
        assert not is_annotation(Path(stem + ".jpg"))


def test_two_editions_under_one_root_are_named(tmp_path: Path) -> None:
    put(tmp_path / "3rd_ABAW_Annotations/VA_Estimation_Challenge/Train_Set/1.txt")
    put(tmp_path / "6th ABAW Annotations/VA_Estimation_Challenge/Validation_Set/2.txt")
    with pytest.raises(UsageError, match=r"3rd_ABAW_Annotations.*6th ABAW Annotations"):
        annotation_files(tmp_path, "va", "abaw6")
    only = tmp_path / "6th ABAW Annotations"
    assert list(annotation_files(only, "va", "abaw6")) == ["val"]


def test_two_folders_of_one_split_are_named(tmp_path: Path) -> None:
    put(tmp_path / "annotations/VA_Set/Train_Set/1.txt")
    put(tmp_path / "annotations/VA_Set/Training_Set/2.txt")
    with pytest.raises(UsageError, match=r"Train_Set.*Training_Set"):
        annotation_files(tmp_path, "va", "abaw2")
    put(tmp_path / "annotations/AU_Set/Train_Set/1.txt")
    (tmp_path / "annotations/AU_Set/Training_Set").mkdir()  # empty ones do not count
    assert list(annotation_files(tmp_path, "au", "abaw2")["train"]) == ["1"]


def test_a_subject_in_two_splits_is_named_with_both_files(tmp_path: Path) -> None:
    folder = tmp_path / "annotations/VA_Set"
    put(folder / "Training_Set/1.txt", folder / "Validation_Set/1.txt")
    with pytest.raises(UsageError, match=r"Training_Set/1.txt.*Validation_Set/1.txt"):
        annotation_files(tmp_path, "va", "abaw2")


def test_links_in_a_circle_end_and_a_second_name_is_no_second_set(tmp_path: Path) -> None:
    put(tmp_path / "annotations/VA_Set/Training_Set/1.txt")
    (tmp_path / "annotations/more annotations").symlink_to(tmp_path)
    (tmp_path / "abaw").symlink_to(tmp_path / "annotations")
    assert list(annotation_files(tmp_path, "va", "abaw2")["train"]) == ["1"]


def test_pictures_and_features_are_not_searched(tmp_path: Path) -> None:
    put(tmp_path / "annotations/VA_Set/Training_Set/1.txt")
    put(tmp_path / "cropped_aligned/VA_Set/Training_Set/2.txt")
    put(tmp_path / "videos/VA_Set/Training_Set/3.txt")
    put(tmp_path / "other/deeper/VA_Set/Training_Set/4.txt")
    assert list(annotation_files(tmp_path, "va", "abaw2")["train"]) == ["1"]


def test_wrong_names_and_folders(tmp_path: Path) -> None:
    with pytest.raises(InputNotFoundError, match="no folder"):
        annotation_files(tmp_path / "none", "va", "abaw5")
    with pytest.raises(UnknownNameError):
        annotation_files(tmp_path, "va", "abaw99")
    with pytest.raises(UnknownNameError):
        annotation_files(tmp_path, "mtl", "abaw5")


@pytest.mark.parametrize(
    ("subject", "video"),
    [
        ("135-24-1920x1080_left", "135-24-1920x1080"),
        ("video2_right", "video2"),
        ("a_main", "a"),
        ("video45_7", "video45_7"),
        ("_left", "_left"),
        ("left", "left"),
    ],
)
def test_source_video(subject: str, video: str) -> None:
    assert source_video(subject) == video


class TestMultiTask:
    @pytest.mark.parametrize(
        ("train", "val"),
        [
            ("train_set.txt", "validation_set.txt"),
            ("training_set_annotations.txt", "validation_set_annotations.txt"),
            ("MTL_Challenge_Train_Set.txt", "mtl-challenge-val-set.TXT"),
        ],
    )
    @pytest.mark.parametrize(
        "name", ["MTL_Challenge", "annotations/MTL_Challenge", "x/multi-task learning"]
    )
    def test_files(self, tmp_path: Path, name: str, train: str, val: str) -> None:
        folder = tmp_path / name
        put(folder / train, folder / val, folder / "MTL_predictions.txt")
        put(
            folder / "Multi_Task_Learning_Challenge_test_set_release.txt",
            folder / ".train_set.txt",
        )
        wanted = {"train": folder / train, "val": folder / val}
        assert mtl_files(tmp_path) == mtl_files(folder) == wanted

    def test_two_of_one_split_and_none(self, tmp_path: Path) -> None:
        with pytest.raises(InputNotFoundError, match="no multi-task"):
            mtl_files(tmp_path)
        put(tmp_path / "MTL_Challenge/train_set.txt", tmp_path / "train.txt")
        assert list(mtl_files(tmp_path)) == ["train"]
        put(tmp_path / "annotations/MTL_Challenge/train_set.txt")
        with pytest.raises(UsageError, match="both"):
            mtl_files(tmp_path)


@pytest.mark.parametrize("mark", ["run.json", "records/a.json", "preprocess.json"])
def test_what_avaffect_wrote_is_no_annotation(tmp_path: Path, mark: str) -> None:
    mine = tmp_path / "annotations/VA_Estimation_Challenge/Validation_Set/a.txt"
    other = tmp_path / "run/validation/VA_Estimation_Challenge/a.txt"
    for path in (mine, other, tmp_path / "run" / mark):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("valence,arousal\n0,0\n")
    assert annotation_files(tmp_path, "va", "abaw10") == {"val": {"a": mine}}
