"""The table of single pictures on the disk: again, anew, and beside what is not ours."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from avaffect.config import PredictConfig
from avaffect.errors import ForeignFileError, MediaError, UsageError
from avaffect.files.table import read_table
from avaffect.predicting import picture_outputs
from avaffect.predicting.picture_outputs import write_pictures
from avaffect.predicting.still_pictures import PictureResult

CONFIG = PredictConfig()


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many pictures were judged, call by call; no net is loaded."""
    made: list[int] = []

    def judge(pictures: Mapping[Path, str], *rest: Any) -> PictureResult:
        made.append(len(pictures))
        names = np.array(list(pictures.values()), object)
        columns = {"picture": names, "valence": np.full(len(names), 0.5, np.float32)}
        failed = {"x.jpg": MediaError("is none")}
        return PictureResult(columns, len(names), len(names), 0, failed, ("a note",), "m")

    monkeypatch.setattr(picture_outputs, "judge_pictures", judge)
    return made


def photos(folder: Path, *names: str) -> dict[Path, str]:
    for name in names:
        (folder / name).write_text(name)
    return {folder / name: name for name in names}


def test_the_same_again_is_done_and_changes_are_made(calls: list[int], tmp_path: Path) -> None:
    given, out = photos(tmp_path, "=a.jpg", "b.jpg"), tmp_path / "out"
    first = write_pictures(given, out, CONFIG)
    again = write_pictures(given, out, CONFIG)
    assert (first.again, again.again, calls) == (False, True, [2])
    assert again.failed == first.failed == {"x.jpg": "is none"}
    assert sorted(path.name for path in out.iterdir()) == [
        "pictures.csv", "pictures.json", "pictures.parquet"
    ]  # fmt: skip
    assert (out / "pictures.csv").read_text() == "picture,valence\n'=a.jpg,0.5\nb.jpg,0.5\n"
    columns, about = read_table(out / "pictures.parquet")
    assert list(columns["picture"]) == ["=a.jpg", "b.jpg"]
    assert about["configuration"]["analysis"]["voice"] is None
    (tmp_path / "b.jpg").write_text("another")
    assert not write_pictures(given, out, CONFIG).again
    assert not write_pictures(given, out, CONFIG, decimal="comma").again
    assert not write_pictures(given, out, CONFIG, csv=False).again
    assert not (out / "pictures.csv").exists()


def test_other_pictures_and_foreign_files_are_not_replaced(
    calls: list[int], tmp_path: Path
) -> None:
    given, out = photos(tmp_path, "a.jpg", "b.jpg"), tmp_path / "out"
    out.mkdir()
    (out / "pictures.csv").write_text("mine")
    with pytest.raises(ForeignFileError, match=r"pictures\.csv"):
        write_pictures(given, out, CONFIG)
    assert (out / "pictures.csv").read_text() == "mine"
    (out / "pictures.csv").unlink()
    write_pictures(given, out, CONFIG, folder="photos")
    for changed, folder in ((photos(tmp_path, "a.jpg"), "photos"), (given, "others")):
        with pytest.raises(UsageError, match="holds the results of"):
            write_pictures(changed, out, CONFIG, folder=folder)
        write_pictures(changed, out, CONFIG, folder=folder, overwrite=True)
    assert calls == [2, 1, 2]
