"""Teach ``avaffect.faces.visibility`` to tell bare brows, eyes and mouths from covered ones.

    python starter_training/visibility.py --pictures ferplus/images.zip --test rafdb/images.zip

Faces are taken as they are, and with things painted on: plain, shaded and patterned boxes, mask
shapes, dark glasses, and parts of other pictures. The landmark net looks at the painted face, so
that a patch lies where it would for a covered one. A part counts as covered where most of its
patch is painted over, and as bare where next to nothing is; what lies between is not learned from.
Writes ``avaffect/faces/visibility.json`` with the figures of the pictures held out.
"""

from __future__ import annotations

import argparse
import json
import zipfile
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from avaffect.faces.landmarks import Landmarker, Roi, roi_from_mesh
from avaffect.faces.visibility import KINDS, PARTS, WEIGHTS, features, patches

Picture = NDArray[np.uint8]

SIDE = 240
COVERED, BARE = 0.6, 0.08  # parts of a patch
FALSE_ALARMS = 0.005  # on bare parts of the pictures held out


def pictures(path: Path, count: int, seed: int) -> list[Picture]:
    """``count`` pictures of a zip file, RGB, SIDE pixels wide."""
    with zipfile.ZipFile(path) as archive:
        names = sorted(archive.namelist())
        out = []
        for at in np.random.default_rng(seed).permutation(len(names))[:count]:
            data = np.frombuffer(archive.read(names[at]), np.uint8)
            image = cv2.imdecode(data, cv2.IMREAD_COLOR)
            if image is None:
                continue
            large = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
            framed = cv2.copyMakeBorder(large, 40, 40, 40, 40, cv2.BORDER_REPLICATE)
            out.append(np.asarray(cv2.cvtColor(framed, cv2.COLOR_BGR2RGB), np.uint8))
    return out


def stuff(rng: np.random.Generator, image: Picture, others: list[Picture]) -> Picture:
    """What a face is covered with: a picture of the same size."""
    height, width = image.shape[:2]
    kind = rng.integers(6)
    # A colour: any, one of the face's own, black, white, a mask's blue.
    own = image[
        rng.integers(height // 4, 3 * height // 4), rng.integers(width // 4, 3 * width // 4)
    ]
    choices = [
        rng.integers(0, 256, 3),
        own,
        own * rng.uniform(0.7, 1.2),
        rng.integers(0, 40, 3),
        rng.integers(190, 256, 3),
        np.array([140, 180, 210]) * rng.uniform(0.8, 1.2),
    ]
    colour = np.clip(choices[rng.integers(len(choices))], 0, 255).astype(np.float32)
    plain = np.broadcast_to(colour, image.shape).astype(np.float32).copy()
    y, x = np.mgrid[:height, :width].astype(np.float32)
    if kind == 1:  # shaded
        slope = rng.normal(0, 0.35, 2)
        plain += (slope[0] * (x - width / 2) + slope[1] * (y - height / 2))[..., None]
    elif kind == 2:  # folds: broad waves
        angle, period = rng.uniform(0, np.pi), rng.uniform(15, 60)
        wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / period)
        plain += (wave * rng.uniform(5, 35))[..., None]
    elif kind == 3:  # checks, stripes, dots
        cell = int(rng.integers(3, 30))
        grid = rng.integers(0, 256, (height // cell + 1, width // cell + 1, 1)).astype(np.float32)
        if rng.random() < 0.4:
            grid[:] = grid[:, :1]
        grid = grid.repeat(cell, 0).repeat(cell, 1)[:height, :width]
        plain = plain * 0.5 + grid * 0.5
    elif kind == 4:  # a part of another picture, upside down and larger
        other = others[rng.integers(len(others))][::-1]
        zoom = rng.uniform(1.5, 4)
        size = int(width * zoom)
        big = cv2.resize(np.ascontiguousarray(other), (size, size))
        top, left = rng.integers(0, size - height + 1), rng.integers(0, size - width + 1)
        plain = big[top : top + height, left : left + width].astype(np.float32)
    elif kind == 5:  # skin, as of a hand: the face's own, blurred away
        plain = cv2.GaussianBlur(image, (0, 0), rng.uniform(12, 30)).astype(np.float32)
        plain *= rng.uniform(0.8, 1.15)
    plain += rng.normal(0, rng.uniform(0, 6), image.shape)
    return np.clip(plain, 0, 255).astype(np.uint8)


def where(
    rng: np.random.Generator, image: Picture, mesh: NDArray[np.float32]
) -> NDArray[np.float32]:
    """float32 [H, W] in 0..1: what is covered."""
    mask = np.zeros(image.shape[:2], np.float32)
    low, high = mesh[:, :2].min(0), mesh[:, :2].max(0)
    face = float((high - low).max())

    def box(centre: NDArray[np.float32], wide: float, tall: float, round_: bool) -> None:
        x, y = (float(value) for value in centre + rng.normal(0, 0.03, 2) * face)
        angle = float(rng.normal(0, 8))
        if round_:
            shape = ((x, y), (wide * face, tall * face), angle)
            cv2.ellipse(mask, shape, 1.0, -1)
        else:
            corners = cv2.boxPoints(((x, y), (wide * face, tall * face), angle))
            cv2.fillPoly(mask, [corners.astype(np.int32)], 1.0)

    mouth = mesh[[61, 291, 0, 17], :2].mean(0)
    eyes = [mesh[points, :2].mean(0) for points in ([33, 133], [362, 263])]
    brows = [mesh[[63, 105, 66], :2].mean(0), mesh[[296, 334, 293], :2].mean(0)]
    kind = rng.integers(7)
    if kind in (0, 1):
        box(mouth, rng.uniform(0.45, 1.1), rng.uniform(0.3, 0.6), bool(rng.integers(2)))
    elif kind == 2:  # a mask: from the nose down
        nose, chin = mesh[5, :2], mesh[152, :2]
        corners = np.array(
            [mesh[234, :2], nose, mesh[454, :2], mesh[397, :2], chin, mesh[172, :2]]
        )
        cv2.fillPoly(mask, [corners.astype(np.int32)], 1.0)
    elif kind == 3:  # glasses
        wide, tall = rng.uniform(0.3, 0.42), rng.uniform(0.18, 0.34)
        for eye in eyes:
            box(eye, wide, tall, bool(rng.integers(2)))
    elif kind == 4:  # a bar over both eyes, or eyes and brows
        middle = (eyes[0] + eyes[1]) / 2 + (
            brows[0] + brows[1] - eyes[0] - eyes[1]
        ) / 4 * rng.integers(2)
        box(middle, rng.uniform(0.8, 1.2), rng.uniform(0.2, 0.4), False)
    elif kind == 5:  # one eye, one brow or the brows
        places = [*eyes, *brows, (brows[0] + brows[1]) / 2]
        place = places[rng.integers(len(places))]
        box(place, rng.uniform(0.3, 1.2), rng.uniform(0.18, 0.4), bool(rng.integers(2)))
    else:  # a half
        middle = (low + high) / 2
        side = np.array([[-0.5, 0], [0.5, 0], [0, 0.5], [0, -0.5]][rng.integers(4)], np.float32)
        box(middle + side * face, 1.05, 1.3 if side[0] else 1.05, False)
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), float(rng.uniform(0.5, 3))), np.float32)


def worn(rng: np.random.Generator, image: Picture) -> Picture:
    """The picture as a poor camera shows it: blurred, small, dark, noisy, coded."""
    if rng.random() < 0.35:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.5, 4))), np.uint8)
    if rng.random() < 0.3:
        small = cv2.resize(image, None, fx=(f := float(rng.uniform(0.15, 0.6))), fy=f,
                           interpolation=cv2.INTER_AREA)  # fmt: skip
        image = np.asarray(cv2.resize(small, image.shape[1::-1]), np.uint8)
    light = image.astype(np.float32)
    if rng.random() < 0.4:
        light = 255 * (light / 255) ** rng.uniform(0.5, 2.2) * rng.uniform(0.4, 1.0)
    if rng.random() < 0.3:
        light += rng.normal(0, rng.uniform(2, 12), light.shape)
    image = np.clip(light, 0, 255).astype(np.uint8)
    if rng.random() < 0.3:
        _, data = cv2.imencode(
            ".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(20, 70))]
        )
        image = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    return image


def examples(
    images: list[Picture], landmarks: Landmarker, seed: int, painted: int = 2
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Features [M, 5, F] and how much of each patch is covered [M, 5]."""
    rng = np.random.default_rng(seed)
    found: list[NDArray[np.float32]] = []
    covered: list[NDArray[np.float32]] = []
    for image in images:
        height, width = image.shape[:2]
        face = landmarks(image, Roi(width / 2, height / 2, width * 1.05, 0.0))
        if face is not None and face.confidence > 0.2:
            face = landmarks(image, roi_from_mesh(face.mesh))
        if face is None or face.confidence < 0.8:
            continue
        for turn in range(1 + painted):
            mask = np.zeros((height, width), np.float32)
            shown = image
            if turn:
                mask = where(rng, image, face.mesh)
                over = stuff(rng, image, images).astype(np.float32)
                shown = (image * (1 - mask[..., None]) + over * mask[..., None]).astype(np.uint8)
            shown = worn(rng, shown)
            again = landmarks(shown, roi_from_mesh(face.mesh))
            if again is None or again.confidence < 0.5:
                continue
            again = landmarks(shown, roi_from_mesh(again.mesh)) or again
            layer = np.repeat((mask * 255).astype(np.uint8)[..., None], 3, axis=2)
            found.append(features(patches(shown, again.mesh)))
            covered.append(patches(layer, again.mesh)[:-1].mean((1, 2)).astype(np.float32) / 255)
    return np.stack(found), np.stack(covered)


def main() -> None:
    """Teach and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--count", type=int, default=2500)
    parser.add_argument("--test", type=Path, help="pictures of another source, for the figures")
    parser.add_argument("--test-count", type=int, default=400)
    parser.add_argument("--cache", type=Path, help="keeps the examples, to teach again")
    arguments = parser.parse_args()
    if arguments.cache and arguments.cache.exists():
        sets = dict(np.load(arguments.cache))
    else:
        landmarks = Landmarker()
        x, c = examples(pictures(arguments.pictures, arguments.count, 0), landmarks, 0)
        sets = {"x": x, "c": c}
        if arguments.test:
            sets["test_x"], sets["test_c"] = examples(
                pictures(arguments.test, arguments.test_count, 1), landmarks, 1
            )
        if arguments.cache:
            np.savez(arguments.cache, **sets)
    print({name: value.shape for name, value in sets.items()})
    teach(sets)


def teach(sets: dict[str, NDArray[np.float32]]) -> None:
    """Fit a classifier a kind, print and write the figures."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score

    cut = int(0.8 * len(sets["x"]))  # later pictures are held out
    table = {}
    for kind in KINDS:
        x, y = clear(sets["x"][:cut], sets["c"][:cut], kind)
        mean, spread = x.mean(0), x.std(0) + 1e-3
        model = LogisticRegression(C=0.03, max_iter=400, class_weight="balanced")
        model.fit((x - mean) / spread, y)
        weights = model.coef_[0] / spread
        bias = float(model.intercept_[0] - weights @ mean)
        tests = {"held_out": (sets["x"][cut:], sets["c"][cut:])}
        if "test_x" in sets:
            tests["other_source"] = sets["test_x"], sets["test_c"]
        figures, limit = {}, None
        for name, test in tests.items():
            x, y = clear(*test, kind)
            raw = x @ weights + bias
            if limit is None:
                limit = float(np.quantile(raw[~y], 1 - FALSE_ALARMS))
            figures[name] = measured(raw, y, limit)
            print(f"{kind} {name}: AUC {roc_auc_score(y, raw):.3f}, {figures[name]}")
        table[kind] = {
            "weights": [round(float(value), 5) for value in weights],
            "bias": round(bias - (limit or 0.0), 5),
            **figures,
        }
    WEIGHTS.write_text(json.dumps(table) + "\n", encoding="utf-8")


def clear(
    x: NDArray[np.float32], covered: NDArray[np.float32], kind: str
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Features [n, F] of parts of ``kind`` that are covered or bare, and which are covered."""
    columns = [at for at, part in enumerate(PARTS) if part.startswith(kind)]
    x, covered = x[:, columns].reshape(-1, x.shape[-1]), covered[:, columns].reshape(-1)
    chosen = (covered < BARE) | (covered > COVERED)
    return x[chosen], covered[chosen] > COVERED


def measured(
    raw: NDArray[np.float64], covered: NDArray[np.bool_], limit: float
) -> dict[str, float]:
    """Shares of covered parts that are noticed and of bare ones that are taken for covered."""
    return {
        "noticed": round(float((raw > limit)[covered].mean()), 4),
        "false_alarms": round(float((raw > limit)[~covered].mean()), 4),
        "covered": int(covered.sum()),
        "bare": int((~covered).sum()),
    }


if __name__ == "__main__":
    main()
