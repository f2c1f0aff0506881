"""Predicting with a trained network: from a sound file, a folder, a video; and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from avaffect.config import AnalysisConfig, AudioConfig, PredictConfig
from avaffect.errors import CheckpointError, FeatureError, UsageError
from avaffect.files.hashing import file_sha256
from avaffect.networks.checkpoint import Checkpoint, save_checkpoint
from avaffect.networks.network import Statistics
from avaffect.predicting.run import predict
from avaffect.predicting.settings import with_checkpoint, with_features
from avaffect.predictions.postprocess import Postprocess
from avaffect.predictions.smooth import smooth
from avaffect.preprocessing.run import preprocess
from avaffect.recipes.library import parse_recipe
from avaffect.sound.mfcc import audio_specs
from avaffect.store.provenance import relevant_settings

RATE = 16_000
WIDTH = 168


@pytest.fixture(scope="module")
def tone(tmp_path_factory: pytest.TempPathFactory):
    """``tone.wav``: half a second of a rising tone."""
    path = tmp_path_factory.mktemp("sound") / "tone.wav"
    clock = np.arange(RATE // 2) / RATE
    soundfile.write(path, 0.5 * np.sin(2 * np.pi * (200 + 600 * clock) * clock), RATE)
    return path


@pytest.fixture
def saved(tmp_path: Path):
    """A run's folder; the network listens to ``audio`` and has random weights."""

    def make(reads="audio", modality="audio", width=WIDTH, **facts):
        branch = {"modality": modality, "features": [reads], "layers": [{"kind": "gru"}]}
        losses = {"va": {"terms": {"ccc": 1}}, "expr": {"terms": {"cross_entropy": 1}}}
        tree = {"name": "ear", "branches": {"b": branch}, "tasks": losses, "window": {"length": 9}}
        targets = {"va": ("valence",), "expr": ("calm", "angry")}
        checkpoint = Checkpoint(parse_recipe(tree, ""), targets, {"b": width}, **facts)
        torch.manual_seed(0)
        network = checkpoint.build()
        deviation = np.full(width, 30, np.float32)
        network.set_statistics({"b": Statistics(np.zeros(width, np.float32), deviation)})
        save_checkpoint(tmp_path / "run/best", checkpoint, network)
        return tmp_path / "run"

    return make


def configured(place, **options):
    return with_features(with_checkpoint(PredictConfig(**options), place))


def test_a_sound_file(saved, tone, tmp_path: Path) -> None:
    place = saved()
    result = predict(tone, ("va", "expr"), config=configured(place), device="cpu")
    (out,) = result.predictions
    assert (out.subject, out.model, len(out)) == ("tone", "ear", 13)
    assert (result.source, result.found, result.valued) == (tone, 0, 13)
    assert out.heard.all()
    assert not (out.present.any() or out.filled.any())
    assert np.isnan(out.va[:, 1]).all()
    assert len(np.unique(out.va[:, 0])) > 5
    np.testing.assert_allclose(out.expr.sum(1), 1, atol=1e-6)
    assert result.about["model"] == "ear"
    # From a preprocessed folder it is the same.
    preprocess(tone, tmp_path / "folder")
    again = predict(tmp_path / "folder", ("va", "expr"), config=configured(place), device="cpu")
    np.testing.assert_array_equal(again.predictions[0].va, out.va)
    np.testing.assert_array_equal(again.predictions[0].expr, out.expr)
    assert not list(tone.parent.glob("*/"))


def test_a_clip_that_the_model_knows_is_told(saved, tone) -> None:
    place = saved(data={"clips": {"train": ["tone", "other"], "val": ["more"]}})
    about = predict(tone, "va", config=configured(place), device="cpu").about
    assert about["known"] == {"tone": ["trained"]}
    about = predict(tone, "va", config=configured(saved()), device="cpu").about
    assert about["known"] == {"tone": []}
    # Under another name it is the same video.
    videos = {"train": [], "val": [file_sha256(tone)]}
    place = saved(data={"clips": {"train": ["other"], "val": ["more"]}, "videos": videos})
    about = predict(tone, "va", config=configured(place), device="cpu").about
    assert about["known"] == {"tone": ["validated"]}


def test_sound_for_a_model_that_does_not_listen(tone, tmp_path: Path) -> None:
    preprocess(tone, tmp_path)
    config = PredictConfig(noncommercial=False)
    for source in (tone, tmp_path):
        with pytest.raises(UsageError, match=r"nothing but sound.*checkpoint=\.\.\."):
            predict(source, "va", config=with_features(config), device="cpu")


def test_a_video_alone_is_looked_at(saved, tone) -> None:
    place = saved("face_pose", "video", 10)
    with pytest.raises(UsageError, match="looks at faces only"):
        predict(tone, "va", config=configured(place), device="cpu")


def test_the_sound_is_made_as_in_training(saved, tone, tmp_path: Path) -> None:
    audio = AudioConfig(n_mfcc=20)
    trained = AnalysisConfig(audio=audio, sound_rate=50)
    width = audio_specs(audio)["audio"].shape[0]
    place = saved(width=width, features=relevant_settings(trained.to_dict()))
    config = configured(place)
    assert (config.analysis.audio, config.analysis.sound_rate) == (audio, 50)
    result = predict(tone, "va", config=config, device="cpu")
    assert result.frames == 25
    # What was made otherwise is refused.
    preprocess(tone, tmp_path / "other")
    with pytest.raises(FeatureError, match="other settings of 'audio'"):
        predict(tmp_path / "other", "va", config=config, device="cpu")


@pytest.mark.parametrize(
    "features", [{"audio": {"n_mels": "x"}}, {"audio": {"bogus": 1}}, {"audio": 3},
                 {"sound_rate": "fast"}, {"sound_rate": 0}]
)  # fmt: skip
def test_sound_settings_that_do_not_exist(features, saved) -> None:
    place = saved()
    facts = json.loads((place / "best/checkpoint.json").read_text())
    (place / "best/checkpoint.json").write_text(json.dumps(facts | {"features": features}))
    with pytest.raises(CheckpointError, match="settings of the sound that do not exist"):
        with_checkpoint(PredictConfig(), place)


def test_tasks_are_those_that_it_knows(saved) -> None:
    place = saved()
    config = with_checkpoint(PredictConfig(), place)
    assert config.tasks == ("va", "expr")
    assert config.checkpoint == str(place / "best")
    facts = json.loads((place / "best/checkpoint.json").read_text())
    assert config.weights == facts["sha256"]
    assert with_checkpoint(PredictConfig(tasks=("au", "va")), place).tasks == ("va",)
    with pytest.raises(UsageError, match="does not predict au: it predicts va, expr"):
        with_checkpoint(PredictConfig(tasks=("au",)), place)


def test_only_what_it_reads_is_made(saved) -> None:
    config = configured(saved())
    assert config.analysis.encoders == ()
    assert config.analysis.audio is not None
    config = configured(saved("fer", "video", 8))
    assert (config.analysis.encoders, config.analysis.audio) == (("fer",), None)
    config = configured(saved("face_pose", "video", 8))
    assert (config.analysis.encoders, config.analysis.audio) == ((), None)


def test_trained_on_own_tables(saved) -> None:
    place = saved("table", "video", 3)
    with pytest.raises(CheckpointError, match=r"features of your own \('table'\).*from a video"):
        with_checkpoint(PredictConfig(), place)


def test_a_checkpoint_alone_is_enough(saved, tone) -> None:
    place = saved()
    long = predict(tone, "va", config=configured(place), device="cpu")
    short = predict(tone, "va", checkpoint=place, device="cpu")
    np.testing.assert_array_equal(short["tone"].va, long["tone"].va)
    assert short.about == long.about
    both = predict(tone, "va", config=PredictConfig(missing="invalid"), checkpoint=place)
    assert both.about["configuration"]["missing"] == "invalid"
    assert both["tone"].model == "ear"


def test_a_tuned_checkpoint_smooths_each_task_by_its_own(saved, tone) -> None:
    place = saved()
    plain = configured(place)
    raw = predict(tone, ("va", "expr"), config=plain, device="cpu")
    Postprocess("va=box:0.2,expr=off,au=off", {}, plain.weights).save(place / "best")
    tuned = configured(place)
    # Or a batch would take what was predicted before for done.
    assert tuned != plain
    result = predict(tone, ("va", "expr"), config=tuned, device="cpu")
    assert result.about["smoothing"] == "va=box:0.2,expr=off,au=off"
    (before,), (after,) = raw.predictions, result.predictions
    wanted = smooth(before.va, before.times, "box", 0.2)
    np.testing.assert_allclose(after.va, wanted, atol=1e-6)
    assert not np.allclose(after.va[:, 0], before.va[:, 0])
    np.testing.assert_array_equal(after.expr, before.expr)
    off = predict(tone, "va", config=configured(place, smooth="off"), device="cpu")
    np.testing.assert_array_equal(off.predictions[0].va, before.va)
