"""Sound features by NumPy are those of librosa and SciPy."""

import numpy as np
import pytest
import scipy.fft
import scipy.signal
from fixtures.sounds import vowel

from avaffect.config import AudioConfig
from avaffect.sound import mel, mfcc
from avaffect.sound.frame_windows import fft_size
from avaffect.sound.mfcc import audio_features, by_librosa, by_numpy


@pytest.mark.parametrize("count", [1, 2, 3, 5, 37, 40, 128])
def test_the_cosine_transform(count: int) -> None:
    values = np.random.default_rng(count).normal(-30, 20, (50, count))
    expected = scipy.fft.dct(values, type=2, norm="ortho", axis=-1)
    np.testing.assert_allclose(mel.dct(values), expected, rtol=1e-12, atol=1e-11)


@pytest.mark.parametrize("length", [1, 7, 640, 1067])
def test_the_window(length: int) -> None:
    expected = scipy.signal.get_window("hann", length)
    np.testing.assert_allclose(mel._hann(length), expected, atol=1e-15)


@pytest.mark.parametrize(
    "config",
    [AudioConfig(), AudioConfig(n_mfcc=13, n_mels=40, n_fft=512), AudioConfig(mel_scale="linear")],
)
@pytest.mark.parametrize("length", [500, 1067, 1280, 3000])
def test_rows_are_librosas(config: AudioConfig, length: int) -> None:
    rng = np.random.default_rng(length)
    windows = rng.normal(0, 1, (40, length)) * 10.0 ** rng.uniform(-6, 0, (40, 1))
    windows = windows.astype(np.float32)
    windows[3] = 0
    n_fft = fft_size(length, config.n_fft)
    ours = by_numpy(config, length, n_fft)(windows)
    theirs = by_librosa(config, length, n_fft)(windows)
    assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
    # Of one processor they are the same to the bit; others add up in another order.
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6)


def test_without_librosa(monkeypatch: pytest.MonkeyPatch) -> None:
    times = np.arange(20) / 25
    (with_it,) = audio_features([vowel(1)], times, AudioConfig())
    monkeypatch.setattr(mfcc, "is_installed", lambda module: False)
    monkeypatch.setattr(mfcc, "by_librosa", None)
    (without,) = audio_features([vowel(1)], times, AudioConfig())
    np.testing.assert_allclose(without.values, with_it.values, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(without.has_sound, with_it.has_sound)
