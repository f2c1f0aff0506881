"""Files of nothing but sound: features on a regular clock, made once."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from fixtures.sounds import by_librosa

from avaffect.config import AnalysisConfig, AudioConfig, MediaConfig
from avaffect.errors import MediaError, NoVideoStreamError, UsageError
from avaffect.media.source import open_source
from avaffect.preprocessing import sound_file as module
from avaffect.preprocessing.run import NetsLoader, preprocess
from avaffect.progress import Notice, Progress
from avaffect.sound import mfcc
from avaffect.sound.mfcc import by_torchaudio
from avaffect.store.prepared import Prepared
from avaffect.store.subject import SubjectFeatures

SECONDS = 1.3
RATE = 16_000


@pytest.fixture(scope="session")
def tone(tmp_path_factory: pytest.TempPathFactory):
    """``tone.wav``: 1.3 s of a rising tone, 16 kHz mono."""
    path = tmp_path_factory.mktemp("sound") / "tone.wav"
    clock = np.arange(round(SECONDS * RATE)) / RATE
    soundfile.write(path, 0.5 * np.sin(2 * np.pi * (200 + 600 * clock) * clock), RATE)
    return path


@pytest.fixture
def convert(tone, ffmpeg, tmp_path: Path):
    """Makes another file of the tone."""

    def make(name, *arguments):
        ffmpeg("-i", tone, *arguments, tmp_path / name)
        return tmp_path / name

    return make


def stored(root, name="tone"):
    return SubjectFeatures.open(root / "features" / name)


def stamps(root):
    return {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("rate", "rows"), [(25.0, 33), (50.0, 65), (10, 13)])
def test_rows_on_a_regular_clock_with_the_features_of_their_moment(
    tone, tmp_path: Path, rate: float, rows: int
) -> None:
    done = preprocess(tone, tmp_path, AnalysisConfig(sound_rate=rate))
    assert (done.frames, done.faces, done.subjects) == (rows, 0, ("tone",))
    assert (done.done, done.sound_only) == (("audio",), True)
    found = stored(tmp_path)
    assert found.names == ("audio", "has_sound")
    np.testing.assert_allclose(found.times, np.arange(rows) / rate)
    assert not found.present.any()
    assert found.array("has_sound").all()
    # The middle row by librosa, from the file itself.
    sound, _ = soundfile.read(tone, dtype="float64")
    row, half = rows // 2, round(RATE / rate)
    at = round(row / rate * RATE)
    expected = by_librosa(sound[at - half : at + half])
    np.testing.assert_allclose(found.array("audio", row, row + 1)[0], expected, atol=0.02)
    assert soundfile.info(tmp_path / "audio.wav").frames == len(sound)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "audio.wav", "features", "preprocess.json"
    ]  # fmt: skip


def test_a_gpu_makes_the_features_by_torchaudio(
    tone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = []

    def on_cpu(config, length, n_fft, device):
        used.append(device)
        return by_torchaudio(config, length, n_fft, "cpu")

    monkeypatch.setattr(mfcc, "by_torchaudio", on_cpu)
    config = AnalysisConfig()
    preprocess(tone, tmp_path / "a", config, nets=NetsLoader(config, "cuda:0"))
    assert used == ["cuda:0"]
    preprocess(tone, tmp_path / "b", config, nets=NetsLoader(config, "cpu"))
    found = [stored(tmp_path / name).array("audio") for name in "ab"]
    np.testing.assert_allclose(*found, rtol=1e-5, atol=2e-3)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("a.ogg", ["-c:a", "libopus"]),
        ("a.flac", []),
        ("a.mp3", []),
        ("a.m4a", []),
        ("only_sound.mp4", []),
    ],
)
def test_every_format_gives_about_the_same(
    convert, tone, tmp_path: Path, name: str, arguments
) -> None:
    path = convert(name, *arguments)
    done = preprocess(path, tmp_path / "out")
    assert done.frames == pytest.approx(33, abs=2)
    preprocess(tone, tmp_path / "tone")
    mine = stored(tmp_path / "out", path.stem).array("audio", 5, 25)
    original = stored(tmp_path / "tone").array("audio", 5, 25)
    # The second cepstral coefficient follows the tone's rise.
    assert np.corrcoef(mine[:, 1], original[:, 1])[0, 1] > 0.9


def test_a_cover_picture_makes_no_video(convert, sample, ffmpeg, tmp_path: Path) -> None:
    ffmpeg("-i", sample("one_person.mp4"), "-frames:v", 1, tmp_path / "cover.jpg")
    cover = ["-i", tmp_path / "cover.jpg", "-map", "0", "-map", "1"]
    song = convert("song.mp3", *cover, "-disposition:v", "attached_pic")
    assert preprocess(song, tmp_path / "out").sound_only
    assert open_source(song, MediaConfig(video_stream=0)).kind == "video"


def test_a_cover_that_is_not_marked_makes_no_video(
    convert, sample, ffmpeg, tmp_path: Path
) -> None:
    ffmpeg("-i", sample("one_person.mp4"), "-frames:v", 1, tmp_path / "cover.jpg")
    voice = ["-i", sample("one_person.mp4"), "-i", tmp_path / "cover.jpg", "-map", "0:a"]
    coding = ["-map", "1:v", "-c:a", "aac", "-c:v", "mjpeg", "-disposition:v", "0"]
    path = tmp_path / "cover.mp4"
    ffmpeg(*voice, *coding, path)
    events = []
    done = preprocess(path, tmp_path / "out", on_event=events.append)
    assert done.sound_only
    assert done.frames > 150
    texts = [event.text for event in events if isinstance(event, Notice)]
    assert any("shows a still picture beside its sound" in text for text in texts)
    assert open_source(path, MediaConfig(video_stream=0)).kind == "video"


def test_again_does_nothing_and_a_changed_setting_everything(
    tone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    preprocess(tone, tmp_path)
    before = stamps(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(module, "extract_sound", None)
        assert preprocess(tone, tmp_path).done == ()
        other = AnalysisConfig(encoders=(), sound_rate=25)
        assert preprocess(tone, tmp_path, other).frames == 33
    assert stamps(tmp_path) == before
    for config in (AnalysisConfig(sound_rate=40), AnalysisConfig(audio=AudioConfig(n_mfcc=20))):
        assert preprocess(tone, tmp_path, config).done == ("audio",)
        assert preprocess(tone, tmp_path, config).done == ()
    assert stored(tmp_path).specs["audio"].shape == (148,)


@pytest.mark.parametrize("lost", ["audio.wav", "features/tone/audio-*.npy"])
def test_what_was_lost_is_made_again(tone, tmp_path: Path, lost: str) -> None:
    preprocess(tone, tmp_path)
    (path,) = tmp_path.glob(lost)
    before = path.read_bytes()
    path.unlink()
    assert preprocess(tone, tmp_path).done == ("audio",)
    (path,) = tmp_path.glob(lost)
    assert path.read_bytes() == before


def test_interrupted_anywhere_it_ends_the_same(tone, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    events = []
    preprocess(tone, whole, on_event=events.append)
    stages = {event.stage for event in events if isinstance(event, Progress)}
    assert stages == {"sound", "audio"}
    for stage in stages:

        def stop(event, stage=stage):
            if isinstance(event, Progress) and event.stage == stage:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            preprocess(tone, tmp_path / stage, on_event=stop)
        assert not (tmp_path / stage / "preprocess.json").exists()
        preprocess(tone, tmp_path / stage)
        for pattern in ("audio.wav", "features/tone/audio-*.npy", "preprocess.json"):
            (again,), (path,) = (tmp_path / stage).glob(pattern), whole.glob(pattern)
            assert again.name == path.name
            assert again.read_bytes() == path.read_bytes()
        assert not (tmp_path / stage / ".work").exists()


def test_another_file_into_the_same_folder(tone, convert, tmp_path: Path) -> None:
    preprocess(tone, tmp_path / "out")
    other = convert("other.ogg", "-t", "0.5")
    with pytest.raises(UsageError, match=r"holds the results of 'tone\.wav'"):
        preprocess(other, tmp_path / "out")
    # The same name with new content takes the place of the old.
    changed = shutil.copy(convert("short.wav", "-t", "0.5"), tmp_path / "tone.wav")
    assert preprocess(changed, tmp_path / "out").frames == 13


def test_subjects_of_a_video_that_had_the_name_before_are_dropped(tone, tmp_path: Path) -> None:
    preprocess(tone, tmp_path)
    shutil.copytree(tmp_path / "features/tone", tmp_path / "features/tone_left")
    folder = Prepared(tmp_path)
    folder.update(made_with="?", subjects=["tone_left"])
    assert preprocess(tone, tmp_path).done == ("audio",)
    assert [path.name for path in (tmp_path / "features").iterdir()] == ["tone"]


def test_sound_that_is_left_out(tone, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="audio=None"):
        preprocess(tone, tmp_path / "out", AnalysisConfig(audio=None))
    assert not (tmp_path / "out").exists()


def test_no_such_stream(tone, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="no audio stream 3"):
        preprocess(tone, tmp_path, AnalysisConfig(media=MediaConfig(audio_stream=3)))
    with pytest.raises(NoVideoStreamError, match="no video stream 0"):
        preprocess(tone, tmp_path, AnalysisConfig(media=MediaConfig(video_stream=0)))


def test_sound_that_cannot_be_decoded(tmp_path: Path) -> None:
    path = tmp_path / "empty.wav"
    soundfile.write(path, np.zeros(0), RATE)
    with pytest.raises(MediaError, match="no sound of"):
        preprocess(path, tmp_path / "out")
    assert not (tmp_path / "out" / "preprocess.json").exists()
    assert not (tmp_path / "out" / ".work").exists()


def test_the_shortest_sound_has_a_row(tmp_path: Path) -> None:
    path = tmp_path / "click.wav"
    soundfile.write(path, np.ones(1), RATE)
    assert preprocess(path, tmp_path / "out").frames == 1
    assert np.isfinite(stored(tmp_path / "out", "click").array("audio")).all()


def test_the_voice_of_a_sound_file_depends_on_its_net_and_the_clock(voice_net) -> None:
    config = AnalysisConfig(voice=voice_net())
    base = module.voice_keys("v", config)
    assert base.keys() == {"faces", "audio", "has_sound", "voice"}
    assert module.voice_keys("v", replace(config, audio=None))["voice"] == base["voice"]
    assert module.voice_keys("v", replace(config, sound_rate=26))["voice"] != base["voice"]
    voice_net(seed=1)
    after = module.voice_keys("v", config)
    assert [name for name in base if after[name] != base[name]] == ["voice"]


def test_keys_tell_what_matters() -> None:
    base = module.voice_keys("v", AnalysisConfig())
    assert base.keys() == {"faces", "audio", "has_sound"}
    same = AnalysisConfig(encoders=())
    assert module.voice_keys("v", same) == base
    rate = module.voice_keys("v", replace(same, sound_rate=26))
    assert all(rate[name] != base[name] for name in base)
    channel = module.voice_keys("v", replace(same, media=MediaConfig(channel=0)))
    assert all(channel[name] != base[name] for name in base)
    audio = module.voice_keys("v", replace(same, audio=AudioConfig(n_mels=64)))
    assert (audio["faces"], audio["audio"] != base["audio"]) == (base["faces"], True)
    other = module.voice_keys("w", same)
    assert all(other[name] != base[name] for name in base)
