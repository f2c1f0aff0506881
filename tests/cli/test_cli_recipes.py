"""``avaffect recipes``: what it lists and shows."""

from pathlib import Path

import yaml

from avaffect.recipes.ensemble_recipe import ensemble_names, load_ensemble
from avaffect.recipes.library import load_recipe, parse_recipe, recipe_names

GRU = "abaw1-av-gru"


def test_list_says_what_each_recipe_is(run) -> None:
    out = run("recipes", "list")
    assert (out.code, out.err) == (0, "")
    lines = out.out.splitlines()
    assert lines[::2] == [
        *(
            f"{name}  ({', '.join(load_recipe(name).modalities)}: "
            f"{', '.join(load_recipe(name).task_names)})"
            for name in recipe_names()
        ),
        *(
            f"{name}  (ensemble by {load_ensemble(name).join.kind}: "
            f"{', '.join(load_ensemble(name).tasks)})"
            for name in ensemble_names()
        ),
    ]
    assert f"{GRU}  (audio, video: va)" in lines
    assert all(line.startswith("    ") and len(line) > 20 for line in lines[1::2])


def test_show_prints_a_recipe_that_can_be_trained_with(run, tmp_path: Path) -> None:
    out = run("recipes", "show", GRU)
    assert (out.code, out.err) == (0, "")
    assert parse_recipe(yaml.safe_load(out.out), "printed") == load_recipe(GRU)
    (tmp_path / "mine.yaml").write_text(out.out, "utf-8")
    assert run("recipes", "show", tmp_path / "mine.yaml").out == out.out


def test_show_with_changes(run) -> None:
    out = run("recipes", "show", GRU, "--set", "train.lr=3e-4", "--set", "window.length=30")
    shown = yaml.safe_load(out.out)
    assert (shown["train"]["lr"], shown["window"]["length"]) == (3e-4, 30)


def test_wrong_use_is_one_line(run, tmp_path: Path) -> None:
    for arguments, message in [
        (["abaw1-av"], "no recipe is called 'abaw1-av': did you mean"),
        ([GRU, "--set", "train.lrr=3"], "did you mean 'train.lr'?"),
        ([GRU, "--set", "train.lr=x"], "train.lr: "),
        ([], "Missing argument 'NAME'"),
    ]:
        out = run("recipes", "show", *arguments)
        assert (out.code, out.out) == (2, "")
        assert message in out.error
    (tmp_path / "mine.yaml").write_text("- 3")
    out = run("recipes", "show", tmp_path / "mine.yaml")
    assert (out.code, out.out) == (1, "")
    assert "is no recipe" in out.error
