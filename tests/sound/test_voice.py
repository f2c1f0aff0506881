"""The array ``voice``: a net predicts for windows of sound, and frames get its values by time."""

import math
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from avaffect.errors import ModelError, UnknownNameError
from avaffect.labels import EXPRESSIONS
from avaffect.progress import Progress
from avaffect.sound import voice as module
from avaffect.sound.front_end import speech_features
from avaffect.sound.mel_power import mel_power
from avaffect.sound.speech import STEP_S, Speech
from avaffect.sound.voice import VOICE, Voice, VoiceNet, VoiceSettings, hear

RATE = 16_000
SETTINGS = VoiceSettings(50, 3.0, 0.5, EXPRESSIONS, 1.0)


class Tell:
    """Stands for a net: its prediction is a few numbers of the window's first and last row."""

    settings = SETTINGS
    width = 8

    def windows(self, wav, starts):
        return module._features(wav, starts, SETTINGS)

    def judge(self, values, centres):
        assert len(values) == len(centres)
        return values

    def __init__(self):
        self.batches = []

    def __call__(self, windows):
        assert windows.shape[1:] == (150, 168)
        assert windows.dtype == np.float32
        self.batches.append(len(windows))
        return np.concatenate([windows[:, 0, :4], windows[:, -1, :4]], axis=1)


def noise(seconds, path):
    """A wav of noise that gets louder."""
    samples = round(seconds * RATE)
    rng = np.random.default_rng(0)
    soundfile.write(path, rng.normal(0, 0.1, samples) * np.linspace(0.01, 1, samples), RATE)
    return path


def talk(monkeypatch, seconds, *stretches):
    """Speech is heard in these stretches (seconds), whatever the sound."""
    at = (np.arange(math.ceil(seconds / STEP_S)) + 0.5) * STEP_S
    spoken = np.any([(at >= start) & (at < stop) for start, stop in stretches], axis=0)
    speech = Speech(np.where(spoken, 0.9, 0.1).astype(np.float32), round(seconds * RATE))
    monkeypatch.setattr(module, "detect_speech", lambda wav, on_event: speech)
    return speech


@pytest.mark.parametrize("seconds", [0.4, 2.99, 3.0, 3.2, 7.83, 61.0])
def test_each_window_is_judged_by_the_rows_within_it(
    seconds: float, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    wav, net = noise(seconds, tmp_path / "a.wav"), Tell()
    talk(monkeypatch, seconds, (0, seconds))
    voice = hear(wav, net)
    # All rows of the sound, with digital silence around.
    rows = np.arange(-150, math.ceil(seconds * 50) + 150)
    values = np.concatenate(list(speech_features(wav, rows / 50)))
    assert (sum(net.batches), max(net.batches) <= 32) == (len(voice.centres), True)
    for centre, predicted in zip(voice.centres, voice.probabilities, strict=True):
        first = round(centre * 50 - 74.5) + 150
        expected = [*values[first, :4], *values[first + 149, :4]]
        np.testing.assert_allclose(predicted, expected, atol=1e-3)


def test_nothing_is_computed_where_nobody_speaks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    wav, net = noise(30, tmp_path / "a.wav"), Tell()
    talk(monkeypatch, 30, (4, 5), (20, 20.4), (29, 29.2))
    rows = []

    def counted(wav, times):
        rows.extend(np.rint(times * 50).astype(int))
        return speech_features(wav, times)

    monkeypatch.setattr(module, "speech_features", counted)
    events = []
    voice = hear(wav, net, events.append)
    known = np.isfinite(voice.probabilities[:, 0])
    enough = [c for c in voice.centres if 2.8 <= c <= 6.2 or 18.8 <= c <= 21.6]
    np.testing.assert_array_equal(voice.centres[known], enough)
    assert sum(net.batches) == len(enough)
    assert rows == sorted(set(rows))
    assert len(rows) < 30 * 50 / 2
    assert events[-1] == Progress("voice", len(enough), len(enough), "windows", finished=True)
    # The same as when it hears everything.
    talk(monkeypatch, 30, (0, 30))
    np.testing.assert_allclose(
        hear(wav, net).probabilities[known], voice.probabilities[known], atol=1e-4
    )


def test_silence_and_no_sound_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    net = Tell()
    talk(monkeypatch, 5, (9, 10))
    voice = hear(noise(5, tmp_path / "a.wav"), net)
    rows = voice.at(np.arange(5.0), (0.0, 5.0))
    assert np.isnan(rows[:, :8]).all()
    np.testing.assert_allclose(rows[:, 8], 0.1, atol=1e-6)
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), RATE)
    talk(monkeypatch, 0, (0, 1))
    assert np.isnan(hear(tmp_path / "empty.wav", net).at(np.arange(3.0), (0.0, 0.0))).all()
    assert net.batches == []


@given(st.floats(1e-4, 200), st.sampled_from([0.1, 0.5, 0.74]), st.sampled_from([0.5, 3.0]))
def test_windows_cover_the_sound_and_stay_within_it(seconds, hop, window) -> None:
    settings = VoiceSettings(50, window, hop, EXPRESSIONS, 1.0)
    starts = module._starts(seconds, settings)
    rows = math.ceil(round(seconds * 50, 6))
    if rows <= settings.rows:
        before, behind = -starts[0], starts[0] + settings.rows - rows
        assert len(starts) == 1
        assert 0 <= before <= behind <= before + 1
    else:
        assert (starts[0], starts[-1]) == (0, rows - settings.rows)
        assert (np.diff(starts) > 0).all()
        assert (np.diff(starts) <= settings.hop).all()


def predictions(*classes):
    """Sure predictions of windows; None has none."""
    out = np.zeros((len(classes), 8), np.float32)
    for row, label in zip(out, classes, strict=True):
        row[:] = np.nan if label is None else np.eye(8)[label]
    return out


def always(seconds):
    return Speech(np.ones(math.ceil(seconds / STEP_S), np.float32), round(seconds * RATE))


def test_between_windows_predictions_are_interpolated_and_at_the_ends_they_hold() -> None:
    voice = Voice(always(6), np.array([1.5, 2.0, 2.5]), predictions(4, 5, None))
    rows = voice.at(np.array([0.0, 1.5, 1.6, 2.0, 2.4, 2.5, 5.0]), (0.0, 6.0))
    expected = [[1, 0], [1, 0], [0.8, 0.2], [0, 1], [0, 1], [np.nan] * 2, [np.nan] * 2]
    np.testing.assert_allclose(rows[:, 4:6], expected, atol=1e-6)
    assert rows.dtype == np.float32
    assert rows.shape[1:] == VOICE.shape


def test_a_prediction_holds_for_a_second_around_speech() -> None:
    speech = Speech(np.zeros(300, np.float32), 300 * 512)
    speech.probability[100:120] = 0.95  # 3.2 to 3.84 s
    voice = Voice(speech, np.array([1.5, 8.0]), predictions(3, 3))
    times = np.array([2.1, 2.19, 2.21, 3.5, 4.83, 4.85, 7.0])
    known = np.isfinite(voice.at(times, (0.0, 9.6))[:, 3])
    assert known.tolist() == [False, False, True, True, True, False, False]


def test_the_speech_probability_is_that_around_the_frame() -> None:
    speech = Speech(np.zeros(100, np.float32), 100 * 512)
    speech.probability[50] = 1
    voice = Voice(speech, np.zeros(0), np.zeros((0, 8), np.float32))
    times = np.array([0.5, 50.5, 52.5, 99.0]) * STEP_S
    rows = voice.at(times, (0.0, 3.2))
    np.testing.assert_allclose(rows[:, 8], [0, STEP_S / 0.2, STEP_S / 0.2, 0], atol=1e-6)
    assert np.isnan(rows[:, :8]).all()


def test_where_there_is_no_sound_there_is_nothing() -> None:
    voice = Voice(always(9), np.array([1.5]), predictions(1))
    rows = voice.at(np.arange(0, 9, 0.25), (2.0, 7.0))
    known = np.arange(0, 9, 0.25)
    inside = (known > 1.9) & (known < 7.1)
    np.testing.assert_array_equal(np.isfinite(rows).all(1), inside)
    np.testing.assert_array_equal(np.isnan(rows).all(1), ~inside)
    assert np.isnan(voice.at(np.zeros(1), (0.0, 0.0))).all()


@given(st.lists(st.floats(0, 20), min_size=1, max_size=20), st.integers(0, 2**32 - 1))
def test_a_moment_has_one_value_whatever_the_other_frames(times, seed) -> None:
    rng = np.random.default_rng(seed)
    speech = Speech(rng.uniform(0, 1, 625).astype(np.float32), 625 * 512)
    predicted = rng.dirichlet(np.ones(8), 5).astype(np.float32)
    predicted[rng.random(5) < 0.3] = np.nan
    voice = Voice(speech, np.sort(rng.uniform(0, 20, 5)), predicted)
    times = np.sort(times)
    together = voice.at(times, (1.0, 19.0))
    alone = np.concatenate([voice.at(times[i : i + 1], (1.0, 19.0)) for i in range(len(times))])
    np.testing.assert_array_equal(together, alone)
    known = np.isfinite(together[:, 0])
    np.testing.assert_allclose(together[known, :8].sum(1), 1, atol=1e-5)


def test_logits_become_calibrated_probabilities_of_expressions(voice_net) -> None:
    hot = VoiceNet(voice_net(temperature=1e6))
    features = np.random.default_rng(1).normal(0, 10, (3, 40, 168)).astype(np.float32)
    # All logits alike: two of them speak for Neutral, none for Other.

    def judged(net, features):
        return net.judge(net(features), np.arange(3.0))

    np.testing.assert_allclose(
        judged(hot, features), np.tile([2, 1, 1, 1, 1, 1, 1, 0], (3, 1)) / 8, atol=1e-4
    )
    flat, sharp = VoiceNet(voice_net(temperature=10)), VoiceNet(voice_net(temperature=0.1))
    assert (judged(flat, features).max(1) < judged(sharp, features).max(1)).all()
    np.testing.assert_allclose(judged(sharp, features * 1e4).sum(1), 1, atol=1e-6)
    assert judged(sharp, features).dtype == np.float32


@pytest.mark.parametrize(
    "wrong",
    [{"rate_hz": 0}, {"rate_hz": "fast"}, {"window_s": -1}, {"hop_s": 0.001}, {"hop_s": None},
     {"window_s": 0.02}, {"classes": ["calm"]}, {"classes": 3}, {"temperature": 0}],
)  # fmt: skip
def test_a_net_that_says_nonsense_of_itself_is_refused(wrong, voice_net) -> None:
    with pytest.raises(ModelError, match="'starter-2-voice' is no voice net"):
        VoiceNet(voice_net(**wrong))


def test_a_net_of_speakers_hears_all_of_a_sound_before_it_judges(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    net = VoiceNet("starter-2-voice")
    assert net.settings.rows == 150 and net.width > 8
    wav = noise(9.1, tmp_path / "a.wav")
    talk(monkeypatch, 9.1, (0, 3.2), (5, 9.1))
    voice = hear(wav, net)
    assert np.isfinite(voice.probabilities).all()
    np.testing.assert_allclose(voice.probabilities.sum(axis=1), 1, atol=1e-5)
    assert (voice.probabilities[:, EXPRESSIONS.index("Other")] == 0).all()
    # What else is in the sound counts.
    talk(monkeypatch, 9.1, (0, 2.9))
    alone = hear(wav, net)
    np.testing.assert_array_equal(voice.centres, alone.centres)
    assert not np.allclose(voice.probabilities[0], alone.probabilities[0], atol=1e-4)
    talk(monkeypatch, 9.1, (0, 0))
    assert np.isnan(hear(wav, net).probabilities).all()


@pytest.mark.parametrize("factor", [0.01, 100])
def test_how_loud_a_sound_is_does_not_matter_to_it(
    factor: float, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    samples = np.random.default_rng(0).normal(0, 0.003, (2, 3 * RATE)).astype(np.float32)
    net = VoiceNet("starter-2-voice")
    said = net(mel_power(samples))
    np.testing.assert_allclose(net(mel_power(samples * factor)), said, rtol=0.01, atol=0.01)
    assert np.isfinite(net(mel_power(samples * 0))).all()


def test_other_nets_are_no_voice_nets() -> None:
    with pytest.raises(ModelError, match="'silero-vad' is no voice net"):
        VoiceNet("silero-vad")
    with pytest.raises(UnknownNameError):
        VoiceNet("no-such-net")


def test_a_spoken_sentence(sample, ffmpeg, truth, voice_net, tmp_path: Path) -> None:
    wav = tmp_path / "spoken.wav"
    ffmpeg("-i", sample("one_person.mp4"), "-ar", RATE, "-ac", 1, wav)
    rows = hear(wav, VoiceNet(voice_net())).at(np.arange(200) / 25, (0.0, 8.0))
    (first, last) = truth["one_person.mp4"]["speech"]
    assert np.isfinite(rows[round(first["start"] * 25) : round(last["end"] * 25), :8]).all()
    assert np.isnan(rows[round((last["end"] + 1.2) * 25) :, :8]).all()
    assert np.isfinite(rows[:, 8]).all()
    assert len(np.unique(rows[30:150, 2])) > 50
