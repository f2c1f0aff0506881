"""`--untrusted` holds all of a command, and changes nothing that it says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from avaffect.media import apart


@pytest.fixture(autouse=True)
def restored(monkeypatch: pytest.MonkeyPatch) -> None:
    """The option sets the environment, as it must for what the command starts."""
    monkeypatch.setenv(apart.UNTRUSTED, "0")


def test_predict_says_the_same(
    run: Callable[..., Any], gap_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, held = tmp_path / "plain", tmp_path / "held"
    assert run("predict", gap_clip, "-o", plain, "--no-report").code == 0

    def here(*given: object, **named: object) -> None:
        raise AssertionError("decoded in this process")

    for module in ("container", "source", "probe", "tracks", "mono", "decode", "facts", "stills"):
        monkeypatch.setattr(f"avaffect.media.{module}.open_container", here)
    done = run("predict", gap_clip, "-o", held, "--untrusted")
    assert done.code == 0, done.err
    mine, theirs = (pq.read_table(root / "tables" / "gap.parquet") for root in (plain, held))
    assert mine.column_names == theirs.column_names
    for name in ("time", "present", "valence", "p_Happiness", "AU12_p", "box_left"):
        ours, other = (table[name].to_numpy().astype(float) for table in (mine, theirs))
        np.testing.assert_allclose(ours, other, atol=1e-4)
    page = (held / "report.html").read_text(encoding="utf-8")
    assert "data:image/jpeg" in page or "/9j/" in page  # faces, cut elsewhere too


def test_what_cannot_be_decoded_is_a_line(run: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"\0\0\0\x18ftypisom")
    done = run("preprocess", path, "-o", tmp_path / "out", "--untrusted")
    assert done.code == 1
    assert "Traceback" not in done.err
    assert "a.mp4" in done.out + done.err


def test_numbered_pictures_are_refused(run: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(b"no")
    options = ("--as-video", "--fps", "25", "--untrusted")
    done = run("predict", tmp_path, *options, "-o", tmp_path / "out")
    assert done.code == 2
    assert "numbered pictures" in done.error
