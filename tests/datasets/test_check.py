"""What ``avaffect data check`` finds: all that is wrong, and nothing that is not."""

import json
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avaffect.challenge.mtl import MtlSubject, write_mtl
from avaffect.challenge.text import write_annotations
from avaffect.datasets.check import check
from avaffect.datasets.report import BINS
from avaffect.errors import InputNotFoundError, UnknownNameError
from avaffect.files.npy import ArraySpec
from avaffect.progress import Progress
from avaffect.store.provenance import provenance
from avaffect.store.spool import Spool
from avaffect.store.subject import SpooledSubject
from avaffect.store.writing import write_subject

FOLDERS = {
    "va": "VA_Estimation_Challenge",
    "expr": "EXPR_Classification_Challenge",
    "au": "AU_Detection_Challenge",
}
RNG = np.random.default_rng(0)
ALL_EXPR = np.arange(16) % 8
ALL_AU = np.tile([[1], [0]], (8, 12))


def store(features: Path, subject: str, frames: int, width: int = 2) -> Path:
    spool = Spool.create(features / ".spool", {}, "k")
    for frame in range(frames):
        spool.append_frame(frame / 30)
    name = "audio" if width == 2 else "other"
    spool.write_rows({name: ArraySpec((2,), "float32")}, [{name: np.zeros((frames, 2), "f4")}])
    folder = features / subject / "features" / subject
    keys = {"faces": "k", name: "k"}
    write_subject(
        folder, SpooledSubject(subject, spool, []), provenance("v.mp4", "0", {}, {}), keys
    )
    return folder


class Made:
    """A data set being made in a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root / "set"
        self.features = root / "features"

    def labels(self, task, split, subject, labels, edition="abaw10") -> Path:
        path = self.root / f"annotations/{FOLDERS[task]}/{split}_Set/{subject}.txt"
        write_annotations(path, labels, task, edition)
        return path

    def va(self, split, subject, rows) -> Path:
        return self.labels("va", split, subject, RNG.uniform(-1, 1, (rows, 2)))

    def crops(self, subject, numbers) -> None:
        folder = self.root / "cropped_aligned" / subject
        folder.mkdir(parents=True)
        for number in numbers:
            (folder / f"{number:05d}.jpg").touch()


@pytest.fixture
def made(tmp_path: Path):
    return Made(tmp_path)


@pytest.fixture
def whole(made):
    """Nothing is wrong with it but that features and videos are not there."""
    for task, labels in (("expr", ALL_EXPR), ("au", ALL_AU)):
        made.labels(task, "Train", "100-29-1080x1920", labels)
        made.labels(task, "Validation", "7", labels)
    made.va("Train", "100-29-1080x1920", 16)
    made.va("Validation", "7", 16)
    return made


def test_a_whole_set_is_ready_without_a_warning(whole) -> None:
    store(whole.features, "100-29-1080x1920", 16)
    store(whole.features, "7", 15)
    events = []
    report = check(whole.root, features=whole.features, on_event=events.append)
    assert report.ready
    assert (report.warnings, report.remarks, report.errors) == ((), (), ())
    assert [(part.task, part.split) for part in report.parts] == [
        (task, split) for task in ("va", "expr", "au") for split in ("train", "val")
    ]
    assert report.rows.against == "features"
    assert report.rows.counts == dict.fromkeys(BINS, 0) | {"0": 3, "+1": 3}
    assert report.features.found == 2
    assert report.features.arrays == {"audio": 2}
    assert {event.stage for event in events if isinstance(event, Progress) and event.finished} == {
        "va labels", "expr labels", "au labels", "features",
    }  # fmt: skip
    json.dumps(asdict(report), allow_nan=False)


@settings(max_examples=20)
@given(st.data())
def test_figures_are_those_of_the_labels(tmp_path_factory: pytest.TempPathFactory, data) -> None:
    made = Made(tmp_path_factory.mktemp("set"))
    tracks = data.draw(
        st.lists(st.lists(st.integers(-1, 7), min_size=1, max_size=20), min_size=1, max_size=4)
    )
    for at, expr in enumerate(tracks):
        made.labels("expr", "Train", f"{at // 2}_{('left', 'right')[at % 2]}", np.array(expr))
        made.labels("au", "Train", f"v{at}", np.array([[max(e, -1) % 2 if e >= 0 else -1] * 12
                                                      for e in expr]))  # fmt: skip
        made.labels("va", "Train", f"v{at}", np.array([[e / 7 if e >= 0 else -5, 0.5]
                                                      for e in expr]))  # fmt: skip
    flat = np.concatenate([np.array(track) for track in tracks])
    known = flat[flat >= 0]
    parts = {part.task: part for part in check(made.root).parts}
    for part in parts.values():
        assert (part.tracks, part.split) == (len(tracks), "train")
        assert (part.labelled, part.invalid) == (len(known), len(flat) - len(known))
    assert parts["expr"].videos == (len(tracks) + 1) // 2
    counts = [of["count"] for of in parts["expr"].values.values()]
    assert counts == np.bincount(known, minlength=8).tolist()
    valence = parts["va"].values["valence"]
    if not len(known):
        assert set(valence.values()) == {None}
        return
    assert parts["au"].values["AU26"]["share"] == pytest.approx((known % 2).mean())
    # Files hold four decimals, clips single precision.
    assert valence["mean"] == pytest.approx((known / 7).mean(), abs=1e-4)
    assert valence["sd"] == pytest.approx((known / 7).std(), abs=1e-4)
    assert valence["max"] == pytest.approx(known.max() / 7, abs=1e-4)


def test_every_wrong_line_is_told(whole) -> None:
    path = whole.va("Train", "5", 3)
    path.write_text("valence,arousal\n0.1,0.2\nx,0\n0,0\n7,7\n")
    other = whole.labels("expr", "Validation", "6", np.zeros(1, int))
    other.write_text("h\n9\n")
    report = check(whole.root)
    assert not report.ready
    assert report.reasons == ("3 lines of labels cannot be read",)
    assert [line.split("/")[-1] for line in report.errors] == [
        "5.txt' line 3: 'x' is no number",
        "5.txt' line 5: 7 lies outside [-1, 1] and is not -5",
        "6.txt' line 2: 9 is no class from 0 to 7",
    ]


def test_of_a_file_of_another_kind_not_every_line_is_listed(whole) -> None:
    whole.va("Train", "5", 1).write_text("h\n" + "1,2,3\n" * 250)
    report = check(whole.root)
    assert report.reasons == ("250 lines of labels cannot be read",)
    assert len(report.errors) == 100


def test_labels_of_another_edition_are_noticed(made) -> None:
    made.labels("expr", "Train", "1", ALL_EXPR[:7], "abaw2")
    made.labels("expr", "Validation", "2", ALL_EXPR[:7], "abaw2")
    report = check(made.root, tasks=["expr"])
    assert any(
        "2 files have the header of another edition" in warning for warning in report.warnings
    )
    assert any('edition="abaw1" or edition="abaw2"' in warning for warning in report.warnings)
    assert "expr: never seen in training: Other" in report.warnings
    assert check(made.root, "abaw2", tasks=["expr"]).warnings == ()


def test_what_cannot_be_trained_on_is_a_reason(made, tmp_path: Path) -> None:
    made.root.mkdir()
    assert "there are no annotations" in check(made.root).reasons[0]
    made.va("Validation", "1", 4)
    assert check(made.root).reasons == ("va: nothing is annotated for training",)
    made.labels("va", "Train", "2", np.full((3, 2), -5.0))
    assert check(made.root).reasons == ("va: no frame for training has a label",)
    made.va("Train", "3", 4)
    assert check(made.root).ready
    (reason,) = check(made.root, tasks=["va", "au"]).reasons
    assert "no annotations of task 'au'" in reason
    made.va("Train", "1", 4)
    (reason,) = check(made.root).reasons
    assert "'1' is annotated twice" in reason
    with pytest.raises(InputNotFoundError):
        check(tmp_path / "none")
    with pytest.raises(UnknownNameError):
        check(made.root, "abaw99")
    with pytest.raises(UnknownNameError):
        check(made.root, tasks=["vaa"])


def test_without_validation_or_with_an_empty_file_is_a_warning(made) -> None:
    made.va("Train", "1", 4)
    path = made.va("Train", "2", 0)
    report = check(made.root)
    assert report.ready
    assert report.warnings == (
        f"'{path}' has no rows",
        "va: nothing to validate on: train with folds",
    )


def test_leakage_sides_and_conflicting_splits(whole) -> None:
    whole.va("Train", "6-30-1920x1080_left", 4)
    whole.va("Validation", "6-30-1920x1080_right", 4)
    whole.va("Train", "video49_left", 4)
    whole.labels("au", "Validation", "video49_left", ALL_AU)
    report = check(whole.root)
    assert report.ready
    leak, conflict = report.warnings
    assert "LEAKAGE: 1 videos" in leak
    assert leak.endswith("6-30-1920x1080")
    assert "1 subjects are in different splits" in conflict
    assert conflict.endswith("video49_left")
    assert "1 _left without _right: video49_left" in report.remarks


def test_an_artificial_set_says_so(whole) -> None:
    (whole.root / "synthetic.json").touch()
    (warning,) = check(whole.root).warnings
    assert "ARTIFICIAL" in warning


def test_odd_files_are_remarked(whole) -> None:
    folder = whole.root / "annotations" / FOLDERS["va"] / "Train_Set"
    (folder / "predictions.txt").touch()
    (folder / "notes.docx").touch()
    (folder / ".DS_Store").touch()
    (remark,) = [line for line in check(whole.root).remarks if "among the annotations" in line]
    assert remark.startswith("2 files")
    assert "notes.docx" in remark


def test_features_missing_torn_and_unlike(whole) -> None:
    whole.va("Train", "5_left", 10)
    whole.va("Train", "8", 10)
    whole.va("Train", "9", 10)
    for subject, frames, width in (("5", 10, 3), ("9", 20, 2), ("other", 4, 2)):
        store(whole.features, subject, frames, width)
    torn = store(whole.features, "8", 10)
    (torn / "frames.parquet").write_bytes(b"PAR1")
    (whole.features / "7" / ".work").mkdir(parents=True)
    report = check(whole.root, features=whole.features, tasks=["va"])
    assert report.ready
    found = report.features
    assert (found.found, found.missing, found.damaged) == (2, ("100-29-1080x1920", "7"), ("8",))
    assert (found.stand_ins, found.unused, found.unfinished) == (("5_left",), ("other",), ("7",))
    assert report.rows.counts == dict.fromkeys(BINS, 0) | {"0": 1, "fewer": 1}
    assert report.rows.worst == (
        ("annotations/VA_Estimation_Challenge/Train_Set/9.txt", -10),
    )  # fmt: skip
    texts = " | ".join(report.warnings)
    assert "2 of 5 subjects have no features: 100-29-1080x1920, 7" in texts
    assert "1 of 5 subjects have damaged features: 8" in texts
    assert "1 have other; 1 have audio" in texts
    assert "far from their number of frames" in texts


def test_no_features_for_training_is_a_reason(whole, tmp_path: Path) -> None:
    store(whole.features, "7", 16)
    reasons = check(whole.root, features=whole.features, tasks=["va", "au"]).reasons
    assert reasons == tuple(f"{k}: no subject for training has features" for k in ("va", "au"))
    (reason,) = check(whole.root, features=tmp_path / "none").reasons
    assert "avaffect preprocess" in reason


def test_crops_have_gaps_doubles_and_odd_files(whole) -> None:
    whole.crops("100-29-1080x1920", [1, 2, 3, 10, 16, 17])
    folder = whole.root / "cropped_aligned/100-29-1080x1920"
    for name in ("00010.png", "cover.jpg", ".DS_Store"):
        (folder / name).touch()
    report = check(whole.root)
    crops = report.crops
    assert (crops.tracks, crops.without, crops.images, crops.gaps) == (1, ("7",), 5, 11)
    assert crops.worst == (("100-29-1080x1920", 11, 16),)
    assert crops.odd == 2
    assert "1 subjects have no crops: 7" in report.warnings


def test_a_label_row_behind_the_last_frame_is_no_gap(whole) -> None:
    whole.crops("7", range(1, 16))
    store(whole.features, "7", 15)
    assert check(whole.root, features=whole.features).crops.gaps == 0


def test_videos_by_their_headers(whole, ffmpeg) -> None:
    folder = whole.root / "Videos/batch1"
    (folder / "deeper").mkdir(parents=True)
    grey = ["-f", "lavfi", "-i", "color=gray:size=32x32:rate={}"]
    for name, rate, frames in (
        ("100-29-1080x1920.mp4", "30000/1001", 15),
        ("deeper/unknown.avi", "25", 25),
    ):
        ffmpeg(*[argument.format(rate) for argument in grey], "-frames:v", frames, folder / name)
    (folder / "broken.mp4").write_bytes(b"no video")
    report = check(whole.root, tasks=["va"])
    videos = report.videos
    assert (videos.videos, videos.not_whole) == (2, 1)
    assert videos.fps == (25, pytest.approx(29.97, abs=0.01))
    assert videos.seconds == pytest.approx((0.5, 1, 1.5), abs=0.05)
    assert (videos.missing, videos.unannotated) == (("7",), ("broken", "unknown"))
    assert len(videos.unreadable) == 1
    assert report.rows.against == "video headers"
    assert report.rows.counts["+1"] == 1
    texts = " | ".join(report.warnings)
    assert "1 annotated videos are missing: 7" in texts
    assert "1 videos cannot be read" in texts


def test_multi_task_files(made) -> None:
    def subject(name: str, frames: list[int]) -> MtlSubject:
        n = len(frames)
        va = np.full((n, 2), 0.25)
        va[0] = -5
        return MtlSubject(name, np.array(frames), va, np.arange(n), np.ones((n, 12), int))

    at = made.root / "MTL_Challenge"
    write_mtl(at / "train_set.txt", [subject("a_left", [2, 3, 9]), subject("b", [1])])
    write_mtl(at / "validation_set.txt", [subject("a_right", [4, 5])])
    text = (at / "train_set.txt").read_text()
    (at / "train_set.txt").write_text(text + text.splitlines()[-1] + "\n")
    store(made.features, "a_left", 5)
    report = check(made.root, features=made.features)
    assert report.ready
    part = report.parts[0]
    assert (part.kind, part.task, part.split, part.tracks) == ("mtl", "va", "train", 2)
    assert (part.labelled, part.invalid) == (2, 2)
    assert report.parts[1].values["Neutral"]["count"] == 2
    assert any("lists 1 images twice" in remark for remark in report.remarks)
    assert any("LEAKAGE: 1 videos" in warning for warning in report.warnings)
    assert any("images behind the last frame: a_left" in warning for warning in report.warnings)
    (at / "train_set.txt").write_text("h\nnonsense\n")
    report = check(made.root)
    assert report.reasons[0] == "1 lines of labels cannot be read"
    assert "train_set.txt' line 2" in report.errors[0]


def test_pictures_alone_are_features_of_unknown_length(whole) -> None:
    for subject in ("7", "100-29-1080x1920", "other"):
        folder = whole.root / "cropped_aligned" / subject
        folder.mkdir(parents=True)
        image = np.zeros((4, 4, 3), np.uint8)
        (folder / "00003.png").write_bytes(cv2.imencode(".png", image)[1].tobytes())
    report = check(whole.root, features=whole.root)
    assert (report.ready, report.warnings, report.rows) == (True, (), None)
    found = report.features
    assert (found.found, found.unused) == (2, ("other",))
    assert found.arrays == {"faces, has_face": 2}


def test_a_first_picture_that_is_none(whole) -> None:
    whole.crops("100-29-1080x1920", [1])
    report = check(whole.root, features=whole.root / "cropped_aligned")
    assert report.features.damaged == ("100-29-1080x1920",)
    assert "expr: no subject for training has features" in report.reasons
