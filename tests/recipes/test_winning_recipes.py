"""Recipes after the systems that did best: each setting is the one that docs/howto/winning.md
names with its source, and each learns on clips whose labels its branches can see and hear."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixtures.trained import Memory
from numpy.typing import NDArray

from avaffect.datasets.clip import Clip, Dataset
from avaffect.files.outside import parse_yaml, read_yaml
from avaffect.labels import EXPRESSIONS
from avaffect.metrics.arrays import score_arrays
from avaffect.predictions.smooth import parse_smoothing, smooth
from avaffect.recipes.ensemble_recipe import ensemble_names, ensemble_path, load_ensemble
from avaffect.recipes.library import load_recipe, recipe_path
from avaffect.training.loop import train

PAGE = Path(__file__).parents[2] / "docs/howto/winning.md"
SINGLE = (
    "abaw10-expr-gate-fold",
    "va-multifeature-bigru",
    "va-multifeature-transformer",
    "au-av-transformer",
)
SEVERAL = ("abaw10-expr-gate", "va-multifeature")
ROW = re.compile(r"\| `([^`]+)` \| `([^`]+)` \| (.+) \|")


def documented(name: str) -> dict[str, Any]:
    """By setting, the value in the page's table of a recipe."""
    text = PAGE.read_text("utf-8").partition("## Every setting")[2]
    table = re.split(r"\n\*\*`", text.partition(f"\n**`{name}`**")[2])[0]
    return {key: parse_yaml(value) for key, value, _ in ROW.findall(table)}


def settings(tree: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if key in ("about", "source", "extends"):
            continue
        if isinstance(value, dict):
            yield from settings(value, f"{above}{key}.")
        elif isinstance(value, list) and isinstance(value[0], dict):
            yield from ((f"{above}{key}.{at}", each) for at, each in enumerate(value))
        else:
            yield above + key, value


@pytest.mark.parametrize("name", [*SINGLE, *SEVERAL])
def test_every_setting_is_in_the_table_with_its_source(name: str) -> None:
    path = ensemble_path(name) if name in ensemble_names() else recipe_path(name)
    tree = read_yaml(path)
    assert isinstance(tree, dict)
    found = dict(settings(tree))
    assert documented(name) == found
    assert tree.get("extends") or tree["source"].endswith("docs/howto/winning.md")


@pytest.mark.parametrize("name", SINGLE)
def test_what_is_read_is_what_the_table_says(name: str) -> None:
    whole = load_recipe(name).to_dict()
    for key, value in documented(name).items():
        at: Any = whole
        for part in key.split("."):
            at = at[int(part)] if isinstance(at, list) else at[part]
        if isinstance(value, dict):
            assert value.items() <= at.items(), key
        else:
            assert at == (float(value) if isinstance(at, float) else value), key


def test_the_ensembles_are_of_these_recipes() -> None:
    gate = load_ensemble("abaw10-expr-gate")
    assert [member.recipe for member in gate.members] == [load_recipe("abaw10-expr-gate-fold")]
    several = load_ensemble("va-multifeature")
    lengths = {member.name: member.recipe.window.length for member in several.members}
    assert lengths == {
        "bigru-150": 150,
        "bigru-300": 300,
        "transformer-150": 150,
        "transformer-300": 300,
    }
    assert {member.recipe.fusion.layers[0].kind for member in several.members} == {
        "bigru",
        "transformer",
    }


@pytest.mark.parametrize(
    ("name", "task"), [("abaw10-expr-gate", "expr"), ("va-multifeature", "va")]
)
def test_the_smoothing_is_over_101_frames_at_30_a_second(name: str, task: str) -> None:
    how = parse_smoothing(load_ensemble(name).smooth).of(task)
    assert how.kind == ("median" if task == "expr" else "box")
    impulse = np.zeros((301, 1))
    impulse[150] = 1
    reached = smooth(impulse, np.arange(301) / 30, "box", how.seconds)
    assert np.count_nonzero(reached) == 101


FRAMES, CLIPS, HELD = 96, 24, 8
UNITS = ("AU1", "AU4", "AU12", "AU25")
TARGETS = {"va": ("valence", "arousal"), "expr": EXPRESSIONS, "au": UNITS}
# By array, how many values it has here; all of one net are of one width in truth.
STAND_INS = {
    "dinov2-large": 24,
    "face-units": 20,
    "face-expression": 16,
    "wav2vec2-large": 24,
    "hubert-large": 20,
    "wavlm-large": 16,
}
HEARD = ("wav2vec2-large", "hubert-large", "wavlm-large")


def waves(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    at = np.arange(FRAMES)[:, None] / FRAMES
    return np.sin(2 * np.pi * (at * rng.uniform(0.5, 3, count) + rng.uniform(0, 1, count)))


def make_clip(number: int, split: str) -> Clip:
    """Faces show valence, half of the classes' bits and of the units; voices the other halves.

    An embedding is a fixed random map of what is shown, and of a person's own look, with noise.
    """
    rng = np.random.default_rng((22, number))
    va = waves(rng, 2)
    expr = np.repeat(rng.integers(0, 8, FRAMES // 8), 8)
    bits = np.stack([(expr >> bit) & 1 for bit in range(3)], axis=1) * 2.0 - 1
    drive = waves(rng, 4)
    active = drive > 0.2
    seen = np.column_stack([va[:, 0], bits[:, :2], drive[:, :2]])
    heard = np.column_stack([va[:, 1], bits[:, 2:], drive[:, 2:]])
    person = rng.normal(0, 0.5, 3)
    arrays: dict[str, NDArray[Any]] = {}
    for place, (name, width) in enumerate(STAND_INS.items()):
        shown = heard if name in HEARD else seen
        shown = np.column_stack([shown, np.tile(person, (FRAMES, 1))])
        turn = np.random.default_rng((1, place)).normal(size=(shown.shape[1], width))
        values = np.tanh(shown @ turn / 2) + rng.normal(0, 0.3, (FRAMES, width))
        values[10:14] = np.nan
        arrays[name] = values.astype(np.float16)
    labels: dict[str, NDArray[Any]] = {
        "va": va.astype(np.float32),
        "expr": expr.astype(np.int64),
        "au": active.astype(np.int8),
    }
    return Clip(f"clip{number}", f"clip{number}", Memory(arrays), labels, split)


@pytest.fixture(scope="module")
def embedded() -> Dataset:
    clips = [make_clip(at, "train" if at < CLIPS - HELD else "val") for at in range(CLIPS)]
    return Dataset(tuple(clips), TARGETS)


def best_constant(task: str, clips: tuple[Clip, ...]) -> float:
    """The score of whatever constant is best on these very clips."""
    if task == "va":
        return 0.0
    labels = [clip.labels[task] for clip in clips]
    scores = [
        score_arrays(task, [(np.full_like(label, c), label) for label in labels], TARGETS[task])
        for c in range(8 if task == "expr" else 2)
    ]
    if task == "expr":
        return max(score for score, _ in scores)
    return float(np.mean([max(parts[f"F1 {unit}"] for _, parts in scores) for unit in UNITS]))


SMALLER = {
    "abaw10-expr-gate-fold": ("fusion.size=32", "head.units=[32]", "window.length=16"),
    "va-multifeature-bigru": ("fusion.layers.0.units=[24, 24]", "head.units=[32]"),
    "va-multifeature-transformer": (
        "fusion.layers.0.size=32",
        "fusion.layers.0.layers=2",
        "fusion.layers.0.heads=4",
        "fusion.layers.0.feedforward=64",
        "head.units=[32]",
    ),
    "au-av-transformer": (
        "fusion.layers.0.size=32",
        "fusion.layers.0.layers=2",
        "fusion.layers.0.heads=4",
        "fusion.layers.0.feedforward=64",
        "head.units=[32]",
    ),
}


@pytest.mark.no_cover
@pytest.mark.parametrize("name", SINGLE)
def test_better_than_a_constant(name: str, embedded: Dataset, tmp_path: Path) -> None:
    widths = [f"branches.{b}.layers.0.units=[32]" for b in load_recipe(name).branches]
    length = () if "gate" in name else ("window.length=48", "window.overlap=16")
    fast = ("train.lr=5e-3", "train.batch_size=8", "train.epochs=8", "train.warmup=0")
    fixed = ("train.patience=0", "train.select=last")
    recipe = load_recipe(name, [*widths, *length, *SMALLER[name], *fast, *fixed])
    (task,) = recipe.task_names
    val = embedded.of("val")
    done = train(recipe, embedded, embedded.of("train"), val, tmp_path, seed=1, device="cpu")
    score, constant = done.checkpoint.metrics["score"], best_constant(task, val)
    print(f"{name}: {score:.3f}, best constant {constant:.3f}")
    assert score > constant + 0.2
