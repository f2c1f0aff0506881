"""``avaffect report``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from fixtures.facts import about_of
from fixtures.tables import columns_of

from avaffect.files.table import write_table


def test_a_page_and_where_it_is(run: Callable[..., Any], tmp_path: Path) -> None:
    columns = columns_of(np.arange(20) / 25)
    for name in ("anna", "bert"):
        write_table(tmp_path / f"out/tables/{name}.parquet", columns, about_of(name))
    done = run("report", tmp_path / "out")
    assert (done.code, done.out) == (0, "")
    assert f"2 people: {tmp_path}/out/report.html" in done.err
    # The page that `predict` left is made again; one that is named stays.
    assert run("report", tmp_path / "out").code == 0
    again = run("report", tmp_path / "out", "-o", tmp_path / "out/report.html")
    assert again.code == 2
    assert "--overwrite" in again.error
    lost = run("report", tmp_path / "out", "--embed")
    assert lost.code == 2
    assert "name it with --video" in lost.error
    # A second video makes an index of it.
    about = about_of("cleo") | {"video": {"name": "other.mp4", "sha256": "1"}}
    write_table(tmp_path / "out/tables/cleo.parquet", columns, about)
    several = run("report", tmp_path / "out", "-o", tmp_path / "index.html", "--quiet")
    assert (several.code, several.err) == (0, "")
    assert len([*(tmp_path / "reports").iterdir()]) == 2


def test_a_run_has_a_page_of_its_own(
    run: Callable[..., Any], fit: Callable[..., Any], recipe: Callable[..., Any], tmp_path: Path
) -> None:
    folder = tmp_path / "trained"
    fit(recipe("train.epochs=1"), folder)
    empty = run("report", folder)
    assert empty.code == 2
    (folder / "run.json").write_text("{}")
    lacking = run("report", folder)
    assert lacking.code == 2
    assert "no validation tables" in lacking.error
    at = np.arange(30)
    columns = {"frame": at + 1, **{
        f"{kind}{name}": np.sin(at / 9).astype(np.float32)
        for kind in ("", "label_") for name in ("valence", "arousal")
    }}  # fmt: skip
    write_table(folder / "validation/tables/clip10.parquet", columns, {"clip": "clip10"})
    done = run("report", folder)
    assert (done.code, done.out) == (0, "")
    assert f"1 validation clips of 1 videos: {folder}/report.html" in done.err
    wrong = run("report", folder, "--embed")
    assert wrong.code == 2
    assert "is a run, which has its labels" in wrong.error
