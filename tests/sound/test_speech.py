"""Voice activity: silero-vad chunk by chunk, and what is asked of its answer."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from avaffect.errors import MediaError
from avaffect.models.fetch import model_path
from avaffect.models.session import OnnxNet
from avaffect.progress import Progress
from avaffect.sound import speech as module
from avaffect.sound.speech import CHUNK, STEP_S, Speech, detect_speech

RATE = 16_000


@pytest.fixture(scope="module")
def spoken(sample, ffmpeg, tmp_path_factory: pytest.TempPathFactory):
    """``spoken.wav``: the sound of one_person.mp4, 8 s with two sentences."""
    path = tmp_path_factory.mktemp("speech") / "spoken.wav"
    ffmpeg("-i", sample("one_person.mp4"), "-ar", RATE, "-ac", 1, path)
    return path


def write(path, samples):
    soundfile.write(path, np.asarray(samples, np.float32), RATE)
    return path


def test_speech_is_where_the_sentences_are(spoken, truth) -> None:
    found = detect_speech(spoken)
    assert found.samples == soundfile.info(spoken).frames
    assert len(found.probability) == -(-found.samples // CHUNK)
    sentences = truth["one_person.mp4"]["speech"]
    starts, stops = (
        np.array([sentence[end] for sentence in sentences]) for end in ("start", "end")
    )
    # But for breaths, and the net's reaction time.
    assert (found.seconds(starts, stops) > 0.7 * (stops - starts)).all()
    assert found.seconds(np.zeros(1), starts[:1])[0] < 0.1
    assert found.mean(np.array([6.5]), np.array([8.0]))[0] < 0.1


def test_the_net_hears_each_chunk_with_the_end_of_the_one_before(spoken, tmp_path: Path) -> None:
    sound, _ = soundfile.read(spoken, dtype="float32", stop=40 * CHUNK + 100)
    net, state = OnnxNet(model_path("silero-vad")), np.zeros((2, 1, 128), np.float32)
    padded = np.concatenate([np.zeros(64), sound, np.zeros(412)]).astype(np.float32)
    expected = []
    for at in range(0, len(sound), CHUNK):
        heard, state = net(padded[None, at : at + 576], state, np.array(RATE, np.int64))
        expected.append(heard.item())
    assert len(expected) == 41
    found = detect_speech(write(tmp_path / "part.wav", sound))
    # 16 bit in the file.
    np.testing.assert_allclose(found.probability, expected, atol=1e-3)


def test_how_the_file_is_read_does_not_matter(spoken, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = detect_speech(spoken)
    monkeypatch.setattr(module, "_BLOCK_S", 3 * CHUNK / RATE)
    events = []
    np.testing.assert_array_equal(
        detect_speech(spoken, events.append).probability, whole.probability
    )
    assert {event.stage for event in events} == {"speech"}
    assert events[-1] == Progress("speech", 8, 8, "seconds", finished=True)


@pytest.mark.parametrize("kind", ["silence", "white", "tone"])
def test_other_sound_is_no_speech(kind: str, tmp_path: Path) -> None:
    clock = np.arange(3 * RATE) / RATE
    sounds = {
        "silence": 0 * clock,
        "white": np.random.default_rng(0).normal(0, 0.1, len(clock)),
        "tone": 0.4 * np.sin(2 * np.pi * 440 * clock),
    }
    assert detect_speech(write(tmp_path / "a.wav", sounds[kind])).probability.max() < 0.2


def test_no_sound_and_a_wrong_file(tmp_path: Path) -> None:
    empty = detect_speech(write(tmp_path / "empty.wav", []))
    assert (len(empty.probability), empty.duration_s) == (0, 0.0)
    assert np.isnan(empty.mean(np.array([0.0]), np.array([1.0]))).all()
    assert np.isinf(empty.distance(np.array([0.0]))).all()
    assert empty.seconds(np.array([0.0]), np.array([1.0])) == 0
    with pytest.raises(MediaError, match="2 channels"):
        detect_speech(write(tmp_path / "stereo.wav", np.zeros((RATE, 2))))
    with pytest.raises(MediaError, match="cannot be read"):
        detect_speech(tmp_path / "absent.wav")


@given(
    st.lists(st.floats(0, 1, width=32), min_size=1, max_size=30),
    st.lists(st.tuples(st.floats(-1, 2), st.floats(0.01, 1)), min_size=1, max_size=5),
)
def test_answers_agree_with_sums_over_a_fine_grid(probability, stretches) -> None:
    speech = Speech(np.array(probability, np.float32), len(probability) * CHUNK)
    starts = np.array([start for start, _ in stretches])
    stops = starts + np.array([length for _, length in stretches])
    fine = 2000
    for i, (start, stop) in enumerate(zip(starts, stops, strict=True)):
        grid = start + (np.arange(fine) + 0.5) / fine * (stop - start)
        number = np.floor(grid / STEP_S).astype(int)
        inside = (number >= 0) & (number < len(probability))
        values = speech.probability[number[inside]]
        # A step at each edge may fall between two points of the grid.
        tolerance = (len(probability) + 2) * (stop - start) / fine + 1e-9
        seconds = speech.seconds(starts, stops)[i]
        assert abs(seconds - (values > 0.5).sum() / fine * (stop - start)) <= tolerance
        mean = speech.mean(starts, stops)[i]
        if inside.sum() > fine / 2:
            assert abs(mean - values.mean()) <= 4 * (len(probability) + 2) / fine
        elif stop < 0 or start > speech.duration_s:
            assert np.isnan(mean)
    spoken = np.flatnonzero(speech.probability > 0.5)
    distance = speech.distance(starts)
    for start, far in zip(starts, distance, strict=True):
        gaps = np.maximum(0, np.maximum(spoken * STEP_S - start, start - (spoken + 1) * STEP_S))
        assert far == pytest.approx(gaps.min(initial=np.inf), abs=1e-9)
