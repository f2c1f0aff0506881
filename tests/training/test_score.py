"""Validation scores against scikit-learn and the CCC's formula, on what the network says."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score

from avaffect.datasets.clip import Dataset
from avaffect.networks.apply import ClipPrediction, apply_network
from avaffect.networks.network import AffectNetwork
from avaffect.training.processes import Processes
from avaffect.training.score import decisions, pair_of, validate
from avaffect.windows.cut import cut
from avaffect.windows.reader import WindowReader

CPU = torch.device("cpu")


def group(rank=0, world=1, other=()):
    """A process whose partners have found ``other``."""
    made = Processes(rank, world, CPU, "CPU")
    if world > 1:
        answers = iter(other)
        object.__setattr__(made, "gather", lambda value: [value, next(answers)])
    return made


@pytest.fixture
def made(recipe, dataset: Dataset):
    """Network, reader of the validation clips, and names of the targets."""
    tasks = ("va", "expr", "au")
    chosen = recipe(tasks=tasks)
    clips = dataset.of("val")
    sizes = {task: len(dataset.targets[task]) for task in tasks}
    reader = WindowReader(clips, chosen.branches, cut([c.frames for c in clips], 12, 4), sizes)
    torch.manual_seed(1)
    return AffectNetwork(chosen, reader.widths, sizes), reader, dict(dataset.targets)


def test_scores_by_another_way(made) -> None:
    network, reader, targets = made
    scores = validate(network, reader, targets, group())
    predictions = list(apply_network(network, reader, CPU))
    decided = {
        t: np.concatenate([predicted.values[t] for predicted in predictions]) for t in targets
    }
    true = {t: np.concatenate([clip.labels[t] for clip in reader.clips]) for t in targets}
    seen = ~np.isnan(decided["va"][:, 0])
    assert 0 < seen.sum() < len(seen)
    for at, name in enumerate(targets["va"]):
        use = seen & ~np.isnan(true["va"][:, at])
        x, y = decided["va"][use, at].astype(float), true["va"][use, at].astype(float)
        ccc = 2 * np.cov(x, y, bias=True)[0, 1] / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)
        assert scores[f"va CCC {name}"] == pytest.approx(ccc)
    assert scores["va"] == pytest.approx((scores["va CCC valence"] + scores["va CCC arousal"]) / 2)
    use = seen & (true["expr"] >= 0)
    x, y = np.nan_to_num(decided["expr"])[use].argmax(1), true["expr"][use]
    macro = f1_score(y, x, labels=range(3), average="macro", zero_division=0)
    assert scores["expr"] == scores["expr macro F1"] == pytest.approx(macro)
    assert scores["expr accuracy"] == pytest.approx(accuracy_score(y, x))
    units = []
    for at, name in enumerate(targets["au"]):
        use = seen & (true["au"][:, at] >= 0)
        units.append(f1_score(true["au"][use, at], decided["au"][use, at] >= 0.5, zero_division=0))
        assert scores[f"au F1 {name}"] == pytest.approx(units[-1])
    assert scores["au"] == pytest.approx(np.mean(units))
    assert scores["score"] == pytest.approx(scores["va"] + scores["expr"] + scores["au"])


def test_whichever_way_clips_are_shared(made) -> None:
    network, reader, targets = made
    whole = validate(network, reader, targets, group())
    shares = []
    for rank in (0, 1):
        caught = []
        members = group(rank, 2, [[]] * 3)
        object.__setattr__(members, "gather", lambda value, c=caught: c.append(value) or [value])
        validate(network, reader, targets, members)
        shares.append(caught)
    assert [[clip for clip, *_ in some[0]] for some in shares] == [[0, 2], [1]]
    assert validate(network, reader, targets, group(0, 2, shares[1])) == whole


def test_clips_without_a_tasks_labels_do_not_count_in_it(made) -> None:
    network, reader, targets = made
    whole = validate(network, reader, targets, group())
    bare = {k: v for k, v in reader.clips[0].labels.items() if k != "au"}
    reader.clips = (replace(reader.clips[0], labels=bare), *reader.clips[1:])
    scores = validate(network, reader, targets, group())
    assert (scores["va"], scores["expr"]) == (whole["va"], whole["expr"])
    assert scores["au"] != whole["au"]


def test_whole_clips_are_scored_by_their_mean_prediction() -> None:
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7], [np.nan, np.nan]], np.float32)
    predicted = ClipPrediction(0, {"expr": probabilities}, {})
    # Frame by frame class 1 has more votes; the mean is for class 0? (.467, .533): no, for 1.
    decided, true = pair_of("expr", predicted, np.array([0, 0, 0, 0]), per_clip=True)
    assert (decided.tolist(), true.tolist()) == ([1], [0])
    probabilities[1:3] = [0.4, 0.6]
    decided, _ = pair_of("expr", predicted, np.array([0, 0, 0, 0]), per_clip=True)
    assert decided.tolist() == [0]  # two frames of three are for 1, their mean is not
    va = ClipPrediction(
        0, {"va": np.array([[0.5, 0.1], [np.nan] * 2, [0.1, 0.3]], np.float32)}, {}
    )
    decided, true = pair_of("va", va, np.full((3, 2), 0.25, np.float32), per_clip=True)
    np.testing.assert_allclose(decided, [[0.3, 0.2]])
    np.testing.assert_array_equal(true, [[0.25, 0.25]])


@pytest.mark.parametrize(("task", "width"), [("va", 2), ("expr", 3), ("au", 2)])
def test_a_clip_of_which_nothing_is_known_has_no_decision(task: str, width: int) -> None:
    predicted = ClipPrediction(0, {task: np.full((4, width), np.nan, np.float32)}, {})
    labels = {"va": np.zeros((4, 2)), "expr": np.zeros(4, int), "au": np.zeros((4, 2), int)}[task]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        decided, true = pair_of(task, predicted, labels, per_clip=True)
    assert len(decided) == len(true) == 1
    missing = np.isnan(decided) if task == "va" else decided == -1
    assert missing.all()


def test_decisions() -> None:
    known = np.array([True, True, False])
    va = decisions("va", np.array([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]], np.float32), known)
    np.testing.assert_allclose(va, [[0.1, 0.2], [0.3, 0.4], [np.nan, np.nan]])
    expr = np.array([[0.1, 0.9], [0.5, 0.5], [np.nan, np.nan]], np.float32)
    assert decisions("expr", expr, known).tolist() == [1, 0, -1]
    au = np.array([[0.5, 0.49], [0.0, 1.0], [np.nan, np.nan]], np.float32)
    assert decisions("au", au, known).tolist() == [[1, 0], [0, 1], [-1, -1]]
