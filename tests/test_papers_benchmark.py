"""`benchmarks/papers.py`: each recipe is in its table or named as left out; the page has it."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from fixtures.benchmarks import benchmark

from avaffect.networks import backbones
from avaffect.recipes.library import load_recipe, recipe_names

papers = benchmark("papers")
PAGE = (Path(__file__).parents[1] / "docs/papers.md").read_text("utf-8")


def test_every_recipe_is_in_the_table_or_said_to_be_left_out() -> None:
    left_out = set(re.findall(r"`([a-z0-9-]+)`", papers.__doc__.partition("Left out")[2]))
    assert set(recipe_names()) == set(papers.REDUCED) | left_out
    assert not set(papers.REDUCED) & left_out


@pytest.mark.parametrize("name", papers.REDUCED)
def test_a_reduced_recipe_is_whole_but_small(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(papers, "BACKBONES", dict(backbones.BACKBONES))
    monkeypatch.setattr(backbones, "BACKBONES", papers.BACKBONES)
    papers.make_backbones_small()
    recipe, whole = load_recipe(name, papers.changes_of(name, False)), load_recipe(name)
    assert set(recipe.branches) == set(whole.branches) and recipe.tasks == whole.tasks
    assert recipe.train.select == "last" and recipe.train.patience == 0


def test_the_page_has_a_row_of_each() -> None:
    table = PAGE.partition("**Recipe by recipe.**")[2]
    for name in papers.REDUCED:
        row = re.search(rf"^\| `{re.escape(name)}` \|.*$", table, re.MULTILINE)
        assert row and all(f"`{change}`" in row[0] for change in papers.REDUCED[name]), name


def test_constants_by_hand() -> None:
    def clip(task: str, labels: np.ndarray) -> SimpleNamespace:
        return SimpleNamespace(labels={task: labels})

    train = [clip("expr", np.array([2, 2, 0, -1]))]
    val = [clip("expr", np.array([2, 0, 2, 0]))]
    names = tuple("abcdefgh")
    # Class 2 everywhere: precision a half, recall 1; the mean is over the eight classes.
    assert papers.constant("expr", train, val, names) == pytest.approx(2 / 3 / 8)
    train = [clip("au", np.array([[0, 0], [0, 1]]))]
    val = [clip("au", np.array([[1, 1], [0, 0]]))]
    assert papers.constant("au", train, val, ("AU1", "AU2")) == pytest.approx(2 / 3 / 2)
    assert papers.constant("va", [], [], ()) == 0


def test_a_row_has_mean_and_spread() -> None:
    run = {"parameters": 1000, "constants": {"va": 0.0}, "gib": None}
    run |= {"training": 10, "inference": 20}
    runs = [{**run, "scores": {"va": score}} for score in (0.2, 0.3, 0.4)]
    cells = papers.row("abaw2-spatial", runs, {"va": 0.25}, False)
    assert cells[:5] == ["`abaw2-spatial`", "1,000", "mean CCC 0.300 ± 0.100", "0.250", "0.000"]
