from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from avaffect.faces.detectors import mtcnn
from avaffect.faces.detectors.mtcnn import _cut, _shifted, _squared, build_mtcnn

SAMPLE = Path(__file__).parents[3] / "sample_media" / "one_person.mp4"
boxes = arrays(np.float32, (4, 4), elements=st.floats(-100, 100, width=32)).map(
    lambda raw: np.concatenate([raw[:, :2], raw[:, :2] + 1 + np.abs(raw[:, 2:])], axis=1)
)


@pytest.fixture(scope="module")
def face():
    with av.open(str(SAMPLE)) as container:
        return next(container.decode(video=0)).to_ndarray(format="rgb24")


@given(boxes)
def test_squares_keep_the_middle_and_the_longer_side(some):
    square = _squared(some)
    sides = square[:, 2:] - square[:, :2]
    assert np.allclose(sides[:, 0], sides[:, 1], atol=1e-3)
    assert np.allclose(sides[:, 0], (some[:, 2:] - some[:, :2]).max(axis=1), atol=1e-3)
    assert np.allclose(square[:, :2] + square[:, 2:], some[:, :2] + some[:, 2:], atol=1e-3)


def test_shifts_are_shares_of_width_and_height():
    box = np.array([[10, 20, 30, 60]], np.float32)
    shift = np.array([[0.1, -0.1, 0.5, 0.25]], np.float32)
    assert np.allclose(_shifted(box, shift), [[12, 16, 40, 70]])


@given(
    st.tuples(st.integers(-40, 60), st.integers(-40, 60)),
    st.integers(1, 50),
)
def test_what_lies_outside_the_picture_is_black_and_nothing_is_stretched(corner, side):
    white = np.full((40, 30, 3), 255, np.uint8)
    left, top = corner
    cut = _cut(white, np.array([left, top, left + side, top + side], np.float32), side)
    x, y = np.arange(left, left + side), np.arange(top, top + side)
    inside = ((y >= 0) & (y < 40))[:, None] & ((x >= 0) & (x < 30))
    assert (cut[..., 0] == np.where(inside, 255, 0)).all()


@pytest.mark.parametrize("shape", [(1, 1), (19, 300), (20, 20), (64, 21)])
def test_small_and_empty_pictures_have_no_faces(shape):
    assert build_mtcnn(0.5)(np.zeros((*shape, 3), np.uint8)) == []


def test_batches_change_nothing(face, monkeypatch):
    detect = build_mtcnn(0.5)
    whole = detect(face)
    monkeypatch.setattr(mtcnn, "BATCH", 2)
    parts = detect(face)
    assert len(whole) == len(parts) == 1
    assert np.allclose(whole[0].points, parts[0].points, atol=1e-2)


def test_a_face_cut_by_the_edge_is_still_found(face):
    detect = build_mtcnn(0.5)
    (whole,) = detect(face)
    left = int(whole.box[0] + 0.12 * (whole.box[2] - whole.box[0]))
    (part,) = detect(np.ascontiguousarray(face[:, left:]))
    size = whole.box[2] - whole.box[0]
    assert np.abs(np.add(part.points, (left, 0)) - whole.points).max() < 0.12 * size
