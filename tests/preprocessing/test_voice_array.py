"""The array ``voice`` from files: made, kept, made again where it must be, and predicted from."""

import shutil
import wave
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from avaffect.config import AnalysisConfig, AudioConfig, MediaConfig, PredictConfig
from avaffect.errors import FeatureError, UsageError
from avaffect.predicting.batch import PredictBatch
from avaffect.predicting.run import predict
from avaffect.predicting.settings import with_features
from avaffect.predictions.prediction import Prediction
from avaffect.predictors import build as predictors
from avaffect.predictors.interface import require_arrays
from avaffect.preprocessing import sound as module
from avaffect.preprocessing.run import NetsLoader, Preprocessed, preprocess
from avaffect.progress import Progress
from avaffect.store.subject import SubjectFeatures

LIGHT = AnalysisConfig(encoders=("starter-2-face",))
FRAMES = 40


@pytest.fixture
def config(voice_net):
    """LIGHT with the prediction of a voice net."""
    return replace(LIGHT, voice=voice_net())


@pytest.fixture
def copy(whole: Preprocessed, tmp_path: Path):
    """A copy of the gap clip, preprocessed without the voice."""
    return Path(shutil.copytree(whole.folder.root, tmp_path / "copy"))


@pytest.fixture
def spoken(sample, ffmpeg, tmp_path: Path):
    """``spoken.wav``: 3 s of speech."""
    path = tmp_path / "spoken.wav"
    ffmpeg("-i", sample("one_person.mp4"), "-vn", "-t", 3, path)
    return path


def stored(root, name="gap"):
    return SubjectFeatures.open(root / "features" / name)


def arrays(root, name="gap"):
    subject = stored(root, name)
    return {name: subject.array(name) for name in subject.names}


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, values in found.items():
        np.testing.assert_array_equal(values, expected[name], err_msg=name)


def stamps(folder):
    return {p: p.stat().st_mtime_ns for p in sorted(folder.rglob("*")) if p.is_file()}


def test_added_later_it_is_what_it_would_have_been_at_once(
    copy, gap_clip: Path, config, nets: NetsLoader, no_nets: NetsLoader, tmp_path: Path
) -> None:
    before, wav = arrays(copy), stamps(copy)[copy / "audio.wav"]
    assert preprocess(gap_clip, copy, config, nets=no_nets).done == ("voice",)
    after = arrays(copy)
    voice = after.pop("voice")
    assert_same(after, before)
    assert stamps(copy)[copy / "audio.wav"] == wav
    assert (voice.shape, voice.dtype) == ((FRAMES, 9), np.float32)
    # The clip is speech for the most part.
    np.testing.assert_allclose(voice[:, :8].sum(1), 1, atol=1e-5)
    assert voice[5:35, 8].mean() > 0.5
    done = preprocess(gap_clip, tmp_path / "once", config, nets=nets).done
    assert done == ("faces", "crops", "audio", "voice")
    assert_same(arrays(tmp_path / "once"), {**before, "voice": voice})
    models = stored(copy).provenance["models"]
    assert models.keys() >= {"silero-vad", "starter-2-voice"}
    before = stamps(copy)
    assert preprocess(gap_clip, copy, config, nets=no_nets).done == ()
    assert preprocess(gap_clip, copy, LIGHT, nets=no_nets).done == ()
    assert stamps(copy) == before


def test_a_changed_net_makes_its_prediction_again_and_nothing_else(
    copy, gap_clip: Path, config, voice_net, no_nets: NetsLoader
) -> None:
    preprocess(gap_clip, copy, config, nets=no_nets)
    first = arrays(copy)
    other = [path for path in stamps(copy) if "features" not in path.parts]
    before = {path: stamp for path, stamp in stamps(copy).items() if path in other}
    before.pop(copy / "preprocess.json")
    voice_net(seed=1)
    assert preprocess(gap_clip, copy, config, nets=no_nets).done == ("voice",)
    assert before.items() <= stamps(copy).items()
    second = arrays(copy)
    assert (first.pop("voice")[:, :8] != second.pop("voice")[:, :8]).any()
    assert_same(first, second)
    short = replace(config, audio=AudioConfig(n_mfcc=20))
    assert preprocess(gap_clip, copy, short, nets=no_nets).done == ("audio",)


def test_two_people_are_listened_to_once(
    sample, ffmpeg, config, nets: NetsLoader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = []
    hear = module.hear
    monkeypatch.setattr(module, "hear", lambda *args: heard.append(1) or hear(*args))
    clip = tmp_path / "two.mp4"
    ffmpeg("-i", sample("two_people.mp4"), "-vf", "scale=320:160", "-t", 1.2, clip)
    done = preprocess(clip, tmp_path, config, nets=nets)
    assert (len(done.subjects), len(heard)) == (2, 1)
    left, right = (arrays(tmp_path, name)["voice"] for name in done.subjects)
    np.testing.assert_array_equal(left, right)
    assert np.isfinite(left).any()


def test_a_silent_video_has_no_prediction(
    sample, config, nets: NetsLoader, no_nets: NetsLoader, tmp_path: Path
) -> None:
    clip = sample("no_face.mp4")
    preprocess(clip, tmp_path, config, nets=nets)
    voice = arrays(tmp_path, "no_face")["voice"]
    assert (voice.shape, np.isnan(voice).all()) == ((50, 9), True)
    assert preprocess(clip, tmp_path, config, nets=no_nets).done == ()


def test_sound_that_begins_late_and_ends_early(
    sample, config, nets: NetsLoader, tmp_path: Path
) -> None:
    preprocess(sample("vfr_rotated.mov"), tmp_path, config, nets=nets)
    subject = stored(tmp_path, "vfr_rotated")
    voice = subject.array("voice")
    # truth.json: from 0.5 to 2.3 s; its codec begins a packet earlier.
    sound = (subject.times > 0.41) & (subject.times < 2.39)
    assert np.isfinite(voice[sound, 8]).all()
    silent = (subject.times < 0.34) | (subject.times > 2.42)
    assert np.isnan(voice[silent]).all()
    assert (sound.sum(), silent.sum()) == (47, 24)


@pytest.mark.parametrize("rate", [10, 50])
def test_other_frame_rates_say_the_same(
    rate: int, gap_clip: Path, config, nets: NetsLoader, ffmpeg, tmp_path: Path
) -> None:
    other = tmp_path / "gap.mp4"
    ffmpeg("-i", gap_clip, "-r", rate, "-c:a", "copy", other)
    for path, out in ((gap_clip, "a"), (other, "b")):
        preprocess(path, tmp_path / out, replace(config, audio=None), nets=nets)
    a, b = stored(tmp_path / "a"), stored(tmp_path / "b")
    assert len(b.times) == pytest.approx(FRAMES * rate / 25, abs=3)
    now = np.arange(0.1, 1.45, 0.1)
    for column in range(9):
        mine, others = (
            np.interp(now, subject.times, subject.array("voice")[:, column]) for subject in (a, b)
        )
        # The speech probability has corners between the frames of the slower clip.
        np.testing.assert_allclose(mine, others, atol=1e-3 if column < 8 else 0.1)


@pytest.mark.parametrize("stage", ["sound", "speech", "voice"])
def test_interrupted_it_goes_on_to_the_same(
    stage: str, copy, gap_clip: Path, config, no_nets: NetsLoader, spoken, tmp_path: Path
) -> None:
    def stop(event):
        if isinstance(event, Progress) and event.stage == stage:
            raise KeyboardInterrupt

    other = replace(config, media=MediaConfig(audio_stream=0))
    before = arrays(copy)
    with pytest.raises(KeyboardInterrupt):
        preprocess(gap_clip, copy, other, nets=no_nets, on_event=stop)
    preprocess(gap_clip, copy, other, nets=no_nets)
    after = arrays(copy)
    assert np.isfinite(after.pop("voice")[:, 8]).all()
    assert_same(after, before)
    with pytest.raises(KeyboardInterrupt):
        preprocess(spoken, tmp_path / "sound", config, on_event=stop)
    preprocess(spoken, tmp_path / "sound", config)
    preprocess(spoken, tmp_path / "whole", config)
    assert_same(arrays(tmp_path / "sound", "spoken"), arrays(tmp_path / "whole", "spoken"))
    assert not (tmp_path / "sound/.work").exists()


def test_the_wav_is_that_of_the_chosen_stream(
    gap_clip: Path, config, nets: NetsLoader, ffmpeg, tmp_path: Path
) -> None:
    clip = tmp_path / "two.mp4"
    tone = ["-f", "lavfi", "-i", "sine=500:duration=1.6"]
    ffmpeg(
        "-i", gap_clip, *tone, "-map", "0:v", "-map", "0:a", "-map", "1:a", "-c:v", "copy", clip
    )
    out = tmp_path / "out"

    def wav(stream, **changes):
        chosen = replace(config, media=MediaConfig(audio_stream=stream), **changes)
        done = preprocess(clip, out, chosen, nets=nets).done
        with wave.open(str(out / "audio.wav")) as file:
            return done, file.readframes(-1)

    _, first = wav(0, voice=None)
    done, second = wav(1, audio=None)
    assert (done, first != second) == (("audio", "voice"), True)
    # The features of the first are there still, but not its wav.
    assert wav(0, voice=None) == (("audio",), first)
    assert wav(0) == (("voice",), first)


def test_a_sound_file(spoken, config, voice_net, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert preprocess(spoken, out, LIGHT).done == ("audio",)
    before, wav = arrays(out, "spoken"), stamps(out)[out / "audio.wav"]
    assert preprocess(spoken, out, config).done == ("voice",)
    assert stamps(out)[out / "audio.wav"] == wav
    after = arrays(out, "spoken")
    voice = after.pop("voice")
    assert_same(after, before)
    assert voice.shape == (75, 9)
    np.testing.assert_allclose(voice[15:, :8].sum(1), 1, atol=1e-5)
    subject = stored(out, "spoken")
    assert subject.provenance["models"].keys() == {"silero-vad", "starter-2-voice"}
    # Alone; and on a denser clock the same at the same moments.
    alone = replace(config, audio=None, sound_rate=50.0)
    assert preprocess(spoken, tmp_path / "alone", alone).done == ("voice",)
    assert stored(tmp_path / "alone", "spoken").names == ("voice",)
    np.testing.assert_array_equal(arrays(tmp_path / "alone", "spoken")["voice"][::2], voice)
    voice_net(seed=1)
    assert preprocess(spoken, out, config).done == ("voice",)
    assert_same({**arrays(out, "spoken"), "voice": voice}, {**before, "voice": voice})
    assert preprocess(spoken, out, config).done == ()
    with pytest.raises(UsageError, match="nothing but sound, which is left out"):
        preprocess(spoken, out, replace(config, audio=None, voice=None))


class Listener:
    """A predictor of the voice's prediction, and of Neutral where it has none."""

    name = "listener"
    tasks = ("expr",)
    notes = ()
    fingerprint = "1"
    needs = ("face_pose", "voice")
    optional = ("face_pose",)
    voice_net = "starter-2-voice"
    smooth = "off"

    def require_settings(self, configuration):
        """Any settings will do."""

    def predict(self, subject, tasks):
        require_arrays(self, subject)
        expr = subject.array("voice")[:, :8] if "voice" in self.needs else np.full(1, np.nan)
        expr = np.broadcast_to(expr, (subject.frames, 8)).copy()
        heard = np.isfinite(expr[:, 0])
        expr[~heard] = np.eye(8)[0]
        return Prediction(subject.name, self.name, np.asarray(subject.times), subject.present,
                          subject.confidence, expr=expr, heard=heard)  # fmt: skip


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch, voice_net):
    """Settings for a :class:`Listener`; attributes given are replaced."""
    voice_net()

    def make(noncommercial=True, **attributes):
        listener = Listener()
        for name, value in attributes.items():
            setattr(listener, name, value)
        monkeypatch.setitem(predictors.PREDICTORS, "listener", lambda frame_model: listener)
        return with_features(PredictConfig(model="listener", noncommercial=noncommercial))

    return make


def test_a_model_that_listens(
    listener,
    gap_clip: Path,
    sample,
    spoken,
    whole: Preprocessed,
    config,
    no_nets: NetsLoader,
    tmp_path: Path,
) -> None:
    settings = listener()
    assert settings.analysis.voice == "starter-2-voice"
    assert (settings.analysis.audio, settings.analysis.encoders) == (None, ())
    result = predict(gap_clip, "expr", config=settings, device="cpu")
    first = result["gap"]
    assert first.heard.all()
    models: Any = result.about["models"]
    assert models.keys() >= {"silero-vad", "starter-2-voice"}
    # From a folder the same.
    folder = Path(shutil.copytree(whole.folder.root, tmp_path / "folder"))
    with pytest.raises(FeatureError, match="lack voice, needed by listener") as caught:
        predict(folder, "expr", config=settings, device="cpu")
    assert 'preprocess again with voice="starter-2-voice"' in caught.value.hint
    preprocess(gap_clip, folder, config, nets=no_nets)
    again = predict(folder, "expr", config=settings, device="cpu")["gap"]
    np.testing.assert_array_equal(again.expr, first.expr)
    # A video without sound, and sound without a video.
    silent = predict(sample("no_face.mp4"), "expr", config=settings, device="cpu")["no_face"]
    assert not silent.heard.any()
    voice = predict(spoken, "expr", config=settings, device="cpu")["spoken"]
    assert (len(voice), voice.heard[15:].all(), voice.present.any()) == (75, True, False)


def test_a_model_that_cannot_do_without_faces(listener, spoken) -> None:
    with pytest.raises(UsageError, match="'listener' looks at faces too"):
        predict(spoken, "expr", config=listener(optional=()), device="cpu")
    with pytest.raises(UsageError, match="'listener' looks at faces only"):
        predict(spoken, "expr", config=listener(needs=("face_pose",)), device="cpu")


def test_without_non_commercial_nets(
    listener, gap_clip: Path, spoken, voice_net, tmp_path: Path
) -> None:
    refused = listener(noncommercial=False)
    with pytest.raises(
        UsageError, match=r"'starter-2-voice' is for non-commercial use \(CC BY-NC"
    ):
        predict(gap_clip, "expr", config=refused, device="cpu")
    with pytest.raises(UsageError, match="non-commercial"):
        PredictBatch(tmp_path / "out", refused)
    # A model that does without goes on, and nothing is listened to.
    deaf = listener(noncommercial=False, needs=("face_pose",))
    assert deaf.analysis.voice is None
    result = predict(gap_clip, "expr", config=deaf, device="cpu")
    assert "starter-2-voice" not in result.about["models"]
    assert not result["gap"].heard.any()
    voice_net(licence="Apache-2.0")
    free = predict(spoken, "expr", config=listener(noncommercial=False), device="cpu")
    assert free["spoken"].heard.any()


def test_a_batch_that_was_interrupted_goes_on_without_the_voice(
    listener, gap_clip: Path, spoken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ctrl_c(*args, **kwargs):
        raise KeyboardInterrupt

    def store(name):
        return tmp_path / "store" / name

    settings = replace(listener(), tasks=("expr",))
    with (
        pytest.raises(KeyboardInterrupt),
        monkeypatch.context() as patch,
        PredictBatch(tmp_path, settings, store=store) as batch,
    ):
        patch.setattr("avaffect.predicting.run.keep_subjects", ctrl_c)
        batch(gap_clip)
    deaf = replace(listener(noncommercial=False, needs=("face_pose",)), tasks=("expr",))
    with PredictBatch(tmp_path, deaf, store=store) as batch:
        batch(gap_clip)
    assert stored(tmp_path / "store/gap").names == ("face_pose",)
    with PredictBatch(tmp_path, replace(listener(), tasks=("expr",)), store=store) as batch:
        assert not batch(gap_clip).again
        assert batch(spoken).valued == 75
    assert stored(tmp_path / "store/gap").names == ("face_pose", "voice")
    assert stored(tmp_path / "store/spoken", "spoken").names == ("voice",)
