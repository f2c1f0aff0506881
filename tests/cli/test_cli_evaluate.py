"""``avaffect evaluate`` on files as predict writes them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner

from avaffect.cli.evaluate import evaluate
from avaffect.errors import FormatError, InputNotFoundError, UsageError
from avaffect.files.challenge import write_annotations


@pytest.fixture
def folders(tmp_path):
    """Predictions as predict lays them out, and annotations as the challenge does."""
    rng = np.random.default_rng(0)
    for at in range(4):
        truth = rng.uniform(-1, 1, (40, 2))
        said = np.clip(truth + rng.normal(0, 0.2, truth.shape), -1, 1)
        worse = np.clip(truth + rng.normal(0, 0.8, truth.shape), -1, 1)
        name = f"VA_Estimation_Challenge/v{at}.txt"
        truth[3] = -5
        write_annotations(tmp_path / f"val/v{at}.txt", truth, "va")
        write_annotations(tmp_path / "good" / name, said, "va")
        write_annotations(tmp_path / "bad" / name, worse, "va")
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(evaluate, [str(one) for one in arguments], catch_exceptions=False)


def test_it_prints_the_score_and_writes_json_and_picture(folders):
    files = ("--json", folders / "a.json", "--plot", folders / "a.png")
    against = ("--against", folders / "bad")
    out = run(folders / "good", folders / "val", "-t", "va", "--per-video", *files, *against)
    assert out.exit_code == 0
    written = json.loads((folders / "a.json").read_text())
    assert f"va (abaw10): {written['score']:.4f}" in out.output
    assert written["score"] > 0.8
    assert "156 frames scored, 4 annotated as invalid" in out.output
    assert "v3" in out.output
    assert written["comparison"]["difference"] > 0
    assert (folders / "a.png").read_bytes().startswith(b"\x89PNG")


def test_expr_has_a_confusion_in_json_and_picture(tmp_path):
    write_annotations(tmp_path / "p/v.txt", np.array([0, 1, 2, 2]), "expr")
    write_annotations(tmp_path / "a/v.txt", np.array([0, 1, 1, -1]), "expr")
    out = run(tmp_path / "p", tmp_path / "a", "-t", "expr", "--json", tmp_path / "e.json",
              "--plot", tmp_path / "e.png")  # fmt: skip
    assert out.exit_code == 0
    assert json.loads((tmp_path / "e.json").read_text())["confusion"][1][2] == 1
    assert (tmp_path / "e.png").stat().st_size > 5000


def test_a_missing_subject_is_an_error_unless_told(folders):
    (folders / "good/VA_Estimation_Challenge/v2.txt").unlink()
    with pytest.raises(UsageError, match=r"1 of 4 annotated subjects have no prediction \(v2\)"):
        run(folders / "good", folders / "val", "-t", "va")
    assert run(folders / "good", folders / "val", "-t", "va", "--partial").exit_code == 0


def test_unpredicted_frames_are_told(folders):
    path = folders / "good/VA_Estimation_Challenge/v0.txt"
    path.write_text(path.read_text().rsplit("\n", 3)[0] + "\n-5,-5\n-5,-5\n")
    out = run(folders / "good", folders / "val", "-t", "va")
    assert "2 valid frames have no prediction" in out.output


def test_single_files_may_have_other_names(folders):
    mine = folders / "good/VA_Estimation_Challenge/v0.txt"
    mine = mine.rename(folders / "mine.txt")
    assert run(mine, folders / "val/v0.txt", "-t", "va").exit_code == 0


def test_nothing_there_and_broken_files_are_named(folders):
    with pytest.raises(InputNotFoundError, match="no files of task 'au'"):
        run(folders / "good", folders / "val", "-t", "au")
    (folders / "val/v1.txt").write_text("valence,arousal\n0.1,0.2\n0.1\n")
    with pytest.raises(FormatError, match=r"v1.txt' line 3"):
        run(folders / "good", folders / "val", "-t", "va")
