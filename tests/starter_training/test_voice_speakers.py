"""From four made-up corpora to starter-2-voice: windows, the model, what it says, its file."""

import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "starter_training"))
sys.path.insert(0, str(Path(__file__).parent))

import voice_corpora
import voice_encoder
import voice_multi_figures
import voice_speakers
import voice_table
import voice_windows
from made_up_voices import make_corpora
from voice_corpora import CORPORA, LABELS, Take, read_takes
from voice_encoder import UNITS, WIDTH, Encoder
from voice_multi_figures import Said
from voice_said import left_out
from voice_sounds import Scene
from voice_speakers import COMPANIES, Company, fit

from avaffect.labels import EXPRESSIONS
from avaffect.models.content import Content
from avaffect.sound.mel_power import mel_power
from avaffect.sound.voice import VoiceNet


def run(script: ModuleType, monkeypatch: pytest.MonkeyPatch, *options: object) -> None:
    monkeypatch.setattr(sys, "argv", [script.__name__, *map(str, options)])
    script.main()


def encoder_file(path: Path) -> Path:
    """Random weights, as the wheel's file holds them."""
    torch.manual_seed(0)
    layers = torch.nn.LSTM(40, UNITS, 3, batch_first=True)
    state = {f"lstm.{name}": value for name, value in layers.state_dict().items()}
    torch.save({"model_state": state, "step": 1}, path)
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The folder of takes, with the windows, and that of the runs."""
    folder = tmp_path_factory.mktemp("speakers")
    corpora, takes, runs = make_corpora(folder / "corpora"), folder / "takes", folder / "runs"
    encoder = encoder_file(folder / "pretrained.pt")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(voice_windows, "PIECE", 50)
        patch.setattr(voice_windows, "SHARE", {})
        patch.setattr(voice_windows, "THIRD", 1)
        patch.setattr(voice_multi_figures, "DRAWS", 5)
        options = [f"--{name}={corpora[name]}" for name in CORPORA]
        run(voice_corpora, patch, *options, f"--out={takes}")
        for kind in ("clean", "degraded"):
            run(voice_windows, patch, "--takes", takes, "--encoder", encoder, "--kind", kind)
        run(voice_speakers, patch, "--takes", takes, "--runs", runs, "--never", "tess")
        run(voice_multi_figures, patch, "--takes", takes, "--runs", runs / "half")
    return takes, runs


def test_a_run_tells_of_what_it_has_not_learnt_from(made: tuple[Path, Path]) -> None:
    takes = read_takes(made[0] / "takes.csv")
    assert sorted(path.name for path in made[1].iterdir()) == sorted(COMPANIES)
    for name in ("casia", "fold-1"):
        said = Said.read(made[1] / "mixed" / f"{name}.npz", "clean")
        assert said is not None
        assert said.take.tolist() == np.flatnonzero(left_out(takes, name)).tolist()
        assert np.isfinite(said.logits).all()
        np.testing.assert_allclose(np.exp(said.logits).sum(axis=1), 1, atol=1e-4)


def test_figures_tell_of_speakers_and_of_corpora(made: tuple[Path, Path]) -> None:
    figures = json.loads((made[1] / "half" / "figures.json").read_text())
    assert figures["corpora never heard"]["runs"] == list(CORPORA)
    assert len(figures["corpora never heard"]["clean"]["casia"]["expressions"]) == 6
    assert "macro F1" in figures["speakers never heard"]["degraded"]["RAVDESS, 8 labels"]


def test_the_package_reads_the_net(
    made: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, encoder = tmp_path / "starter-2-voice.onnx", made[0].parent / "pretrained.pt"
    options = ["--takes", made[0], "--runs", made[1], "--encoder", encoder, "--onnx", out]
    run(voice_speakers, monkeypatch, *options, "--never", "tess")
    content = Content(out, out.read_bytes())
    monkeypatch.setattr("avaffect.sound.voice.model_content", lambda name, on_event: content)
    net = VoiceNet("starter-2-voice")
    samples = np.random.default_rng(0).normal(0, 0.1, (2, 48_000)).astype(np.float32)
    said = net.judge(net(mel_power(samples)), np.array([0.0, 3.0]))
    np.testing.assert_allclose(said.sum(axis=1), 1, rtol=1e-5)
    assert (said[:, EXPRESSIONS.index("Other")] == 0).all()


def test_neither_loudness_nor_silence_around_matter_to_the_encoder(tmp_path: Path) -> None:
    encoder = Encoder.pretrained(encoder_file(tmp_path / "pretrained.pt"))
    at = np.arange(24_000) / 16_000
    tone = np.float32(0.1) * np.sin(2 * np.pi * 200 * at).astype(np.float32)
    voices = np.stack([tone, 30 * tone])
    with torch.inference_mode():
        loud = encoder(torch.from_numpy(mel_power(voices))).numpy()
        longer = encoder(
            torch.from_numpy(mel_power(np.pad(voices, ((0, 0), (0, 16_000)))))
        ).numpy()
    assert loud.shape == (2, WIDTH)
    np.testing.assert_allclose(loud[0], loud[1], atol=1e-3)
    np.testing.assert_allclose(loud, longer, atol=0.05)


def test_noise_that_is_always_there_matters_little_to_the_encoder(tmp_path: Path) -> None:
    encoder = Encoder.pretrained(encoder_file(tmp_path / "pretrained.pt"))
    at = np.arange(48_000) / 16_000
    # Syllables: half of the time there is nothing.
    voice = 0.1 * np.sin(2 * np.pi * 200 * at) * (np.sin(2 * np.pi * 2 * at) > 0)
    hiss = np.random.default_rng(0).normal(0, 0.02, 48_000)
    power = torch.from_numpy(mel_power(np.stack([voice, voice + hiss]).astype(np.float32)))
    with torch.inference_mode():
        less = encoder(power)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(voice_encoder, "noise", torch.zeros_like)
            plain = encoder(power)
    assert (less[1] - less[0]).norm() < 0.6 * (plain[1] - plain[0]).norm()


def test_each_take_is_in_one_of_three_scenes() -> None:
    takes = [Take("ravdess", f"{i}", "", "p", "F", "happy", "01", 0) for i in range(20)]
    kinds = [voice_windows.chosen(takes, kind).tolist() for kind in voice_speakers.SCENES]
    assert sorted(i for kind in kinds for i in kind) == list(range(20))
    assert voice_windows.chosen(takes, "degraded").tolist() == kinds[1]


def test_a_window_lies_around_the_middle_of_the_speech() -> None:
    sound = np.arange(100_000, dtype=np.float32)
    inside = voice_windows.window(Scene(sound, (40_000, 60_000)), None)
    assert (inside[0], len(inside)) == (26_000, 48_000)
    early = voice_windows.window(Scene(sound, (0, 8_000)), None)
    assert (early[:20_000] == 0).all() and early[20_000:].tolist() == sound[:28_000].tolist()
    rng = np.random.default_rng(0)
    for _ in range(50):
        drawn = voice_windows.window(Scene(sound + 1, (40_000, 60_000)), rng)
        assert ((drawn > 40_000) & (drawn <= 60_000)).sum() >= 12_800


def test_company_is_of_the_same_speaker_and_of_what_it_is_called() -> None:
    takes = [
        Take("casia", f"{i}", "", f"casia-{who}", "F", label, "01", 0)
        for who in "ab"
        for label in ("neutral", "happy", "angry")
        for i in range(12)
    ]
    others = Company(takes, np.arange(len(takes)))
    happy = 14

    def found(kind: str) -> list[str]:
        mine = others.of(kind, happy)
        assert happy not in mine and len(set(mine)) == len(mine)
        return sorted(f"{takes[i].speaker[-1]} {takes[i].label}" for i in mine)

    assert found("alone") == []
    assert found("same") == ["a happy"] * 9
    assert found("half") == ["a happy"] * 4 + ["a neutral"] * 5
    mixed = found("mixed")
    assert len(mixed) == 29 and set(mixed) == {"a angry", "a happy", "a neutral"}
    assert sum(name[0] == "b" for name in found("two")) == 30


def test_fitting_finds_emotions_and_speakers_again() -> None:
    rng = np.random.default_rng(0)
    label, who = np.tile(np.arange(8), 240), np.repeat(np.arange(24), 80)
    means, offsets = rng.normal(0, 1, (8, 20)), rng.normal(0, 1.5, (24, 20))
    values = means[label] + offsets[who] + rng.normal(0, 1, (len(label), 20))
    known = who < 20
    names = np.array([f"ravdess-{i}" for i in who])
    model = fit(values[known], label[known], names[known], between=0.1)
    assert model.labels.tolist() == list(range(8))
    # Eight labels alike, or fewer: Neutral, calm or not, has a quarter.
    assert model.speakers.prior == pytest.approx(np.full(8, 1 / 8))
    spoken = known & (label != LABELS.index("calm"))
    without = fit(values[spoken], label[spoken], names[spoken]).speakers.prior
    assert without[0] == 0.25 and without[1:] == pytest.approx(np.full(6, 0.125))
    right = []
    for person in range(20, 24):
        mine = np.flatnonzero(who == person)
        placed = model.place(values[mine])
        said = model.speakers.probabilities(placed, np.arange(len(mine)) * 3.0, 3.0, 1.0)
        right.append((said.argmax(axis=1) == label[mine]).mean())
    assert np.mean(right) > 0.8


def test_one_table_tells_of_all_company(
    made: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    half = made[1] / "half"
    monkeypatch.setattr(voice_table, "COMPANIES", ("half",))
    run(voice_table, monkeypatch, "--runs", made[1], "--before", half)
    rows = capsys.readouterr().out.splitlines()
    assert [row.count("|") for row in rows] == [9] * 5
    assert rows[2].split("|")[2:] == rows[3].split("|")[2:]
    figures = json.loads((half / "figures.json").read_text())["corpora never heard"]["clean"]
    assert f"{figures['nemo']['UAR']:.3f}".lstrip("0") in rows[3]
