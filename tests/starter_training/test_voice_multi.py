"""From four made-up corpora to a trained net, what it says of one left out, figures, weights."""

import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "starter_training"))
sys.path.insert(0, str(Path(__file__).parent))

import voice_corpora
import voice_multi
import voice_multi_export
import voice_multi_figures
import voice_multi_net
import voice_scenes
from made_up_voices import make_corpora
from voice_corpora import CORPORA, read_takes
from voice_multi_figures import Said

from avaffect.labels import EXPRESSIONS
from avaffect.sound.voice import VoiceNet


def run(script: ModuleType, monkeypatch: pytest.MonkeyPatch, *options: object) -> None:
    monkeypatch.setattr(sys, "argv", [script.__name__, *map(str, options)])
    script.main()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The folders of takes and of runs."""
    folder = tmp_path_factory.mktemp("voices")
    corpora, takes, runs = make_corpora(folder / "corpora"), folder / "takes", folder / "runs"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(voice_scenes, "PIECE", 50)
        patch.setattr(voice_multi_figures, "DRAWS", 5)
        patch.setattr(voice_multi_net, "BLOCK", 2)
        options = [f"--{name}={corpora[name]}" for name in CORPORA]
        run(voice_corpora, patch, *options, f"--out={takes}")
        for kind in ("clean", "scene-1", "degraded"):
            run(voice_scenes, patch, "--takes", takes, "--kind", kind)
        for without in ("casia", "ravdess", "fold-1", "nothing"):
            options = ["--takes", takes, "--out", runs, "--without", without, "--steps", 2]
            run(voice_multi, patch, *options, "--set", "warmup=1", "batch=8")
        run(voice_multi_figures, patch, "--takes", takes, "--runs", runs)
    return takes, runs


def test_scenes_hold_all_of_a_small_corpus_and_a_share_of_a_large_one(
    made: tuple[Path, Path],
) -> None:
    takes = read_takes(made[0] / "takes.csv")
    corpus = np.array([take.corpus for take in takes])
    with np.load(made[0] / "clean.npz") as clean, np.load(made[0] / "scene-1.npz") as scene:
        assert (clean["rows"] > 0).all()
        there = scene["rows"] > 0
        assert scene["rows"].sum() == len(scene["mel"])
    assert there[corpus == "ravdess"].all() and there[corpus == "casia"].all()
    assert not there[corpus == "tess"].all()
    assert not list(made[0].glob("*.0*.npz"))


def test_a_run_tells_of_what_it_has_not_learnt_from(made: tuple[Path, Path]) -> None:
    takes = read_takes(made[0] / "takes.csv")
    for name, held in {
        "casia": [take.corpus == "casia" for take in takes],
        "fold-1": [take.fold == 1 for take in takes],
    }.items():
        said = Said.read(made[1] / f"{name}.npz", "clean")
        assert said is not None
        assert sorted(set(said.take.tolist())) == np.flatnonzero(held).tolist()
        assert np.isfinite(said.logits).all()
    assert Said.read(made[1] / "nothing.npz", "clean") is None


def test_figures_tell_of_speakers_and_of_corpora(made: tuple[Path, Path]) -> None:
    figures = json.loads((made[1] / "figures.json").read_text())
    left_out = figures["corpora never heard"]
    assert left_out["runs"] == ["ravdess", "casia"]
    assert len(left_out["clean"]["casia"]["expressions"]) == 6
    assert len(left_out["degraded"]["ravdess"]["expressions"]) == 7
    low, high = left_out["clean"]["casia"]["UAR, 95 %"]
    assert 0 <= low <= high <= 1
    assert figures["speakers never heard"]["runs"] == ["fold-1"]
    assert "macro F1" in figures["speakers never heard"]["clean"]["RAVDESS, 8 labels"]
    with np.load(made[1] / "unheard.npz") as file:
        assert file["logits"].shape == file["logits_degraded"].shape == (40, 8)


def test_the_package_reads_the_net(
    made: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "starter-2-voice.onnx"
    run(voice_multi_export, monkeypatch, "--runs", made[1], "--onnx", out)
    monkeypatch.setattr("avaffect.sound.voice.model_path", lambda name, on_event: out)
    net = VoiceNet("starter-2-voice")
    figures = json.loads((made[1] / "figures.json").read_text())
    assert net.settings.temperature == figures["speakers never heard"]["temperature"]
    said = net(np.full((2, 150, 168), -50, np.float32))
    np.testing.assert_allclose(said.sum(axis=1), 1, rtol=1e-5)
    assert (said[:, EXPRESSIONS.index("Other")] == 0).all()
