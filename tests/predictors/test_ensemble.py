"""Joining predictions, and an ensemble's folder as a predictor."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from fixtures.spooled import spooled
from hypothesis import given
from hypothesis import strategies as st

from avaffect.config import PredictConfig
from avaffect.datasets.clip import Clip
from avaffect.errors import CheckpointError, FeatureError, UsageError
from avaffect.files.npy import ArraySpec
from avaffect.labels import ACTION_UNITS, EXPRESSIONS
from avaffect.networks import checkpoint as checkpoints
from avaffect.networks.checkpoint import Checkpoint, save_checkpoint
from avaffect.predicting.batch import PredictBatch
from avaffect.predicting.settings import with_checkpoint, with_features
from avaffect.predictions.postprocess import Postprocess
from avaffect.predictors.build import build_predictor, facts_of
from avaffect.predictors.ensemble import Ensemble, join_values, mean_values
from avaffect.predictors.joined import Joined, Tuning, is_ensemble
from avaffect.predictors.stacking import StackFeatures, stacked_names, stacked_values
from avaffect.predictors.trained import Trained
from avaffect.recipes.ensemble_recipe import Average, Vote
from avaffect.recipes.library import parse_recipe

NAN = np.nan
FRAMES = 12
SEEN = np.r_[2:9]
TARGETS = {"va": ("valence", "arousal"), "expr": EXPRESSIONS, "au": ACTION_UNITS}
LOSSES = {"va": {"mse": 1}, "expr": {"cross_entropy": 1}, "au": {"bce": 1}}


def f4(rows):
    return np.array(rows, np.float32)


def test_averages_are_weighted_among_those_who_know() -> None:
    members = [
        {"va": f4([[1, 0], [NAN, NAN], [NAN, NAN]])},
        {"va": f4([[0, 1], [0.5, 1], [NAN] * 2])},
    ]
    joined = join_values(members, Average(), (3, 1), {"va": ("v", "a")})
    np.testing.assert_allclose(joined["va"], [[0.75, 0.25], [0.5, 1], [NAN, NAN]])
    assert joined["va"].dtype == np.float32


def certain(classes, width=8):
    rows = np.full((len(classes), width), 0.01, np.float32)
    rows[np.arange(len(classes)), classes] = 1
    rows[np.array(classes) < 0] = NAN
    return rows


@pytest.mark.parametrize("width", [7, 8])
def test_the_meta_classifier_decides(width: int) -> None:
    # Frame 0: 2 goes before 5; frame 1: the majority; frame 2: a single prediction; frame 3: none.
    predicted = [[5, 4, -1, -1], [2, 4, 6, -1], [5, 0, -1, -1]]
    members = [{"expr": certain(classes, width)} for classes in predicted]
    joined = join_values(members, Vote(), (1, 1, 1), {"expr": EXPRESSIONS[:width]})["expr"]
    expected = np.eye(width, dtype=np.float32)[[2, 4, 6, 0]]
    expected[3] = NAN
    np.testing.assert_array_equal(joined, expected)
    majority = join_values(members, Vote(priority=()), (1, 1, 1), {"expr": EXPRESSIONS[:width]})
    assert majority["expr"][0].argmax() == 5


def test_ties_go_to_the_likelier() -> None:
    a, b = certain([4]), certain([6])
    a[0, 4] = 0.6
    members = [{"expr": a}, {"expr": b}]
    assert join_values(members, Vote(), (1, 1), TARGETS)["expr"].argmax() == 6


def test_two_units_of_four() -> None:
    predicted = f4([[0.9, 0.1, 0.5], [0.6, 0.6, NAN], [0.1, 0.2, NAN], [0.2, 0.3, NAN]])[:, None]
    members = [{"au": units} for units in predicted]
    joined = join_values(members, Vote(at_least=2), (1,) * 4, {"au": ("AU1", "AU2", "AU4")})
    # The last one has been seen by a single model.
    np.testing.assert_array_equal(joined["au"], [[1, 0, 1]])


def test_a_vote_averages_valence() -> None:
    members = [{"va": f4([[1, 0]])}, {"va": f4([[0, 0]])}]
    np.testing.assert_allclose(join_values(members, Vote(), (1, 1), TARGETS)["va"], [[0.5, 0]])


def test_classes_of_other_data() -> None:
    members = [{"expr": certain([1], 3)}] * 2
    targets = {"expr": ("calm", "cross", "sad")}
    with pytest.raises(UsageError, match="the challenge's expressions"):
        join_values(members, Vote(), (1, 1), targets)
    assert join_values(members, Vote(priority=()), (1, 1), targets)["expr"].argmax() == 1
    with pytest.raises(UsageError, match="9 classes cannot be voted on"):
        join_values(members, Vote(priority=()), (1, 1), {"expr": tuple("abcdefghi")})
    join_values(members, Average(), (1, 1), targets)


def test_the_vector_of_a_stack() -> None:
    """The paper's F_j: the valences, then the arousals."""
    members = [{"va": f4([[i / 10, -i / 10], [NAN, NAN]])} for i in range(1, 6)]
    members[3]["va"][0] = NAN
    vector = stacked_values(members)
    assert vector.dtype == np.float32
    # The fourth says what the others say on average.
    np.testing.assert_allclose(
        vector[0], [0.1, 0.2, 0.3, 0.275, 0.5, -0.1, -0.2, -0.3, -0.275, -0.5], rtol=1e-6
    )
    assert np.isnan(vector[1]).all()
    assert stacked_names(["a", "b"], {"va": ("valence", "arousal")}) == (
        "valence a", "valence b", "arousal a", "arousal b"
    )  # fmt: skip


@given(
    members=st.integers(1, 4),
    frames=st.integers(0, 5),
    widths=st.lists(st.integers(1, 3), min_size=1, max_size=3),
    seed=st.integers(0, 99),
)
def test_every_opinion_has_its_column(members, frames, widths, seed) -> None:
    tasks = dict(zip(("au", "va", "expr"), widths, strict=False))
    rng = np.random.default_rng(seed)
    predicted = [
        {t: f4(rng.normal(size=(frames, w))) for t, w in tasks.items()} for _ in range(members)
    ]
    targets = {task: [f"{task}{i}" for i in range(width)] for task, width in tasks.items()}
    names = [str(i) for i in range(members)]
    columns = dict(zip(stacked_names(names, targets), stacked_values(predicted).T, strict=True))
    for task, width in tasks.items():
        for i in range(width):
            for member in range(members):
                np.testing.assert_array_equal(
                    columns[f"{task}{i} {member}"], predicted[member][task][:, i]
                )


def test_folds_are_averaged() -> None:
    models = [{"va": f4([[0, 1], [NAN, NAN]])}, {"va": f4([[1, 1], [NAN, NAN]])}]
    np.testing.assert_allclose(mean_values(models)["va"], [[0.5, 1], [NAN, NAN]])


def test_opinions_as_features() -> None:
    features = StackFeatures(f4([[1, 2], [3, 4]]))
    assert (features.frames, features.specs) == (2, {"opinions": ArraySpec((2,), "float32")})
    np.testing.assert_array_equal(features.array("opinions", 1), [[3, 4]])
    with pytest.raises(KeyError):
        features.array("audio")


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory):
    rng = np.random.default_rng(0)
    face = {"face_pose": rng.normal(size=(FRAMES, 3)).astype(np.float32)}
    return spooled(tmp_path_factory.mktemp("spool"), FRAMES, SEEN, face, {}, confidence=0.9)


def save(folder, seed, features="face_pose", width=3, tasks=("va", "expr", "au"), **facts):
    tree = {
        "name": folder.name,
        "branches": {"b": {"features": [features], "normalise": "none",
                           "layers": [{"kind": "mlp", "units": [4]}]}},
        "tasks": {task: {"terms": LOSSES[task]} for task in tasks},
        "window": {"length": 5},
    }  # fmt: skip
    targets = {task: TARGETS[task] for task in tasks}
    checkpoint = Checkpoint(parse_recipe(tree, ""), targets, {"b": width}, **facts)
    torch.manual_seed(seed)
    save_checkpoint(folder, checkpoint, checkpoint.build())
    return json.loads((folder / "checkpoint.json").read_text())["sha256"]


@pytest.fixture
def folder(tmp_path: Path):
    """Two members of two models each, averaged with weights."""
    members = {
        member: {f"members/{member}/{i}": save(tmp_path / f"members/{member}/{i}", 2 * v + i)
                for i in range(2)}
        for v, member in enumerate("ab")
    }  # fmt: skip
    joined = Joined("both", members, Average(), (1, 3), metrics={"va": 0.25}, validation=7)
    joined.save(tmp_path)
    return tmp_path


def member_predictions(folder, subject):
    return {
        member: [Trained(folder / path).predict(subject, TARGETS) for path in models]
        for member, models in Joined.load(folder).members.items()
    }


def test_a_prediction_is_what_its_models_say(folder, subject) -> None:
    out = Ensemble(folder).predict(subject, ("va", "expr", "au"))
    assert (out.subject, out.model, out.tasks) == ("clip", "both", ("va", "expr", "au"))
    each = member_predictions(folder, subject)
    for task in TARGETS:
        a, b = (
            np.mean([getattr(prediction, task) for prediction in each[name]], axis=0)
            for name in "ab"
        )
        np.testing.assert_allclose(getattr(out, task), (a + 3 * b) / 4, atol=1e-6)
    assert np.isnan(out.va[~out.present]).all()
    assert not np.isnan(out.va[SEEN]).any()
    assert Ensemble(folder).predict(subject, ("va",)).tasks == ("va",)


def test_members_keep_what_was_tuned_for_them(folder, subject) -> None:
    """As it was when they were joined: what is tuned later changes nothing."""
    how = {"members/a/0": Tuning("va=box:1,expr=off,au=off", {"AU1": 0.9})}
    replace(Joined.load(folder), tuned=how).save(folder)
    joined = Joined.load(folder)
    assert joined.tuned == how
    out = Ensemble(folder).predict(subject, tuple(TARGETS))
    each = member_predictions(folder, subject)
    for task in TARGETS:
        raw = {name: [getattr(p, task) for p in some] for name, some in each.items()}
        raw["a"][0] = joined.after("members/a/0").applied(
            task, TARGETS[task], raw["a"][0], np.asarray(subject.times)
        )
        a, b = (np.mean(raw[name], axis=0) for name in "ab")
        np.testing.assert_allclose(getattr(out, task), (a + 3 * b) / 4, atol=1e-6)
    folder_of_b = folder / "members/b/0"
    sha = json.loads((folder_of_b / "checkpoint.json").read_text())["sha256"]
    Postprocess("box:1", {}, sha).save(folder_of_b)
    again = Ensemble(folder).predict(subject, tuple(TARGETS))
    np.testing.assert_array_equal(again.va, out.va)
    assert "1 models by what was tuned for each" in Ensemble(folder).notes


def test_the_whole_is_tuned(folder, subject) -> None:
    plain = Ensemble(folder)
    config = with_checkpoint(PredictConfig(), folder)
    assert (plain.smooth, config.postprocess) == ("off", None)
    about = {"subjects": ["x"]}
    after = Postprocess("va=box:1,expr=off,au=off", {"AU1": 0.9}, config.weights, about)
    after.save(folder)
    tuned = Ensemble(folder)
    assert tuned.smooth == after.smooth
    assert tuned.clips["tuned"] == ("x",)
    assert "tuned on validation clips: smoothing" in tuned.notes[2]
    limits = tuned.predict(subject, ("au",)).au_thresholds
    assert limits is not None and limits[ACTION_UNITS.index("AU1")] == 0.9
    assert tuned.fingerprint != plain.fingerprint
    assert with_checkpoint(PredictConfig(), folder).postprocess is not None
    # Joined otherwise it is of something else.
    replace(Joined.load(folder), weights=(1, 2)).save(folder)
    other = Ensemble(folder)
    assert other.smooth == "off"
    assert "of other weights and not used" in other.notes[2]


def test_a_vote(folder, subject) -> None:
    replace(Joined.load(folder), rule=Vote(at_least=2)).save(folder)
    out = Ensemble(folder).predict(subject, ("expr", "au"))
    each = member_predictions(folder, subject)
    both = [np.mean([prediction.au for prediction in each[name]], axis=0) >= 0.5 for name in "ab"]
    np.testing.assert_array_equal(out.au[SEEN], np.logical_and(*both)[SEEN])
    assert set(np.unique(out.expr[SEEN])) == {0, 1}


def test_a_stack(folder, subject) -> None:
    each = member_predictions(folder, subject)
    width = 2 * (2 + 8 + 12)
    sha = save(folder / "stage2/best", 9, "opinions", width, ("va",))
    replace(Joined.load(folder), stack={"stage2/best": sha}).save(folder)
    ensemble = Ensemble(folder)
    assert (ensemble.tasks, ensemble.needs) == (("va",), ("face_pose",))
    out = ensemble.predict(subject, ("va", "expr"))
    assert out.tasks == ("va",)
    raw = [
        {
            task: np.mean([getattr(prediction, task) for prediction in some], axis=0)
            for task in TARGETS
        }
        for some in each.values()
    ]
    features = StackFeatures(stacked_values(raw))
    expected = Trained(folder / "stage2").apply(Clip("c", "c", features))
    np.testing.assert_allclose(out.va, expected.values["va"], atol=1e-5)
    assert np.isnan(out.va[~out.present]).all()
    assert "a network on top" in ensemble.notes[0]
    sha = save(folder / "stage2/best", 9, "opinions", width - 1, ("va",))
    replace(Joined.load(folder), stack={"stage2/best": sha}).save(folder)
    with pytest.raises(CheckpointError, match="does not fit its models"):
        Ensemble(folder)


def test_it_is_built_like_any_checkpoint(folder, subject) -> None:
    config = with_checkpoint(PredictConfig(tasks=("va", "au")), folder)
    assert (config.checkpoint, config.tasks) == (str(folder), ("va", "au"))
    predictor = build_predictor(config)
    assert isinstance(predictor, Ensemble)
    assert predictor.notes == ("both joins 4 models (average)",
                               "validation on 7 other clips: va 0.250")  # fmt: skip
    # What was predicted by other models is predicted again.
    joined = Joined.load(folder)
    replace(joined, weights=(1, 2)).save(folder)
    assert with_checkpoint(PredictConfig(), folder).weights != config.weights


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch):
    """Files of weights that were opened."""
    opened = []

    def counted(path, *arguments, call=checkpoints.read_bytes):
        opened.append(path.parent.relative_to(path.parents[3]).as_posix())
        return call(path, *arguments)

    monkeypatch.setattr(checkpoints, "read_bytes", counted)
    return opened


def test_predicting_loads_each_model_once(folder, loads, tmp_path: Path) -> None:
    config = with_features(with_checkpoint(PredictConfig(), folder))
    # What it reads and predicts is in its JSON.
    assert (config.analysis.encoders, config.tasks, loads) == ((), ("va", "expr", "au"), [])
    with PredictBatch(tmp_path / "out", config) as batch:
        assert isinstance(batch.predictor, Ensemble)
    assert loads == [f"members/{member}/{i}" for member in "ab" for i in range(2)]


def test_facts_are_what_the_loaded_predictor_says(folder, subject, loads) -> None:
    width = 2 * (2 + 8 + 12)
    for stack in ({}, {"stage2/x/best": save(folder / "stage2/x/best", 9, "opinions", width,
                                             ("va",))}):  # fmt: skip
        replace(Joined.load(folder), stack=stack).save(folder)
        for place in (folder, folder / "members/a/0"):
            config = PredictConfig(checkpoint=str(place))
            facts, before = facts_of(config), len(loads)
            loaded = build_predictor(config)
            assert (facts.name, facts.tasks, facts.needs) == (
                loaded.name, loaded.tasks, loaded.needs)  # fmt: skip
            assert before < len(loads)
    save(folder / "members/a/0", 77)
    with pytest.raises(CheckpointError, match=r"is not the model that 'joined\.json' means"):
        facts_of(PredictConfig(checkpoint=str(folder)))


def test_features_made_otherwise_are_refused(folder, subject) -> None:
    faces = {"faces": {"aligner": "mesh", "crop_size": 112}}
    facts = json.loads((folder / "members/b/1/checkpoint.json").read_text())
    (folder / "members/b/1/checkpoint.json").write_text(json.dumps(facts | {"features": faces}))
    other = {"faces": {"aligner": "fan", "crop_size": 112}}
    with pytest.raises(FeatureError, match="other settings of 'faces'"):
        Ensemble(folder).require_settings(other)


def test_artificial_data_is_told(folder) -> None:
    sha = save(folder / "members/a/0", 0, data={"synthetic": True})
    joined = Joined.load(folder)
    members = {name: dict(some) for name, some in joined.members.items()}
    members["a"]["members/a/0"] = sha
    replace(joined, members=members).save(folder)
    assert "ARTIFICIAL" in Ensemble(folder).notes[-1]


def test_one_that_is_not_finished(tmp_path: Path) -> None:
    assert not is_ensemble(tmp_path)
    (tmp_path / "ensemble.json").write_text("{}")
    assert is_ensemble(tmp_path)
    for build in (Ensemble, lambda place: with_checkpoint(PredictConfig(), place)):
        with pytest.raises(CheckpointError, match="is not finished: run the same"):
            build(tmp_path)


@pytest.mark.parametrize(
    "path", ["/etc", "../elsewhere", "members/../../elsewhere", "out", "out/x", "a\0b", ".."]
)
def test_models_outside_are_never_opened(path: str, folder) -> None:
    (folder.parent / "elsewhere").mkdir(exist_ok=True)
    (folder / "out").symlink_to(folder.parent / "elsewhere")
    tree = json.loads((folder / "joined.json").read_text())
    for change in (
        {"voters": {"a": {path: "0"}, "b": {"members/b/0": "0"}}},
        {"stack": {path: "0"}},
    ):
        (folder / "joined.json").write_text(json.dumps(tree | change))
        with pytest.raises(CheckpointError, match="names a model outside its folder"):
            Ensemble(folder)


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"voters": {}},
        {"voters": {"a": {}}},
        {"voters": [["a"]]},
        {"voters": {"a": {"members/a/0": "0"}}},
        {"weights": [1]},
        {"weights": ["x", 1]},
        {"rule": {"kind": "sum"}},
        {"rule": {"kind": "vote", "priority": [99]}},
        {"stack": {"a": "0", "b": "0"}},
        {"validation": None},
        {"tuned": {"members/a/0": {"smooth": "often"}}},
        {"tuned": {"members/a/0": {"au_thresholds": {"AU1": 2}}}},
    ],
)
def test_a_damaged_file(change, folder) -> None:
    tree = json.loads((folder / "joined.json").read_text())
    (folder / "joined.json").write_text(json.dumps(tree | change))
    with pytest.raises(CheckpointError, match="is damaged or not written by avaffect"):
        Ensemble(folder)
    (folder / "joined.json").write_text("{" * 3)
    with pytest.raises(CheckpointError, match="is damaged"):
        Joined.load(folder)


def test_another_model_in_a_members_place(folder) -> None:
    save(folder / "members/a/0", 77)
    with pytest.raises(CheckpointError, match="is not the model that"):
        Ensemble(folder)


def test_models_of_different_targets(folder) -> None:
    sha = save(folder / "members/a/0", 0, tasks=("va",))
    joined = Joined.load(folder)
    members = {name: dict(some) for name, some in joined.members.items()}
    members["a"]["members/a/0"] = sha
    replace(joined, members=members).save(folder)
    with pytest.raises(CheckpointError, match="do not predict the same targets"):
        Ensemble(folder)
