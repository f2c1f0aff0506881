"""Many windows at once against librosa one by one, torchaudio beside it, and the clock."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from fixtures.sounds import by_librosa, vowel, window_at
from hypothesis import given, settings
from hypothesis import strategies as st

from avaffect.config import SAMPLE_RATE, AudioConfig
from avaffect.errors import FeatureError
from avaffect.sound import frame_windows
from avaffect.sound import mfcc as audio
from avaffect.sound.frame_windows import fft_size, window_samples
from avaffect.sound.mfcc import (
    audio_features,
    audio_specs,
    by_torchaudio,
)

CONFIG = AudioConfig()


def features(sound, times, config=CONFIG, **options):
    blocks = [sound] if isinstance(sound, np.ndarray) else sound
    chunks = list(audio_features(blocks, np.asarray(times), config, **options))
    assert [c.start for c in chunks] == list(np.cumsum([0] + [len(c.values) for c in chunks])[:-1])
    values = np.concatenate([c.values for c in chunks])
    return values, np.concatenate([c.has_sound for c in chunks])


def vfr_times(n):
    steps = np.random.default_rng(1).choice([1 / 60, 1 / 30, 1 / 30, 1 / 30, 0.25], n)
    return np.cumsum(steps) - steps[0]


TIMES = {
    "30 fps": np.arange(60) / 30,
    "25 fps": np.arange(50) / 25,
    "29.97 fps": np.arange(60) * 1001 / 30000,
    "120 fps": np.arange(240) / 120,
    "5 fps, longer than n_fft": np.arange(10) / 5,
    "variable": vfr_times(40),
    "beyond both ends": np.arange(-10, 70) / 30,
}


@pytest.mark.parametrize("mel_scale", ["log", "linear"])
@pytest.mark.parametrize("times", TIMES.values(), ids=TIMES.keys())
def test_every_window_equals_librosa(times, mel_scale: str) -> None:
    config = AudioConfig(mel_scale=mel_scale)
    sound = vowel(2)
    length = window_samples(times)
    expected = [by_librosa(window_at(sound, t, length), config) for t in times]
    values, _ = features(sound, times, config)
    assert values.dtype == np.float32
    assert values.shape == (len(times), 168)
    np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-4)


@settings(max_examples=30, deadline=None)
@given(
    length=st.integers(2, 5000),
    level=st.floats(1e-6, 1),
    frequency=st.floats(0, 8000),
    noise=st.floats(0, 1),
    seed=st.integers(0, 99),
)
def test_any_window_equals_librosa(length, level, frequency, noise, seed) -> None:
    tone = np.cos(2 * np.pi * frequency * np.arange(length) / SAMPLE_RATE)
    hiss = np.random.default_rng(seed).normal(0, 1, length)
    sound = (level * ((1 - noise) * tone + noise * hiss)).astype(np.float32)
    # Two frames whose step makes the first one's window exactly the sound.
    times = np.array([length // 2, length // 2 + length / 2]) / SAMPLE_RATE
    assert window_samples(times) == length
    values, _ = features(sound, times)
    np.testing.assert_allclose(values[0], by_librosa(sound, CONFIG), rtol=1e-5, atol=1e-4)


# Filters and cosines of torchaudio are made in single precision.
TORCHAUDIO = {"rtol": 1e-5, "atol": 2e-3}


@pytest.mark.parametrize("mel_scale", ["log", "linear"])
@pytest.mark.parametrize("times", TIMES.values(), ids=TIMES.keys())
def test_torchaudio_agrees_with_librosa(
    times, mel_scale: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = []

    def on_cpu(config, length, n_fft, device):
        used.append(device)
        return by_torchaudio(config, length, n_fft, "cpu")

    monkeypatch.setattr(audio, "by_torchaudio", on_cpu)
    config, sound = AudioConfig(mel_scale=mel_scale), vowel(2)
    values, has_sound = features(sound, times, config, device="cuda:1")
    assert used == ["cuda:1"]
    expected, heard = features(sound, times, config)
    assert values.dtype == np.float32
    np.testing.assert_allclose(values, expected, rtol=TORCHAUDIO["rtol"], atol=TORCHAUDIO["atol"])
    np.testing.assert_array_equal(has_sound, heard)


@settings(max_examples=20, deadline=None)
@given(frequency=st.floats(20, 7900), length=st.integers(200, 3000))
def test_torchaudio_agrees_with_librosa_on_pure_tones(frequency, length) -> None:
    """Where bands 80 dB below the tone are the filters' edges alone."""
    tone = np.sin(2 * np.pi * frequency * np.arange(length) / SAMPLE_RATE).astype(np.float32)
    n_fft = fft_size(length, CONFIG.n_fft)
    (values,) = by_torchaudio(CONFIG, length, n_fft, "cpu")(tone[None])
    # Single precision shows most there: 0.002 was seen of values up to hundreds.
    np.testing.assert_allclose(values, by_librosa(tone), rtol=1e-5, atol=0.01)


def test_a_click_is_loudest_in_the_frame_it_happens_in() -> None:
    times = vfr_times(50)
    for i in (0, 20, 49):
        sound = np.zeros(round((times[-1] + 1) * SAMPLE_RATE), np.float32)
        sound[round(times[i] * SAMPLE_RATE)] = 1
        values, _ = features(sound, times, AudioConfig(mel_scale="linear"))
        assert values[:, 40:].sum(axis=1).argmax() == i


@pytest.mark.parametrize("size", [1, 100, 4096, 999_999])
def test_block_lengths_do_not_matter(size: int) -> None:
    sound, times = vowel(0.5), vfr_times(20)
    blocks = [sound[i : i + size] for i in range(0, len(sound), size)]
    np.testing.assert_array_equal(features(iter(blocks), times)[0], features(sound, times)[0])


def test_batch_lengths_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    sound, times = vowel(2), vfr_times(60)
    whole = features(sound, times)
    monkeypatch.setattr(frame_windows, "_BATCH_VALUES", 3 * 1025)
    monkeypatch.setattr(frame_windows, "_BATCH_SPAN", 2000)
    parts = features(sound, times)
    np.testing.assert_allclose(parts[0], whole[0], rtol=1e-5, atol=1e-4)
    np.testing.assert_array_equal(parts[1], whole[1])


def test_frames_without_sound_are_silent_and_flagged() -> None:
    sound = vowel(1)
    times = np.arange(-20, 60) / 20
    values, has_sound = features(sound, times)
    window = window_samples(times) / SAMPLE_RATE
    np.testing.assert_array_equal(has_sound, (times > -window / 2) & (times < 1 + window / 2))
    assert (values[~has_sound, 40:] == -100).all()
    assert (values[has_sound, 40:].max(axis=1) > -100).all()


def test_no_sound_at_all() -> None:
    values, has_sound = features([], np.arange(5) / 30)
    assert values.shape == (5, 168)
    assert not has_sound.any()


def test_no_frames() -> None:
    assert list(audio_features([vowel(1)], np.zeros(0), CONFIG)) == []


def test_normalised_over_the_clip() -> None:
    config = AudioConfig(normalise="clip")
    sound, times = vowel(2), np.arange(80) / 30
    raw, _ = features(sound, times)
    values, has_sound = features(sound, times, config)
    heard = raw[has_sound].astype(np.float64)
    assert 0 < (~has_sound).sum() < 80
    np.testing.assert_allclose(
        values[has_sound], (heard - heard.mean(axis=0)) / heard.std(axis=0), atol=1e-4
    )
    assert (values[~has_sound] == 0).all()


def test_normalised_silence_is_zero() -> None:
    values, _ = features(
        np.zeros(16000, np.float32), np.arange(30) / 30, AudioConfig(normalise="clip")
    )
    assert (values == 0).all()


def test_normalising_needs_sound_that_can_be_read_twice() -> None:
    with pytest.raises(ValueError, match="read twice"):
        audio_features(iter([vowel(1)]), np.arange(9) / 30, AudioConfig(normalise="clip"))


@pytest.mark.parametrize("times", [[0, 0.2, 0.1], [0, np.nan], [[0, 1]]])
def test_times_are_checked(times) -> None:
    with pytest.raises(ValueError, match="times"):
        audio_features([], np.array(times), CONFIG)


def test_blocks_are_checked() -> None:
    with pytest.raises(ValueError, match="one channel"):
        list(audio_features([np.zeros((9, 2), np.float32)], np.arange(3) / 30, CONFIG))


def test_a_wav_reads_as_its_samples(tmp_path: Path) -> None:
    sound, times = vowel(1), np.arange(30) / 30
    soundfile.write(tmp_path / "a.wav", sound, SAMPLE_RATE, subtype="FLOAT")
    values = np.concatenate([c.values for c in audio_features(tmp_path / "a.wav", times, CONFIG)])
    np.testing.assert_array_equal(values, features(sound, times)[0])


@pytest.mark.parametrize("case", ["missing", "no wav", "44.1 kHz", "stereo"])
def test_unusable_wavs(tmp_path: Path, case: str) -> None:
    path = tmp_path / "a.wav"
    if case == "no wav":
        path.write_bytes(b"RIFF????WAVE")
    if case == "44.1 kHz":
        soundfile.write(path, vowel(0.1), 44100)
    if case == "stereo":
        soundfile.write(path, np.zeros((99, 2)), SAMPLE_RATE)
    with pytest.raises(FeatureError, match=r"a\.wav"):
        list(audio_features(path, np.arange(3) / 30, CONFIG))


@pytest.mark.parametrize("normalise", ["none", "clip"])
def test_progress_rises_to_its_end(normalise: str) -> None:
    events = []
    features(
        vowel(1), np.arange(30) / 30, AudioConfig(normalise=normalise), on_event=events.append
    )
    done = [event.done for event in events]
    assert done == sorted(done)
    assert [event.finished for event in events] == [False] * (len(events) - 1) + [True]
    assert events[-1].done == events[-1].total


def test_specs_fit_the_values() -> None:
    config = AudioConfig(n_mfcc=13, n_mels=40, n_fft=512)
    values, has_sound = features(vowel(0.2), np.arange(30) / 120, config)
    specs = audio_specs(config)
    assert values.shape == (30, 53) == (30, *specs["audio"].shape)
    assert (values.dtype, has_sound.dtype) == (specs["audio"].dtype, specs["has_sound"].dtype)
