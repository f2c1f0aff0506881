"""``avaffect convert``, and ``predict`` with its forms."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas
from fixtures.recordings import write_person
from fixtures.standins import StandIns
from pympi.Elan import Eaf


def test_where_it_is_and_what_is_refused(run: Callable[..., Any], tmp_path: Path) -> None:
    for name in ("talk_left", "talk_right"):
        write_person(tmp_path / "out", name)
    done = run("convert", tmp_path / "out", "--format", "eaf")
    assert (done.code, done.out) == (0, "")
    assert f"eaf: 2 people, 1 file in {tmp_path}/out/converted/eaf" in done.err
    quiet = run("convert", tmp_path / "out", "--format", "vtt", "-o", tmp_path / "x", "--quiet")
    assert (quiet.code, quiet.err) == (0, "")
    assert [path.name for path in sorted((tmp_path / "x").iterdir())] == [
        "converted.json",
        "talk.vtt",
    ]
    for wrong in (("--format", "eafs"), ("--format", "eaf", "--rate", "5"), ()):
        refused = run("convert", tmp_path / "out", *wrong)
        assert refused.code == 2, wrong
    assert "--rate" in run("convert", tmp_path / "out", "--format", "eaf", "--rate", "5").error
    assert run("convert", tmp_path / "none", "--format", "eaf").code == 2


def test_predict_writes_such_a_form(
    run: Callable[..., Any], tmp_path: Path, standins: StandIns
) -> None:
    video, out = standins.get("video.mp4"), tmp_path / "out"
    done = run("predict", video, "--format", "eaf", "--no-csv", "--no-report", "-o", out)
    assert done.code == 0, done.err
    assert "eaf: 1 person, 1 file" in done.err
    assert "expression@video" in Eaf(str(out / "converted/eaf/video.eaf")).get_tier_names()
    assert {path.name for path in out.iterdir()} == {"converted", "records", "tables"}
    table = pandas.read_parquet(out / "tables/video.parquet")
    assert [path.name for path in (out / "tables").iterdir()] == ["video.parquet"]
    assert table["AU45"].eq(0).all()
    assert table["gaze_left_yaw"].notna().all()
    # A file of mine is in the way: the tables are there, and it is said.
    (out / "converted/eaf/video.eaf").write_text("mine", encoding="utf-8")
    again = run("predict", video, "--format", "eaf", "--no-csv", "--no-report", "-o", out)
    assert again.code == 2
    assert "somebody has changed" in again.error
