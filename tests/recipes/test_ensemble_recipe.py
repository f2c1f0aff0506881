"""Ensemble recipes: those of the package and of users, changed, and what is refused."""

import json
from pathlib import Path

import pytest

from avaffect.errors import FormatError, UnknownNameError, UsageError
from avaffect.recipes.ensemble_recipe import (
    Average,
    Stack,
    Vote,
    ensemble_names,
    ensemble_path,
    load_ensemble,
    parse_ensemble,
)
from avaffect.recipes.library import load_recipe, recipe_names

SMALL = """
name: small
branches: {a: {features: [a], layers: [{kind: mlp, units: [3]}]}}
tasks: {va: {terms: {mse: 1}}}
"""
TOP = SMALL.replace("[a]", "[opinions]")
PAIR = """
members:
  - {name: one, recipe: small.yaml}
  - {name: two, recipe: small.yaml, change: {train.lr: 0.5}}
"""
STACK = """
members: [{name: one, recipe: small.yaml}]
folds: 2
join: {kind: stack, recipe: top.yaml}
"""


@pytest.fixture
def user(tmp_path: Path):
    """Writes an ensemble beside two recipes, and gives its path."""
    (tmp_path / "small.yaml").write_text(SMALL)
    (tmp_path / "top.yaml").write_text(TOP)

    def write(text):
        path = tmp_path / "mine.yaml"
        path.write_text(text)
        return path

    return write


@pytest.mark.parametrize("name", ensemble_names())
def test_every_ensemble_is_read_and_written(name) -> None:
    found = load_ensemble(name)
    assert found.name == name
    assert found.about
    assert found.source.endswith(("docs/papers.md", "docs/howto/winning.md"))
    assert parse_ensemble(json.loads(json.dumps(found.to_dict())), "") == found
    # Else nobody knew which of the two a name means.
    assert name not in recipe_names()


def test_the_papers_two_stages() -> None:
    found = load_ensemble("abaw3-va")
    assert found.members[0].recipe == load_recipe("abaw3-va-stage1")
    assert found.join == Stack(load_recipe("abaw3-va-stage2"))
    # Five valences and five arousals, each by five models.
    assert (found.folds, list(found.all_members)) == (5, [f"stage1-{i}" for i in range(5)])
    assert load_ensemble("abaw3-va-average").join == Average()


def test_the_papers_votes() -> None:
    units = load_ensemble("abaw3-au-vote")
    assert units.join == Vote(at_least=2)
    assert list(units.all_members) == ["full", "weighted-loss", "only-t1", "t1-as-target"]
    for name in ("abaw5-expr-vote", "abaw5-expr-threshold-vote"):
        faces = load_ensemble(name)
        assert faces.join.priority == (2, 3, 5, 1)
        nets = [member.recipe.branches["face"].encoder.net for member in faces.members]
        assert nets == [member.name for member in faces.members]
        assert len(set(nets)) == 5
        threshold = faces.members[0].recipe.tasks["expr"].other_threshold
        assert (threshold is not None) == ("threshold" in name)


def test_a_users_file(user) -> None:
    found = load_ensemble(user(PAIR))
    assert (found.name, found.tasks, found.folds, found.repeats) == ("mine", ("va",), None, 1)
    assert [member.recipe.train.lr for member in found.members] == [1e-3, 0.5]
    assert found.weights == (1, 1)


def test_recipes_of_the_package_and_changes(user) -> None:
    path = user(STACK)
    found = load_ensemble(path, ["train.epochs=3"], ["train.epochs=4"], folds=3, repeats=2)
    assert found.members[0].recipe.train.epochs == 3
    assert found.join.recipe.train.epochs == 4
    assert (found.folds, list(found.all_members)) == (3, ["one-0", "one-1"])
    text = "members: [{name: a, recipe: table-gru}]\nfolds: 2"
    assert load_ensemble(user(text)).members[0].recipe == load_recipe("table-gru")


def test_weights_are_of_members() -> None:
    tree = load_ensemble("abaw3-au-vote").to_dict()
    tree["join"] = {"kind": "average", "weights": [1, 2, 3, 4]}
    tree["repeats"] = 2
    assert parse_ensemble(tree, "").weights == (1, 1, 2, 2, 3, 3, 4, 4)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("- 3", "is no ensemble"),
        ("members: 3", "is no ensemble"),
        ("{", "cannot be read"),
        ("members: []", "members: .*at least 1"),
        ("members: [3]", "each member names a recipe"),
        ("members: [{name: a}]", "each member names a recipe"),
        ("members: [{name: a, recipe: small.yaml, change: [1]}]", "change is no mapping"),
        ("members: [{name: a, recipe: small.yaml}]", "a single model is no ensemble"),
        ("members: [{name: ../a, recipe: small.yaml}]", r"members\.0\.name: "),
        (PAIR.replace("two", "one"), "two have the same name"),
        (PAIR + "  - {name: x, recipe: abaw5-expr}", "all predict the same tasks"),
        (PAIR + "join: {kind: sum}", "join: "),
        (PAIR + "join: {weights: [1]}", "join: "),
        (PAIR + "join: {kind: average, weights: [1]}", "give 2 weights"),
        (PAIR + "join: {kind: average, weights: [1, -1]}", "greater than 0"),
        (PAIR + "join: {kind: vote, at_least: 3}", "2 members"),
        (PAIR + "join: {kind: vote, priority: [8]}", "less than or equal to 7"),
        (PAIR + "join: {kind: stack, recipe: top.yaml}", "a stack needs folds"),
        (PAIR + "folds: 1", "folds: .*2"),
        (PAIR + "fold: 2", "there is no setting .fold."),
        (STACK.replace("top", "small"), r"reads features: \[opinions\]"),
    ],
)
def test_files_that_are_none(text, says: str, user) -> None:
    with pytest.raises(FormatError, match=says):
        load_ensemble(user(text))


def test_a_stack_for_another_task(user, tmp_path: Path) -> None:
    path = user(STACK)
    (tmp_path / "top.yaml").write_text(TOP.replace("va:", "au:").replace("mse", "bce"))
    with pytest.raises(FormatError, match="a task that the members do not"):
        load_ensemble(path)


def test_wrong_use(user) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'abaw3-va'"):
        load_ensemble("abaw3-v")
    with pytest.raises(UnknownNameError, match="no recipe is called"):
        load_ensemble(user("members: [{name: a, recipe: nothing}]"))
    with pytest.raises(UsageError, match=r"no setting 'train\.lrr'"):
        load_ensemble(user(PAIR), ["train.lrr=1"])
    with pytest.raises(UsageError, match="no second stage"):
        load_ensemble(user(PAIR), join_changes=["train.lr=1"])
    with pytest.raises(UsageError, match="cannot be changed like this: repeats: "):
        load_ensemble(user(PAIR), repeats=0)
    assert all(ensemble_path(name).is_file() for name in ensemble_names())
