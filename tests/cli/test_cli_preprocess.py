import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from avaffect import preprocess
from avaffect.config import AnalysisConfig
from avaffect.sound.voice import DEFAULT_VOICE
from avaffect.store.subject import SubjectFeatures

# The deep embedding would take most of the time.
LIGHT = ("--encoder", "starter-2-face")
ENCODERS = ("starter-2-face",)


@pytest.fixture(scope="module")
def done_before(clip: Path, tmp_path_factory: pytest.TempPathFactory):
    """The clip, preprocessed by the library with the same settings. Not to be changed."""
    out = tmp_path_factory.mktemp("done")
    preprocess(clip, out, AnalysisConfig(encoders=ENCODERS, voice=DEFAULT_VOICE))
    return out


@pytest.fixture(scope="module")
def unheard(clip: Path, tmp_path_factory: pytest.TempPathFactory):
    """The same without the voice. Not to be changed."""
    out = tmp_path_factory.mktemp("unheard")
    preprocess(clip, out, AnalysisConfig(encoders=ENCODERS))
    return out


def test_video_becomes_crops_sound_and_features(run, clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = run("preprocess", clip, "-o", out, *LIGHT)
    assert done.code == 0
    assert done.out.splitlines()[1].split() == [
        "face.mp4", "12", "12", "face", "ok", "(faces,", "crops,", "audio,", "voice", "in",
        f"{out})",
    ]  # fmt: skip
    assert done.err.startswith("device: ")
    assert sorted(path.name for path in out.iterdir()) == [
        "audio.wav", "cropped_aligned", "features", "preprocess.json"
    ]  # fmt: skip
    assert len(list((out / "cropped_aligned/face").iterdir())) == 12


def test_second_run_says_that_there_is_nothing_to_do(run, clip: Path, done_before, files) -> None:
    before = files(done_before)
    done = run("preprocess", clip, "-o", done_before, *LIGHT)
    assert (done.code, "nothing to do" in done.out) == (0, True)
    assert files(done_before) == before


def test_crop_size_and_encoder_arrive(run, clip: Path, done_before, tmp_path: Path) -> None:
    out = shutil.copytree(done_before, tmp_path / "copy")
    done = run("preprocess", clip, "-o", out, *LIGHT, "--crop-size", "48")
    assert "ok (crops in" in done.out
    done = run("preprocess", clip, "-o", out, *LIGHT, "--no-audio", "--crop-size", "48")
    assert "nothing to do" in done.out


def test_the_voice_can_be_left_out_and_added_later(
    run, clip: Path, unheard, tmp_path: Path
) -> None:
    out = shutil.copytree(unheard, tmp_path / "copy")
    assert "nothing to do" in run("preprocess", clip, "-o", out, *LIGHT, "--no-voice").out
    assert "ok (voice in" in run("preprocess", clip, "-o", out, *LIGHT).out
    assert SubjectFeatures.open(out / "features/face").array("voice").shape == (12, 9)


def test_the_voice_is_left_out_if_the_default_model_does_not_listen(
    run, clip: Path, unheard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deaf(config, which="auto"):
        return replace(config, analysis=replace(config.analysis, voice=None))

    monkeypatch.setattr("avaffect.predicting.settings.with_features", deaf)
    out = shutil.copytree(unheard, tmp_path / "copy")
    assert "nothing to do" in run("preprocess", clip, "-o", out, *LIGHT).out
    assert "ok (voice in" in run("preprocess", clip, "-o", out, *LIGHT, "--voice").out


@pytest.mark.parametrize(
    ("options", "there"),
    [
        ([], True),
        (["--no-voice"], False),
        (["--no-audio"], False),
        (["--no-audio", "--voice"], True),
    ],
)
def test_the_voice_is_there_if_the_default_model_listens(
    options, there: bool, run, clip: Path, unheard, tmp_path: Path
) -> None:
    out = shutil.copytree(unheard, tmp_path / "copy")
    assert run("preprocess", clip, "-o", out, *LIGHT, *options).code == 0
    assert ("voice" in SubjectFeatures.open(out / "features/face").names) is there


def test_without_non_commercial_nets_the_default_is_what_is_free(
    run, clip: Path, tmp_path: Path
) -> None:
    assert run("preprocess", clip, "-o", tmp_path / "out", "--no-nc").code == 0
    names = SubjectFeatures.open(tmp_path / "out/features/face").names
    assert set(names) == {"audio", "efficientnet-lite0", "face_pose", "has_sound"}


def test_a_non_commercial_net_that_is_both_asked_for_and_excluded(
    run, clip: Path, voice_net, tmp_path: Path
) -> None:
    voice_net()
    done = run("preprocess", clip, "-o", tmp_path / "out", "--voice", "--no-nc")
    assert (done.code, "'starter-2-voice' is for non-commercial use" in done.error) == (2, True)
    assert not (tmp_path / "out").exists()
    voice_net(licence="MIT")
    done = run(
        "preprocess", clip, "-o", tmp_path / "out", "--encoder", "fer", "--voice", "--no-nc"
    )
    assert (done.code, "voice" in done.out) == (0, True)


def test_several_videos_get_a_folder_each_and_the_others_go_on(
    run, clip: Path, faceless: Path, tmp_path: Path
) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    out = tmp_path / "out"
    done = run(
        "preprocess", tmp_path / "text.mp4", clip, faceless, "-o", out, *LIGHT, "--no-audio"
    )
    assert done.code == 1
    assert done.error == (
        "avaffect: 2 of 3 inputs failed (1 unreadable, 1 without a face); 1 done"
    )
    assert "unreadable face.mp4 12 12 face ok (faces, crops in" in done.table
    assert done.table.endswith("nobody.mp4 8 0 nobody no face")
    assert "text.mp4' is not a video" in done.err
    assert "no face was found in any of the 8 frames" in done.err
    assert sorted(path.name for path in out.iterdir()) == ["face", "nobody"]
    assert SubjectFeatures.open(out / "face/features/face").names == ("face_pose", *ENCODERS)
    assert not SubjectFeatures.open(out / "nobody/features/nobody").present.any()


def test_quiet_prints_nothing(run, clip: Path, tmp_path: Path) -> None:
    for _ in range(2):
        done = run("preprocess", clip, "-o", tmp_path, *LIGHT, "-q")
        assert (done.code, done.out, done.err) == (0, "", "")
    assert (tmp_path / "preprocess.json").is_file()


def test_another_video_into_the_same_folder(run, faceless: Path, done_before, files) -> None:
    before = files(done_before)
    done = run("preprocess", faceless, "-o", done_before, *LIGHT)
    assert done.code == 2
    assert "holds the results of 'face.mp4'" in done.error
    assert files(done_before) == before


def test_a_folder_of_voices(run, sample, ffmpeg, files, tmp_path: Path) -> None:
    for number in (1, 2):
        voice = tmp_path / f"voices/{number}/v{number}.ogg"
        voice.parent.mkdir(parents=True)
        ffmpeg("-i", sample("one_person.mp4"), "-vn", "-t", 1, voice)
    out = tmp_path / "out"
    voices = ("preprocess", tmp_path / "voices", "-r", "-o", out, "--sound-rate", "50")
    done = run(*voices)
    assert done.code == 0
    rows = [line.split()[:6] for line in done.out.splitlines()[1:]]
    assert [row[0] for row in rows] == ["v1.ogg", "v2.ogg"]
    assert all(row[4:6] == ["ok", "(audio,"] for row in rows)
    assert SubjectFeatures.open(out / "v1/features/v1").frames == int(rows[0][1])
    assert abs(int(rows[0][1]) - 50) <= 2
    before = files(out)
    assert "nothing to do" in run(*voices).out
    assert files(out) == before
    done = run("preprocess", tmp_path / "voices", "-r", "-o", out, "--no-audio")
    assert (done.code, "nothing but sound" in done.err) == (2, True)


def test_mel_values_as_power(run, sample, ffmpeg, tmp_path: Path) -> None:
    voice = tmp_path / "voice.wav"
    ffmpeg("-i", sample("one_person.mp4"), "-vn", "-t", 1, voice)
    found = {}
    for scale in ("log", "linear"):
        out = tmp_path / scale
        done = run("preprocess", voice, "-o", out, "--no-voice", "--mel-scale", scale)
        assert done.code == 0
        found[scale] = SubjectFeatures.open(out / "features/voice").array("audio")
    mfcc, mel = np.split(found["linear"], [40], axis=1)
    np.testing.assert_array_equal(mfcc, found["log"][:, :40])
    assert (mel >= 0).all()
    decibels = 10 * np.log10(np.maximum(mel, 1e-10))
    decibels = np.maximum(decibels, decibels.max(axis=1, keepdims=True) - 80)
    np.testing.assert_allclose(decibels, found["log"][:, 40:], atol=1e-2)
