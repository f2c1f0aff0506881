"""Tuning on validation tables: what is chosen, what it is honestly worth, and where it goes."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from avaffect.errors import FormatError, InputNotFoundError, UsageError
from avaffect.files.table import read_table, write_table
from avaffect.labels import ACTION_UNITS, EXPRESSIONS
from avaffect.metrics.arrays import score_arrays
from avaffect.networks.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from avaffect.predicting.tune import GRID, OFF, tune
from avaffect.predictions.postprocess import load_postprocess
from avaffect.predictions.smooth import parse_smoothing, smooth
from avaffect.predictors.ensemble import Ensemble
from avaffect.predictors.joined import Joined
from avaffect.predictors.trained import Trained
from avaffect.progress import Notice
from avaffect.recipes.ensemble_recipe import Average
from avaffect.recipes.library import parse_recipe

TARGETS = {"va": ("valence", "arousal"), "expr": EXPRESSIONS, "au": ACTION_UNITS}
LOSSES = {"va": {"mse": 1}, "expr": {"cross_entropy": 1}, "au": {"bce": 1}}
FRAMES, FPS = 240, 30


@pytest.fixture
def checkpoint():
    """Writes a network that nobody asks anything."""

    def make(folder, targets=TARGETS, **facts):
        branch = {"modality": "video", "features": ["x"], "layers": [{"kind": "gru"}]}
        tasks = {task: {"terms": LOSSES[task]} for task in targets}
        recipe = parse_recipe({"name": "tiny", "branches": {"face": branch}, "tasks": tasks}, "")
        made = Checkpoint(recipe, targets, {"face": 4}, **facts)
        torch.manual_seed(0)
        save_checkpoint(folder, made, made.build())
        return load_checkpoint(folder)[0].sha256

    return make


def slow(rng, columns):
    """[N, columns] that change over seconds, in -1..1."""
    steps = rng.normal(size=(FRAMES, columns))
    walk = smooth(steps, np.arange(FRAMES) / FPS, "gaussian", 5)
    return np.clip(walk / np.abs(walk).max(axis=0), -1, 1)


def clip(path, seed, noise=0.6, time=True, group=None, sha256=""):
    """A clip whose truth is slow, and about which the network is jittery and shy."""
    rng = np.random.default_rng(seed)
    table = {"frame": np.arange(1, FRAMES + 1), "seen_face": np.ones(FRAMES, bool)}
    if time:
        table["time"] = np.arange(FRAMES) / FPS
    missing = rng.random(FRAMES) < 0.1
    va, classes, units = slow(rng, 2), slow(rng, 8).argmax(axis=1), slow(rng, 12) > 0.2
    columns = {"valence": va[:, 0], "arousal": va[:, 1]}
    columns = {
        name: np.clip(values + rng.normal(0, noise, FRAMES), -1, 1)
        for name, values in columns.items()
    }
    logits = np.eye(8)[classes] + rng.normal(0, 2 * noise, (FRAMES, 8))
    odds = np.exp(logits)
    columns |= {f"p_{name}": values for name, values in zip(
        EXPRESSIONS, (odds / odds.sum(axis=1, keepdims=True)).T, strict=True)}  # fmt: skip
    # Present means .3 here.
    columns |= {
        f"{name}_p": np.clip(0.15 + 0.15 * units[:, at] + rng.normal(0, 0.05, FRAMES), 0, 1)
        for at, name in enumerate(ACTION_UNITS)
    }
    for name, values in columns.items():
        table[name] = np.where(missing, np.nan, values).astype(np.float32)
    table["label_valence"], table["label_arousal"] = va.T.astype(np.float32)
    table["label_valence"][:5] = np.nan
    table["label_expression"] = np.where(np.arange(FRAMES) < 9, -1, classes)
    for at, name in enumerate(ACTION_UNITS):
        table[f"label_{name}"] = units[:, at].astype(np.int8)
    about = {"clip": path.stem, "model": "tiny", "sha256": sha256} | (
        {} if group is None else {"group": group}
    )
    write_table(path, table, about)


@pytest.fixture
def run(tmp_path: Path, checkpoint):
    """A run of four videos, one of them with two people."""
    root = tmp_path / "run"
    checkpoint(root / "best")
    for seed, name in enumerate(("a", "b", "c_left", "c_right", "d")):
        clip(root / f"validation/tables/{name}.parquet", seed)
    return root


def test_noise_is_smoothed_and_thresholds_go_down(run) -> None:
    events = []
    done = tune(run, on_event=events.append)
    assert (done.clips, done.groups) == (5, 4)
    assert done.files == (run / "best/postprocess.json",)
    chosen = parse_smoothing(done.postprocess.smooth)
    assert all(chosen.of(task).seconds >= 0.2 for task in TARGETS)
    steps = {(step.task, step.what): step for step in done.steps}
    for step in steps.values():
        if (step.task, step.what) == ("au", "smoothing"):
            # Never sure of any unit: smoothing alone does nothing for it.
            assert (step.without, step.cross_validated, step.kept) == (0, 0, False)
        else:
            assert step.kept
            assert step.without < step.cross_validated <= step.optimistic + 0.02
    assert list(steps) == [*((task, "smoothing") for task in TARGETS), ("au", "with thresholds")]
    assert set(done.postprocess.au_thresholds) == set(ACTION_UNITS)
    assert all(0.15 < limit < 0.3 for limit in done.postprocess.au_thresholds.values())
    assert not any(isinstance(event, Notice) for event in events)
    # Its predictor takes it up.
    model = Trained(run)
    assert model.smooth == done.postprocess.smooth
    saved = load_postprocess(run / "best")
    assert saved.weights == model.checkpoint.sha256
    assert saved.chosen_on["clips"] == len(saved.chosen_on["subjects"]) == 5
    assert saved.chosen_on["assumed_fps"] is None
    assert json.loads((run / "best/postprocess.json").read_text())["smooth"] == model.smooth


def test_scores_are_those_of_the_tables(run) -> None:
    (va,) = [step for step in tune(run, thresholds=False).steps if step.task == "va"]
    best = parse_smoothing(va.chosen)
    scores = []
    for how in (OFF, best):
        pairs = []
        for path in sorted((run / "validation/tables").glob("*")):
            columns, _ = read_table(path)
            predicted, true = (
                np.stack([columns[f"{kind}{name}"] for name in TARGETS["va"]], axis=1)
                for kind in ("", "label_")
            )
            predicted = smooth(predicted, columns["time"], how.kind, how.seconds)
            pairs.append((np.clip(predicted, -1, 1), true))
        scores.append(score_arrays("va", pairs, TARGETS["va"])[0])
    assert [va.without, va.optimistic] == pytest.approx(scores, abs=1e-6)


def test_what_gains_nothing_elsewhere_is_not_kept(tmp_path: Path, checkpoint) -> None:
    root = tmp_path / "run"
    checkpoint(root / "best", {"va": TARGETS["va"]})
    for seed in range(4):
        clip(root / f"validation/tables/{seed}.parquet", seed, noise=0)
    done = tune(root)
    (step,) = done.steps
    assert not step.kept
    assert step.cross_validated <= step.without
    assert done.postprocess.smooth == "va=off,expr=off,au=off"
    assert done.postprocess.au_thresholds == {}


def test_folds_are_taken_together(tmp_path: Path, checkpoint) -> None:
    root, hashes = tmp_path / "run", []
    for fold in range(2):
        hashes.append(checkpoint(root / f"fold-{fold}/best", {"va": TARGETS["va"]}))
        clip(root / f"fold-{fold}/validation/tables/v{fold}.parquet", fold, time=False)
    events = []
    done = tune(root, on_event=events.append)
    assert done.files == tuple(root / f"fold-{fold}/best/postprocess.json" for fold in range(2))
    assert done.clips == 2
    assert [load_postprocess(path.parent).weights for path in done.files] == hashes
    (notice,) = [event for event in events if isinstance(event, Notice)]
    assert "30 frames a second are assumed" in notice.text
    assert load_postprocess(done.files[0].parent).chosen_on["assumed_fps"] == 30


def test_the_whole_of_an_ensemble(run, checkpoint) -> None:
    """What its members say together is tuned, and the folder gets it."""
    shas = {f"members/{name}/best": checkpoint(run / f"members/{name}/best") for name in "ab"}
    members = {path.split("/")[1]: {path: sha} for path, sha in shas.items()}
    joined = Joined("both", members, Average(), (1, 1))
    joined.save(run)
    done = tune(run)
    assert done.files == (run / "postprocess.json",)
    assert load_postprocess(run).weights == joined.fingerprint
    model = Ensemble(run)
    assert model.smooth == done.postprocess.smooth != "va=off,expr=off,au=off"
    assert len(done.postprocess.au_thresholds) == 12


def test_clips_that_the_network_knows_are_told(tmp_path: Path, checkpoint) -> None:
    """By name, by the other person of a video, or by the video's content."""
    root = tmp_path / "run"
    data = {
        "clips": {"train": ["a", "c_right"], "val": ["b"]},
        "videos": {"train": ["1f"], "val": []},
    }
    checkpoint(root / "best", {"va": TARGETS["va"]}, data=data)
    for seed, name in enumerate(("a", "b", "c_left", "d", "e")):
        clip(root / f"validation/tables/{name}.parquet", seed, sha256="1f" if name == "d" else "")
    events = []
    tune(root, thresholds=False, on_event=events.append)
    told = [event for event in events if isinstance(event, Notice)]
    assert {notice.text for notice in told} == {
        "3 of 5 clips that are tuned on are clips that the model was trained on: their score is "
        "no test of it",
        "1 of 5 clips that are tuned on are clips that its best epoch was chosen on: somewhat "
        "optimistic",
    }
    assert all(notice.warning for notice in told)
    # What was tuned on is known by its content too.
    assert "sha256:1f" in load_postprocess(root / "best").clips


def test_groups_are_those_of_the_data(tmp_path: Path, checkpoint) -> None:
    root = tmp_path / "run"
    checkpoint(root / "best", {"va": TARGETS["va"]})
    for seed in range(3):
        clip(root / f"validation/tables/{seed}.parquet", seed, group="one person")
    with pytest.raises(UsageError, match="two groups"):
        tune(root)


def test_what_cannot_be_tuned_is_refused(tmp_path: Path, run, checkpoint) -> None:
    with pytest.raises(InputNotFoundError, match="no validation tables"):
        tune(tmp_path / "nowhere")
    checkpoint(run / "best", per_clip=True)
    with pytest.raises(UsageError, match="whole clips"):
        tune(run)
    checkpoint(run / "best", TARGETS | {"au": ("AU1", "AU99")})
    with pytest.raises(FormatError, match=r"validation table .there is no 'AU99_p'"):
        tune(run)


def test_the_grid_begins_with_nothing_and_grows() -> None:
    assert GRID[0] == OFF
    assert len(set(GRID)) == len(GRID)
    assert all(first.seconds <= second.seconds for first, second in pairwise(GRID))
    # What public work found on Aff-Wild2 is among it.
    assert {parse_smoothing("box:3.4"), parse_smoothing("box:0.2")} <= set(GRID)
