"""Files with a row a frame: blocks, columns, rows to frames."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file

from avaffect.datasets import row_files as module
from avaffect.datasets.row_files import RowFile
from avaffect.errors import FormatError, InputNotFoundError, UnknownNameError, UsageError

VALUES = np.random.default_rng(1).normal(size=(23, 3)).astype(np.float32)
OPENFACE = "frame, face_id, timestamp, confidence, success, gaze_0_x, AU01_r, AU01_c\n"


def write(folder: Path, kind: str) -> tuple[Path, tuple[str, ...]]:
    path = folder / f"clip.{kind}"
    frame = pd.DataFrame(VALUES, columns=["a", "b", "c"])
    names = ("a", "b", "c")
    if kind == "csv":
        frame.to_csv(path, index=False)
    elif kind == "parquet":
        frame.to_parquet(path, row_group_size=5)
    else:
        names = ("0", "1", "2")
        if kind == "npy":
            np.save(path, VALUES)
        elif kind == "npz":
            np.savez_compressed(path, x=VALUES)
        else:
            save_file({"x": VALUES}, path)
    return path, names


@pytest.mark.parametrize("kind", ["csv", "parquet", "npy", "npz", "safetensors"])
def test_every_format_in_blocks(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, names = write(tmp_path, kind)
    file = RowFile.open(path)
    assert (file.choose(), file.dtype) == (names, "float32")
    monkeypatch.setattr(module, "_BLOCK", 14)  # 7 rows of two columns
    blocks = list(file.blocks((names[2], names[0])))
    assert max(map(len, blocks)) <= 7
    np.testing.assert_allclose(np.concatenate(blocks), VALUES[:, [2, 0]], rtol=1e-6)
    # Frames: before the first row, some, gaps, the same row twice.
    rows = np.array([-1, 0, 0, 5, -1, 6, 7, 22, -1])
    parts = list(file.aligned(names, rows))
    found = np.concatenate(parts)
    np.testing.assert_allclose(found[rows >= 0], VALUES[rows[rows >= 0]], rtol=1e-6)
    assert np.isnan(found[rows < 0]).all()


def openface(folder: Path, rows: int = 5, unseen: int = 2) -> Path:
    path = folder / "clip.csv"
    lines = [
        f"{n}, 0, {(n - 1) / 30:.3f}, 0.98, {int(n != unseen)}, {n / 10}, {n / 100}, 1.00\n"
        for n in range(1, rows + 1)
    ]
    path.write_text(OPENFACE + "".join(lines))
    return path


def test_openface(tmp_path: Path) -> None:
    file = RowFile.open(openface(tmp_path))
    assert file.choose() == ("gaze_0_x", "AU01_r", "AU01_c")
    assert file.choose(["AU*", "confidence"]) == ("AU01_r", "AU01_c", "confidence")
    matched = file.match(5)
    assert (matched.rows.tolist(), matched.rule) == ([0, -1, 2, 3, 4], "frame number")
    timed = file.match(3, np.array([0.0, 1 / 30, 0.1]), "timestamp")
    assert (timed.rows.tolist(), timed.rule) == ([0, -1, 3], "time")


def test_a_rate_stands_for_times(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((50, 2), np.float16))
    file = RowFile.open(tmp_path / "a.npy")
    assert file.dtype == "float16"
    found = file.match(25, np.arange(25) / 25, rate=50)
    assert found.rows.tolist() == list(range(0, 50, 2))
    with pytest.raises(UsageError, match="nobody knows the times"):
        file.match(25, rate=50)


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("a,b\n1,2\n3,x\n", FormatError, "line 3: 'x' in column 'b' is no number"),
        ("a,b\n1,2\n3\n", FormatError, "line 3: 1 cells where the header has 2"),
        ("a,b\n1,2\n3,inf\n", FormatError, "row 2: inf in column 'b' is too large"),
        ("a,b\n1,2\n3,1_0\n", FormatError, "'1_0' in column 'b' is no number"),
        ("frame,a\n1,2\n1,3\n", FormatError, "row 2: frame 1 has a row already"),
        ("a,b\n", FormatError, "holds no row"),
        ("frame,success\n1,2\n", UsageError, "no column of numbers that could be a feature"),
    ],
)
def test_wrong_tables(text: str, error: type[Exception], words: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(text)
    file = RowFile.open(tmp_path / "a.csv")
    with pytest.raises(error, match=words):
        list(file.aligned(file.choose(), file.match(None).rows))


def test_unknown_columns_and_files(tmp_path: Path) -> None:
    file = RowFile.open(openface(tmp_path))
    for wrong in (["AU2*"], ["nose"]):
        with pytest.raises(UnknownNameError, match=r"no column of .*clip.csv' is called"):
            file.choose(wrong)
    with pytest.raises(UnknownNameError):
        file.match(5, np.arange(5) / 30, "seconds")
    with pytest.raises(InputNotFoundError):
        RowFile.open(tmp_path / "none.csv")
    with pytest.raises(FormatError, match=r"files of features end in \.csv"):
        RowFile.open(tmp_path / "clip.pkl")
