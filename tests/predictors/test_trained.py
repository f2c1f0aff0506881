"""A checkpoint as a predictor: on features spooled, stored and mapped, with gaps of all kinds."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fixtures.spooled import spooled

from avaffect.challenge.text import write_challenge
from avaffect.config import PredictConfig
from avaffect.errors import CheckpointError, FeatureError
from avaffect.files.npy import ArraySpec
from avaffect.labels import ACTION_UNITS, EXPRESSIONS
from avaffect.networks.checkpoint import Checkpoint, save_checkpoint
from avaffect.networks.network import Statistics
from avaffect.predictions.missing import fill
from avaffect.predictions.postprocess import Postprocess
from avaffect.predictors.build import build_predictor
from avaffect.predictors.trained import Trained, notes
from avaffect.recipes.library import change_recipe, parse_recipe
from avaffect.store.provenance import provenance
from avaffect.store.subject import SubjectFeatures
from avaffect.store.writing import write_subject

FRAMES = 40
SEEN = np.r_[3:20, 30:40]
HEARD = np.r_[0:1, 8:26, 30:40]
NOTHING = np.r_[1:3, 26:30]
FACE = {"mesh": ArraySpec((2, 3), "float32"), "deep": ArraySpec((5,), "float16")}
VOICE = {"audio": ArraySpec((4,), "float32"), "has_sound": ArraySpec((), "bool")}
CONFIGURATION = {
    "audio": {"n_mfcc": 40, "n_mels": 128, "n_fft": 2048, "mel_scale": "log", "normalise": "none"},
    "faces": {"aligner": "mesh", "crop_size": 112, "detector": "blazeface-full"},
    "sound_rate": 25.0,
    "encoders": ["deep"],
}
NAMES = {
    "va": ("valence", "arousal"),
    "expr": EXPRESSIONS,
    "au": ACTION_UNITS,
}
TREE: dict[str, Any] = {
    "name": "tiny",
    "branches": {
        "voice": {"modality": "audio", "features": ["audio"],
                  "layers": [{"kind": "gru", "units": [4]}]},
        "face": {"modality": "video", "features": ["mesh", "deep"],
                 "layers": [{"kind": "mlp", "units": [4], "norm": "batch"}]},
    },
    "window": {"length": 8, "overlap": 2, "predict_overlap": 6},
}  # fmt: skip
LOSSES = {"va": {"mse": 1}, "expr": {"cross_entropy": 1}, "au": {"bce": 1}}


def clip(folder):
    """Face and voice come and go; in some frames there is neither."""
    rng = np.random.default_rng(0)
    face = {n: rng.normal(size=(FRAMES, *s.shape)).astype(s.dtype) for n, s in FACE.items()}
    audio = rng.normal(size=(FRAMES, 4)).astype(np.float32)
    rows = {"audio": audio, "has_sound": np.isin(np.arange(FRAMES), HEARD)}
    return spooled(folder, FRAMES, SEEN, face, rows, confidence=0.9)


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory):
    return clip(tmp_path_factory.mktemp("spool"))


@pytest.fixture
def saved(tmp_path: Path):
    """The folder of a network for some targets, with random weights."""

    def make(targets=None, *changes, modality=None, **facts):
        targets = targets or NAMES
        branches = {
            name: branch
            for name, branch in TREE["branches"].items()
            if modality in (None, branch["modality"])
        }
        tasks = {task: {"terms": LOSSES[task]} for task in targets}
        recipe = parse_recipe(TREE | {"branches": branches, "tasks": tasks}, "")
        recipe = change_recipe(recipe, changes)
        widths = {name: {"voice": 4, "face": 11}[name] for name in branches}
        torch.manual_seed(3)
        checkpoint = Checkpoint(recipe, targets, widths, **facts)
        network = checkpoint.build()
        if "face" in branches:
            network.set_statistics({"face": Statistics(np.ones(11, "f4"), np.full(11, 2, "f4"))})
        folder = tmp_path / "checkpoint"
        shutil.rmtree(folder, ignore_errors=True)
        save_checkpoint(folder, checkpoint, network)
        return folder

    return make


def at(rows):
    return np.isin(np.arange(FRAMES), rows)


def test_a_prediction(saved, subject) -> None:
    out = Trained(saved()).predict(subject, ("va", "expr", "au"))
    assert (out.subject, out.model, len(out), out.tasks) == (
        "clip",
        "tiny",
        FRAMES,
        ("va", "expr", "au"),
    )
    np.testing.assert_array_equal(out.times, np.arange(FRAMES) / 25)
    np.testing.assert_array_equal(out.present, at(SEEN))
    np.testing.assert_array_equal(out.heard, at(HEARD))
    np.testing.assert_array_equal(np.isnan(out.confidence), ~at(SEEN))
    for values in (out.va, out.expr, out.au):
        np.testing.assert_array_equal(np.isnan(values).any(1), at(NOTHING))
    assert out.au_intensity is None
    assert not out.filled.any()
    assert out.valued == FRAMES - len(NOTHING)
    np.testing.assert_allclose(np.nansum(out.expr, 1)[~at(NOTHING)], 1, atol=1e-6)


def test_faces_voices_both_and_neither(saved, subject) -> None:
    filled = fill(Trained(saved()).predict(subject, ("va",)), "linear")
    voice_alone, face_alone = at(HEARD) & ~at(SEEN), at(SEEN) & ~at(HEARD)
    assert voice_alone.any() and face_alone.any()
    for rows, flags in (
        (voice_alone, (False, True, False)),
        (face_alone, (True, False, False)),
        (at(NOTHING), (False, False, True)),
        (at(SEEN) & at(HEARD), (True, True, False)),
    ):
        found = {*zip(filled.present[rows], filled.heard[rows], filled.filled[rows], strict=True)}
        assert found == {flags}
    assert not np.isnan(filled.va).any()
    assert filled.valued == FRAMES - len(NOTHING)


@pytest.mark.parametrize(("modality", "rows"), [("audio", HEARD), ("video", SEEN)])
def test_one_modality_alone(modality: str, rows, saved, subject) -> None:
    predictor = Trained(saved({"va": NAMES["va"]}, modality=modality))
    assert predictor.needs == (("audio", "has_sound") if modality == "audio" else ("mesh", "deep"))
    out = predictor.predict(subject, ("va",))
    np.testing.assert_array_equal(~np.isnan(out.va[:, 0]), at(rows))
    np.testing.assert_array_equal(out.present, at(SEEN))
    np.testing.assert_array_equal(out.heard, at(HEARD) if modality == "audio" else at([]))


def test_only_the_tasks_asked_for(saved, subject) -> None:
    predictor = Trained(saved())
    assert predictor.tasks == ("va", "expr", "au")
    assert predictor.predict(subject, ("au", "va")).tasks == ("va", "au")


def test_spooled_stored_and_mapped_are_the_same(saved, subject, tmp_path: Path) -> None:
    keys = {name: "k" for name in ("faces", *FACE, *VOICE)}
    write_subject(tmp_path / "s", subject, provenance("a", "0", CONFIGURATION, {}), keys)
    predictor = Trained(saved())
    prediction = predictor.predict(subject, ("va", "expr", "au"))
    for mapped in (False, True):
        stored = SubjectFeatures.open(tmp_path / "s", mapped=mapped)
        other = predictor.predict(stored, ("va", "expr", "au"))
        for name in ("va", "expr", "au", "present", "heard", "times", "confidence"):
            np.testing.assert_array_equal(getattr(prediction, name), getattr(other, name))


def test_one_dimension_only(saved, subject, tmp_path: Path) -> None:
    out = Trained(saved({"va": ("valence",)})).predict(subject, ("va",))
    assert np.isnan(out.va[:, 1]).all()
    np.testing.assert_array_equal(np.isnan(out.va[:, 0]), at(NOTHING))
    out = fill(out)
    path = write_challenge(out, "va", tmp_path)
    rows = [line.split(",") for line in path.read_text().splitlines()[1:]]
    assert {row[1] for row in rows} == {"-5"}
    assert all(-1 <= float(row[0]) <= 1 for row in rows)
    np.testing.assert_array_equal(out.filled, at(NOTHING))
    assert out.valued == FRAMES - len(NOTHING)


def test_dimensions_in_another_order(saved, subject) -> None:
    straight = Trained(saved({"va": ("valence", "arousal")})).predict(subject, ("va",))
    turned = Trained(saved({"va": ("arousal", "valence")})).predict(subject, ("va",))
    np.testing.assert_array_equal(straight.va[:, ::-1], turned.va)


def test_some_units_in_any_order(saved, subject) -> None:
    units = ("AU12", "AU5", "AU1")  # AU5 is none of the challenge's
    out = Trained(saved({"au": units})).predict(subject, ("au",))
    known = [ACTION_UNITS.index("AU1"), ACTION_UNITS.index("AU12")]
    values = out.au[~at(NOTHING)]
    assert np.isnan(np.delete(values, known, 1)).all()
    assert not np.isnan(values[:, known]).any()
    presence = out.au_presence()
    assert (np.delete(presence, known, 1) == -1).all()
    assert set(presence[~at(NOTHING)][:, known].ravel()) <= {0, 1}
    swapped = Trained(saved({"au": units[::-1]})).predict(subject, ("au",))
    np.testing.assert_array_equal(swapped.au[:, known], out.au[:, known[::-1]])


@pytest.mark.parametrize(
    "classes",
    [
        EXPRESSIONS[:7],
        ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised"),
    ],
)
def test_other_classes_become_the_eight(classes, saved, subject) -> None:
    out = Trained(saved({"expr": classes})).predict(subject, ("expr",))
    assert out.expr.shape == (FRAMES, 8)
    np.testing.assert_allclose(out.expr[~at(NOTHING)].sum(1), 1, atol=1e-6)
    assert (out.expr[~at(NOTHING), EXPRESSIONS.index("Other")] == 0).all()
    assert (out.expression_ids() == -1).tolist() == at(NOTHING).tolist()


def test_classes_that_mean_nothing_here(saved) -> None:
    with pytest.raises(CheckpointError, match="class 'Wut' is none"):
        Trained(saved({"expr": ("happy", "Wut")}))


def test_a_clip_shorter_than_a_window(saved, tmp_path: Path) -> None:
    rows = {"audio": np.zeros((3, 4), np.float32), "has_sound": np.array([True, False, True])}
    short = spooled(tmp_path / "short", 3, (), {}, rows)
    out = Trained(saved(None, modality="audio")).predict(short, ("va",))
    assert np.isnan(out.va[:, 0]).tolist() == [False, True, False]
    assert not out.present.any()


def test_features_of_another_width(saved, subject) -> None:
    folder = saved({"va": NAMES["va"]}, "branches.face.features=[mesh]")
    with pytest.raises(FeatureError, match="trained on 11 features of 'face', 'clip' has 6"):
        Trained(folder).predict(subject, ("va",))


def test_features_that_are_missing(saved, subject) -> None:
    folder = saved({"va": NAMES["va"]}, "branches.face.features=[mesh, other]")
    with pytest.raises(FeatureError, match=r"lack other, needed by tiny.*name=.other"):
        Trained(folder).predict(subject, ("va",))


@pytest.mark.parametrize(
    ("change", "modality", "refused"),
    [
        ({}, None, ""),
        ({"audio": {**CONFIGURATION["audio"], "n_mels": 64}}, None, "audio"),
        ({"audio": {**CONFIGURATION["audio"], "n_mels": 64}}, "video", ""),
        ({"faces": {**CONFIGURATION["faces"], "aligner": "fan"}}, None, "faces"),
        ({"faces": {**CONFIGURATION["faces"], "aligner": "fan"}}, "audio", ""),
        ({"faces": {**CONFIGURATION["faces"], "detector": "s3fd"}}, None, ""),
        ({"sound_rate": 50.0}, None, ""),
        ({"audio": None}, None, "audio"),
    ],
)
def test_settings_of_the_features(change, modality: str | None, refused: str, saved) -> None:
    trained = {
        "audio": CONFIGURATION["audio"],
        "faces": {"aligner": "mesh", "crop_size": 112},
        "sound_rate": 25.0,
    }
    predictor = Trained(saved(None, modality=modality, features=trained))
    if refused:
        with pytest.raises(FeatureError, match=f"other settings of '{refused}'"):
            predictor.require_settings({**CONFIGURATION, **change})
    else:
        predictor.require_settings({**CONFIGURATION, **change})


@pytest.mark.parametrize(
    ("rate", "fits"), [(25.0, True), (26.0, True), (50.0, False), (10, False)]
)
def test_rows_as_dense_as_in_training(rate: float, fits: bool, saved, subject) -> None:
    predictor = Trained(saved({"va": NAMES["va"]}, features={"sound_rate": rate}))
    if fits:
        predictor.predict(subject, ("va",))
    else:
        with pytest.raises(FeatureError, match=f"at {rate:g} rows a second, 'clip' has 25"):
            predictor.predict(subject, ("va",))


def test_own_features_have_no_settings(saved) -> None:
    Trained(saved()).require_settings(CONFIGURATION)


def test_notes(saved) -> None:
    clips = {"train": ["a", "b", "c"], "val": ["d"]}
    found = Trained(
        saved({"va": NAMES["va"]}, data={"clips": clips}, epoch=4, metrics={"va": 0.5})
    )
    assert found.notes == (
        "tiny was trained on 3 clips for 4 epochs",
        "validation on 1 other clips: va 0.500",
    )
    checkpoint = replace(
        found.checkpoint, metrics={"va": None}, data={"clips": clips, "synthetic": True}
    )
    assert notes(checkpoint)[1] == "validation on 1 other clips: no score"
    assert "ARTIFICIAL" in notes(checkpoint)[2]
    assert "never validated" in notes(replace(checkpoint, metrics={}))[1]


def test_build_predictor_takes_a_checkpoint(saved, subject) -> None:
    predictor = build_predictor(PredictConfig(checkpoint=str(saved())))
    assert isinstance(predictor, Trained)
    assert predictor.predict(subject, ("va",)).model == "tiny"


def test_it_says_which_clips_it_knows(saved) -> None:
    folder = saved(data={"clips": {"train": ["a_left", "b"], "val": ["c"]}})
    model = Trained(folder)
    assert model.clips == {"trained": ("a_left", "b"), "validated": ("c",)}
    weights = model.checkpoint.sha256
    about = {"subjects": ["c", "d"]}
    Postprocess("box:0.4", {}, weights, about).save(folder)
    assert Trained(folder).clips["tuned"] == ("c", "d")
    Postprocess("box:0.4", {}, weights).save(folder)  # of an earlier version
    assert Trained(folder).clips["tuned"] == ("c",)
    Postprocess("off", {}, weights, about).save(folder)  # nothing was kept
    assert "tuned" not in Trained(folder).clips


def test_what_was_tuned_is_followed(saved, subject) -> None:
    folder = saved()
    plain = Trained(folder)
    assert plain.smooth == "off"
    before = plain.predict(subject, ("va", "au"))
    assert before.au_thresholds is None
    middle = float(np.nanmedian(before.au[:, 0]))
    tuned = Postprocess("va=box:0.4", {"AU1": middle}, plain.checkpoint.sha256)
    tuned.save(folder)
    model = Trained(folder)
    assert model.smooth == "va=box:0.4"
    note = "tuned on validation clips: smoothing va=box:0.4 and thresholds of units"
    assert model.notes == (*plain.notes, note)
    after = model.predict(subject, ("va", "au"))
    np.testing.assert_array_equal(after.va, before.va)  # who predicts smooths
    known = ~np.isnan(before.au[:, 0])
    present = after.au_presence()[known]
    np.testing.assert_array_equal(present[:, 0], before.au[known, 0] >= middle)
    assert 0 < present[:, 0].mean() < 1
    np.testing.assert_array_equal(present[:, 1:], before.au_presence()[known][:, 1:])
    assert model.predict(subject, ("va",)).au_thresholds is None
    # Training again makes other weights, for which nothing was tuned.
    replace(tuned, weights="0" * 64).save(folder)
    other = Trained(folder)
    assert other.smooth == "off"
    assert other.predict(subject, ("au",)).au_thresholds is None
    assert any("postprocess.json is of other weights" in note for note in other.notes)
