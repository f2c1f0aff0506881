"""starter_training/voice_errors.py: pitch, and sheets of the surest errors."""

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import soundfile

sys.path.insert(0, str(Path(__file__).parents[2] / "starter_training"))

import voice_errors
from voice_corpora import LABELS, Take
from voice_errors import PANEL, panel, pitch
from voice_said import write_said


def hummed(hertz: float, seconds: float = 0.5) -> np.ndarray:
    """A voice's harmonics, float32."""
    at = np.arange(round(seconds * 16_000)) / 16_000
    return sum(0.1 / k * np.sin(2 * np.pi * k * hertz * at) for k in range(1, 8)).astype("f4")


@pytest.mark.parametrize("hertz", [95.0, 210.0, 380.0])
def test_the_pitch_of_a_hum_is_found_and_of_noise_there_is_none(hertz: float) -> None:
    assert np.nanmedian(pitch(hummed(hertz))) == pytest.approx(hertz, rel=0.03)
    hiss = np.random.default_rng(0).normal(0, 0.1, 8000).astype(np.float32)
    assert np.isnan(pitch(hiss)).mean() > 0.8


def test_a_panel_shows_the_pitch_higher_up_the_higher_it_is() -> None:
    low, high = (np.argwhere((panel(hummed(f)) == (255, 60, 0)).all(axis=2)) for f in (110, 300))
    assert np.median(high[:, 0]) < np.median(low[:, 0]) - PANEL[0] / 4
    assert panel(np.full(10, 0.1, np.float32)).shape == (*PANEL, 3)


def test_of_each_corpus_there_is_a_sheet_and_what_neutral_is_like(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    takes = []
    for i in range(8):
        label, hertz = ("neutral", 120 if i < 3 else 240) if i < 4 else ("happy", 200)
        soundfile.write(tmp_path / f"{i}.wav", hummed(hertz), 16_000)
        takes.append(Take("casia", f"{i}", f"{tmp_path}/{i}.wav", "p", "F", label, "01", 0))
    said = []
    for i, take in enumerate(takes):
        row = np.zeros((1, 9), np.float32)
        # The high one is taken for happy.
        row[0, LABELS.index("happy" if i == 3 else take.label)] = 4
        said.append(row)
    write_said(tmp_path / "casia.npz", {"clean": (np.arange(8), said)})
    monkeypatch.setattr(voice_errors, "read_takes", lambda path: takes)
    options = ["--takes", tmp_path, "--runs", tmp_path, "--out", tmp_path / "out"]
    monkeypatch.setattr(sys, "argv", ["", *map(str, options)])
    voice_errors.main()
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith("casia, Neutral told right: -") and told[0].endswith("(3)")
    assert told[1].startswith("casia, Neutral told wrong: +") and told[1].endswith("(1)")
    assert told[2] == "casia, Neutral said to be {'neutral': 0.75, 'happy': 0.25}"
    # One row: nothing else was told wrong.
    assert cv2.imread(str(tmp_path / "out" / "casia.png")).shape == (
        18 + PANEL[0],
        2 * PANEL[1],
        3,
    )
