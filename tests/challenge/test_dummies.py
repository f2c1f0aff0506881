"""A template that was not filled in is told from predictions."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from avaffect.challenge.dummies import DUMMIES
from avaffect.challenge.submit import check_submission, submit

HEADS = {"va": "image_location,valence,arousal", "expr": "image_location,Neutral,Anger"}
ABAW6 = ("va", "expr", "au")


def template(folder: Path, task: str, values: str, rows: int = 12) -> Path:
    """Two tracks, each row with the same values, as the organisers' samples have them."""
    images = [f"{track}/{at:05d}.jpg" for track in ("a", "b") for at in range(1, rows + 1)]
    head = HEADS.get(task, "image_location,AU1,AU2,AU4,AU6,AU7,AU10,AU12,AU15,AU23,AU24,AU25,AU26")
    if task == "mtl":
        head = "image,valence,arousal,expression,aus"
    lines = [head, *(f"{image},{values}" for image in images)]
    path = folder / f"{task}_sample.txt"
    path.write_text("\n".join(lines) + "\n")
    return path


def counts(predictions: Path, task: str, sample: Path | None, edition: str = "abaw6") -> object:
    return check_submission(predictions, task, edition, sample).counts.get("template", 0)


@pytest.mark.parametrize("task", ABAW6)
def test_the_sample_itself_is_no_submission(task: str, tmp_path: Path) -> None:
    sample = template(tmp_path, task, DUMMIES[task])
    report = submit(sample, tmp_path / "x.zip", task, "abaw6", sample)
    assert report.counts == {"template": 1}
    assert f"all 24 rows hold the dummy values of the organisers' sample ({DUMMIES[task]})" in (
        report.faults[0].text
    )
    assert not (tmp_path / "x.zip").exists()
    # Nor is it when it was put into a zip by hand, or no template is given.
    with zipfile.ZipFile(tmp_path / "by_hand.zip", "w") as archive:
        archive.write(sample, "predictions.txt")
    assert counts(tmp_path / "by_hand.zip", task, sample) == 1
    assert counts(tmp_path / "by_hand.zip", task, None) == 1


def test_the_multi_task_sample(tmp_path: Path) -> None:
    """Whatever its dummy values are: they are the template's."""
    sample = template(tmp_path, "mtl", f"0.1,0.2,3,{DUMMIES['au']}")
    assert counts(sample, "mtl", sample, "abaw7") == 1


@pytest.mark.parametrize("written", ["0.50,-0.50", "0.5000,-0.5", "5e-1,-0.5"])
def test_numbers_written_otherwise_are_the_same(written: str, tmp_path: Path) -> None:
    """As a program writes them that has read and written the sample."""
    sample = template(tmp_path, "va", DUMMIES["va"])
    copy = tmp_path / "predictions.txt"
    copy.write_text(sample.read_text().replace(DUMMIES["va"], written))
    assert counts(copy, "va", sample) == 1


def filled(sample: Path, task: str, track: str, values: str) -> Path:
    """The sample with other values in the rows of a track."""
    lines = sample.read_text(encoding="utf-8").splitlines()
    path = sample.with_name("predictions.txt")
    rows = [
        f"{line.partition(',')[0]},{values}" if line.startswith(f"{track}/") else line
        for line in lines
    ]
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.mark.parametrize(("task", "values"), [("va", "0.1,0.2"), ("au", "0" + ",0" * 11)])
def test_a_track_that_was_not_filled_in(task: str, values: str, tmp_path: Path) -> None:
    sample = template(tmp_path, task, DUMMIES[task])
    report = check_submission(filled(sample, task, "a", values), task, "abaw6", sample)
    assert report.counts == {"template": 1}
    assert "12 rows of the track 'b'" in report.faults[0].text
    assert report.faults[0].line == 14


def test_a_track_of_one_class_is_a_prediction(tmp_path: Path) -> None:
    """Class 0 is Neutral, which a whole track may well be."""
    sample = template(tmp_path, "expr", "0")
    assert counts(filled(sample, "expr", "a", "4"), "expr", sample) == 0


def test_a_few_rows_may_be_so_by_chance(tmp_path: Path) -> None:
    sample = template(tmp_path, "va", DUMMIES["va"], rows=4)
    assert counts(filled(sample, "va", "a", "0.1,0.2"), "va", sample) == 0


def test_a_sample_without_values_has_no_dummies(tmp_path: Path) -> None:
    """ABAW5's rows end in a bare comma: constant predictions are odd, and ours to judge."""
    sample = template(tmp_path, "va", "")
    assert counts(filled(sample, "va", "", "0.1,0.2"), "va", sample) == 0
