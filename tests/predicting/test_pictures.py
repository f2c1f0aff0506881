"""Predicting with networks that look at pictures: of folders, videos, and many of them."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from avaffect.config import AnalysisConfig, FaceConfig, PredictConfig
from avaffect.errors import CheckpointError, FeatureError, UsageError
from avaffect.networks import apply
from avaffect.predicting.batch import PredictBatch
from avaffect.predicting.run import predict
from avaffect.predicting.settings import with_checkpoint, with_features
from avaffect.preprocessing.run import NetsLoader, Preprocessed, preprocess
from avaffect.store.pictures import PictureFolder
from avaffect.store.prepared import Prepared
from avaffect.store.provenance import relevant_settings

LIGHT = AnalysisConfig(encoders=("starter-2-face",))
SEEN = np.array([not 14 <= frame < 24 for frame in range(40)])


def configured(place, which="auto"):
    return with_features(with_checkpoint(PredictConfig(missing="invalid"), place), which)


@pytest.fixture
def copy(whole: Preprocessed, tmp_path: Path):
    """The preprocessed gap clip: 40 frames, without a face in 14 to 23."""
    return shutil.copytree(whole.folder.root, tmp_path / "copy")


@pytest.fixture(scope="session")
def nobody(sample, ffmpeg, tmp_path_factory: pytest.TempPathFactory):
    """``nobody.mp4``: 6 frames without a face."""
    path = tmp_path_factory.mktemp("nobody") / "nobody.mp4"
    ffmpeg("-i", sample("no_face.mp4"), "-frames:v", 6, "-an", path)
    return path


def test_a_video_and_its_folder_are_the_same(
    looking, gap_clip: Path, whole: Preprocessed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    place = looking(features=relevant_settings(LIGHT.to_dict()))
    config = configured(place)
    assert (config.analysis.encoders, config.analysis.audio) == ((), None)
    folder = predict(whole.folder.root, "va", config=config, device="cpu")
    va = folder["gap"].va[:, 0]
    np.testing.assert_array_equal(np.isfinite(va), SEEN)
    assert len(np.unique(va[SEEN])) > 5
    np.testing.assert_array_equal(folder["gap"].present, SEEN)
    video = predict(gap_clip, "va", config=config, device="cpu")
    assert (video.source, video.frames, video.found, video.valued) == (gap_clip, 40, 30, 30)
    np.testing.assert_array_equal(video["gap"].va, folder["gap"].va)
    assert video.about["frames"] == 40
    assert video.about["damage"]["decoding_errors"] == 0
    assert video.about["video"] == folder.about["video"]
    # What it made on the way is gone.
    assert not list(tmp_path.glob(".avaffect*"))
    short = predict(whole.folder.root, "va", checkpoint=place, device="cpu")
    np.testing.assert_array_equal(short["gap"].va[SEEN], folder["gap"].va[SEEN])


def test_nobody_in_the_picture(looking, nobody, tmp_path: Path) -> None:
    config = configured(looking())
    video = predict(nobody, "va", config=config, device="cpu")
    assert (video.frames, video.found, video.valued) == (6, 0, 0)
    assert np.isnan(video["nobody"].va).all()
    preprocess(nobody, tmp_path / "out", config.analysis)
    folder = predict(tmp_path / "out", "va", config=config, device="cpu")
    assert np.isnan(folder["nobody"].va).all()


def test_faces_are_as_large_as_in_training(looking, gap_clip: Path, copy) -> None:
    place = looking(side=64)
    config = configured(place)
    assert config.analysis.faces == FaceConfig(crop_size=64)
    assert predict(gap_clip, "va", config=config, device="cpu").valued == 30
    with pytest.raises(FeatureError, match=r"faces of 64 pixels, those of 'gap' have 112.*64"):
        predict(copy, "va", config=config, device="cpu")
    # What the store of the training says counts: larger pictures were made smaller there.
    facts = {"faces": {"aligner": "mesh", "crop_size": 96}}
    config = configured(looking(side=64, features=facts))
    assert config.analysis.faces.crop_size == 96
    with pytest.raises(FeatureError, match="other settings of 'faces'"):
        predict(copy, "va", config=config, device="cpu")
    with pytest.raises(FeatureError, match="other settings of 'faces'"):
        other = replace(config.analysis.faces, aligner="fan")
        config = replace(config, analysis=replace(config.analysis, faces=other))
        predict(gap_clip, "va", config=config, device="cpu")


@pytest.mark.parametrize("size", [3, 5000, "big", None, -7])
def test_sizes_that_faces_cannot_have(size, looking) -> None:
    facts = {} if size is None else {"faces": {"aligner": "mesh", "crop_size": size}}
    with pytest.raises(CheckpointError, match="which are not made"):
        with_checkpoint(PredictConfig(), looking(side=4, features=facts))


def test_a_picture_that_is_gone_is_a_frame_without_a_face(looking, copy) -> None:
    config = configured(looking())
    (copy / "cropped_aligned/gap/00003.jpg").unlink()
    va = predict(copy, "va", config=config, device="cpu")["gap"].va[:, 0]
    assert np.isnan(va[2])
    assert np.isfinite(va).sum() == 29
    shutil.rmtree(copy / "cropped_aligned/gap")
    with pytest.raises(FeatureError, match=r"lacks pictures.*preprocess the video again"):
        predict(copy, "va", config=config, device="cpu")


def test_many_at_once(looking, gap_clip: Path, nobody, copy, tmp_path: Path) -> None:
    config = configured(looking())
    second = shutil.copy(gap_clip, tmp_path / "second.mp4")
    with PredictBatch(tmp_path / "out", config) as batch:
        done = [batch(source) for source in (second, nobody, copy)]
        assert [result.valued for result in done] == [30, 0, 30]
        assert batch(second).again
    out = tmp_path / "out"
    text = (out / "VA_Estimation_Challenge/second.txt").read_text()
    assert text == (out / "VA_Estimation_Challenge/gap.txt").read_text()
    assert not list(out.glob(".*"))
    assert not list(out.rglob("*.jpg"))


def test_other_pictures_are_predicted_anew(
    looking, gap_clip: Path, copy, tmp_path: Path, no_nets: NetsLoader
) -> None:
    big = replace(LIGHT, faces=replace(LIGHT.faces, crop_size=128))
    for place, again in ((looking(), False), (blind(looking), True)):
        with PredictBatch(tmp_path / f"out-{place.name}", configured(place)) as batch:
            batch(copy)
            assert batch(copy).again
            Prepared(copy).update(crops="others")
            assert batch(copy).again is again
    preprocess(gap_clip, copy, big, nets=no_nets)
    with pytest.raises(FeatureError, match="those of 'gap' have 128"):
        predict(copy, "va", checkpoint=looking(), device="cpu")


def blind(looking):
    """A model that looks at no pictures."""
    branch = {"features": ["face_pose"], "layers": [{"kind": "gru", "units": [4]}]}
    return looking("blind", branches={"b": branch}, width=263)


def test_an_interrupted_video_goes_on(
    looking, ffmpeg, sample, tmp_path: Path, interrupt_at, tracked
) -> None:
    clip = tmp_path / "long.mp4"
    picture = ["-vf", "scale=160:160", "-frames:v", 40, "-an"]
    ffmpeg("-stream_loop", 3, "-i", sample("one_person.mp4"), *picture, clip)
    config = configured(looking())
    out = tmp_path / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("avaffect.preprocessing.video_pass.CHECKPOINT_EVERY", 10)
        stop = interrupt_at(out, 30, 10)
        with pytest.raises(KeyboardInterrupt), PredictBatch(out, config, on_event=stop) as batch:
            batch(clip)
        before = len(tracked)
        with PredictBatch(out, config) as batch:
            assert batch(clip).frames == 40
    assert len(tracked) - before <= 30
    assert not list(out.glob(".*"))


def test_pictures_are_kept_with_the_features_if_asked_for(
    looking, gap_clip: Path, whole: Preprocessed, tmp_path: Path
) -> None:
    config = replace(configured(looking(), "full"), analysis=LIGHT)
    with PredictBatch(tmp_path, config, store=lambda name: tmp_path / "kept") as batch:
        batch(gap_clip)
    kept = sorted((tmp_path / "kept/cropped_aligned/gap").iterdir())
    assert [path.name for path in kept] == [f"{at + 1:05d}.jpg" for at in np.flatnonzero(SEEN)]
    assert predict(tmp_path / "kept", "va", checkpoint=looking(), device="cpu").valued == 30


def test_few_pictures_are_in_memory_at_a_time(
    looking, whole: Preprocessed, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configured(looking())
    once = predict(whole.folder.root, "va", config=config, device="cpu")["gap"].va
    asked = []

    def counting(self, name, start=0, stop=None, call=PictureFolder.array):
        if name == "faces":
            asked.append(stop - start)
        return call(self, name, start, stop)

    monkeypatch.setattr(PictureFolder, "array", counting)
    monkeypatch.setattr(apply, "PICTURES", 16)
    again = predict(whole.folder.root, "va", config=config, device="cpu")["gap"].va
    assert max(asked) == 16
    assert sum(asked) < 100
    np.testing.assert_allclose(again, once, atol=1e-5)


def test_sound_has_no_pictures(looking, tmp_path: Path) -> None:
    import soundfile

    noise = np.random.default_rng(0).normal(0, 0.1, 4000)
    soundfile.write(tmp_path / "noise.wav", noise, 16_000)
    with pytest.raises(UsageError, match="'eye' looks at faces only"):
        predict(tmp_path / "noise.wav", "va", checkpoint=looking(), device="cpu")


def test_only_what_is_read_is_made(looking) -> None:
    place = looking()
    facts = json.loads((place / "best/checkpoint.json").read_text())
    assert facts["widths"] == {"eye": 112 * 112 * 3}
    config = configured(place)
    assert config.analysis == AnalysisConfig(encoders=(), audio=None)
    full = configured(place, "full").analysis
    assert full.encoders == ("efficientnet-lite0",)
    assert full.audio is not None
    assert NetsLoader(config.analysis, "cpu")().encoders == []
