"""Single pictures: a row a face, each judged for itself."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from avaffect import PredictConfig, predict_pictures
from avaffect.errors import UsageError
from avaffect.predicting.still_pictures import PictureResult
from avaffect.predictors.interface import require_pictures
from avaffect.progress import Event, Notice


@pytest.fixture(scope="module")
def photos(
    sample: Callable[[str], Path],
    ffmpeg: Callable[..., None],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """One person, the same again, two people, nobody, and a file that is no picture."""
    folder = tmp_path_factory.mktemp("photos")
    for clip, start, name in (
        ("one_person.mp4", 2, "a.png"), ("two_people.mp4", 3, "b.png"), ("no_face.mp4", 1, "c.png")
    ):  # fmt: skip
        ffmpeg("-ss", start, "-i", sample(clip), "-frames:v", 1, folder / name)
    (folder / "deep").mkdir()
    shutil.copy(folder / "a.png", folder / "deep/=a.png")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    return folder


@pytest.fixture(scope="module")
def judged(photos: Path) -> tuple[PictureResult, list[str]]:
    """All of them, and the notices."""
    events: list[Event] = []
    faces = replace(PredictConfig().analysis.faces, max_faces=1)
    config = replace(PredictConfig(), analysis=replace(PredictConfig().analysis, faces=faces))
    predict_pictures(photos / "b.png", "va", config=config, on_event=events.append)
    result = predict_pictures(photos, recursive=True, on_event=events.append)
    return result, [event.text for event in events if isinstance(event, Notice)]


def test_a_row_a_face_and_one_for_nobody(judged: tuple[PictureResult, list[str]]) -> None:
    result, notices = judged
    table = result.to_frame()
    assert table["picture"].tolist() == ["a.png", "b.png", "b.png", "c.png", "deep/=a.png"]
    assert table["face"].tolist() == [1, 1, 2, 0, 1]
    assert table["faces"].tolist() == [1, 2, 2, 0, 1]
    assert table["present"].tolist() == [True, True, True, False, True]
    sides = (table["box_right"] - table["box_left"]).combine(
        table["box_bottom"] - table["box_top"], max
    )
    assert sides[1] >= sides[2]
    nobody = table.loc[3, "confidence":]
    assert nobody.isna().all()
    assert (result.pictures, result.faces, result.faceless) == (4, 4, 1)
    assert list(result.failed) == ["broken.jpg"]
    assert table["expression"].tolist()[0] == "Happiness"
    assert any("more than 1 faces" in text for text in notices)


def test_each_picture_is_judged_for_itself(
    judged: tuple[PictureResult, list[str]], photos: Path
) -> None:
    """Nothing of one picture gets into another, nor of one face: no resting face, no smoothing."""
    table = judged[0].to_frame().drop(columns="picture")
    alone = predict_pictures([photos / "a.png"]).to_frame().drop(columns="picture")
    for row in (0, 4):
        np.testing.assert_allclose(
            table.iloc[row].drop("expression").astype(float),
            alone.iloc[0].drop("expression").astype(float),
            atol=1e-4,
        )
    assert not {"time", "frame", "filled", "heard"} & set(table)


def test_a_model_of_sequences_refuses(photos: Path, tmp_path: Path) -> None:
    sequential = SimpleNamespace(name="mine", judges_pictures=False)
    with pytest.raises(UsageError, match="'mine' was trained on sequences"):
        require_pictures(sequential)
    with pytest.raises(UsageError):
        predict_pictures(tmp_path)
