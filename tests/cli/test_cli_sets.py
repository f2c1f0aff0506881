"""``avaffect data sets``, ``data check`` of a set, ``data align``; ``train --data NAME=DIR``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fixtures.public_sets import MAKERS, affectnet, rafdb, text

from avaffect.cli import options
from avaffect.datasets.sets import aligned
from avaffect.datasets.sets.aligned import Aligned
from avaffect.datasets.sets.registry import SETS
from avaffect.training.data import DataConfig


def test_all_are_listed(run) -> None:
    done = run("data", "sets")
    assert done.code == 0
    assert all(name in done.out for name in SETS)


@pytest.mark.parametrize("name", SETS)
def test_each_says_how_it_is_read(run, name: str) -> None:
    done = run("data", "sets", name)
    assert done.code == 0
    entry = SETS[name]
    assert entry.title in done.out
    assert entry.layout.splitlines()[0] in done.out
    # A source may be broken into lines, a mapping is a row each.
    assert all(theirs.split()[0] in done.out for theirs, _ in entry.mapping)


def test_an_unknown_one(run) -> None:
    failed = run("data", "sets", "rafbd")
    assert failed.code == 2
    assert "rafdb" in failed.err


def test_check_counts_and_shows_the_mapping(run, tmp_path: Path) -> None:
    root = affectnet(tmp_path / "a", [(1, 0.5, -0.5), (7, 0, 0), (10, -2, -2)], [(0, 0, 0)])
    done = run("data", "check", f"affectnet={root}", "--json", tmp_path / "x.json")
    assert done.code == 0
    lines = [line.split() for line in done.out.splitlines()]
    assert ["train", "val"] in lines
    assert ["Happiness", "1", "0"] in lines
    assert ["Contempt", "Other"] in lines
    assert "left out: 1 labelled Non-Face" in done.out
    saved = json.loads((tmp_path / "x.json").read_text())
    assert saved["ready"]
    assert saved["parts"][0]["counts"]["expr"]["Happiness"] == 1


def test_check_lists_what_is_wrong(run, tmp_path: Path) -> None:
    root = rafdb(tmp_path, [("train_00001", 1)])
    text(root / "basic/EmoLabel/list_patition_label.txt", "train_00001.jpg 1", "train_2.jpg 9")
    failed = run("data", "check", f"rafdb={root}")
    assert failed.code == 1
    assert "wrong: " in failed.out
    assert "line 2: '9' is no class from 1 to 7" in failed.out
    assert "training cannot start" in failed.err


def test_options_of_the_other_layout(run, tmp_path: Path) -> None:
    root = MAKERS["rafdb"](tmp_path)
    failed = run("data", "check", f"rafdb={root}", "--task", "va")
    assert failed.code == 2
    assert "--task" in failed.err


def test_align_says_what_was_found(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aligned, "align_set", lambda *given, **more: Aligned(9, 7, 1, 9))
    done = run("data", "align", f"rafdb={tmp_path}", "-o", tmp_path / "faces")
    assert "7 faces of 9 pictures" in done.out
    assert "1 pictures cannot be decoded" in done.out
    assert run("data", "align", tmp_path, "-o", tmp_path / "faces").code == 2


def config(**given: object) -> DataConfig:
    every = {"data": (), "features": (), "labels": None, "clips": None, "columns": ()}
    return options.data_config({**every, "edition": "abaw10", **given})


def test_data_of_several_kinds() -> None:
    sets = ("rafdb=a", "affectnet=b")
    alone = config(data=sets)
    assert (alone.sets, alone.root, alone.features) == (sets, None, "")
    both = config(data=("Aff-Wild2", *sets), features=("prepared", "affectnet=faces"))
    assert (both.sets, both.root) == (sets, "Aff-Wild2")
    assert (both.features, both.further) == ("prepared", ("affectnet=faces",))
    assert config().root == "."


def test_data_that_do_not_go_together(run) -> None:
    twice = run("train", "--data", "a", "--data", "b")
    assert twice.code == 2
    assert "both datasets in Aff-Wild2's layout" in twice.err
    own = run("train", "--data", "rafdb=a", "--labels", "b", "--features", "c")
    assert own.code == 2
    unknown = run("train", "--data", "rafbd=a")
    assert unknown.code == 2
    assert "rafdb" in unknown.err


def test_whole_pictures_say_what_to_do(run, tmp_path: Path) -> None:
    root = MAKERS["afew-va"](tmp_path)
    failed = run("train", "--data", f"afew-va={root}", "-t", "va", "-o", tmp_path / "run")
    assert failed.code == 2
    assert "avaffect data align" in failed.err
    assert "--features afew-va=DIR" in failed.err
