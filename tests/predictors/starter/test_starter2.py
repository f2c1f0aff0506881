"""starter-2 on features made by hand: face, voice and units, with and without its nets."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from fixtures.spooled import spooled

from avaffect.config import PredictConfig
from avaffect.errors import FeatureError
from avaffect.faces.encoders import encoder_spec
from avaffect.faces.face_pose import SIZE as POSE
from avaffect.faces.face_pose import face_pose_names
from avaffect.labels import ACTION_UNITS, EXPRESSIONS
from avaffect.models.zoo import find_model
from avaffect.predictors.build import build_predictor
from avaffect.predictors.starter.fusion import softened, weights
from avaffect.predictors.starter.starter2 import FACE_NET, INTERVALS, SIZE, Starter2, rest
from avaffect.predictors.starter.valence_arousal import DIMENSIONS, va_of_face

FRAMES = 100
SMILES = slice(60, 95)
NEUTRAL, HAPPY, SAD = (EXPRESSIONS.index(name) for name in ("Neutral", "Happiness", "Sadness"))
AU12 = ACTION_UNITS.index("AU12")
TASKS = ("va", "expr", "au")


def net(expression: int, valence: float, smile: float) -> np.ndarray:
    """float32 [22], what the face net gives of such a face."""
    row = np.full(SIZE, 0.02, np.float32)
    row[:8] = 0.3 / 7
    row[expression] = 0.7
    row[8:10] = valence, 0.1
    row[10 + AU12] = smile
    return row


def faces() -> np.ndarray:
    rows = np.stack([net(NEUTRAL, -0.22, 0.05)] * FRAMES)
    rows[SMILES] = net(HAPPY, 0.6, 0.95)
    return rows


def poses() -> np.ndarray:
    names = face_pose_names()
    rows = np.zeros((FRAMES, POSE), np.float32)
    for side in ("Left", "Right"):
        rows[SMILES, names.index(f"mouthSmile{side}")] = 0.9
    return rows


def subject(folder, face=None, heard=None, net_name=FACE_NET, seen=range(5, 95)):
    """A face in the frames ``seen``; ``heard``: the array voice."""
    values = {"face_pose": poses()}
    values |= {net_name: faces() if face is None else face} if net_name else {}
    return spooled(folder, FRAMES, seen, values, None if heard is None else {"voice": heard})


def still(folder, face):
    """A face of which nothing ever moves."""
    values = {"face_pose": np.zeros((FRAMES, POSE), np.float32), FACE_NET: face}
    return spooled(folder, FRAMES, range(5, 95), values, None)


def intervals():
    return json.loads(INTERVALS.read_text(encoding="utf-8"))


def test_a_smile_is_happiness_with_valence_and_units(tmp_path: Path) -> None:
    out = Starter2().predict(subject(tmp_path), TASKS)
    assert (out.expression_ids()[SMILES] == HAPPY).all()
    assert (out.expression_ids()[10:55] == NEUTRAL).all()
    assert out.va[SMILES, 0].min() > out.va[10:55, 0].max() + 0.3
    assert (out.au[SMILES, AU12] > 0.5).all()
    assert (out.au[10:55] < 0.5).all()
    assert np.isnan(out.va[:5]).all()
    assert np.isnan(out.au[95:]).all()
    low, high = out.va_interval[SMILES, :, 0], out.va_interval[SMILES, :, 1]
    assert ((low <= out.va[SMILES]) & (out.va[SMILES] <= high)).all()


def test_who_looks_sad_at_rest_is_taken_for_neutral_the_longer_the_more(tmp_path: Path) -> None:
    face = faces()
    face[:60] = net(NEUTRAL, -0.5, 0.05)
    face[:60, :8] = 0.02
    face[:60, SAD], face[:60, NEUTRAL] = 0.55, 0.33
    out = Starter2().predict(subject(tmp_path, face), TASKS)
    assert (out.expression_ids()[10:55] == NEUTRAL).all()
    # Half of what is below resting people's valence, or more, is the subject's own.
    assert out.va[30, 0] > -0.35


@pytest.mark.parametrize("held", ["Anger", "Sadness", "Fear", "Surprise", "Disgust"])
def test_a_clip_that_holds_one_expression_throughout_is_that_expression(
    tmp_path: Path, held: str
) -> None:
    # The blendshapes see nothing of it, as of a frown: so every frame looks like rest.
    face = faces()
    face[:] = net(EXPRESSIONS.index(held), -0.6, 0.05)
    out = Starter2().predict(still(tmp_path, face), TASKS)
    assert (out.expression_ids()[5:95] == EXPRESSIONS.index(held)).all()
    assert out.expr[30, EXPRESSIONS.index(held)] > 0.65
    # Nor does its valence fade.
    assert out.va[30, 0] < -0.5


def test_a_friendly_face_at_rest_is_not_happy_even_if_it_never_changes(tmp_path: Path) -> None:
    face = faces()
    face[:] = net(HAPPY, 0.35, 0.05)
    out = Starter2().predict(still(tmp_path, face), TASKS)
    assert (out.expression_ids()[5:95] == NEUTRAL).all()
    assert out.va[30, 0] < 0.2
    # But a smile that lips show is one, however long it is held.
    values = {"face_pose": np.repeat(poses()[SMILES][:1], FRAMES, axis=0), FACE_NET: face}
    smiles = Starter2().predict(spooled(tmp_path / "b", FRAMES, range(5, 95), values), TASKS)
    assert (smiles.expression_ids()[5:95] == HAPPY).all()
    assert smiles.va[30, 0] > 0.3


def test_a_look_is_the_subjects_own_as_far_as_the_clip_shows_more(tmp_path: Path) -> None:
    face = faces()
    face[:60] = net(SAD, -0.5, 0.05)
    held = Starter2().predict(still(tmp_path / "held", face[[0] * FRAMES]), TASKS)
    changing = Starter2().predict(subject(tmp_path / "changing", face), TASKS)
    assert changing.expr[30, SAD] < held.expr[30, SAD] - 0.2
    assert changing.va[30, 0] > held.va[30, 0] + 0.05


def test_contempt_is_rarer_in_videos_than_where_the_net_learnt_it(tmp_path: Path) -> None:
    other = EXPRESSIONS.index("Other")
    face = faces()
    face[:, :8] = 0.02
    face[:, other], face[:, NEUTRAL] = 0.5, 0.38
    out = Starter2().predict(still(tmp_path, face), ("expr",))
    assert (out.expression_ids()[5:95] == NEUTRAL).all()
    np.testing.assert_allclose(out.expr[5:95].sum(axis=1), 1, rtol=1e-5)


def test_intervals_are_as_wide_as_people_differ_on_such_expressions(tmp_path: Path) -> None:
    out = Starter2().predict(subject(tmp_path), ("va",))
    width = np.ptp(out.va_interval[5:95], axis=2)
    # Narrower than where only the expression was known: .8 and 1.0.
    assert (width.mean(axis=0) < (0.75, 0.95)).all()
    assert (width > 0.3).all()
    for kind in DIMENSIONS:
        held = intervals()["people, FER+ by votes, halves not fitted to"]["now"][kind]["held"]
        assert held[0] >= 0.9


def test_people_at_rest_have_the_valence_that_raters_give_them(tmp_path: Path) -> None:
    face = faces()
    face[:, 8:10] = rest().values
    out = Starter2().predict(subject(tmp_path, face), ("va",))
    assert out.va[30, 0] == pytest.approx(-0.05, abs=0.06)


def test_without_its_nets_the_rules_still_see_a_smile(tmp_path: Path) -> None:
    free = build_predictor(PredictConfig(noncommercial=False))
    assert (free.needs, free.optional) == (("face_pose",), ())
    out = free.predict(subject(tmp_path, net_name=""), TASKS)
    assert (out.expression_ids()[SMILES] == HAPPY).all()
    assert (out.expression_ids()[10:55] == NEUTRAL).all()
    assert out.va[SMILES, 0].min() > out.va[10:55, 0].max() + 0.3
    assert any("left out" in note for note in free.notes)
    # Only what was used is told.
    told = " ".join(free.notes)
    assert "not trained on Aff-Wild2" in told
    for net in ("face net", "voice net", "AffectNet", "RAF-DB", "FER+", "RAVDESS"):
        assert net not in told
        assert net in " ".join(Starter2().notes)


def test_a_voice_has_a_say_where_there_is_one(tmp_path: Path) -> None:
    heard = np.full((FRAMES, 9), np.nan, np.float32)
    heard[:, 8] = 0.02
    heard[20:80, :8], heard[20:80, 8] = 0.02, 0.98
    heard[20:80, SAD] = 0.86
    out = Starter2().predict(subject(tmp_path, heard=heard, seen=range(5, 50)), ("expr",))
    assert (out.expression_ids()[60:80] == SAD).all()
    assert out.heard[60:80].all()


def test_a_voice_alone_says_what_its_net_says_as_sure_as_it_is_right(tmp_path: Path) -> None:
    heard = np.full((FRAMES, 9), np.nan, np.float32)
    heard[:, :8], heard[:, 8] = 0.02, 0.98
    heard[:, SAD] = 0.86
    out = Starter2().predict(subject(tmp_path, heard=heard, seen=range(5, 50)), ("expr", "va"))
    expected = softened(heard[60:80, :8], weights("starter2"))
    np.testing.assert_allclose(out.expr[60:80], expected, rtol=1e-5)
    # Its own net is as sure as it is right: it hardly needs softening.
    assert ((out.expr[60:80, SAD] > 0.7) & (out.expr[60:80, SAD] < 0.8)).all()
    np.testing.assert_allclose(out.va[60:80], va_of_face(expected)[0], rtol=1e-5)


def test_features_that_lack_the_net_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FeatureError, match="lack starter-2-face, needed by starter-2"):
        Starter2().predict(subject(tmp_path, net_name=""), TASKS)


def test_the_net_is_in_the_package_small_and_for_research_only() -> None:
    model = find_model(FACE_NET)
    assert model.packaged
    assert model.noncommercial
    assert model.bytes < 10_000_000
    assert encoder_spec(FACE_NET).size == SIZE


def test_each_task_alone(tmp_path: Path) -> None:
    for task in TASKS:
        out = Starter2().predict(subject(tmp_path / task), (task,))
        assert out.tasks == (task,)


def test_a_voice_that_another_net_heard_is_refused() -> None:
    starter = Starter2()
    for fine in ({}, {"voice": None}, {"voice": "starter-2-voice"}):
        starter.require_settings(fine)
    with pytest.raises(FeatureError, match="'starter-1-voice' listened") as caught:
        starter.require_settings({"voice": "starter-1-voice"})
    assert caught.value.hint == "preprocess again"
    Starter2(nets=False).require_settings({"voice": "starter-1-voice"})
