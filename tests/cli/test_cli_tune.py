"""``avaffect tune`` on a run as train leaves it."""

from __future__ import annotations

import re
from pathlib import Path

import click
import numpy as np
import pytest
import torch

from avaffect.cli.tune import tune
from avaffect.files.table import read_table, write_table
from avaffect.networks.checkpoint import Checkpoint, save_checkpoint
from avaffect.recipes.library import parse_recipe


@pytest.fixture
def finished(tmp_path: Path):
    """A run with two validation clips, whose truth is a slow wave and whose network is noisy."""
    branch = {"modality": "video", "features": ["x"], "layers": [{"kind": "gru"}]}
    tasks = {"va": {"terms": {"mse": 1}}}
    recipe = parse_recipe({"name": "tiny", "branches": {"face": branch}, "tasks": tasks}, "")
    checkpoint = Checkpoint(recipe, {"va": ("valence",)}, {"face": 4})
    torch.manual_seed(0)
    save_checkpoint(tmp_path / "best", checkpoint, checkpoint.build())
    for seed in range(2):
        at = np.arange(90)
        truth = np.sin(at / 15 + seed).astype(np.float32)
        noise = np.random.default_rng(seed).normal(0, 0.4, 90)
        table = {"frame": at + 1, "valence": np.clip(truth + noise, -1, 1), "label_valence": truth}
        path = tmp_path / f"validation/tables/v{seed}.parquet"
        write_table(path, table, {"clip": f"v{seed}", "model": "tiny"})
    return tmp_path


def test_it_prints_all_three_scores_and_writes(run, finished) -> None:
    done = run("tune", finished)
    assert done.code == 0
    header, line, chosen = (text.split() for text in done.out.splitlines())
    assert header == ["task", "what", "without", "optimistic", "cross-validated", "kept"]
    assert re.fullmatch("va, smoothing: (box|gauss|median):[0-9.]+", " ".join(chosen))
    assert line[:2] == ["va", "smoothing"]
    without, optimistic, crossed = map(float, line[2:5])
    assert without < crossed <= optimistic
    assert line[5] == "yes"
    assert "chosen on 2 clips of 2 videos" in done.err
    few = "2 videos, fewer than 10 say too little for an interval"
    for what in ("without", "smoothing, cross-validated"):
        assert f"va, {what}: {few}" in done.err
    assert "warning: the tables have no times" in done.err
    assert f"written: {finished / 'best/postprocess.json'}" in done.err
    assert (finished / "best/postprocess.json").is_file()


def test_of_ten_videos_there_is_an_interval(run, finished) -> None:
    first = finished / "validation/tables/v0.parquet"
    for copy in range(2, 10):
        about = {"clip": f"v{copy}", "model": "tiny"}
        write_table(first.with_name(f"v{copy}.parquet"), read_table(first)[0], about)
    done = run("tune", finished)
    without, crossed = map(float, done.out.splitlines()[1].split()[2:5:2])
    shown = re.findall(r"va, (.+): 95 % interval \[(0\.\d+), (0\.\d+)\] over 10 videos", done.err)
    assert [what for what, *_ in shown] == ["without", "smoothing, cross-validated"]
    for score, (_, low, high) in zip((without, crossed), shown, strict=True):
        assert float(low) <= score <= float(high)
    assert "fewer than" not in done.err


def test_a_folder_without_a_run_is_one_line(run, tmp_path: Path) -> None:
    done = run("tune", tmp_path)
    assert done.code == 2
    assert "no validation tables" in done.error


def test_every_option_has_a_help_text() -> None:
    for option in tune.params:
        assert isinstance(option, click.Argument) or option.help, option.name
