"""``avaffect blend`` on folders as predict writes them."""

from __future__ import annotations

import json
from pathlib import Path

import click
import numpy as np
import pytest

from avaffect.challenge.text import write_challenge
from avaffect.cli.blend import EXPRESSION_RULES, blend
from avaffect.files.table import write_table
from avaffect.predictions import blend as library
from avaffect.predictions.prediction import Prediction


@pytest.fixture
def folders(tmp_path: Path):
    for at, model in enumerate("mn"):
        rng = np.random.default_rng(at)
        for subject in ("a", "b", "c")[: 3 - at]:
            values = {"va": rng.uniform(-1, 1, (9, 2)), "au": rng.random((9, 12)),
                      "expr": rng.dirichlet(np.ones(8), 9)}  # fmt: skip
            seen = np.ones(9)
            prediction = Prediction(subject, model, np.arange(9) / 25, seen, seen, **values)
            table = tmp_path / model / f"tables/{subject}.parquet"
            write_table(table, prediction.columns(), {"model": model})
            for task in prediction.tasks:
                write_challenge(prediction, task, tmp_path / model)
    return tmp_path


def test_it_blends_and_says_what(run, folders) -> None:
    out = folders / "out"
    done = run("blend", folders / "m", folders / "n", "--weights", "2,1", "--common", "-o", out,
               "--expression", "vote", "--units", "vote:2", "--smooth", "au=box:0.2")  # fmt: skip
    assert done.code == 0
    assert "left out, not in all folders: c" in done.err
    assert "2 subjects, 18 frames, va, expr, au" in done.err
    assert [line.split()[1:] for line in done.out.splitlines()] == [
        ["weight", "models"], ["2", "m"], ["1", "n"]]  # fmt: skip
    record = json.loads((out / "blend.json").read_text())
    assert (record["weights"], record["expression"], record["units"]) == ([2, 1], "vote", "vote:2")
    assert record["smooth"] == "va=off,expr=off,au=box:0.2"
    again = run("evaluate", out, out, "-t", "expr", "--edition", "abaw10")
    assert again.code == 0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "lacks 'c'"),
        (["--weights", "2,x"], "no list of weights"),
        (["--weights", "2"], "1 weights for 2"),
        (["--weights", "2,-1"], "not positive"),
        (["--units", "vote:3"], "3 of 2 votes"),
        (["--expression", "votes"], "did you mean 'vote'"),
        (["--other-below", "2"], "no threshold"),
        (["--smooth", "vaa=box:1"], "did you mean 'va'"),
    ],
)
def test_wrong_use_is_one_line(run, folders, options, says: str) -> None:
    done = run("blend", folders / "m", folders / "n", "-o", folders / "out", *options)
    assert done.code == 2
    assert says in done.error
    assert not (folders / "out").exists()


def test_choices_are_the_librarys_and_explained() -> None:
    assert EXPRESSION_RULES == library.EXPRESSION_RULES
    for option in blend.params:
        assert isinstance(option, click.Argument) or option.help, option.name
