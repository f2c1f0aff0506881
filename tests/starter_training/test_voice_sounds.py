"""What starter_training/voice_sounds.py does to a voice."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[2] / "starter_training"))

import voice_sounds as sounds

RATE = 16_000


def voice(seconds=1.2, before=0.5, behind=0.4, seed=0):
    """Something like a vowel, with silence around."""
    at = np.arange(round(seconds * RATE)) / RATE
    tone = sum(np.sin(2 * np.pi * 140 * k * at) / k for k in range(1, 20))
    swell = 0.6 + 0.4 * np.sin(2 * np.pi * 3 * at + seed)
    padding = (round(before * RATE), round(behind * RATE))
    return np.pad((0.1 * tone * swell).astype(np.float32), padding)


def power(sound):
    return float(np.square(sound.astype(np.float64)).mean())


def test_the_speech_of_a_take_is_found() -> None:
    sound = voice() + np.random.default_rng(0).normal(scale=1e-4, size=len(voice()))
    first, last = sounds.speech_span(sound.astype(np.float32))
    assert first == pytest.approx(0.5 * RATE, abs=400)
    assert last == pytest.approx(1.7 * RATE, abs=400)


@given(st.floats(-5, 40), st.sampled_from(sorted(sounds.NOISES)), st.integers(0, 99))
@settings(max_examples=15, deadline=None)
def test_noise_is_as_loud_as_asked_for(snr_db, kind, seed) -> None:
    sound, rng = voice(), np.random.default_rng(seed)
    noise = sounds.NOISES[kind](len(sound), [voice(seed=i) for i in range(4)], rng)
    assert noise.shape == sound.shape
    assert np.isfinite(noise).all()
    speech = slice(round(0.5 * RATE), round(1.7 * RATE))
    out = sounds.mixed(sound, noise, snr_db, speech)
    found = 10 * np.log10(power(sound[speech]) / power(out - sound))
    assert found == pytest.approx(snr_db, abs=0.1)


def test_brown_is_deeper_than_pink_is_deeper_than_white() -> None:
    def centre(slope):
        spectrum = np.abs(np.fft.rfft(sounds.coloured(RATE, slope, np.random.default_rng(0)))) ** 2
        return (spectrum * np.arange(len(spectrum))).sum() / spectrum.sum()

    assert centre(2) < centre(1) / 4 < centre(0) / 8


@given(st.floats(0.1, 1), st.floats(-3, 12), st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_a_room_rings_on_as_long_as_asked_for(rt60_s, direct_db, seed) -> None:
    click = np.zeros(2 * RATE, np.float32)
    click[0] = 1
    heard = sounds.room(click, rt60_s, direct_db, np.random.default_rng(seed))
    assert heard[0] == 1
    reflected = np.square(heard[1:].astype(np.float64))
    assert -10 * np.log10(reflected.sum()) == pytest.approx(direct_db, abs=0.3)
    # By -60 dB at the end, so -30 dB in its middle; first reflections are in the first 40 ms.
    count = round(rt60_s * RATE)
    assert np.abs(heard[count + 1 :]).max() < 1e-9
    late = [
        reflected[round(a * count) : round(b * count)].mean() for a, b in ((0.5, 0.7), (0.8, 1))
    ]
    assert 10 * np.log10(late[0] / late[1]) == pytest.approx(18, abs=5)


def test_bands_are_cut_off() -> None:
    def tone(hertz):
        return np.sin(2 * np.pi * hertz * np.arange(RATE) / RATE).astype(np.float32)

    for hertz, kept in ((100, False), (1000, True), (6000, False)):
        share = power(sounds.band(tone(hertz), 300, 3400)) / power(tone(hertz))
        assert share > 0.9 if kept else share < 0.05
    assert power(sounds.band(tone(100), 0, 8000)) == pytest.approx(power(tone(100)))


@pytest.mark.parametrize("codec", sorted(sounds.CODECS))
def test_codecs_give_back_each_voice_in_its_place(codec) -> None:
    takes = [voice(1.2), voice(0.7, seed=1), voice(1.0, before=0.8, seed=2)]
    back = sounds.coded(takes, codec)
    assert [len(take) for take in back] == [len(take) for take in takes]
    for take, other in zip(takes, back, strict=True):
        assert not np.array_equal(take, other)
        mine, theirs = (np.square(x).reshape(-1, 100).mean(1) for x in (take, other))
        # Not the waveform, but when it is loud; a codec may be late by less than 0.1 s.
        delays = [np.corrcoef(mine, np.roll(theirs, -shift))[0, 1] for shift in range(16)]
        assert max(delays) > 0.8


def test_the_telephone_has_no_treble() -> None:
    spectrum = (
        np.abs(
            np.fft.rfft(
                sounds.coded([sounds.coloured(RATE, 0, np.random.default_rng(0))], "mulaw")[0]
            )
        )
        ** 2
    )
    assert spectrum[4500:].sum() < 0.01 * spectrum.sum()


@given(st.floats(-50, 10))
def test_a_recording_has_16_bits_and_clips(peak_db) -> None:
    out = sounds.recorded(voice(), peak_db)
    assert np.abs(out).max() == pytest.approx(min(1, 10 ** (peak_db / 20)), abs=1e-4)
    assert np.array_equal(out * 32768, np.round(out * 32768))


def test_faster_is_shorter_and_higher() -> None:
    out = sounds.played(voice(1, 0, 0), 1.1)
    assert len(out) == pytest.approx(RATE / 1.1, abs=2)
    assert np.abs(np.fft.rfft(out))[1:].argmax() + 1 == pytest.approx(140, abs=1)


def test_scenes_hold_the_voice_where_they_say_and_are_the_same_for_a_seed() -> None:
    takes, others = [voice(1.0, 0, 0), voice(0.8, 0, 0, 1)], [voice(seed=i) for i in range(8)]

    def made(seed):
        rng = np.random.default_rng(seed)
        return sounds.finished(
            [sounds.training_scene(takes[: 1 + i % 2], others, rng) for i in range(8)]
        )

    scenes = made(3)
    assert len({scene.codec for scene in scenes}) > 2
    for i, scene in enumerate(scenes):
        first, last = scene.speech
        assert 0 < first < last < len(scene.sound)
        seconds = (last - first) / RATE
        assert 0.9 / 1.1 < seconds < (1.12 if i % 2 == 0 else 2.8)
        assert np.abs(scene.sound).max() <= 1
        assert scene.sound.any()
    for scene, other in zip(scenes, made(3), strict=True):
        assert np.array_equal(scene.sound, other.sound)
    assert not np.array_equal(scenes[0].sound, made(4)[0].sound)


def test_the_degraded_test_take_keeps_its_time() -> None:
    take = voice()
    scene = sounds.finished(
        [sounds.degraded_scene(take, [voice(seed=i) for i in range(4)], np.random.default_rng(0))]
    )[0]
    assert scene.sound.shape == take.shape
    assert scene.speech == sounds.speech_span(take)


def test_mel_rows_are_the_toolkits() -> None:
    from avaffect.sound.front_end import speech_features

    take = voice()
    rows = sounds.mel_rows(take)
    assert rows.shape == (-(-len(take) // 320), 128)
    (values,) = speech_features([take], np.arange(len(rows)) / 50)
    assert np.allclose(rows, values[:, 40:], atol=0.06)


def test_takes_are_read_at_any_rate(tmp_path: Path) -> None:
    import soundfile

    path = tmp_path / "take.wav"
    at = np.arange(48_000) / 48_000
    soundfile.write(path, np.stack([np.sin(2 * np.pi * 440 * at)] * 2, 1) * 0.5, 48_000)
    take = sounds.load_take(path.read_bytes())
    assert take.dtype == np.float32
    assert take.shape == (RATE,)
    assert np.abs(np.fft.rfft(take)).argmax() == 440
