"""Faces of pictures: which one is taken, what stays, and what is left without."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from fixtures.public_sets import MAKERS, afewva, affectnet_lists, picture

from avaffect.datasets.sets import aligned as module
from avaffect.datasets.sets.aligned import Aligned, align_set, aligned_of, place_of
from avaffect.errors import ForeignFileError, FormatError, UsageError
from avaffect.faces.align import AFFWILD2
from avaffect.files.atomic import write_json
from avaffect.progress import Notice


@dataclass
class Found:
    """A face that fills a box."""

    box: tuple[float, float, float, float]

    @property
    def face(self) -> Any:
        left, top, right, _ = self.box
        points = AFFWILD2.template * (right - left) + np.array([left, top])
        return SimpleNamespace(box=np.array(self.box), points=points.astype(np.float32))


@pytest.fixture
def faces(monkeypatch: pytest.MonkeyPatch) -> list[Found]:
    """What is found in every picture that is not black; no net is loaded."""
    found: list[Found] = []
    nets = SimpleNamespace(detector=None, second=None, landmarker=None)
    monkeypatch.setattr(module, "NetsLoader", lambda config, device: lambda on_event: nets)
    monkeypatch.setattr(module, "Search", lambda *nets: None)

    class Tracker:
        def __init__(self, *settings: object) -> None:
            pass

        def update(self, frame: Any) -> list[Found]:
            return found if frame.image.max() > 10 else []

    monkeypatch.setattr(module, "Tracker", Tracker)
    return found


def halves(path: Path, side: int = 40) -> None:
    """A picture that is dark on the left and bright on the right."""
    image = np.full((side, side, 3), 60, np.uint8)
    image[:, side // 2 :] = 220
    cv2.imwrite(str(path), image)


def test_the_largest_face(tmp_path: Path, faces: list[Found]) -> None:
    root = afewva(tmp_path / "w", {"001": [(0, 0), (0, 0)]})
    halves(root / "001/00000.png")
    picture(root / "001/00001.png", grey=0)
    faces += [Found((2, 2, 10, 10)), Found((22, 4, 38, 20))]
    assert align_set("afew-va", root, tmp_path / "f") == Aligned(2, 1, 0, 2)
    assert aligned_of(tmp_path / "f") == "afew-va"
    crop = cv2.imread(str(tmp_path / "f/001/00000.jpg"))
    assert crop is not None
    assert crop.shape == (112, 112, 3)
    assert crop.mean() > 200
    assert not (tmp_path / "f/001/00001.jpg").exists()


def test_the_face_of_the_box(tmp_path: Path, faces: list[Found]) -> None:
    """AffectNet's lists say which face of a whole picture is labelled, also a smaller one."""
    root = affectnet_lists(tmp_path / "w", ["1/a.jpg,1,1,10,10,1,1,0,0"])
    halves(root / "Manually_Annotated_Images/1/a.jpg")
    faces += [Found((22, 4, 38, 20)), Found((2, 2, 10, 10))]
    align_set("affectnet", root, tmp_path / "f")
    crop = cv2.imread(str(tmp_path / "f/Manually_Annotated_Images/1/a.jpg"))
    assert crop is not None
    assert crop.mean() < 80


def test_what_is_there_stays(tmp_path: Path, faces: list[Found]) -> None:
    root = afewva(tmp_path / "w", {"001": [(0, 0)] * 3})
    faces.append(Found((2, 2, 10, 10)))
    align_set("afew-va", root, tmp_path / "f")
    made = tmp_path / "f/001/00001.jpg"
    before = made.stat().st_mtime_ns
    (tmp_path / "f/001/00002.jpg").unlink()
    assert align_set("afew-va", root, tmp_path / "f") == Aligned(3, 3, 0, 1)
    assert made.stat().st_mtime_ns == before


def test_a_picture_that_is_none_is_counted(tmp_path: Path, faces: list[Found]) -> None:
    root = afewva(tmp_path / "w", {"001": [(0, 0)] * 2})
    (root / "001/00000.png").write_bytes(b"no picture")
    faces.append(Found((2, 2, 10, 10)))
    said: list[object] = []
    result = align_set("afew-va", root, tmp_path / "f", on_event=said.append)
    assert (result.faces, result.damaged) == (1, 1)
    assert any("00000.png" in event.text for event in said if isinstance(event, Notice))


def test_places() -> None:
    assert place_of(Path("r/a/b.png"), Path("r")) == Path("a/b.jpg")


@pytest.mark.usefixtures("faces")
def test_what_is_refused(tmp_path: Path) -> None:
    root = MAKERS["ravdess"](tmp_path / "r")
    with pytest.raises(UsageError, match="avaffect preprocess"):
        align_set("ravdess", root, tmp_path / "f")
    root = MAKERS["afew-va"](tmp_path / "w")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("x")
    with pytest.raises(ForeignFileError):
        align_set("afew-va", root, tmp_path / "mine")
    write_json(
        tmp_path / "g/aligned.json", {"set": "bp4d", "pictures": 1, "faces": 1, "damaged": 0}
    )
    with pytest.raises(ForeignFileError):
        align_set("afew-va", root, tmp_path / "g")
    (root / "001/001.json").write_text("{")
    with pytest.raises(FormatError):
        align_set("afew-va", root, tmp_path / "f")
    assert not (tmp_path / "f").exists()
