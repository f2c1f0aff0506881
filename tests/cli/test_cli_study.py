"""A study: the same file names in a folder a participant, through all commands."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

LIGHT = ("--encoder", "starter-2-face", "--no-audio")


@pytest.fixture
def study(clip: Path, tmp_path: Path):
    for person in ("P01", "P02"):
        (tmp_path / "study" / person).mkdir(parents=True)
        shutil.copy(clip, tmp_path / "study" / person / "session1.mp4")
    return tmp_path / "study"


def names(folder):
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )


def test_results_lie_in_the_folders_and_are_found_again(run, study, tmp_path: Path) -> None:
    prepared, out = tmp_path / "prepared", tmp_path / "out"
    assert run("preprocess", study, "-r", "-o", prepared, *LIGHT).code == 0
    for person in ("P01", "P02"):
        there = names(prepared / person / "session1")
        assert f"features/{person}_session1/frames.parquet" in there
        assert f"cropped_aligned/{person}_session1/00001.jpg" in there
    assert "nothing to do" in run("preprocess", study, "-r", "-o", prepared, *LIGHT).out

    assert run("predict", prepared, "-o", out, "--no-nc", "--task", "va").code == 0
    assert {"report.html", "summary.csv"} <= set(names(out))
    wanted = sorted(
        [f"{kind}/P0{i}/session1.{suffix}" for i in (1, 2) for kind, suffix in (
            ("VA_Estimation_Challenge", "txt"), ("records", "json"),
            ("tables", "csv"), ("tables", "parquet"),
        )]
    )  # fmt: skip
    assert [name for name in names(out) if "/P0" in name] == wanted
    again = run("predict", prepared, "-o", out, "--no-nc", "--task", "va")
    assert again.out.count("already done") == 2
    assert {"P01/session1", "P02/session1"} <= set(again.out.split())
    # A participant's folder alone: the same names.
    assert run("predict", prepared / "P01", "-o", tmp_path / "one", "--no-nc").code == 0
    assert "tables/P01/session1.parquet" in names(tmp_path / "one")
    # What is said of one is said of itself.
    assert run("evaluate", out, out / "VA_Estimation_Challenge", "--task", "va").code == 0
    for zipped in (out, out / "VA_Estimation_Challenge"):
        done = run(
            "submit", zipped, "--task", "va", "--edition", "abaw3", "-o", tmp_path / "s.zip"
        )
        assert "2 tracks" in done.out
    assert run("blend", out, out, "-o", tmp_path / "blend").code == 0
    assert set(wanted) < set(names(tmp_path / "blend"))
    assert run("blend", out, out, "-o", out).code == 2

    # From the videos, the same names; and all of them in one file.
    whole = tmp_path / "whole"
    done = run("predict", study, "-r", "-o", whole, "--no-nc", "--task", "va", "--format",
               "single", "--edition", "abaw8")  # fmt: skip
    assert done.code == 0
    assert {"P01/session1.mp4", "P02/session1.mp4"} <= set(done.out.split())
    rows = pd.read_csv(whole / "VA_Estimation_Challenge/predictions.txt").iloc[:, 0]
    assert set(rows.str.split("/").str[0]) == {"P01_session1", "P02_session1"}
    assert run("evaluate", whole, out / "VA_Estimation_Challenge", "--task", "va",
               "--edition", "abaw8").code == 0  # fmt: skip


def test_thresholds_and_features_are_found_in_the_folders(run, study, tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = ("-o", out, "--no-nc", "--task", "au", "--features", "full")
    assert run("predict", study, "-r", *options).code == 0
    assert (out / "P01/session1/features/P01_session1").is_dir()
    units = out / "AU_Detection_Challenge"
    tuned = run("evaluate", out, units, "--task", "au", "--tune-thresholds")
    assert "with tuned thresholds" in tuned.out
    # The features that were kept are inputs of the same names.
    assert run("predict", out, "-o", tmp_path / "again", "--no-nc", "--task", "au").code == 0
    tables = names(tmp_path / "again/tables")
    assert [name for name in tables if name.endswith("t")] == [
        "P01/session1.parquet", "P02/session1.parquet"
    ]  # fmt: skip


def test_training_finds_the_features(run, study, tmp_path: Path) -> None:
    from avaffect.datasets.feature_folders import find_stores

    assert run("preprocess", study, "-r", "-o", tmp_path / "prepared", *LIGHT).code == 0
    assert sorted(find_stores(tmp_path / "prepared")) == ["P01_session1", "P02_session1"]


def test_one_participant_keeps_the_plain_layout(run, study, tmp_path: Path) -> None:
    assert run("preprocess", study / "P01", "-r", "-o", tmp_path / "a", *LIGHT).code == 0
    assert (tmp_path / "a/features/session1").is_dir()
