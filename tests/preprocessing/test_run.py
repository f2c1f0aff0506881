import errno
import json
import re
import shutil
import wave
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from avaffect.config import AnalysisConfig, AudioConfig
from avaffect.errors import (
    BusyError,
    DiskFullError,
    FeatureError,
    ForeignFileError,
    InputNotFoundError,
    NotMediaError,
    OutputError,
    UsageError,
)
from avaffect.faces.align import AFFWILD2
from avaffect.faces.encoders import ENCODERS, EncoderSpec
from avaffect.faces.holding import MOST_HELD
from avaffect.media.source import open_source
from avaffect.preprocessing import again as redo
from avaffect.preprocessing import run as module
from avaffect.preprocessing import video_pass as analyse
from avaffect.preprocessing.recorder import Recorder
from avaffect.preprocessing.run import NetsLoader, Preprocessed, preprocess
from avaffect.progress import Progress
from avaffect.store.prepared import Prepared
from avaffect.store.subject import SubjectFeatures

LIGHT = AnalysisConfig(encoders=("starter-2-face",))
FRAMES = 40
FACELESS = range(14, 24)
SEEN = [frame for frame in range(FRAMES) if frame not in FACELESS]


def crops(root, subject="gap"):
    return {
        path.name: path.read_bytes() for path in (root / "cropped_aligned" / subject).iterdir()
    }


def features(root, subject="gap"):
    return SubjectFeatures.open(root / "features" / subject)


def content(root, subject="gap"):
    """Every array, the frame table and the crops, to compare."""
    stored = features(root, subject)
    arrays = {name: stored.array(name) for name in stored.names}
    return arrays, stored.table(), crops(root, subject)


def assert_same(first, second):
    (arrays, table, pictures), (others, other_table, other_pictures) = first, second
    assert arrays.keys() == others.keys()
    for name, values in arrays.items():
        np.testing.assert_array_equal(values, others[name], err_msg=name)
    assert table.equals(other_table)
    assert pictures == other_pictures


def stamps(folder):
    """When each file was written."""
    return {p: p.stat().st_mtime_ns for p in sorted(folder.rglob("*")) if p.is_file()}


def leftovers(folder):
    return [path for path in folder.rglob("*") if ".tmp" in path.name or path.name == ".work"]


@pytest.fixture
def copy(whole: Preprocessed, tmp_path: Path):
    """A copy of the preprocessed gap clip that a test may change."""
    return Path(shutil.copytree(whole.folder.root, tmp_path / "copy"))


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint every 8 frames, a report on each."""
    monkeypatch.setattr(analyse, "CHECKPOINT_EVERY", 8)
    monkeypatch.setattr(analyse, "REPORT_EVERY", 1)


@pytest.fixture
def tiny_encoder(monkeypatch: pytest.MonkeyPatch):
    """An encoder of two values a face: mean red and mean blue."""

    def build(device):
        return lambda faces: faces.mean((1, 2))[:, ::2].astype(np.float32)

    spec = EncoderSpec("tiny", replace(AFFWILD2, size=32), 2, "float32", (), build)
    monkeypatch.setitem(ENCODERS, "tiny", spec)


def test_crops_are_numbered_by_frame_and_absent_without_a_face(whole: Preprocessed) -> None:
    root = whole.folder.root
    assert whole.subjects == ("gap",)
    assert whole.done == ("faces", "crops", "audio")
    assert (whole.frames, whole.faces) == (FRAMES, len(SEEN))
    assert sorted(crops(root)) == [f"{frame + 1:05d}.jpg" for frame in SEEN]
    np.testing.assert_array_equal(np.flatnonzero(features(root).present), SEEN)
    assert leftovers(root) == []


def test_crops_are_the_aligned_face(whole: Preprocessed, gap_clip: Path) -> None:
    root = whole.folder.root
    picture = cv2.imread(str(root / "cropped_aligned/gap/00001.jpg"))
    assert picture.shape == (112, 112, 3)
    # Red is red: a face, not its negative (OpenCV reads BGR).
    blue, _, red = picture[40:70, 40:70].reshape(-1, 3).mean(0)
    assert red > blue + 20


def test_sound_is_16_khz_mono_on_the_pictures_clock(whole: Preprocessed) -> None:
    with wave.open(str(whole.folder.wav)) as wav:
        assert (wav.getframerate(), wav.getnchannels(), wav.getsampwidth()) == (16_000, 1, 2)
        assert wav.getnframes() / 16_000 == pytest.approx(FRAMES / 25, abs=0.1)
    stored = features(whole.folder.root)
    assert stored.array("audio").shape == (FRAMES, 168)
    assert stored.array("has_sound")[:-3].all()


def test_the_store_has_a_row_for_every_frame(whole: Preprocessed) -> None:
    stored = features(whole.folder.root)
    assert stored.frames == FRAMES
    assert stored.names == ("audio", "face_pose", "has_sound", "starter-2-face")
    assert np.isnan(stored.array("face_pose")[FACELESS.start : FACELESS.stop]).all()
    assert np.isfinite(stored.array("face_pose")[SEEN]).all()
    np.testing.assert_allclose(stored.array("starter-2-face")[SEEN, :8].sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(stored.times, np.arange(FRAMES) / 25, atol=1e-3)


def test_records_say_what_it_was_made_of(whole: Preprocessed, gap_clip: Path) -> None:
    record = whole.folder.record.to_dict()
    assert record["video"]["name"] == gap_clip.name
    assert record["damage"] == {"decoding_errors": 0, "first_error": None, "repaired_times": 0}
    provenance = features(whole.folder.root).provenance
    assert provenance["configuration"]["faces"]["detector"] == "blazeface-full"
    assert set(provenance["models"]) == {
        "blazeface-back",
        "blazeface-full",
        "face-landmarker",
        "starter-2-face",
    }
    assert provenance["versions"]["avaffect"]


def test_second_run_does_nothing(copy, gap_clip: Path, no_nets: NetsLoader) -> None:
    before = stamps(copy)
    again = preprocess(gap_clip, copy, LIGHT, nets=no_nets)
    assert again.done == ()
    assert (again.frames, again.faces, again.subjects) == (FRAMES, len(SEEN), ("gap",))
    assert stamps(copy) == before


def saved_frames(caught):
    """How far the message says that the pass is saved."""
    found = re.search(r"saved up to frame (\d+), the same command", str(caught.value))
    return int(found[1]) if found else 0


@pytest.mark.parametrize("stop", [6, 7, 8, 37])
def test_interrupted_run_goes_on_to_the_same_result(
    stop: int,
    whole: Preprocessed,
    gap_clip: Path,
    nets: NetsLoader,
    tmp_path: Path,
    small_steps: None,
    interrupt_at,
    tracked,
) -> None:
    """It goes on behind a frame in which no face is held."""
    with pytest.raises(KeyboardInterrupt) as caught:
        preprocess(gap_clip, tmp_path, LIGHT, nets=nets, on_event=interrupt_at(tmp_path, stop, 0))
    saved = saved_frames(caught)
    assert stop - MOST_HELD <= saved <= stop
    assert sorted(path.name for path in tmp_path.iterdir()) == [".work"]
    del tracked[:]
    preprocess(gap_clip, tmp_path, LIGHT, nets=nets)
    assert tracked == list(range(saved, FRAMES))
    assert_same(content(tmp_path), content(whole.folder.root))
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize(("stop", "resumes_at"), [(6, 0), (37, 32)])
def test_killed_run_goes_on_to_the_same_result(
    stop: int,
    resumes_at: int,
    whole: Preprocessed,
    gap_clip: Path,
    nets: NetsLoader,
    tmp_path: Path,
    small_steps: None,
    interrupt_at,
    tracked,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A process that is killed saves nothing more."""
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt) as caught:
        patch.setattr(Recorder, "save", lambda self, state: None)
        preprocess(gap_clip, tmp_path, LIGHT, nets=nets,
                   on_event=interrupt_at(tmp_path, stop, resumes_at))  # fmt: skip
    saved = saved_frames(caught)
    assert resumes_at <= saved <= (resumes_at + MOST_HELD if resumes_at else 0)
    assert saved or "nothing of 'gap.mp4' was saved" in str(caught.value)
    del tracked[:]
    preprocess(gap_clip, tmp_path, LIGHT, nets=nets)
    assert tracked == list(range(saved, FRAMES))
    assert_same(content(tmp_path), content(whole.folder.root))
    assert leftovers(tmp_path) == []


def test_every_decoded_frame_has_a_row_and_some_are_held(whole: Preprocessed) -> None:
    """Held ones lie between those around."""
    stored = features(whole.folder.root)
    held, table = stored.held, stored.table()
    looks = whole.folder.record.people["looks"]
    assert looks == {"faces": len(SEEN), "held": int(held.sum())}
    assert 0.3 < held[SEEN].mean() < 0.8
    assert not held[FACELESS.start : FACELESS.stop].any()
    x, pose = table["nose_x"].to_numpy(), stored.array("face_pose")
    # In the middle of two that were looked at, where one frame lies between.
    alone = [at for at in np.flatnonzero(held[1:-1]) + 1 if not held[at - 1] and not held[at + 1]]
    for at in set(alone) & set(SEEN[1:-1]) - {FACELESS.start - 1, FACELESS.stop}:
        assert x[at] == pytest.approx((x[at - 1] + x[at + 1]) / 2, abs=1e-3)
        np.testing.assert_allclose(pose[at], (pose[at - 1] + pose[at + 1]) / 2, atol=1e-5)


def test_without_holding_every_frame_is_looked_at(
    gap_clip: Path, nets: NetsLoader, tmp_path: Path, whole: Preprocessed
) -> None:
    """Where a face is looked at in both, it is found where it was; the key says which it is."""
    every = replace(LIGHT, faces=replace(LIGHT.faces, looks="every"), audio=None)
    made = preprocess(gap_clip, tmp_path, every, nets=nets)
    stored, lighter = features(tmp_path), features(whole.folder.root)
    assert not stored.held.any()
    assert made.folder.record.people["looks"] == {"faces": len(SEEN), "held": 0}
    assert stored.keys["faces"] != lighter.keys["faces"]
    np.testing.assert_array_equal(stored.present, lighter.present)
    np.testing.assert_allclose(stored.geometry, lighter.geometry, atol=1.5)


def test_pass_that_something_else_wrote_to_begins_anew(
    whole: Preprocessed,
    gap_clip: Path,
    nets: NetsLoader,
    tmp_path: Path,
    small_steps: None,
    interrupt_at,
    tracked,
) -> None:
    with pytest.raises(KeyboardInterrupt):
        preprocess(gap_clip, tmp_path, LIGHT, nets=nets, on_event=interrupt_at(tmp_path, 30, 0))
    times = tmp_path / ".work/times.f8"
    times.write_bytes(times.read_bytes()[8:] + bytes(8))
    del tracked[:]
    preprocess(gap_clip, tmp_path, LIGHT, nets=nets)
    assert tracked == list(range(FRAMES))
    assert_same(content(tmp_path), content(whole.folder.root))


def test_pictures_that_are_gone_are_made_again(
    whole: Preprocessed,
    gap_clip: Path,
    nets: NetsLoader,
    tmp_path: Path,
    small_steps: None,
    interrupt_at,
) -> None:
    with pytest.raises(KeyboardInterrupt):
        preprocess(gap_clip, tmp_path, LIGHT, nets=nets, on_event=interrupt_at(tmp_path, 30, 0))
    next((tmp_path / ".work/crops").glob("*/*.jpg")).unlink()
    preprocess(gap_clip, tmp_path, LIGHT, nets=nets)
    assert_same(content(tmp_path), content(whole.folder.root))
    assert leftovers(tmp_path) == []


def test_a_second_run_at_once_is_refused_and_harms_nothing(
    whole: Preprocessed, gap_clip: Path, nets: NetsLoader, tmp_path: Path
) -> None:
    refused = []

    def second(event):
        if isinstance(event, Progress) and event.stage == "faces":
            with pytest.raises(BusyError, match=f"working on '{tmp_path}'"):
                preprocess(gap_clip, tmp_path, LIGHT, nets=nets)
            refused.append(event)

    preprocess(gap_clip, tmp_path, LIGHT, nets=nets, on_event=second)
    assert refused
    assert_same(content(tmp_path), content(whole.folder.root))
    assert not (tmp_path / ".lock").exists()


FOREIGN = (
    "audio.wav",
    "cropped_aligned/gap/00001.jpg",
    "features/gap/notes.txt",
    "preprocess.json",
)


@pytest.mark.parametrize("name", FOREIGN)
def test_what_avaffect_did_not_write_is_refused_and_stays(
    name: str, gap_clip: Path, no_nets: NetsLoader, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("theirs")
    named = path if path.parent == tmp_path else path.parent
    with pytest.raises(ForeignFileError, match=str(named)):
        preprocess(gap_clip, tmp_path, LIGHT, nets=no_nets)
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == [path]
    assert path.read_text() == "theirs"


def test_what_came_after_the_record_is_not_ours(
    copy, gap_clip: Path, no_nets: NetsLoader, nets: NetsLoader
) -> None:
    """A sound that the run had left out, and pictures of one who was not in the video."""
    silent = replace(LIGHT, audio=None)
    shutil.rmtree(copy)
    preprocess(gap_clip, copy, silent, nets=nets)
    theirs = [copy / "audio.wav", copy / "cropped_aligned/other/00001.jpg", copy / ".work/notes"]
    for path in theirs:
        path.parent.mkdir(exist_ok=True)
        path.write_text("theirs")
    with pytest.raises(ForeignFileError, match=r"audio\.wav"):
        preprocess(gap_clip, copy, LIGHT, nets=no_nets)
    assert preprocess(gap_clip, copy, silent, nets=no_nets).done == ()
    assert [path.read_text() for path in theirs] == ["theirs"] * 3


def test_records_of_earlier_versions_name_what_is_ours(
    copy, gap_clip: Path, nets: NetsLoader
) -> None:
    record = Prepared(copy).record.to_dict()
    ours = record.pop("files")
    assert ours == ["audio.wav", "cropped_aligned/gap", "features/gap"]
    (copy / "preprocess.json").write_text(json.dumps(record))
    assert Prepared(copy).ours() == set(ours)
    other = replace(LIGHT, faces=replace(LIGHT.faces, detect_every=5))
    assert preprocess(gap_clip, copy, other, nets=nets).done == ("faces", "crops", "audio")


@pytest.mark.parametrize("at", ["write_subject", "_take_crops", "_keep_wav"])
def test_what_a_killed_run_had_claimed_is_ours(
    at: str,
    copy,
    whole: Preprocessed,
    gap_clip: Path,
    nets: NetsLoader,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also where it had written files and not yet the record."""
    work = getattr(module, at)

    def work_and_stop(*args):
        work(*args)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(module, at, work_and_stop)
        preprocess(gap_clip, tmp_path / "out", LIGHT, nets=nets)
    preprocess(gap_clip, tmp_path / "out", LIGHT, nets=nets)
    assert_same(content(tmp_path / "out"), content(whole.folder.root))
    assert leftovers(tmp_path / "out") == []


def test_run_with_other_settings_takes_nothing_of_an_unfinished_one(
    whole: Preprocessed,
    gap_clip: Path,
    nets: NetsLoader,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tracked,
) -> None:
    other = replace(LIGHT, faces=replace(LIGHT.faces, detect_every=3))
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(module, "put_crops", ctrl_c)
        preprocess(gap_clip, tmp_path, other, nets=nets)
    del tracked[:]
    preprocess(gap_clip, tmp_path, LIGHT, nets=nets)
    assert tracked == list(range(FRAMES))
    assert_same(content(tmp_path), content(whole.folder.root))
    assert leftovers(tmp_path) == []


def test_run_cut_off_before_the_crops_makes_them_from_the_stored_points(
    whole: Preprocessed,
    gap_clip: Path,
    nets: NetsLoader,
    no_nets: NetsLoader,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(module, "put_crops", ctrl_c)
        preprocess(gap_clip, tmp_path, LIGHT, nets=nets)
    again = preprocess(gap_clip, tmp_path, LIGHT, nets=no_nets)
    assert again.done == ("audio", "crops")
    assert_same(content(tmp_path), content(whole.folder.root))
    assert leftovers(tmp_path) == []


def test_run_cut_off_before_its_record_is_not_taken_for_finished(
    copy, gap_clip: Path, nets: NetsLoader, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = replace(LIGHT, faces=replace(LIGHT.faces, detect_every=5), audio=None)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Prepared, "write", ctrl_c)
        preprocess(gap_clip, copy, other, nets=nets)
    # The features are new, the record of who was found is old.
    assert preprocess(gap_clip, copy, other, nets=nets).done == ("faces", "crops")
    assert leftovers(copy) == []


def ctrl_c(*args):
    raise KeyboardInterrupt


def test_changed_crop_size_makes_only_the_crops(copy, gap_clip: Path, no_nets: NetsLoader) -> None:
    before = stamps(copy / "features") | stamps(copy / "audio.wav")
    small = replace(LIGHT, faces=replace(LIGHT.faces, crop_size=64))
    done = preprocess(gap_clip, copy, small, nets=no_nets)
    assert done.done == ("crops",)
    assert sorted(crops(copy)) == [f"{frame + 1:05d}.jpg" for frame in SEEN]
    assert cv2.imread(str(copy / "cropped_aligned/gap/00040.jpg")).shape == (64, 64, 3)
    changed = {p for p, stamp in stamps(copy).items() if before.get(p, stamp) != stamp}
    # The store tells of the new size.
    assert changed == {copy / "features/gap/provenance.json"}
    (subject,) = done.folder.subjects()
    assert subject.provenance["configuration"]["faces"] == small.to_dict()["faces"]
    assert leftovers(copy) == []


def test_crops_whose_exchange_was_cut_off_are_not_taken_for_the_old_ones(
    copy, whole: Preprocessed, gap_clip: Path, no_nets: NetsLoader, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = replace(LIGHT, faces=replace(LIGHT.faces, crop_size=64))
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        put = redo.put_crops

        def put_and_stop(fresh, target):
            put(fresh, target)
            raise KeyboardInterrupt

        patch.setattr(redo, "put_crops", put_and_stop)
        preprocess(gap_clip, copy, small, nets=no_nets)
    preprocess(gap_clip, copy, LIGHT, nets=no_nets)
    assert crops(copy) == crops(whole.folder.root)


def test_added_encoder_makes_only_its_array(
    copy, gap_clip: Path, tmp_path: Path, tiny_encoder, tracked
) -> None:
    both = replace(LIGHT, encoders=("starter-2-face", "tiny"))
    before = content(copy)
    pictures = stamps(copy / "cropped_aligned")
    done = preprocess(gap_clip, copy, both)
    assert done.done == ("tiny",)
    assert tracked == []
    assert stamps(copy / "cropped_aligned") == pictures
    after = content(copy)
    added = after[0].pop("tiny")
    assert_same(after, before)
    assert np.isnan(added[FACELESS.start : FACELESS.stop]).all()
    # The same as if it had been asked for at once.
    preprocess(gap_clip, tmp_path / "once", both)
    np.testing.assert_array_equal(added, features(tmp_path / "once").array("tiny"))


def test_encoder_that_is_no_longer_asked_for_stays(
    copy, gap_clip: Path, no_nets: NetsLoader
) -> None:
    none = replace(LIGHT, encoders=())
    assert preprocess(gap_clip, copy, none, nets=no_nets).done == ()
    assert "starter-2-face" in features(copy).names


def test_changed_audio_settings_make_only_the_audio(
    copy, gap_clip: Path, no_nets: NetsLoader
) -> None:
    before = content(copy)
    short = replace(LIGHT, audio=AudioConfig(n_mfcc=20))
    assert preprocess(gap_clip, copy, short, nets=no_nets).done == ("audio",)
    after = content(copy)
    assert after[0].pop("audio").shape == (FRAMES, 148)
    before[0].pop("audio")
    assert_same(after, before)


def test_sound_can_be_added_later(
    gap_clip: Path, nets: NetsLoader, no_nets: NetsLoader, tmp_path: Path, whole: Preprocessed
) -> None:
    silent = replace(LIGHT, audio=None)
    assert preprocess(gap_clip, tmp_path, silent, nets=nets).done == ("faces", "crops")
    assert not (tmp_path / "audio.wav").exists()
    assert features(tmp_path).names == ("face_pose", "starter-2-face")
    assert preprocess(gap_clip, tmp_path, LIGHT, nets=no_nets).done == ("audio",)
    assert_same(content(tmp_path), content(whole.folder.root))


def test_lost_wav_is_made_again(
    copy, whole: Preprocessed, gap_clip: Path, no_nets: NetsLoader
) -> None:
    (copy / "audio.wav").unlink()
    before = stamps(copy / "features")
    assert preprocess(gap_clip, copy, LIGHT, nets=no_nets).done == ("audio",)
    assert (copy / "audio.wav").read_bytes() == whole.folder.wav.read_bytes()
    assert stamps(copy / "features") == before


def test_damaged_store_is_made_again(
    copy, whole: Preprocessed, gap_clip: Path, nets: NetsLoader
) -> None:
    (arrays,) = (copy / "features/gap").glob("starter-2-face-*.npy")
    arrays.write_bytes(arrays.read_bytes()[:-50])
    assert preprocess(gap_clip, copy, LIGHT, nets=nets).done == ("faces", "crops", "audio")
    assert_same(content(copy), content(whole.folder.root))


def test_changed_choice_of_subjects_makes_the_faces_again_and_drops_the_others(
    copy, gap_clip: Path, nets: NetsLoader
) -> None:
    # As if an earlier choice had named one more.
    for kind in ("features", "cropped_aligned"):
        shutil.copytree(copy / kind / "gap", copy / kind / "gap_2")
    Prepared(copy).update(subjects=["gap", "gap_2"])
    everyone = replace(LIGHT, faces=replace(LIGHT.faces, subjects="all"))
    done = preprocess(gap_clip, copy, everyone, nets=nets)
    assert done.done == ("faces", "crops", "audio")
    assert done.subjects == ("gap",)
    for kind in ("features", "cropped_aligned"):
        assert [path.name for path in (copy / kind).iterdir()] == ["gap"]


def test_store_of_another_length_than_the_video_stays_as_it_is(copy, sample) -> None:
    # As if a new decoder counted otherwise.
    small = replace(LIGHT, faces=replace(LIGHT.faces, crop_size=64))
    stored = Prepared(copy).subjects()
    before = crops(copy)
    for name in ("no_face.mp4", "two_people.mp4"):
        with pytest.raises(FeatureError, match="frames where 40 were stored"):
            redo.crop_again(open_source(sample(name)), small, Prepared(copy), stored)
    assert crops(copy) == before
    assert leftovers(copy) == []


def test_another_video_is_refused_and_what_is_there_stays(
    copy, sample, no_nets: NetsLoader
) -> None:
    before = stamps(copy)
    with pytest.raises(UsageError, match=r"holds the results of 'gap\.mp4'") as caught:
        preprocess(sample("no_face.mp4"), copy, LIGHT, nets=no_nets)
    assert "choose another output folder" in caught.value.hint
    assert stamps(copy) == before


def test_without_sound_and_without_a_face(
    sample, nets: NetsLoader, no_nets: NetsLoader, tmp_path: Path
) -> None:
    done = preprocess(sample("no_face.mp4"), tmp_path, LIGHT, nets=nets)
    assert (done.frames, done.faces, done.subjects) == (50, 0, ("no_face",))
    assert crops(tmp_path, "no_face") == {}
    assert not (tmp_path / "audio.wav").exists()
    stored = features(tmp_path, "no_face")
    assert not stored.present.any()
    assert not stored.array("has_sound").any()
    again = preprocess(sample("no_face.mp4"), tmp_path, LIGHT, nets=no_nets)
    assert again.done == ()


def test_full_disk_in_mid_video_keeps_what_was_finished(
    whole: Preprocessed,
    gap_clip: Path,
    nets: NetsLoader,
    tmp_path: Path,
    small_steps: None,
    monkeypatch: pytest.MonkeyPatch,
    tracked,
) -> None:
    write = Path.write_bytes

    def fill_up(self, data):
        if "00036.jpg" in self.name or ".00036." in self.name:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(self, data)

    with monkeypatch.context() as patch, pytest.raises(DiskFullError, match="disk is full"):
        patch.setattr(Path, "write_bytes", fill_up)
        preprocess(gap_clip, tmp_path, LIGHT, nets=nets)
    assert [path for path in tmp_path.rglob("*") if ".tmp" in path.name] == []
    del tracked[:]
    preprocess(gap_clip, tmp_path, LIGHT, nets=nets)
    assert tracked[0] > 0
    assert_same(content(tmp_path), content(whole.folder.root))


def test_output_that_cannot_be_a_folder(gap_clip: Path, nets: NetsLoader, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(OutputError, match="cannot write"):
        preprocess(gap_clip, tmp_path / "file", LIGHT, nets=nets)
    assert (tmp_path / "file").read_text() == "not a folder"


def test_what_is_no_video_leaves_no_trace(tmp_path: Path, no_nets: NetsLoader) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("no video")
    with pytest.raises(NotMediaError):
        preprocess(text, tmp_path / "out", LIGHT, nets=no_nets)
    with pytest.raises(InputNotFoundError):
        preprocess(tmp_path / "nothing.mp4", tmp_path / "out", LIGHT, nets=no_nets)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["a\nb.mp4", "\x1b[2J.mp4", "x" * 240 + ".mp4"])
def test_name_that_no_file_should_have_is_refused_at_once(
    name, tmp_path: Path, no_nets: NetsLoader, gap_clip: Path
) -> None:
    video = tmp_path / name
    shutil.copy(gap_clip, video)
    with pytest.raises(UsageError, match="cannot be called"):
        preprocess(video, tmp_path / "out", LIGHT, nets=no_nets)
    assert not (tmp_path / "out").exists()


def test_rotated_phone_video_comes_out_upright_and_its_sound_in_place(
    sample, truth, nets: NetsLoader, tmp_path: Path
) -> None:
    preprocess(sample("vfr_rotated.mov"), tmp_path, LIGHT, nets=nets)
    stored = features(tmp_path, "vfr_rotated")
    table = stored.table()
    assert table["present"].all()
    assert table["roll"].abs().max() < 8
    assert (table["mouth_left_y"] > table["left_eye_y"]).all()
    start, end = truth["vfr_rotated.mov"]["sound"]
    heard, times = stored.array("has_sound").astype(bool).reshape(-1), stored.times
    assert heard[(times > start) & (times < end)].all()
    # A window reaches a frame to both sides; AAC comes in pieces of 23 ms.
    assert not heard[(times < start - 0.15) | (times > end + 0.15)].any()
