"""Boxes: left, top, right, bottom in pixels, a row each."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from avaffect.faces.detectors.assignment import assigned
from avaffect.faces.face import Detection

Floats = NDArray[np.floating]


def areas(boxes: Floats) -> Floats:
    """The areas [N] of ``boxes`` [N, 4]; 0 where a side is not positive."""
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    return sides[:, 0] * sides[:, 1]


def intersections(a: Floats, b: Floats) -> Floats:
    """The areas [N, M] that each of ``a`` [N, 4] shares with each of ``b`` [M, 4]."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    sides = np.maximum(high - low, 0)
    return sides[..., 0] * sides[..., 1]


def iou(a: Floats, b: Floats) -> Floats:
    """Intersection over union [N, M] in 0..1 of ``a`` [N, 4] and ``b`` [M, 4]."""
    shared = intersections(a, b)
    union = areas(a)[:, None] + areas(b)[None, :] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def best_pairs(score: Floats) -> list[tuple[int, int]]:
    """The one-to-one pairs of rows and columns of ``score`` [N, M] with the greatest sum.

    All of the shorter side are paired (Hungarian assignment).
    """
    if min(score.shape) == 0:
        return []
    if min(score.shape) == 1:
        # One face in the picture, mostly.
        row, column = divmod(int(score.argmax()), score.shape[1])
        return [(row, column)]
    return assigned(score)


def groups(boxes: Floats, scores: Floats, threshold: float) -> list[NDArray[np.intp]]:
    """Group boxes as greedy non-maximum suppression does.

    Memory grows with the number of boxes, not with its square.

    Args:
        boxes: [N, 4].
        scores: [N].
        threshold: boxes that overlap a better one by more than this belong to it.

    Returns:
        Index arrays, best first within and among the groups: the first of each is the box that
        plain suppression keeps, the rest are those that it drops.
    """
    left = np.argsort(-scores, kind="stable")
    found = []
    while len(left):
        same = iou(boxes[left[:1]], boxes[left])[0] > threshold
        # A box of no area overlaps nothing, not even itself.
        same[0] = True
        found.append(left[same])
        left = left[~same]
    return found


def best(boxes: Floats, scores: Floats, threshold: float) -> NDArray[np.intp]:
    """Indices of the boxes that greedy non-maximum suppression keeps; see :func:`groups`."""
    kept = [group[0] for group in groups(boxes, scores, threshold)]
    return np.array(kept, np.intp)


def detections(boxes: Floats, points: Floats, scores: Floats) -> list[Detection]:
    """The faces of ``boxes`` [N, 4], ``points`` [N, 5, 2] and ``scores`` [N], largest first."""
    return [
        Detection(
            box=boxes[i].astype(np.float32),
            points=points[i].astype(np.float32),
            score=float(scores[i]),
        )
        for i in np.argsort(-areas(boxes), kind="stable")
    ]
