"""starter-0 on features made by hand: what is read, what is missing, in chunks or at once."""

from __future__ import annotations

import numpy as np
import pytest

from avaffect.config import PredictConfig
from avaffect.errors import FeatureError, UnknownNameError
from avaffect.faces.face_pose import SIZE, face_pose_names
from avaffect.files.tensors import ArraySpec
from avaffect.predictors import interface as predictors
from avaffect.predictors.build import DEFAULT_MODEL, PREDICTORS, build_predictor
from avaffect.predictors.starter.valence_arousal import va_from_expression
from avaffect.store.spool import Spool
from avaffect.store.subject import SpooledSubject

SMILE = [face_pose_names().index(f"mouthSmile{side}") for side in ("Left", "Right")]
FRAMES = 60
SEEN = range(5, 55)
STARTER_0 = PredictConfig(model="starter-0")


def subject(folder, opinion_size=8, name="fer", smile_from=30):
    """A face in frames 5-54 that smiles from ``smile_from`` on."""
    arrays = {
        "face_pose": ArraySpec((SIZE,), "float32"),
        name: ArraySpec((opinion_size,), "float32"),
    }
    spool = Spool.create(folder, arrays, "key")
    for frame in range(FRAMES):
        spool.append_frame(frame / 25)
        if frame not in SEEN:
            continue
        pose = np.zeros(SIZE, np.float32)
        pose[SMILE] = 0.9 if frame >= smile_from else 0.05
        opinion = np.zeros(opinion_size, np.float32)
        opinion[4 if frame >= smile_from else 0] = 1
        if opinion_size == 10:
            opinion[8:] = 0.25, -0.5
        spool.append_face(
            1,
            frame,
            box=np.zeros(4, np.float32),
            points=np.zeros((5, 2), np.float32),
            pose=np.zeros(3, np.float32),
            confidence=0.9,
            arrays={"face_pose": pose, name: opinion},
        )
    return SpooledSubject("clip", spool, [1])


def test_it_predicts_every_seen_frame_and_no_other(tmp_path):
    out = build_predictor(STARTER_0).predict(subject(tmp_path), ("va", "expr", "au"))
    assert len(out) == FRAMES
    seen = np.isin(np.arange(FRAMES), SEEN)
    np.testing.assert_array_equal(out.present, seen)
    for values in (out.va, out.expr, out.au, out.au_intensity):
        np.testing.assert_array_equal(np.isnan(values).any(1), ~seen)
    assert (out.expression_ids()[30:55] == 4).all()
    assert (out.expression_ids()[5:30] == 0).all()
    assert (out.au_presence()[30:55, 6] == 1).all()
    assert (out.au_presence()[5:30, 6] == 0).all()
    assert out.va[30:55, 0].min() > out.va[5:30, 0].max()


def test_va_is_the_fitted_regression_of_the_expression(tmp_path):
    out = build_predictor(STARTER_0).predict(subject(tmp_path), ("va", "expr"))
    np.testing.assert_allclose(out.va, va_from_expression(out.expr))


def test_only_the_tasks_asked_for_are_given(tmp_path):
    features = subject(tmp_path)
    assert build_predictor(STARTER_0).predict(features, ("va",)).tasks == ("va",)
    assert build_predictor(STARTER_0).predict(features, ("au",)).tasks == ("au",)


def test_chunks_change_nothing(tmp_path, monkeypatch):
    features = subject(tmp_path)
    whole = build_predictor(STARTER_0).predict(features, ("va", "expr", "au"))
    monkeypatch.setattr(predictors, "CHUNK", 7)
    parts = build_predictor(STARTER_0).predict(features, ("va", "expr", "au"))
    for name in ("va", "expr", "au", "au_intensity"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(whole, name))


def test_a_frame_model_with_va_is_believed(tmp_path):
    predictor = build_predictor(PredictConfig(model="starter-0", frame_model="enet_b0_8_va_mtl"))
    features = subject(tmp_path, opinion_size=10, name="enet_b0_8_va_mtl")
    out = predictor.predict(features, ("va", "expr"))
    np.testing.assert_allclose(out.va[10], [0.25, -0.5])
    assert out.expr[10, 0] == 1
    assert "enet_b0_8_va_mtl" in out.model
    assert any("enet_b0_8_va_mtl" in note for note in predictor.notes)


def test_nobody_seen_gives_missing_rows(tmp_path):
    spool = Spool.create(
        tmp_path,
        {"face_pose": ArraySpec((SIZE,), "float32"), "fer": ArraySpec((8,), "float32")},
        "key",
    )
    for frame in range(3):
        spool.append_frame(frame / 25)
    out = build_predictor(STARTER_0).predict(SpooledSubject("clip", spool, []), ("va",))
    assert len(out) == 3
    assert np.isnan(out.va).all()


def test_features_that_lack_something_are_refused(tmp_path):
    with pytest.raises(FeatureError, match=r"encoders=.*mbf_va_mtl"):
        build_predictor(PredictConfig(model="starter-0", frame_model="mbf_va_mtl")).predict(
            subject(tmp_path), ("va",)
        )


def test_unknown_names_are_refused():
    with pytest.raises(UnknownNameError, match="did you mean 'starter-"):
        build_predictor(PredictConfig(model="starter-9"))
    with pytest.raises(UnknownNameError, match="fer"):
        build_predictor(PredictConfig(model="starter-0", frame_model="efficientnet-lite0"))
    assert DEFAULT_MODEL in PREDICTORS


def test_its_notes_say_what_it_is():
    text = " ".join(build_predictor(STARTER_0).notes)
    for phrase in ("not trained on Aff-Wild2", "AU6, AU23 and AU24 are the weakest"):
        assert phrase in text
