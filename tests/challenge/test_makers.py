"""What the records beside predictions say of their makers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from avaffect.challenge.makers import makers_of
from avaffect.files.atomic import write_json
from avaffect.predictors.joined import Joined
from avaffect.recipes.ensemble_recipe import Average


def record(folder: Path, name: str, **content: Any) -> None:
    write_json(folder / "records" / f"{name}.json", content)


def configuration(run: Path, weights: str = "abc") -> dict[str, Any]:
    return {"checkpoint": str(run), "weights": weights, "analysis": {"faces": {}}, "tasks": ["va"]}


def checkpoint(run: Path, sha256: str = "abc") -> Path:
    recipe = {"name": "mine", "train": {"lr": 0.1}}
    write_json(run / "checkpoint.json", {"recipe": recipe, "epoch": 7, "sha256": sha256})
    return run


def test_one_maker_of_many_videos(tmp_path: Path) -> None:
    run = checkpoint(tmp_path / "run")
    for name in ("a", "P01/b"):
        given = configuration(run)
        record(tmp_path / "out", name, model="mine", smoothing="box:1", configuration=given)
    (maker,) = makers_of(tmp_path / "out")
    assert maker["sources"] == 2
    assert (maker["model"], maker["smoothing"], maker["weights"]) == ("mine", "box:1", "abc")
    assert maker["recipe"] == {"name": "mine", "train": {"lr": 0.1}}
    assert maker["epoch"] == 7
    assert "tasks" not in maker


def test_two_models_in_one_folder_are_two_makers(tmp_path: Path) -> None:
    record(tmp_path / "out", "a", model="starter-2", models={"net": "1"})
    record(tmp_path / "out", "b", model="starter-2", models={"net": "2"})
    assert [maker["models"] for maker in makers_of(tmp_path / "out")] == [
        {"net": "1"},
        {"net": "2"},
    ]


def test_a_checkpoint_that_was_trained_on_is_not_the_maker(tmp_path: Path) -> None:
    """Its weights are other ones now: the recipe there says nothing of these predictions."""
    run = checkpoint(tmp_path / "run", sha256="new")
    record(tmp_path / "out", "a", model="mine", configuration=configuration(run))
    (maker,) = makers_of(tmp_path / "out")
    assert maker["weights"] == "abc"
    assert "recipe" not in maker


def test_an_ensemble_names_its_models(tmp_path: Path) -> None:
    """Under the hash that `predict` notes; one that was joined anew is another."""
    joined = Joined("gate", {"gate": {"members/gate/fold-0/best": "f00"}}, Average(), (1.0,))
    joined.save(tmp_path / "run")
    given = configuration(tmp_path / "run", joined.fingerprint)
    record(tmp_path / "out", "a", model="gate", configuration=given)
    (maker,) = makers_of(tmp_path / "out")
    assert maker["ensemble"]["voters"] == {"gate": {"members/gate/fold-0/best": "f00"}}
    assert maker["ensemble"]["rule"]["kind"] == "average"
    replace(joined, metrics={"va": 0.5}).save(tmp_path / "run")
    assert "ensemble" not in makers_of(tmp_path / "out")[0]
    (tmp_path / "run/joined.json").write_text('{"version": 1, "voters": {}, "x": NaN}')
    assert "ensemble" not in makers_of(tmp_path / "out")[0]


def test_a_blend_names_the_makers_of_its_parts(tmp_path: Path) -> None:
    record(tmp_path / "first", "a", model="x")
    table = tmp_path / "first" / "tables" / "a.parquet"
    inputs = [{"table": str(table), "sha256": "1"}, {"folder": str(tmp_path / "theirs")}]
    record(tmp_path / "out", "a", model="blend", blend={"weights": [2, 1], "inputs": inputs})
    (maker,) = makers_of(tmp_path / "out")
    assert maker["blend"] == {"weights": [2, 1]}
    assert maker["of"][str(tmp_path / "first")] == [{"model": "x", "sources": 1}]
    assert maker["of"][str(tmp_path / "theirs")] == []


def test_a_blend_of_itself_ends(tmp_path: Path) -> None:
    inputs = [{"folder": str(tmp_path / "out")}]
    record(tmp_path / "out", "a", model="blend", blend={"inputs": inputs})
    assert len(makers_of(tmp_path / "out")) == 1


def test_what_is_no_record_says_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "out" / "records"
    folder.mkdir(parents=True)
    (folder / "a.json").write_text("{")
    (folder / "b.json").write_text('{"model": 3}')
    (folder / "c.json").write_text('{"model": "x", "blend": {"inputs": [1, {"table": 2}]}}')
    (folder / "d.txt").write_text("x")
    assert [maker["model"] for maker in makers_of(tmp_path / "out")] == ["x"]
    assert makers_of(tmp_path / "nowhere") == []
