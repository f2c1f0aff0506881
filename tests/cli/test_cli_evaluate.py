"""``avaffect evaluate`` on files as predict writes them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from avaffect.challenge.mtl import MtlSubject, write_mtl
from avaffect.challenge.text import write_annotations
from avaffect.cli.main import avaffect
from avaffect.errors import FormatError, InputNotFoundError, UsageError
from avaffect.files.table import write_table
from avaffect.labels import ACTION_UNITS


@pytest.fixture
def folders(tmp_path: Path):
    """Predictions as predict lays them out, and annotations as the challenge does."""
    rng = np.random.default_rng(0)
    for at in range(4):
        truth = rng.uniform(-1, 1, (40, 2))
        predicted = np.clip(truth + rng.normal(0, 0.2, truth.shape), -1, 1)
        worse = np.clip(truth + rng.normal(0, 0.8, truth.shape), -1, 1)
        name = f"VA_Estimation_Challenge/v{at}.txt"
        truth[3] = -5
        write_annotations(tmp_path / f"val/v{at}.txt", truth, "va")
        write_annotations(tmp_path / "good" / name, predicted, "va")
        write_annotations(tmp_path / "bad" / name, worse, "va")
    return tmp_path


def run(*arguments):
    # Through the group, since click keeps the help option that a command is first called with.
    line = ["evaluate", *map(str, arguments)]
    return CliRunner().invoke(avaffect, line, catch_exceptions=False)


def test_it_prints_the_score_and_writes_json_and_picture(folders) -> None:
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


def test_expr_has_a_confusion_in_json_and_picture(tmp_path: Path) -> None:
    write_annotations(tmp_path / "p/v.txt", np.array([0, 1, 2, 2]), "expr")
    write_annotations(tmp_path / "a/v.txt", np.array([0, 1, 1, -1]), "expr")
    out = run(tmp_path / "p", tmp_path / "a", "-t", "expr", "--json", tmp_path / "e.json",
              "--plot", tmp_path / "e.png")  # fmt: skip
    assert out.exit_code == 0
    assert json.loads((tmp_path / "e.json").read_text())["confusion"][1][2] == 1
    assert (tmp_path / "e.png").stat().st_size > 5000


def test_a_missing_subject_is_an_error_unless_told(folders) -> None:
    (folders / "good/VA_Estimation_Challenge/v2.txt").unlink()
    with pytest.raises(UsageError, match=r"1 of 4 annotated subjects have no prediction \('v2'\)"):
        run(folders / "good", folders / "val", "-t", "va")
    assert run(folders / "good", folders / "val", "-t", "va", "--partial").exit_code == 0


def test_unpredicted_frames_are_told(folders) -> None:
    path = folders / "good/VA_Estimation_Challenge/v0.txt"
    path.write_text(path.read_text().rsplit("\n", 3)[0] + "\n-5,-5\n-5,-5\n")
    out = run(folders / "good", folders / "val", "-t", "va")
    assert "2 valid frames have no prediction" in out.output


def test_single_files_may_have_other_names(folders) -> None:
    mine = folders / "good/VA_Estimation_Challenge/v0.txt"
    mine = mine.rename(folders / "mine.txt")
    assert run(mine, folders / "val/v0.txt", "-t", "va").exit_code == 0


def test_nothing_there_and_broken_files_are_named(folders) -> None:
    with pytest.raises(InputNotFoundError, match="no files of task 'au'"):
        run(folders / "good", folders / "val", "-t", "au")
    (folders / "val/v1.txt").write_text("valence,arousal\n0.1,0.2\n0.1\n")
    with pytest.raises(FormatError, match=r"v1.txt' line 3"):
        run(folders / "good", folders / "val", "-t", "va")


@pytest.fixture
def au_folder(tmp_path: Path):
    """Probabilities that are too low for 0.5, the files made of them, and the truth."""
    rng = np.random.default_rng(1)
    for at in range(3):
        truth = (rng.random((60, 12)) < 0.4).astype(np.int64)
        scores = 0.35 * truth + 0.3 * rng.random(truth.shape)
        columns = {f"{unit}_p": scores[:, column] for column, unit in enumerate(ACTION_UNITS)}
        for split in ("Train_Set", "Validation_Set"):
            name = f"v{at}{split[0]}"
            where = tmp_path / f"data/AU_Detection_Challenge/{split}/{name}.txt"
            write_annotations(where, np.roll(truth, split == "Train_Set", axis=1), "au")
            predicted = (scores >= 0.5).astype(np.int64)
            write_annotations(tmp_path / f"out/AU_Detection_Challenge/{name}.txt", predicted, "au")
            write_table(tmp_path / f"out/tables/{name}.parquet", columns, {})
    return tmp_path


def test_tuned_thresholds_stand_beside_the_score(au_folder) -> None:
    data, out = au_folder / "data", au_folder / "out"
    plain = run(out, data, "-t", "au")
    assert "tuned" not in plain.output
    got = run(out, data, "-t", "au", "--tune-thresholds", "--json", au_folder / "a.json",
              "--plot", au_folder / "a.png")  # fmt: skip
    written = json.loads((au_folder / "a.json").read_text())
    assert plain.output.splitlines()[1] in got.output
    assert written["tuned"]["score"] > written["score"] + 0.1
    assert set(written["tuned"]["thresholds"]) == set(ACTION_UNITS)
    assert "optimistic" in written["tuned"]["note"]
    assert f"with tuned thresholds: {written['tuned']['score']:.4f} instead of" in got.output
    assert "optimistic" in got.output


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("-t", "va", "--tune-thresholds"), "not scored with thresholds"),
        (("-t", "mtl", "--edition", "abaw5"), "no multi-task track"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        run("p", "a", *options)


def test_mtl_prints_and_keeps_everything(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)

    def subjects(noise):
        for at in range(10):
            truth = np.random.default_rng(at)
            va = np.clip(truth.uniform(-1, 1, (50, 2)) + rng.normal(0, noise, (50, 2)), -1, 1)
            expr = np.where(
                rng.random(50) < noise, rng.integers(0, 8, 50), truth.integers(0, 8, 50)
            )
            au = truth.integers(0, 2, (50, 12)) ^ (rng.random((50, 12)) < noise / 2)
            yield MtlSubject(f"v{at}", np.arange(1, 51), va, expr, au)

    write_mtl(tmp_path / "validation_set.txt", subjects(0))
    write_mtl(tmp_path / "good.txt", subjects(0.1))
    write_mtl(tmp_path / "bad.txt", subjects(0.6))
    got = run(tmp_path / "good.txt", tmp_path, "-t", "mtl", "--per-video",
              "--against", tmp_path / "bad.txt",
              "--json", tmp_path / "m.json", "--plot", tmp_path / "m.png")  # fmt: skip
    written = json.loads((tmp_path / "m.json").read_text())
    assert f"mtl (abaw11): {written['score']:.4f}" in got.output
    assert 2.4 < written["score"] < 3
    assert written["split"] == "val"
    assert written["comparison"]["low"] > 0
    assert sum(map(sum, written["confusion"])) == written["frames"] == 500
    for part in ("va mean CCC", "expr macro F1", "au mean F1", "F1 AU26", "F1 Fear"):
        assert f"{part}  " in got.output
    assert (tmp_path / "m.png").read_bytes().startswith(b"\x89PNG")


def test_predictions_txt_is_scored_like_the_files_it_lists(folders) -> None:
    rows = ["image_location,valence,arousal"]
    for path in sorted((folders / "good/VA_Estimation_Challenge").glob("*.txt")):
        lines = path.read_text().splitlines()[1:]
        rows += [f"{path.stem}/{at:05d}.jpg,{line}" for at, line in enumerate(lines, 1)]
    (folders / "predictions.txt").write_text("\n".join(rows) + "\n")
    same = [run(folders / name, folders / "val", "-t", "va", "--seed", "3", "--per-video").output
            for name in ("good", "predictions.txt")]  # fmt: skip
    assert same[0] == same[1]


def test_few_videos_claim_nothing(folders) -> None:
    out = run(folders / "good", folders / "val", "-t", "va", "--against", folders / "bad",
              "--json", folders / "a.json")  # fmt: skip
    assert "4 videos, fewer than ten say too little for an interval" in out.output
    assert "(4 videos, fewer than ten say too little for an interval or p)" in out.output
    assert "p = " not in out.output
    written = json.loads((folders / "a.json").read_text())
    assert (written["low"], written["comparison"]["p"]) == (None, None)
    done = run(folders / "good/VA_Estimation_Challenge/v0.txt", folders / "val/v0.txt", "-t", "va")
    assert "1 video, fewer than ten" in done.output


def test_ten_videos_have_an_interval_and_p(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for at in range(10):
        truth = rng.uniform(-1, 1, (40, 2))
        for name, noise in (("val", 0), ("good", 0.1), ("bad", 0.8)):
            predicted = np.clip(truth + rng.normal(0, noise, truth.shape), -1, 1)
            write_annotations(tmp_path / name / f"v{at}.txt", predicted, "va")
    out = run(tmp_path / "good", tmp_path / "val", "-t", "va", "--against", tmp_path / "bad")
    shown = re.findall(r"(.*)95 % interval \[(.*), (.*)\] over 10 videos", out.output)
    assert [who.rpartition("/")[2] for who, *_ in shown][1:] == ["bad: "]
    (_, low, _), (_, _, high) = shown
    assert float(high) < float(low)
    assert "p = 0.000" in out.output


def test_absent_classes_are_marked(tmp_path: Path) -> None:
    write_annotations(tmp_path / "p/v.txt", np.array([0, 1, 2, 2]), "expr")
    write_annotations(tmp_path / "a/v.txt", np.array([0, 1, 1, -1]), "expr")
    out = run(tmp_path / "p", tmp_path / "a", "-t", "expr", "--json", tmp_path / "e.json")
    lines = {line.split("  ")[0]: line.split() for line in out.output.splitlines()}
    assert lines["F1 Anger"][-1] == "0.6667"
    assert lines["F1 Fear"][-2:] == ["0.0000", "absent"]
    assert "absent: no frame is annotated with it" in out.output
    written = json.loads((tmp_path / "e.json").read_text())["absent"]
    assert (len(written), "F1 Fear" in written, "F1 Anger" in written) == (6, True, False)


def test_columns_in_another_order_score_the_same(folders) -> None:
    plain = run(folders / "good", folders / "val", "-t", "va").output
    for path in (folders / "good/VA_Estimation_Challenge").iterdir():
        rows = [",".join(reversed(line.split(","))) for line in path.read_text().splitlines()]
        path.write_text("\n".join(rows) + "\n\n")
    assert run(folders / "good", folders / "val", "-t", "va").output == plain


def test_clips_that_the_model_knows_are_told(folders) -> None:
    tables = folders / "good/tables"
    for at, ways in enumerate((["trained", "validated"], ["tuned", "validated"], [])):
        about = {"known": {f"v{at}": ways}}
        write_table(tables / f"v{at}.parquet", {"frame": np.arange(1)}, about)
    # Whatever else a file claims is of no use.
    write_table(tables / "v3.parquet", {"frame": np.arange(1)}, {"known": {"v3": {"trained": 1}}})
    out = run(folders / "good", folders / "val", "-t", "va", "--json", folders / "a.json")
    assert "warning: 1 of 4 subjects are clips that the model was trained on" in out.output
    assert "warning: 1 of 4 subjects are clips that its smoothing and thresholds" in out.output
    assert "warning: 2 of 4 subjects are clips that its best epoch was chosen on" in out.output
    written = json.loads((folders / "a.json").read_text())
    assert written["known"] == {"trained": ["v0"], "tuned": ["v1"], "validated": ["v0", "v1"]}
    inside = folders / "good/VA_Estimation_Challenge"
    assert "trained on" in run(inside, folders / "val", "-t", "va").output
