"""starter_training/voice_net.py: windows of sounds, the net, its training and its file."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[2] / "starter_training"))

import voice_net
from voice_net import LENGTH, MFCC, Heard, Training, VoiceNet

from avaffect.sound.voice import VoiceSettings, _starts


def heard(takes=6, copies=2, seed=0):
    """Takes of two classes: one has its energy low, the other high."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(120, 220, (copies, takes))
    mel, speech = [], []
    for copy in range(copies):
        parts = []
        for take, count in enumerate(rows[copy]):
            part = rng.normal(-60, 3, (count, 128))
            part[40:100, 64 * (take % 2) : 64 * (take % 2) + 64] += 40
            parts.append(part)
        mel.append(np.concatenate(parts).astype(np.float16))
        speech.append([(40, 100)] * takes)
    return Heard(tuple(mel), np.cumsum(rows, axis=1), np.array(speech))


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return VoiceNet(8).eval()


@pytest.mark.parametrize("gain_db", [-20, -3, 15])
def test_gain_changes_nothing(net, gain_db: int) -> None:
    features = torch.randn(2, LENGTH, 168, generator=torch.Generator().manual_seed(0)) * 10 - 40
    louder = features + gain_db
    with torch.inference_mode():
        assert torch.allclose(net(features), net(louder), atol=1e-3)


def test_silence_around_a_voice_hardly_changes_its_level(net) -> None:
    mel = torch.randn(1, LENGTH, 128, generator=torch.Generator().manual_seed(0)) * 5 - 30
    half = mel.clone()
    half[:, : LENGTH // 2] = -100
    change = (net.columns(half) - net.columns(mel))[:, LENGTH // 2 :, MFCC:]
    assert torch.allclose(change, torch.full_like(change, 10 * np.log10(2)), atol=0.5)


def test_digital_silence_is_no_number_out_of_range(net) -> None:
    with torch.inference_mode():
        assert torch.isfinite(net(torch.full((1, LENGTH, 168), -100.0))).all()


def test_a_window_is_the_sounds_rows_and_silence_beyond() -> None:
    sounds = heard()
    rows = sounds.rows(1, 2).astype(np.float32)
    inside = sounds.window(1, 2, 3, 1.0)
    count = min(LENGTH, len(rows) - 4)
    assert np.array_equal(inside[:count], rows[3 : 3 + count])
    before = sounds.window(1, 2, -50, 1.0)
    assert (before[:50] == -100).all()
    assert np.array_equal(before[50:100], rows[:50])
    assert np.allclose(sounds.window(1, 2, 10.5, 1.0)[0], (rows[10] + rows[11]) / 2)
    assert np.array_equal(sounds.window(1, 2, 0, 2.0)[30], rows[60])


def test_drawn_windows_hold_enough_of_the_voice() -> None:
    sounds = heard()
    drawn = sounds.drawn(np.repeat(np.arange(6), 30), 0.1, 0.5, np.random.default_rng(0))
    assert drawn.shape == (180, LENGTH, 128)
    loud = (drawn.amax(2) > -40).sum(1)
    assert loud.min() >= 0.8 * 50 / 1.1 - 2
    # A half holds all 60 rows.
    assert (loud > 60 / 1.1 - 2).float().mean() > 0.5


@given(st.integers(1, 40_000))
def test_windows_are_those_of_the_runtime(rows) -> None:
    settings = VoiceSettings(50, LENGTH / 50, 0.5, ("Neutral",), 1.0)
    assert np.array_equal(voice_net.window_starts(rows, 25), _starts((rows - 0.5) / 50, settings))


QUICK = Training(epochs=6, batch=6, lr=5e-3, warmup=2)
CLASSES = np.arange(6) % 2


def losses(net, place, config=QUICK):
    return list(voice_net.train(net, heard(), np.arange(6), CLASSES, place, config, seed=0))


def test_training_learns_and_an_interrupted_one_goes_on_to_the_same_net(tmp_path: Path) -> None:
    whole, broken = VoiceNet(2), VoiceNet(2)
    epochs = losses(whole, tmp_path / "whole.pt")
    assert [epoch for epoch, _ in epochs] == list(range(1, 7))
    assert epochs[-1][1] < 0.8 * epochs[0][1]
    steps = voice_net.train(
        broken, heard(), np.arange(6), CLASSES, tmp_path / "broken.pt", QUICK, seed=0
    )
    for _ in range(3):
        next(steps)
    again = VoiceNet(2)
    assert losses(again, tmp_path / "broken.pt") == epochs[3:]
    for parameter, other in zip(whole.parameters(), again.parameters(), strict=True):
        assert torch.equal(parameter, other)
    assert losses(VoiceNet(2), tmp_path / "whole.pt") == []
    other_seed = replace(QUICK, epochs=1)
    (first,) = voice_net.train(
        VoiceNet(2), heard(), np.arange(6), CLASSES, tmp_path / "o.pt", other_seed, seed=1
    )
    assert first != epochs[0]


def test_the_file_is_what_the_runtime_reads(net, tmp_path: Path) -> None:
    import onnxruntime

    metadata = {
        "rate_hz": "50",
        "window_s": "3.0",
        "hop_s": "0.5",
        "temperature": "1.5",
        "classes": json.dumps(["Neutral"] * 2 + ["Anger"] * 6),
    }
    path = tmp_path / "voice.onnx"
    assert voice_net.export(net, path, metadata) < 1e-3
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    features = np.random.default_rng(0).normal(-40, 10, (3, LENGTH, 168)).astype(np.float32)
    (logits,) = session.run(["logits"], {"features": features})
    with torch.inference_mode():
        assert np.allclose(logits, net(torch.from_numpy(features)).numpy(), atol=1e-3)
    settings = VoiceSettings.parse(session.get_modelmeta().custom_metadata_map)
    assert (settings.rows, settings.hop, settings.temperature) == (LENGTH, 25, 1.5)


def test_windows_logits_are_those_of_the_windows(net) -> None:
    sounds = heard()
    found = voice_net.window_logits(net, sounds, 0, [1, 4], 25)
    for take, logits in zip([1, 4], found, strict=True):
        starts = voice_net.window_starts(len(sounds.rows(0, take)), 25)
        assert logits.shape == (len(starts), 8)
        features = np.zeros((1, LENGTH, 168), np.float32)
        features[0, :, MFCC:] = sounds.window(0, take, starts[-1])
        with torch.inference_mode():
            assert np.allclose(net(torch.from_numpy(features)), logits[-1:], atol=1e-4)
