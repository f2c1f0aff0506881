"""What is about to be trained, and how long it will take."""

import json
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest

from avaffect.datasets.clip import Clip, Dataset
from avaffect.ensemble.members import Model, Places
from avaffect.ensemble.plan import Plan, Split, plan_of
from avaffect.ensemble.settings import EnsembleConfig
from avaffect.errors import FeatureError, TrainingError, UsageError
from avaffect.predictors.stacking import StackFeatures
from avaffect.recipes.ensemble_recipe import EnsembleRecipe, Member
from avaffect.recipes.library import parse_recipe
from avaffect.training import trial
from avaffect.training.data import DataConfig

TREE = {
    "name": "small",
    "branches": {"b": {"features": ["opinions"], "layers": [{"kind": "mlp", "units": [3]}]}},
    "tasks": {"va": {"terms": {"mse": 1}}},
    "window": {"length": 5},
    "train": {"epochs": 6, "batch_size": 4},
}


def clip(number: int, frames: int = 40, group: str = "") -> Clip:
    rng = np.random.default_rng(number)
    values = rng.normal(size=(frames, 3)).astype(np.float32)
    labels = {"va": np.tanh(values[:, :2])}
    name = f"clip{number}"
    return Clip(name, group or name, StackFeatures(values), labels, "train")


def planned(out: Path, clips: list[Clip], **options) -> Plan:
    folds = options.pop("folds", 3)
    members = options.pop("members", (Member("one", parse_recipe(TREE, "")),))
    recipe = EnsembleRecipe("e", members, folds=folds, **options)
    split = Split(tuple(clips), (), None, ())
    return plan_of(
        EnsembleConfig(recipe, DataConfig("x", labels="y")), split, Places("cpu", ({},)), out
    )


def dataset(clips) -> Dataset:
    return Dataset(tuple(clips), {"va": ("valence", "arousal")}, {})


def test_nothing_is_written_before_it_is_wanted(tmp_path: Path) -> None:
    clips = [clip(i) for i in range(6)]
    plan = planned(tmp_path, clips, repeats=2)
    assert [model.name for model in plan.models] == [
        f"one-{repeat}/fold-{fold}" for repeat in (0, 1) for fold in range(3)
    ]
    assert {model.epochs for model in plan.models} == {6}
    for members in plan.members.values():
        held = [name for model in members for name in model.held]
        assert sorted(held) == [f"clip{i}" for i in range(6)]
    assert list(tmp_path.iterdir()) == []
    plan.write()
    assert json.loads((tmp_path / "members/one-1/folds.json").read_text())["inner"] == 10


def test_a_fold_of_one_group_has_nothing_to_choose_on(tmp_path: Path) -> None:
    clips = [clip(i) for i in range(2)]
    with pytest.raises(UsageError, match=r"one group is left.*set inner to 0"):
        planned(tmp_path, clips, folds=2)
    assert planned(tmp_path, clips, folds=2, inner=0).models


def test_the_time_is_that_of_what_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clips = [clip(i) for i in range(6)]
    plan = planned(tmp_path, clips)
    monkeypatch.setattr("avaffect.ensemble.plan.trial_run", lambda *arguments: (8.0, 100.0))
    around = 12 + 8
    data = dataset(clips)
    assert plan.seconds(data, print) == 3 * (600 + around)
    folder = plan.models[0].folder
    folder.mkdir(parents=True)
    (folder / "log.jsonl").write_text("{}\n{}\n")
    assert plan.seconds(data, print) == 3 * (600 + around) - 200
    (folder / "done.json").write_text("{}")
    assert plan.seconds(data, print) == 2 * (600 + around)
    assert plan.seconds(data, print, anew=True) == 3 * (600 + around)
    gpus = tuple({"CUDA_VISIBLE_DEVICES": str(i)} for i in (0, 1, 0, 1))
    assert replace(plan, where=Places("cuda", gpus)).seconds(data, print) == 600 + around
    # On the CPU two at a time are no faster: they share its cores.
    assert replace(plan, where=Places("cpu", ({}, {}))).seconds(data, print) == 2 * (600 + around)


def test_what_no_training_can_begin_with_is_told_at_once(tmp_path: Path) -> None:
    """Missing features and labels: before anybody is asked to wait, and before any training."""
    clips = [clip(i) for i in range(6)]
    bare = [replace(some, labels={"va": np.full((40, 2), np.nan, np.float32)}) for some in clips]
    with pytest.raises(UsageError, match="label"):
        planned(tmp_path, bare).seconds(dataset(bare), lambda event: None)
    other = json.loads(json.dumps(TREE).replace("opinions", "dinov2-large"))
    member = Member("one", parse_recipe(other, ""))
    plan = planned(tmp_path, clips, members=(member,))
    with pytest.raises(FeatureError, match="dinov2-large"):
        plan.seconds(dataset(clips), lambda event: None)


def test_nobody_knows_the_time_of_what_cannot_be_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> NoReturn:
        raise TrainingError("the GPU's memory is full")

    monkeypatch.setattr("avaffect.ensemble.plan.trial_run", full)
    clips = [clip(i) for i in range(6)]
    assert planned(tmp_path, clips).seconds(dataset(clips), lambda event: None) is None


def test_a_trial_reads_few_clips(monkeypatch: pytest.MonkeyPatch) -> None:
    few, many = [clip(i) for i in range(6)], [clip(i, 400) for i in range(60)]
    recipe = parse_recipe(TREE, "")
    start, epoch = trial.trial_run(recipe, dataset(few), few, "cpu")
    assert start > 0 and epoch > 0
    seen = []

    def watched(*arguments, call=trial.Setup, **options):
        setup = call(*arguments, **options)
        seen.append(len(setup.reader))
        return setup

    monkeypatch.setattr(trial, "Setup", watched)
    trial.trial_run(recipe, dataset(many), many, "cpu")
    # Of 4,800 windows as many as its batches need, in whole clips.
    assert seen == [80]


def test_epochs_are_counted_in_the_log(tmp_path: Path) -> None:
    model = Model(tmp_path / "run", 1, 4)
    assert model.epochs_done == 0
    model.folder.mkdir(parents=True)
    (model.folder / "log.jsonl").write_text("{}\n" * 3)
    assert model.epochs_done == 3
    (model.folder / "log.jsonl").write_text("{}\n" * 9)
    assert model.epochs_done == 4
    (model.folder / "log.jsonl").write_text("")
    (model.folder / "done.json").write_text("{}")
    assert model.epochs_done == 4
