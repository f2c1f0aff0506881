"""starter_training/voice.py on a RAVDESS of its own: from takes to the runtime's file."""

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "starter_training"))

import voice
import voice_figures

ACTORS, FOLDS = 4, 2


@pytest.fixture(scope="module")
def ravdess(tmp_path_factory: pytest.TempPathFactory):
    """Four actors who hum each emotion twice, at a pitch and with a tremor of its own."""
    import soundfile

    folder = tmp_path_factory.mktemp("ravdess")
    at = np.arange(9_600) / 16_000
    rows = []
    for actor in range(1, ACTORS + 1):
        for number, label in enumerate(voice.LABELS):
            for take in (1, 2):
                hertz = 90 + 40 * number + 5 * actor
                tone = sum(np.sin(2 * np.pi * hertz * k * at + take) / k for k in range(1, 12))
                sound = np.pad(0.1 * tone * (1 + 0.5 * np.sin(2 * np.pi * number * at)), 2_000)
                path = folder / f"{actor}-{label}-{take}.wav"
                soundfile.write(path, sound, 16_000)
                rows.append(
                    {
                        "path": path.name,
                        "subject": actor,
                        "sex": "MF"[actor % 2],
                        "label": label,
                        "intensity": "01",
                        "fold5": actor % FOLDS,
                        "av_key": path.stem,
                    }
                )
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder


def run(monkeypatch, ravdess, out):
    options = ["--ravdess", ravdess, "--out", out, "--onnx", out / "shipped.onnx"]
    options += ["--copies", 1, "--epochs", 1]
    monkeypatch.setattr(voice_figures, "DRAWS", 20)
    monkeypatch.setattr(sys, "argv", ["voice.py", *map(str, options)])
    voice.main()


def test_from_takes_to_a_file_that_the_runtime_reads(
    ravdess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import onnxruntime

    from avaffect.sound.voice import VoiceSettings

    run(monkeypatch, ravdess, tmp_path)
    session = onnxruntime.InferenceSession(
        str(tmp_path / "shipped.onnx"), providers=["CPUExecutionProvider"]
    )
    metadata = session.get_modelmeta().custom_metadata_map
    settings = VoiceSettings.parse(metadata)
    assert json.loads(metadata["licence"]) == "CC-BY-NC-SA-4.0"
    assert dict(zip(json.loads(metadata["labels"]), settings.classes, strict=True)) == (
        voice.EXPRESSION
    )
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert settings.temperature == figures["temperature"]

    with np.load(tmp_path / "oof.npz", allow_pickle=False) as oof:
        assert oof["logits"].shape == oof["logits_degraded"].shape == (ACTORS * 16, 8)
        assert not np.array_equal(oof["logits"], oof["logits_degraded"])
        assert oof["av_key"][0] == "1-neutral-1"
        accuracy = (oof["logits"].argmax(1) == oof["label"]).mean()
    assert accuracy == pytest.approx(figures["clean"]["accuracy"]["all takes"], abs=1e-4)

    # Nothing is done twice, and the figures stay.
    capsys.readouterr()
    run(monkeypatch, ravdess, tmp_path)
    assert "epoch" not in capsys.readouterr().out
    assert json.loads((tmp_path / "figures.json").read_text()) == figures


def test_what_babbles_is_heard_by_no_other_fold_and_partners_are_alike(
    ravdess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    takes = voice.Takes.read(ravdess)
    heard = []

    def scene(mine, voices, rng):
        heard.append((len(mine), voices))
        return voice.Scene(mine[0], (0, len(mine[0])))

    monkeypatch.setattr(voice, "training_scene", scene)
    monkeypatch.setattr(
        voice, "degraded_scene", lambda take, voices, rng: voice.Scene(take, (0, 1))
    )
    voice.prepare(takes, tmp_path, 1, seed=0)
    sounds = [voice.load_take(path.read_bytes()) for path in takes.paths]
    parts = [sound[slice(*voice.speech_span(sound))].tobytes() for sound in sounds]
    assert {count for count, _ in heard} == {1, 2}
    for take, (_, voices) in enumerate(heard):
        for other in (parts.index(sound.tobytes()) for sound in voices):
            assert takes.fold[other] == takes.fold[take]
            assert takes.actor[other] != takes.actor[take]
    for take in range(len(parts)):
        (partner,) = takes.partners(take)
        assert partner != take
        assert takes.label[partner] == takes.label[take]
        assert takes.actor[partner] == takes.actor[take]
