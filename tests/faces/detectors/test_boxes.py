from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from avaffect.faces.detectors.boxes import areas, best, best_pairs, detections, groups, iou

corners = arrays(np.float64, (6, 2), elements=st.floats(-500, 500))
sizes = arrays(np.float64, (6, 2), elements=st.floats(0.5, 300))


def test_iou_of_known_boxes() -> None:
    a = np.array([[0, 0, 10, 10], [0, 0, 0, 10]], float)
    b = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [10, 0, 20, 10], [2, 2, 4, 4]], float)
    assert np.allclose(iou(a, b), [[1, 1 / 3, 0, 0.04], [0, 0, 0, 0]])


@given(corners, sizes)
def test_iou_is_symmetric_and_within_bounds(low, size) -> None:
    boxes = np.concatenate([low, low + size], axis=1)
    table = iou(boxes, boxes)
    assert np.allclose(table, table.T)
    assert np.allclose(np.diag(table), 1)
    assert (table >= 0).all() and (table <= 1 + 1e-9).all()


@given(corners, sizes, arrays(np.float64, 6, elements=st.floats(0, 1)), st.floats(0.05, 0.95))
def test_groups_are_a_partition_led_by_boxes_that_do_not_overlap(
    low, size, scores, threshold
) -> None:
    boxes = np.concatenate([low, low + size], axis=1)
    overlap = iou(boxes, boxes)
    found = groups(boxes, scores, threshold)
    assert sorted(np.concatenate(found)) == list(range(6))
    kept = [group[0] for group in found]
    assert best(boxes, scores, threshold).tolist() == kept
    assert all(overlap[i, j] <= threshold for n, i in enumerate(kept) for j in kept[:n])
    for group in found:
        assert (scores[group[0]] >= scores[group]).all()
        assert (overlap[group[0], group[1:]] > threshold).all()


def test_groups_of_nothing() -> None:
    empty = np.zeros((0, 4))
    assert groups(empty, np.zeros(0), 0.5) == []
    assert empty[best(empty, np.zeros(0), 0.5)].shape == (0, 4)


def test_a_box_without_area_ends_in_a_group_of_its_own() -> None:
    boxes = np.array([[3, 3, 3, 3], [0, 0, 10, 10]], float)
    found = groups(boxes, np.array([0.9, 0.8]), 0.3)
    assert [group.tolist() for group in found] == [[0], [1]]


def test_detections_come_largest_first() -> None:
    boxes = np.array([[0, 0, 2, 2], [0, 0, 9, 9], [0, 0, 5, 5]], float)
    found = detections(boxes, np.zeros((3, 5, 2)), np.array([0.9, 0.5, 0.7]))
    assert areas(np.array([face.box for face in found])).tolist() == [81, 25, 4]
    assert [face.score for face in found] == [0.5, 0.7, 0.9]
    assert found[0].box.dtype == found[0].points.dtype == np.float32


@given(st.integers(0, 5), st.integers(0, 5), st.integers(0, 2**32 - 1))
def test_best_pairs_are_the_best_of_all_permutations(rows, columns, seed) -> None:
    score = np.random.default_rng(seed).uniform(-1, 1, (rows, columns))
    pairs = best_pairs(score)
    assert len(pairs) == min(rows, columns)
    assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs)
    short, long = sorted((rows, columns))
    turned = score if rows <= columns else score.T
    sums = [
        sum(turned[at, corner] for at, corner in enumerate(chosen))
        for chosen in permutations(range(long), short)
    ]
    assert sum(score[pair] for pair in pairs) == pytest.approx(max(sums))
