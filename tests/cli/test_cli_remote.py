"""Commands on a store: the same results as on the disk, and nothing is read twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from fixtures.stores import SECRET, Store

LIGHT = ("--encoder", "starter-2-face", "--no-voice", "--offline")


@pytest.fixture
def filled(s3: Store, clip: Path) -> Store:
    """A clip of twelve frames, and a file that is none."""
    s3.put("v/face.mp4", clip.read_bytes())
    s3.put("v/poison.mp4", b"no video")
    return s3


def below(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def test_predict(run, filled: Store, clip: Path, tmp_path: Path) -> None:
    scratch = ("--scratch", tmp_path / "scratch")
    done = run("predict", filled("v"), "-o", filled("out"), *scratch, "--offline")
    assert "1 of 2 inputs failed (1 unreadable); 1 done" in done.error
    assert f"ok (5 files in {filled('out')})" in done.table
    assert SECRET not in done.out + done.err
    assert list((tmp_path / "scratch").iterdir()) == []
    names = filled.names("out/")
    assert {"out/report.html", "out/summary.csv", "out/receipts/predict/face.json"} <= {*names}
    assert not any("poison" in name for name in names)
    # As on the disk.
    run("predict", clip, "-o", tmp_path / "local", "--offline")
    assert (
        filled.get("out/tables/face.parquet")
        == (tmp_path / "local/tables/face.parquet").read_bytes()
    )
    filled.asked.clear()
    done = run("predict", filled("v/face.mp4"), "-o", filled("out"), *scratch, "--offline")
    assert (done.code, f"ok (already done in {filled('out')})" in done.table) == (0, True)
    assert not [each for each in filled.asked if "/v/" in each and not each.startswith("HEAD")]
    done = run("report", filled("out"), *scratch)
    assert (done.code, f"1 person: {filled('out/report.html')}" in done.out + done.err) == (
        0,
        True,
    )


def test_preprocess_and_features(run, filled: Store, clip: Path, tmp_path: Path) -> None:
    out, scratch = filled("out"), ("--scratch", tmp_path / "scratch")
    done = run("preprocess", filled("v/face.mp4"), "-o", out, *LIGHT, *scratch)
    assert (done.code, f"in {out})" in done.table) == (0, True)
    run("preprocess", clip, "-o", tmp_path / "local", *LIGHT)
    local = below(tmp_path / "local")
    assert {name for name in filled.names("out/")} == {
        f"out/{name}" for name in (*local, "receipts/preprocess.json")
    }
    assert all(
        filled.get(f"out/{name}") == data
        for name, data in local.items()
        if name.endswith((".npy", ".jpg", ".wav", ".parquet"))
    )
    filled.asked.clear()
    done = run("preprocess", filled("v/face.mp4"), "-o", out, *LIGHT, *scratch)
    assert "already done" in done.out
    assert filled.reads("v/face.mp4") == 0
    # Other crops: the features are not made again, only read.
    done = run(
        "preprocess", filled("v/face.mp4"), "-o", out, *LIGHT, "--crop-size", "48", *scratch
    )
    assert f"ok (crops in {out})" in done.table
    own = tmp_path / "own"
    own.mkdir()
    (own / "face.csv").write_text("a\n" + "1.5\n" * 12)
    done = run("features", out, "--from", own, *scratch)
    assert done.code == 0
    assert any("features/face/own" in name for name in filled.names("out/"))
    done = run("features", out, "--from", own, *scratch)
    assert "nothing to do" in done.out
    assert list((tmp_path / "scratch").iterdir()) == []


def test_files_for_all_inputs_need_local_ones(run, filled: Store, tmp_path: Path) -> None:
    done = run("predict", filled("v"), "-o", filled("out"), "--format", "single", "--offline")
    assert done.code == 2
    assert "leave out --format single" in done.error


def test_http_is_not_read(run, tmp_path: Path) -> None:
    url = "https://bucket.s3.amazonaws.com/v.mp4?X-Amz-Signature=hidden"
    done = run("predict", url, "-o", tmp_path)
    assert done.code == 2
    assert "download it first" in done.error
    assert "hidden" not in done.err
