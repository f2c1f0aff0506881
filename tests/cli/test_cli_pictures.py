"""`avaffect predict` on pictures, and on a folder of numbered ones."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas


def test_pictures_each_for_itself_and_as_one_video(
    run: Callable[..., Any], clip: Path, ffmpeg: Callable[..., None], tmp_path: Path
) -> None:
    folder, out = tmp_path / "photos", tmp_path / "out"
    folder.mkdir()
    ffmpeg("-i", clip, "-frames:v", 2, folder / "%d.png")
    done = run("predict", folder, "-o", out, "--decimal", "comma", "--task", "va")
    assert done.code == 0, done.err
    assert done.out.splitlines()[1].split() == ["2", "2", "0", "0", "done"]
    assert done.err.splitlines()[-1] == (
        f"a row a face: {out / 'pictures.parquet'} (parquet and CSV)"
    )
    table = pandas.read_csv(out / "pictures.csv", sep=";", decimal=",")
    assert table["picture"].tolist() == ["1.png", "2.png"]
    assert table["valence"].between(-1, 1).all()
    assert not (out / "tables").exists()

    numbered = ("predict", folder, "--as-video", "-o", tmp_path / "film", "--task", "va")
    done = run(*numbered)
    assert (done.code, "--fps 25" in done.error) == (2, True)
    done = run(*numbered, "--fps", 25)
    assert done.code == 0, done.err
    assert pandas.read_csv(tmp_path / "film/tables/photos.csv")["time"].tolist() == [0, 0.04]

    (folder / "broken.jpg").write_text("no picture")
    shutil.move(folder / "2.png", folder / "@2.png")
    done = run("predict", folder, "-o", tmp_path / "again", "--task", "va")
    assert (done.code, "1 of 3 pictures could not be used" in done.error) == (1, True)
    assert "'@2.png" in (tmp_path / "again/pictures.csv").read_text()
