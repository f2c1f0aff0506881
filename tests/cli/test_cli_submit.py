"""``avaffect submit`` on files as predict writes them."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from avaffect.challenge.text import write_annotations


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """``out``: what predict writes; ``t.txt``: a template with a frame more than was decoded."""
    rng = np.random.default_rng(0)
    rows = []
    for name, frames in (("a", 30), ("b_left", 12)):
        path = tmp_path / f"out/VA_Estimation_Challenge/{name}.txt"
        write_annotations(path, rng.uniform(-1, 1, (frames, 2)), "va", "abaw6")
        last = frames + (name == "a")
        rows += [f"{name}/{frame:05d}.jpg,0.5,-0.5\n" for frame in range(1, last + 1)]
    (tmp_path / "t.txt").write_text("image_location,valence,arousal\n" + "".join(rows[::-1]))
    return tmp_path


def asked(folder: Path) -> tuple[object, ...]:
    return "-t", "va", "--edition", "abaw6", "--template", folder / "t.txt"


def test_it_writes_the_zip_and_says_what_is_in_it(run, folder: Path) -> None:
    done = run("submit", folder / "out", *asked(folder), "-o", folder / "va.zip")
    assert done.code == 0
    assert "va.zip: predictions.txt with 43 rows of 2 tracks, all and only" in done.out
    assert "last row repeated, as the template lists more frames: a +1" in done.out
    assert not done.err
    with zipfile.ZipFile(folder / "va.zip") as archive:
        lines = archive.read("predictions.txt").decode().splitlines()
    template = (folder / "t.txt").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == [row.split(",")[0] for row in template]
    again = run("submit", "--check", folder / "va.zip", *asked(folder))
    assert again.code == 0
    assert again.out.startswith("no faults: predictions.txt with 43 rows of 2 tracks")


def test_the_first_ten_faults_are_explained_and_the_others_counted(run, folder: Path) -> None:
    path = folder / "out/VA_Estimation_Challenge/a.txt"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], *["2,0"] * 14, *lines[15:26]]))
    failed = run("submit", folder / "out", *asked(folder), "-o", folder / "va.zip")
    assert failed.code == 1
    out = failed.out.splitlines()
    assert out[:2] == [
        " 1. a.txt, line 2: 2 lies outside [-1, 1] and is not -5",
        "    bring the values into range",
    ]
    assert out[16].startswith(" 9. a.txt, line 10: ")
    # Every kind is among the ten.
    assert out[18] == "10. a.txt: a rows 28 to 31 are missing"
    assert out[20:] == ["and 5 more (range: 5)"]
    assert f"nothing was written to {folder / 'va.zip'}" in failed.err
    assert not (folder / "va.zip").exists()
    checked = run("submit", "--check", folder / "out", *asked(folder))
    assert (checked.code, checked.out) == (1, failed.out)
    assert "not in the edition's form yet" in checked.err


def test_without_a_template_it_warns(run, folder: Path) -> None:
    done = run("submit", folder / "out", "-t", "va", "-o", folder / "va.zip")
    assert done.code == 0
    assert "warning: no template: whether every track and row is there cannot be told" in done.err
    assert "42 rows of 2 tracks, not held against any template" in done.out


def test_markers_pass_if_allowed(run, folder: Path) -> None:
    path = folder / "out/VA_Estimation_Challenge/b_left.txt"
    write_annotations(path, np.full((12, 2), -5.0), "va", "abaw6")
    failed = run("submit", folder / "out", *asked(folder), "-o", folder / "va.zip")
    assert failed.code == 1
    assert "b_left rows 1 to 12 say -5 or -1" in failed.out
    assert "predict with --missing linear" in failed.out
    line = ("submit", folder / "out", *asked(folder), "-o", folder / "va.zip", "--allow-missing")
    done = run(*line)
    assert done.code == 0
    assert "(no prediction), as allowed: 12" in done.out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["-t", "va"], "either written or checked"),
        (["-t", "va", "--check", "-o", "x.zip"], "either written or checked"),
        (["-t", "vaa", "--check"], "did you mean 'va'?"),
        (["-t", "mtl", "--check", "--edition", "abaw6"], "takes no submissions of task 'mtl'"),
        (["-t", "va", "--check", "--template", "none.txt"], "there is no file 'none.txt'"),
        (["-t", "mtl", "--check"], "there are no predictions of task 'mtl'"),
    ],
)
def test_wrong_use(run, folder: Path, arguments: list[str], says: str) -> None:
    failed = run("submit", folder / "out", *arguments)
    assert failed.code == 2
    assert says in failed.error


def test_names_cannot_move_the_cursor(run, folder: Path) -> None:
    with zipfile.ZipFile(folder / "z.zip", "w") as archive:
        archive.writestr("\x1b[2Jevil.txt", "1")
    failed = run("submit", "--check", folder / "z.zip", *asked(folder))
    assert failed.code == 1
    assert "\x1b" not in failed.out


def test_numbered_submissions(run, folder: Path) -> None:
    first = run("submit", folder / "out", *asked(folder), "-o", folder / "zips", "--number", 2)
    assert first.code == 0
    assert "abaw6_va_2.zip: predictions.txt" in first.out
    assert "submission 2 of 5 in the track va of abaw6; made so far: 2" in first.out
    assert (folder / "zips/submissions.json").is_file()
    path = folder / "out/VA_Estimation_Challenge/a.txt"
    path.write_text(path.read_text(encoding="utf-8").replace("0.1", "0.2"), encoding="utf-8")
    taken = run("submit", folder / "out", *asked(folder), "-o", folder / "zips", "--number", 2)
    assert taken.code == 2
    assert "choose --number 1, or replace it with --overwrite" in taken.err
    more = ("-o", folder / "zips", "--number", 2, "--overwrite")
    assert run("submit", folder / "out", *asked(folder), *more).code == 0


def test_numbers_that_make_no_sense(run, folder: Path) -> None:
    given = ("submit", folder / "out", *asked(folder))
    assert run(*given, "-o", folder / "va.zip", "--number", 6).code == 2
    assert run(*given, "--check", "--number", 1).code == 2
    assert run(*given, "-o", folder / "va.zip", "--overwrite").code == 2


def test_the_sample_itself(run, folder: Path) -> None:
    failed = run("submit", folder / "t.txt", *asked(folder), "-o", folder / "va.zip")
    assert failed.code == 1
    assert "all 43 rows hold the dummy values" in failed.out
