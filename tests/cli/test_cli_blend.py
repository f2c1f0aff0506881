"""``avaffect blend`` on folders as predict writes them."""

from __future__ import annotations

import json
import re
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


def test_runs_are_scored_on_their_validation_clips(run, tmp_path: Path) -> None:
    for seed, name in enumerate("ab"):
        for at in range(10):
            rng = np.random.default_rng([seed, at])
            truth = np.sin(np.arange(9) + at)
            values = np.clip(truth + rng.normal(0, 0.5, 9), -1, 1)
            columns = {"frame": np.arange(1, 10), "time": np.arange(9) / 25,
                       "valence": values, "label_valence": truth}  # fmt: skip
            path = tmp_path / name / f"validation/tables/v{at}.parquet"
            write_table(path, columns, {"model": name})
    done = run("blend", tmp_path / "a", tmp_path / "b", "-o", tmp_path / "out")
    assert done.code == 0
    kept = json.loads((tmp_path / "out/blend.json").read_text())["scores"]
    head, *rows = (re.split("  +", line) for line in done.out.split("\n\n")[1].splitlines())
    assert head == ["on validation clips", "va mean CCC", "95 % interval"]
    parts = [part["va"] for part in (*kept["folders"], kept["blend"])]
    for row, part in zip(rows, parts, strict=True):
        low, high = part["interval"]["low"], part["interval"]["high"]
        assert row[1:] == [f"{part['score']:.4f}", f"[{low:.4f}, {high:.4f}]"]
    assert f"blend, va: 95 % interval {rows[-1][2]} over 10 videos" in done.err
    done = run("blend", tmp_path / "a", "-o", tmp_path / "quiet", "-q")
    assert (done.code, done.out, done.err) == (0, "", "")


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
