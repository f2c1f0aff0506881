"""``avaffect data``: what it prints, its exit codes, its JSON."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from click.testing import CliRunner

from avaffect.challenge.text import write_annotations
from avaffect.cli import data as module
from avaffect.cli.main import avaffect
from avaffect.datasets.check import KINDS
from avaffect.errors import InputNotFoundError, UnknownNameError


def run(*arguments):
    # Through the group, since click keeps the help option that a command is first called with.
    line = ["data", *map(str, arguments)]
    return CliRunner().invoke(avaffect, line, catch_exceptions=False)


@pytest.fixture
def root(tmp_path: Path):
    at = tmp_path / "annotations"
    for split in ("Train_Set", "Validation_Set"):
        name = f"{split[0]}-30-640x360.txt"
        va = np.array([[-0.5, 0.25], [0.5, 0.25], [-5, -5]])
        write_annotations(at / "VA_Estimation_Challenge" / split / name, va, "va")
        expr = np.array([*range(8), 7, -1])
        write_annotations(at / "EXPR_Classification_Challenge" / split / name, expr, "expr")
        au = np.tile([[1], [0], [0], [-1]], (1, 12))
        write_annotations(at / "AU_Detection_Challenge" / split / name, au, "au")
        (tmp_path / "cropped_aligned" / name[:-4]).mkdir(parents=True)
        (tmp_path / "cropped_aligned" / name[:-4] / "00002.jpg").touch()
    return tmp_path


def test_it_prints_what_is_there(root) -> None:
    out = run("check", root)
    assert out.exit_code == 0
    lines = [line.split() for line in out.output.splitlines()]
    assert ["va", "train", "1", "1", "2", "1", "(33.3", "%)"] in lines
    assert "valence  +0.000 sd 0.500 [-0.500, +0.500]" in out.output
    assert "Other      2 (22.2 %)" in out.output
    assert "AU26  1 (33.3 %)" in out.output
    assert "crops: 2 tracks, 18 of 20 frames without (90.0 %)" in out.output
    assert "remark: features were not checked" in out.output
    assert out.output.endswith("training can start (0 warnings)\n")


def test_tasks_and_json(root) -> None:
    out = run("check", root, "--task", "au", "--json", root / "check.json")
    assert out.exit_code == 0
    assert "valence" not in out.output
    written = json.loads((root / "check.json").read_text())
    assert written["ready"] is True
    assert [part["task"] for part in written["parts"]] == ["au", "au"]
    assert written["parts"][0]["values"]["AU1"] == {"count": 1, "share": 1 / 3}


def test_wrong_lines_end_with_code_one(root) -> None:
    (path,) = (root / "annotations/VA_Estimation_Challenge/Train_Set").iterdir()
    path.write_text("h\n" + "0.1\n" * 30)
    out = run("check", root, "--json", root / "check.json")
    assert out.exit_code == 1
    assert out.output.count("cannot be read: '") == 20
    assert f"{path}' line 2: 1 values where 2 are expected" in out.output
    assert "30 such lines are listed with --json" in out.output
    assert "cannot start: 30 lines of labels cannot be read" in out.output
    assert "avaffect: training cannot start: 30 lines" in out.output
    written = json.loads((root / "check.json").read_text())
    assert written["ready"] is False
    assert len(written["errors"]) == 30


def test_an_unlabelled_target_is_a_dash_and_names_are_printable(root) -> None:
    folder = root / "annotations/VA_Estimation_Challenge"
    write_annotations(folder / "Test_Set/e\x1b[2J.txt", np.full((3, 2), -5.0), "va")
    out = run("check", root, "--task", "va")
    assert out.output.splitlines()[-1].startswith("training can start")
    assert "\x1b" not in out.output
    line = next(line for line in out.output.splitlines() if line.startswith("arousal"))
    assert line.endswith("  -")


def test_wrong_use(root, tmp_path: Path) -> None:
    with pytest.raises(InputNotFoundError):
        run("check", tmp_path / "none")
    with pytest.raises(UnknownNameError, match="did you mean 'expr'"):
        run("check", root, "--task", "exp")
    assert module.KINDS == KINDS


def test_synth_says_loudly_that_it_is_artificial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @dataclass
    class Made:
        folder: Path
        videos: int = 3
        subjects: int = 4
        frames: int = 120

    asked = {}

    def synthesise(out, *, videos, seconds, seed, on_event):
        asked.update(videos=videos, seconds=seconds, seed=seed)
        return Made(out)

    fake = ModuleType("avaffect.datasets.synth.make")
    monkeypatch.setattr(fake, "synthesise", synthesise, raising=False)
    monkeypatch.setitem(sys.modules, "avaffect.datasets.synth.make", fake)
    out = run("synth", tmp_path / "demo", "--videos", 3, "--seconds", 2.5, "--seed", 7)
    assert out.exit_code == 0
    assert asked == {"videos": 3, "seconds": 2.5, "seed": 7}
    assert f"3 videos, 4 subjects, 120 frames in {tmp_path / 'demo'}" in out.output
    assert "ARTIFICIAL" in out.output
    assert "ARTIFICIAL" in run("synth", "--help").output
