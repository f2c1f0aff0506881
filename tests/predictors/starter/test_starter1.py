"""starter-1 on features made by hand: face and voice alone and together, and what is missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fixtures.spooled import FPS, spooled

from avaffect.config import PredictConfig
from avaffect.errors import FeatureError, UnknownNameError
from avaffect.faces.face_pose import LANDMARK_VALUES, SIZE, face_pose_names
from avaffect.labels import ACTION_UNITS, EXPRESSIONS
from avaffect.models.zoo import find_model
from avaffect.predictors import interface as predictors
from avaffect.predictors.build import build_predictor
from avaffect.predictors.starter import fusion, reading, starter1
from avaffect.predictors.starter.action_units import INNER_LIPS
from avaffect.predictors.starter.expressions import with_other
from avaffect.predictors.starter.starter1 import FACE_NET, Starter1
from avaffect.predictors.starter.valence_arousal import va_of_face

FRAMES = 100
SEEN = slice(5, 95)
SMILES = slice(60, 95)
NEUTRAL, HAPPY, SAD = (EXPRESSIONS.index(name) for name in ("Neutral", "Happiness", "Sadness"))
TASKS = ("va", "expr", "au")
ARRAYS = ("va", "va_interval", "expr", "au", "au_intensity", "heard")


def opinion(expression, chance=0.7):
    row = np.full(8, (1 - chance) / 6, np.float32)
    row[expression], row[7] = chance, 0
    return row


FACE = np.stack([opinion(NEUTRAL)] * FRAMES)
FACE[SMILES] = opinion(HAPPY)


def voice(expression=SAD, spoken=slice(20, 80)):
    """[N, 9], a voice that says ``expression`` in the frames ``said`` and else nothing."""
    rows = np.full((FRAMES, 9), np.nan, np.float32)
    rows[:, 8] = 0.02
    rows[spoken, :8], rows[spoken, 8] = opinion(expression), 0.98
    return rows


def pose(lips_move=True, smile=0.9, at_rest=0.0, yaw=0.0):
    """[N, 263] of a face that smiles in the frames ``SMILES``."""
    names = face_pose_names()
    rows = np.zeros((FRAMES, SIZE), np.float32)
    for side in ("Left", "Right"):
        rows[:, names.index(f"mouthSmile{side}")] = at_rest
        rows[SMILES, names.index(f"mouthSmile{side}")] = smile
    rows[:, INNER_LIPS[0]] = 0.01
    if lips_move:
        rows[:, INNER_LIPS[0]] += 0.05 + 0.05 * np.sin(2 * np.pi * 4 * np.arange(FRAMES) / FPS)
    rows[:, LANDMARK_VALUES] = yaw / 90
    return rows


def subject(folder, face=FACE, heard=None, poses=None, name=FACE_NET):
    """A face in the frames ``SEEN``, or none if ``face`` is None; ``heard``: the array voice."""
    values = {"face_pose": pose() if poses is None else poses, name: face}
    rows = None if heard is None else {"voice": heard}
    return spooled(folder, FRAMES, range(FRAMES)[SEEN], {} if face is None else values, rows)


def seen():
    return np.isin(np.arange(FRAMES), range(FRAMES)[SEEN])


def voiced():
    return np.isin(np.arange(FRAMES), range(20, 80))


@pytest.fixture
def plain_face(monkeypatch: pytest.MonkeyPatch) -> None:
    """The face net's word as it is, without the resting face and the units."""
    monkeypatch.setattr(starter1, "shifted", lambda opinion, shift: opinion)
    monkeypatch.setattr(starter1, "with_units", lambda opinion, active: opinion)


def test_a_friendly_resting_face_is_neutral_and_its_smile_happiness(tmp_path: Path) -> None:
    face = FACE.copy()
    face[:60] = opinion(HAPPY, 0.4)
    face[:60, NEUTRAL] = 0.35
    face /= face.sum(axis=1, keepdims=True)
    out = Starter1().predict(subject(tmp_path, face=face, poses=pose(lips_move=False)), TASKS)
    assert (out.expression_ids()[5:60] == NEUTRAL).all()
    assert (out.expression_ids()[SMILES] == HAPPY).all()
    assert out.va[SMILES, 0].min() > out.va[5:60, 0].max() + 0.2


@pytest.mark.usefixtures("plain_face")
def test_a_face_alone_is_taken_at_its_word(tmp_path: Path) -> None:
    out = Starter1().predict(subject(tmp_path), TASKS)
    for name in ARRAYS[:-1]:
        values = getattr(out, name).reshape(FRAMES, -1)
        np.testing.assert_array_equal(np.isnan(values).any(1), ~seen())
    np.testing.assert_allclose(out.expr[SEEN], FACE[SEEN], rtol=1e-6)
    va, interval = va_of_face(FACE)
    np.testing.assert_allclose(out.va[SEEN], va[SEEN], rtol=1e-6)
    np.testing.assert_allclose(out.va_interval[SEEN], interval[SEEN], rtol=1e-6)
    assert not out.heard.any()
    smile = ACTION_UNITS.index("AU12")
    assert (out.au_presence()[SMILES, smile] == 1).all()
    assert (out.au_presence()[5:60, smile] == 0).all()


def test_a_voice_alone_gives_expression_and_va_but_no_units(tmp_path: Path) -> None:
    heard = voice()
    out = Starter1().predict(subject(tmp_path, face=None, heard=heard), TASKS)
    assert not out.present.any()
    np.testing.assert_array_equal(out.heard, voiced())
    np.testing.assert_array_equal(np.isnan(out.expr).any(1), ~voiced())
    np.testing.assert_allclose(out.expr[voiced()], heard[voiced(), :8], rtol=1e-6)
    va, interval = va_of_face(heard[:, :8])
    np.testing.assert_allclose(out.va, va, rtol=1e-6)
    np.testing.assert_allclose(out.va_interval, interval, rtol=1e-6)
    assert np.isnan(out.au).all() and np.isnan(out.au_intensity).all()


@pytest.mark.usefixtures("plain_face")
def test_both_are_fused_where_both_speak(tmp_path: Path) -> None:
    heard = voice()
    out = Starter1().predict(subject(tmp_path, heard=heard), TASKS)
    np.testing.assert_array_equal(out.heard, voiced())
    trust = fusion.Trust(np.ones(FRAMES, np.float32), np.ones(FRAMES, np.float32))
    both = slice(20, 80)
    expected = with_other(fusion.pool(FACE, heard[:, :8], trust, fusion.weights("starter1")))
    np.testing.assert_allclose(out.expr[both], expected[both], rtol=1e-5)
    assert (out.expr[both, SAD] > 1.5 * FACE[both, SAD]).all()
    (face_va, face_interval), (voice_va, voice_interval) = (
        va_of_face(probabilities) for probabilities in (FACE, heard[:, :8])
    )
    va = fusion.blend(face_va, voice_va, trust, fusion.weights("starter1"))
    np.testing.assert_allclose(out.va[both], va[both], rtol=1e-5)
    interval = fusion.blend(face_interval, voice_interval, trust, fusion.weights("starter1"))
    np.testing.assert_allclose(out.va_interval[both], interval[both], rtol=1e-5)
    np.testing.assert_allclose(out.expr[80:95], FACE[80:95], rtol=1e-6)


def test_in_frames_without_a_face_the_voice_speaks(tmp_path: Path) -> None:
    heard = voice(spoken=slice(0, FRAMES))
    out = Starter1().predict(subject(tmp_path, heard=heard), ("expr",))
    assert out.heard.all()
    np.testing.assert_allclose(out.expr[~seen()], heard[~seen(), :8], rtol=1e-6)


@pytest.mark.usefixtures("plain_face")
def test_a_voice_is_not_that_of_a_face_whose_lips_are_still(tmp_path: Path) -> None:
    features = subject(tmp_path, heard=voice(), poses=pose(lips_move=False))
    out = Starter1().predict(features, TASKS)
    assert not out.heard.any()
    np.testing.assert_allclose(out.expr[SEEN], FACE[SEEN], rtol=1e-5)
    np.testing.assert_allclose(out.va[SEEN], va_of_face(FACE)[0][SEEN], rtol=1e-5, atol=1e-6)


def test_a_face_turned_away_leaves_the_word_to_the_voice(tmp_path: Path) -> None:
    def happy(folder, yaw):
        features = subject(folder, heard=voice(), poses=pose(yaw=yaw))
        return Starter1().predict(features, ("expr",)).expr[70, HAPPY]

    ahead, aside, away = (happy(tmp_path / str(yaw), yaw) for yaw in (reading._TURNED[0], 60, -80))
    assert ahead > aside > away
    assert away < 0.2


def test_where_there_is_no_sound_the_face_speaks_alone(tmp_path: Path) -> None:
    mute = np.full((FRAMES, 9), np.nan, np.float32)
    without = Starter1().predict(subject(tmp_path / "a"), TASKS)
    silent = Starter1().predict(subject(tmp_path / "b", heard=mute), TASKS)
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(silent, name), getattr(without, name))


def test_rows_sum_to_one_and_intervals_hold_their_values(tmp_path: Path) -> None:
    out = Starter1().predict(subject(tmp_path, heard=voice()), ("va", "expr"))
    valued = ~np.isnan(out.expr[:, 0])
    np.testing.assert_array_equal(valued, seen() | voiced())
    np.testing.assert_allclose(out.expr[valued].sum(1), 1, rtol=1e-5)
    assert (out.va_interval[valued, :, 0] <= out.va[valued]).all()
    assert (out.va[valued] <= out.va_interval[valued, :, 1]).all()


@pytest.mark.usefixtures("plain_face")
def test_what_it_is_unsure_of_is_other(tmp_path: Path) -> None:
    flat = np.tile(np.append(np.full(7, 1 / 7), 0).astype(np.float32), (FRAMES, 1))
    out = Starter1().predict(subject(tmp_path, face=flat), ("expr",))
    assert (out.expression_ids()[SEEN] == EXPRESSIONS.index("Other")).all()


def test_units_count_from_the_subjects_own_neutral_face(tmp_path: Path) -> None:
    smile = ACTION_UNITS.index("AU12")
    rest, grin = slice(5, 60), 70

    def intensity(folder, at_rest):
        poses = pose(smile=0.5, at_rest=at_rest)
        return Starter1().predict(subject(folder, poses=poses), ("au",)).au_intensity[:, smile]

    flat, curled = intensity(tmp_path / "flat", 0.0), intensity(tmp_path / "curled", 0.1)
    # A tenth of the way counted from nothing would be .5.
    np.testing.assert_allclose(curled[rest], 0, atol=0.15)
    assert flat[grin] > curled[grin] + 0.1 > 1


def test_a_frame_model_with_va_is_believed_and_gives_no_interval(tmp_path: Path) -> None:
    name = "enet_b0_8_va_mtl"
    said_by_net = np.concatenate([FACE, np.tile([0.25, -0.5], (FRAMES, 1))], 1, dtype=np.float32)
    predictor = build_predictor(PredictConfig(frame_model=name))
    out = predictor.predict(subject(tmp_path / "a", face=said_by_net, name=name), TASKS)
    np.testing.assert_allclose(out.va[SEEN], np.tile([0.25, -0.5], (90, 1)))
    assert out.va_interval is None
    np.testing.assert_allclose(out.expr[SEEN], FACE[SEEN], rtol=1e-6)
    assert out.model == f"starter-1+{name}"
    alone = predictor.predict(subject(tmp_path / "b", face=None, heard=voice()), ("va",))
    assert alone.va_interval is None and alone.heard.any()


@pytest.mark.parametrize("size", [1, 7, 30])
def test_chunks_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    features = subject(tmp_path, heard=voice())
    whole = Starter1().predict(features, TASKS)
    monkeypatch.setattr(predictors, "CHUNK", size)
    parts = Starter1().predict(features, TASKS)
    for name in ARRAYS:
        np.testing.assert_allclose(getattr(parts, name), getattr(whole, name), rtol=1e-6)


def test_a_long_clips_neutral_face_is_found_in_some_of_its_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    features = subject(tmp_path, poses=pose(lips_move=False))
    whole = Starter1().predict(features, ("au",))
    monkeypatch.setattr(reading, "NEUTRAL_FRAMES", 30)
    monkeypatch.setattr(predictors, "CHUNK", 7)
    some = Starter1().predict(features, ("au",))
    np.testing.assert_array_equal(some.au_presence(), whole.au_presence())
    np.testing.assert_allclose(some.au_intensity, whole.au_intensity, atol=0.2)


def test_only_the_tasks_asked_for_are_given(tmp_path: Path) -> None:
    features = subject(tmp_path, heard=voice())
    for task in TASKS:
        out = Starter1().predict(features, (task,))
        assert out.tasks == (task,)
        assert (out.va_interval is not None) == (task == "va")


def test_nobody_seen_or_heard_gives_missing_rows(tmp_path: Path) -> None:
    values = {"face_pose": np.zeros((3, SIZE), np.float32), FACE_NET: FACE[:3]}
    out = Starter1().predict(spooled(tmp_path, 3, (), values), TASKS)
    assert len(out) == 3
    for name in ARRAYS[:-1]:
        assert np.isnan(getattr(out, name)).all()
    assert not out.heard.any()


def test_features_of_another_frame_model_are_refused_with_what_to_do(tmp_path: Path) -> None:
    features = subject(tmp_path, heard=voice(), name="fer")
    with pytest.raises(FeatureError, match=f"lack {FACE_NET}, needed by starter-1") as caught:
        Starter1().predict(features, TASKS)
    assert f'preprocess again with encoders=("{FACE_NET}",)' in str(caught.value)


def test_neither_face_nor_voice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FeatureError, match=f"lack face_pose, {FACE_NET}"):
        Starter1().predict(subject(tmp_path, face=None), TASKS)


def test_without_the_noncommercial_nets_it_does_not_listen(tmp_path: Path) -> None:
    predictor = build_predictor(PredictConfig(noncommercial=False, frame_model=FACE_NET))
    assert "voice" not in predictor.needs and predictor.optional == ()
    assert any("voice was left out" in note for note in predictor.notes)
    alone = predictor.predict(subject(tmp_path / "a"), TASKS)
    deaf = predictor.predict(subject(tmp_path / "b", heard=voice()), TASKS)
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(deaf, name), getattr(alone, name))


def test_who_does_not_listen_refuses_features_of_a_sound_file(tmp_path: Path) -> None:
    with pytest.raises(FeatureError, match="face_pose"):
        Starter1(voice=False).predict(subject(tmp_path, face=None, heard=voice()), TASKS)


def test_faces_and_voice_are_all_optional_when_it_listens() -> None:
    predictor = build_predictor(PredictConfig(frame_model=FACE_NET))
    assert predictor.name == "starter-1"
    assert predictor.needs == predictor.optional == ("face_pose", FACE_NET, "voice")


def test_a_frame_model_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="efficientnet-lite0"):
        build_predictor(PredictConfig(frame_model="efficientnet-lite0"))


@pytest.mark.parametrize("name", ["enet_b0_8_va_mtl", "mbf_va_mtl"])
def test_what_lies_in_the_cache_changes_nothing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AVAFFECT_CACHE", str(tmp_path))
    (tmp_path / find_model(name).file).touch()
    auto = build_predictor(PredictConfig())
    assert (auto.name, auto.needs[1]) == ("starter-2", "starter-2-face")
    asked = build_predictor(PredictConfig(frame_model=name))
    assert (asked.name, asked.needs[1]) == (f"starter-1+{name}", name)


def test_its_notes_say_what_it_is() -> None:
    text = " ".join(Starter1().notes)
    phrases = ("not trained on Aff-Wild2", "RAVDESS", "90 %", "AU are proxies", "no probabilities")
    for phrase in phrases:
        assert phrase in text


@pytest.mark.parametrize("model", ["starter-0", "starter-9"])
def test_a_model_that_is_gone_or_never_was_is_refused_in_one_line(model: str) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'starter-2'") as caught:
        build_predictor(PredictConfig(model=model))
    assert "\n" not in str(caught.value)
