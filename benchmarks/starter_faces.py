"""The face net of starter-1 and `fer` on FER2013's test part, for starter.py."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from starter_figures import Confusion, Figure, Found, Row, calibration_error, tell
from starter_pictures import draw_confusion, draw_errors, draw_reliability

from avaffect.faces.align import CropSpec, similarity_transform, warp
from avaffect.faces.encoders import Encoder, build_encoder
from avaffect.labels import EXPRESSIONS

sys.path.insert(0, str(Path(__file__).parent.parent / "starter_training"))
from fer2013 import ENLARGE, MARGIN, SIDE, Fer2013, similarity

CLASSES = EXPRESSIONS[:7]
NETS = {"before": "fer", "after": "starter-1-face"}
SHOWN = 60
Picture = NDArray[np.uint8]


def _jpeg(picture: Picture) -> Picture:
    coded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 20])[1]
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE), np.uint8)


def _noisy(picture: Picture) -> Picture:
    noise = np.random.default_rng(int(picture.sum())).normal(0, 20, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


SPOILT: dict[str, Callable[[Picture], Any]] = {
    "small: 24 x 24 pixels": lambda picture: cv2.resize(
        cv2.resize(picture, (24, 24), interpolation=cv2.INTER_AREA), (SIDE, SIDE)
    ),
    "JPEG of quality 20": _jpeg,
    "blurred, sigma 1.5 pixels": lambda picture: cv2.GaussianBlur(picture, (0, 0), 1.5),
    "dark: a quarter of the light": lambda picture: picture // 4,
    "noise, sigma 20 of 255": _noisy,
}


def is_aligned(data: Fer2013, row: int) -> bool:
    """Whether the face net's training would align this face; else it takes the whole picture."""
    return similarity(data, row) != (1, 0)


def cut_out(data: Fer2013, row: int, spec: CropSpec) -> Picture:
    """uint8 [S, S, 3], what ``avaffect predict`` would cut out of the enlarged picture."""
    large = cv2.resize(
        data.images[row], None, fx=ENLARGE, fy=ENLARGE, interpolation=cv2.INTER_CUBIC
    )
    large = cv2.copyMakeBorder(large, MARGIN, MARGIN, MARGIN, MARGIN, cv2.BORDER_REPLICATE)
    if is_aligned(data, row):
        points = (data.points[row] + 0.5) * ENLARGE - 0.5 + MARGIN
        matrix = similarity_transform(points, spec.template_px)
    else:
        scale = spec.size / (SIDE * ENLARGE)
        shift = (0.5 - MARGIN) * scale - 0.5
        matrix = np.array([[scale, 0, shift], [0, scale, shift]], np.float32)
    return warp(np.repeat(np.asarray(large, np.uint8)[:, :, None], 3, axis=2), matrix, spec.size)


@dataclass(frozen=True)
class Faces:
    """Test pictures and what the nets say of them.

    Attributes:
        rows: int [N], the pictures' rows in the data.
        truth: int [N], of ``CLASSES``.
        chances: float [N, 7] for each of ``NETS``.
    """

    rows: NDArray[np.int64]
    truth: NDArray[np.int64]
    chances: dict[str, NDArray[np.float32]]

    @classmethod
    def judge(cls, data: Fer2013, rows: NDArray[np.int64], nets: dict[str, Encoder]) -> Faces:
        chances = {
            when: np.concatenate(
                [net(cut_out(data, int(row), net.spec.crop)[None]) for row in rows]
            )[:, :7]
            for when, net in nets.items()
        }
        return cls(rows, np.array([CLASSES.index(name) for name in data.label[rows]]), chances)

    def of(self, kept: NDArray[np.bool_]) -> Faces:
        chances = {when: one[kept] for when, one in self.chances.items()}
        return Faces(self.rows[kept], self.truth[kept], chances)

    def confusion(self, when: str) -> Confusion:
        return Confusion(self.truth, self.chances[when].argmax(axis=1), len(CLASSES))

    def row(
        self, what: str, split: str, score: Callable[[Confusion], Figure], aim: str = ""
    ) -> Row:
        figures = (score(self.confusion("before")), score(self.confusion("after")))
        return Row("faces", what, f"{split}, {len(self.rows):,}", *figures, aim)


def face_rows(path: Path, out: Path, spoilt_pictures: int) -> Found:
    """Rows of the table; confusion matrices for the record; pictures in ``out``."""
    data = Fer2013.load(path)
    nets = {when: build_encoder(name) for when, name in NETS.items()}
    rows = np.flatnonzero(data.split == "test")
    tell(f"faces: {len(rows)} test pictures")
    given = Faces.judge(data, rows, nets)
    faces = given.of(~data.copied[rows])
    test = "FER2013 test without copies"
    table = [
        faces.row("accuracy", test, Confusion.accuracy, "0.700"),
        faces.row("macro F1", test, Confusion.macro_f1),
        given.row("accuracy", "test as given, with turned copies", Confusion.accuracy),
        given.row("macro F1", "test as given, with turned copies", Confusion.macro_f1),
    ]
    aligned = np.array([is_aligned(data, int(row)) for row in faces.rows])
    table += [
        faces.of(aligned).row("accuracy", "aligned by sure landmarks", Confusion.accuracy),
        faces.of(~aligned).row("accuracy", "whole picture, no sure landmarks", Confusion.accuracy),
    ]
    errors = {when: calibration_error(faces.chances[when], faces.truth) for when in NETS}
    table.append(Row("faces", "ECE, 15 bins", f"{test}, {len(faces.rows):,}", **errors, aim="low"))
    for number, name in enumerate(CLASSES):
        held = int((faces.truth == number).sum())
        figures = {when: faces.confusion(when).recall(number) for when in NETS}
        table.append(Row("faces", f"recall of {name}", f"{test}, {held:,}", **figures))
    some = np.random.default_rng(0).permutation(faces.rows)[:spoilt_pictures]
    plain = faces.of(np.isin(faces.rows, some))
    table.append(plain.row("accuracy, unspoilt", "these test pictures", Confusion.accuracy))
    for name, spoil in SPOILT.items():
        tell(f"faces: {len(some)} pictures, {name}")
        images = data.images.copy()
        for row in some:
            images[row] = spoil(images[row])
        spoilt = Faces.judge(replace(data, images=images), some, nets)
        table.append(spoilt.row(f"accuracy, {name}", "these test pictures", Confusion.accuracy))
    _draw(data, faces, errors, out)
    details = {when: faces.confusion(when).table.tolist() for when in NETS}
    return table, {"classes": list(CLASSES), "confusion (rows are true)": details}


def _draw(data: Fer2013, faces: Faces, errors: dict[str, Figure], out: Path) -> None:
    draw_reliability(
        {f"{NETS[when]}, ECE {errors[when].value:.3f}": faces.chances[when] for when in NETS},
        faces.truth,
        out / "faces_reliability.png",
    )
    draw_confusion(faces.confusion("after").table, CLASSES, out / "faces_confusion.png")
    chances = faces.chances["after"]
    said, sure = chances.argmax(axis=1), chances.max(axis=1)
    wrong = np.flatnonzero(said != faces.truth)
    worst = wrong[np.argsort(-sure[wrong], kind="stable")][:SHOWN]
    draw_errors(
        [
            (
                data.images[faces.rows[i]],
                f"{CLASSES[faces.truth[i]]}\nsaid {CLASSES[said[i]]} {sure[i]:.2f}",
            )
            for i in worst
        ],
        out / "faces_errors.png",
    )
