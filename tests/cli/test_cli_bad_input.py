"""Bad input, one by one: a line that says what to do, the exit code, and nothing spoilt."""

import errno
import os
import shutil
import wave
from pathlib import Path

import pytest

from avaffect.challenge import text as challenge
from avaffect.models.cache import cached_path
from avaffect.models.fetch import model_path
from avaffect.models.zoo import find_model

COMMANDS = ["predict", "preprocess"]


def truncated(clip, path):
    data = clip.read_bytes()
    assert b"moov" not in data[: len(data) // 2]
    path.write_bytes(data[: len(data) // 2])


def silence(clip, path):
    with wave.open(str(path), "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(8000)
        wav.writeframes(bytes(8000))


BAD_FILES = {
    "text.mp4": (lambda clip, path: path.write_text("no video\n"), "is not a video"),
    "noise.mp4": (lambda clip, path: path.write_bytes(bytes(range(256)) * 64), "is not a video"),
    "empty.mp4": (lambda clip, path: path.touch(), "is empty (0 bytes)"),
    "cut.mp4": (truncated, "ends before its index (moov)"),
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", BAD_FILES)
def test_file_that_is_no_video(name, command: str, run, clip: Path, tmp_path: Path) -> None:
    make, says = BAD_FILES[name]
    make(clip, tmp_path / name)
    done = run(command, tmp_path / name, "-o", tmp_path / "out")
    assert done.code == 1
    assert says in done.error
    assert not (tmp_path / "out").exists()


@pytest.fixture(params=["music.m4a", "sound.wav"])
def speechless(request: pytest.FixtureRequest, ffmpeg, tmp_path: Path):
    """A sound file in which nobody speaks."""
    path = tmp_path / request.param
    if path.suffix == ".wav":
        silence(None, path)
    else:
        ffmpeg("-f", "lavfi", "-i", "sine=duration=1", path)
    return path


def test_sound_for_a_model_that_only_looks(speechless, run, tmp_path: Path) -> None:
    done = run("predict", speechless, "-o", tmp_path / "out", "--no-nc")
    assert done.code == 2
    assert "nothing but sound" in done.error
    assert "looks at faces only" in done.error
    assert "leave out --no-nc, or use --checkpoint" in done.error
    assert not (tmp_path / "out").exists()
    # The same of what was made of it before.
    assert run("preprocess", speechless, "-o", tmp_path / "made").code == 0
    done = run("predict", tmp_path / "made", "-o", tmp_path / "out", "--no-nc")
    assert (done.code, "nothing but sound" in done.error) == (2, True)
    assert not (tmp_path / "out").exists()


def test_sound_in_which_nobody_speaks(speechless, run, tmp_path: Path) -> None:
    for _ in range(2):  # the second time it is already done
        done = run("predict", speechless, "-o", tmp_path / "out")
        assert done.code == 1
        assert "no voice was heard in any of the" in done.error
        assert f"rows of '{speechless.name}'" in done.error
        assert "face" not in done.error
    run("preprocess", speechless, "-o", tmp_path / "made")
    done = run("predict", tmp_path / "made", "-o", tmp_path / "again")
    assert (done.code, "no voice was heard" in done.error) == (1, True)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("gone.mp4", "'gone.mp4' does not exist"),
        ("gone/", "'gone/' does not exist"),
        ("*.avi", "nothing matches '*.avi'"),
        ("hollow", "the folder 'hollow' holds no video"),
    ],
)
def test_input_that_is_not_there(
    name: str, says: str, command: str, run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hollow").mkdir()
    done = run(command, name)
    assert done.code == 2
    assert says in done.error
    assert [path.name for path in tmp_path.iterdir()] == ["hollow"]


def test_predict_without_input_and_without_preprocessed_folder(
    run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run("predict")
    assert done.code == 2
    assert "avaffect preprocess VIDEO" in done.error


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--task", "vaa"], "no task is called 'vaa': did you mean 'va'?"),
        (["--model", "starter"], "no model is called 'starter': did you mean 'starter-"),
        (["--model", "starter-9"], "no model is called 'starter-9': did you mean 'starter-"),
        (["--detector", "centreface"], "no detector is called 'centreface': did you mean"),
        (["--frame-model", "ferr"], "no frame model is called 'ferr': did you mean 'fer'?"),
        (["--edition", "abaw99"], "no edition is called 'abaw99'"),
        (["--missing", "nearby"], "no policy for missing frames is called 'nearby'"),
        (["--smooth", "gaus:1"], "no smoothing is called 'gaus'"),
        (["--smooth", "gaussian:x"], "gaussian"),
        (["--features", "deep"], "no folder or choice of features is called 'deep'"),
        (["--format", "mtl", "--edition", "abaw8"], "has no files of format 'mtl'"),
        (["--format", "mtl", "--edition", "abaw7", "--task", "va"], "choose --task all"),
        (["--edition", "abaw1"], "AU20"),
        (["--device", "cuda:x"], "no device is called 'cuda:x'"),
    ],
)
def test_choice_that_does_not_exist(arguments, says: str, run, clip: Path, tmp_path: Path) -> None:
    done = run("predict", clip, "-o", tmp_path / "out", *arguments)
    assert done.code == 2
    assert says in done.error
    assert len(done.err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_unknown_encoder(run, clip: Path) -> None:
    done = run("preprocess", clip, "--encoder", "efficientnet")
    assert done.code == 2
    assert "did you mean 'efficientnet-lite0'?" in done.error


def test_stream_that_is_not_there(run, clip: Path, tmp_path: Path) -> None:
    for option in ("--video-stream", "--audio-stream"):
        done = run("predict", clip, "-o", tmp_path / "out", option, "7")
        assert done.code == 1
        assert "stream" in done.error


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("below", ["", "deeper"])
def test_output_folder_that_cannot_be(
    command: str, below: str, run, clip: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("mine")
    done = run(command, clip, "-o", tmp_path / "file" / below)
    assert done.code == (1 if below else 2)
    assert "Not a directory" in done.error if below else "is a file" in done.error
    assert (tmp_path / "file").read_text() == "mine"


def test_full_disk(
    run, clip: Path, faceless: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files
) -> None:
    out = tmp_path / "out"
    run("predict", faceless, "-o", out)
    before = files(out)

    def full(path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    with monkeypatch.context() as patch:
        patch.setattr(challenge, "_open_text", full)
        done = run("predict", clip, "-o", out)
    assert done.code == 1
    assert "the disk is full while writing" in done.error
    assert "run the same command again" in done.error
    after = files(out)
    assert {path: data for path, data in after.items() if ".predict-work" not in path} == before
    # The pass over the video is not lost: the same command only has to write.
    monkeypatch.setattr("avaffect.faces.track.Tracker.update", None)
    assert run("predict", clip, "-o", out).code == 0
    assert not [path for path in files(out) if ".predict-work" in path]


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A cache with the nets that predict needs, without a network."""
    names = ("blazeface-full", "face-landmarker", "silero-vad")
    found = [model_path(name) for name in names]
    cache = tmp_path / "cache"
    cache.mkdir()
    for path in found:
        shutil.copy(path, cache)
    monkeypatch.setenv("AVAFFECT_CACHE", str(cache))
    return cache


def test_offline_with_all_weights(run, faceless: Path, own_cache, tmp_path: Path) -> None:
    done = run("predict", faceless, "-o", tmp_path / "out", "--offline")
    assert "no face was found" in done.error


@pytest.mark.parametrize("lost", ["face-landmarker", "silero-vad"])
def test_weights_missing_and_offline(
    lost: str, run, clip: Path, own_cache, tmp_path: Path
) -> None:
    cached_path(find_model(lost)).unlink()
    done = run("predict", clip, "-o", tmp_path / "out", "--offline")
    assert done.code == 1
    assert f"the weights of model '{lost}' are not in the cache" in done.error
    assert f"avaffect models fetch {lost}" in done.error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("damaged", ["blazeface-full", "silero-vad"])
def test_weights_damaged_and_offline(
    damaged: str, run, clip: Path, own_cache, tmp_path: Path
) -> None:
    path = cached_path(find_model(damaged))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    done = run("predict", clip, "-o", tmp_path / "out", "--offline")
    assert done.code == 1
    assert "are damaged" in done.error
    assert f"avaffect models fetch {damaged}" in done.error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_name_with_a_line_break(command: str, run, clip: Path, tmp_path: Path) -> None:
    shutil.copy(clip, tmp_path / "two\nlines.mp4")
    done = run(command, tmp_path / "two\nlines.mp4", "-o", tmp_path / "out")
    assert done.code == 2
    assert "cannot be called" in done.error
    assert "rename the video" in done.error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_two_videos_of_one_name(command: str, run, clip: Path, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        shutil.copy(clip, tmp_path / folder)
    done = run(command, tmp_path / "a", tmp_path / "b", "-o", tmp_path / "out")
    assert done.code == 2
    assert "would both be called 'face'" in done.error
    assert not (tmp_path / "out").exists()


def test_one_of_several_fails_and_the_others_are_done(
    run, clip: Path, tmp_path: Path, files
) -> None:
    (tmp_path / "in/deeper").mkdir(parents=True)
    shutil.copy(clip, tmp_path / "in/1.mp4")
    (tmp_path / "in/2.mp4").write_text("no video")
    shutil.copy(clip, tmp_path / "in/deeper/3.mp4")
    out = tmp_path / "out"
    done = run("predict", tmp_path / "in", "-r", "-o", out, "-t", "au")
    assert done.code == 1
    first, second, third = done.out.splitlines()[1:]
    assert first.startswith("1.mp4")
    assert second.split() == ["2.mp4", "-", "-", "-", "unreadable"]
    assert "2.mp4' is not a video" in done.err
    assert third.startswith("3.mp4")
    assert done.error == "avaffect: 1 of 3 inputs failed (1 unreadable); 2 done"
    assert {path.stem for path in (out / "AU_Detection_Challenge").iterdir()} == {"1", "3"}


def test_damaged_folder_of_features(run, clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run("preprocess", clip, "-o", out, "--encoder", "starter-2-face", "--no-audio")
    (arrays,) = (out / "features/face").glob("starter-2-face-*.npy")
    arrays.write_bytes(arrays.read_bytes()[:-1])
    done = run("predict", out, "-o", tmp_path / "predicted")
    assert done.code == 1
    assert "is damaged" in done.error
    assert not (tmp_path / "predicted").exists()
