"""Rows of power in mel bands, as the speaker encoder was trained with."""

import librosa
import numpy as np

from avaffect.sound.mel_power import BANDS, SIZE, STEP, mel_power, windows_power

RATE = 16_000


def noise(seconds: float) -> np.ndarray:
    samples = round(seconds * RATE)
    loudness = np.linspace(0.01, 1, samples)
    return (np.random.default_rng(0).normal(0, 0.1, samples) * loudness).astype(np.float32)


def test_rows_are_those_of_librosa() -> None:
    sounds = np.stack([noise(0.3), noise(0.3)[::-1]])
    found = mel_power(sounds)
    for sound, rows in zip(sounds, found, strict=True):
        theirs = librosa.feature.melspectrogram(
            y=sound, sr=RATE, n_fft=SIZE, hop_length=STEP, n_mels=BANDS, center=False
        )
        np.testing.assert_allclose(rows, theirs.T, rtol=1e-3)
    assert found.dtype == np.float32


def test_windows_are_cut_out_of_the_sound_with_silence_around() -> None:
    sound = noise(20)
    centres = np.array([0.2, 1.0, 1.5, 7.25, 19.9])
    parts = list(windows_power([sound[:50_000], sound[50_000:]], centres, 1.0))
    assert [first for first, _ in parts] == [0]
    padded = np.pad(sound, RATE)
    for centre, rows in zip(centres, parts[0][1], strict=True):
        start = round((centre + 0.5) * RATE)
        alone = mel_power(padded[None, start : start + RATE])[0]
        np.testing.assert_allclose(rows, alone, rtol=1e-4, atol=1e-9)


def test_many_windows_come_a_batch_at_a_time() -> None:
    centres = np.arange(1.5, 58.5, 0.5)
    parts = list(windows_power([noise(60)], centres, 3.0))
    assert len(parts) > 1
    assert [first for first, _ in parts] == np.cumsum(
        [0, *(len(w) for _, w in parts[:-1])]
    ).tolist()
    assert sum(len(windows) for _, windows in parts) == len(centres)
