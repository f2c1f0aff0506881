"""Windows cover clips: where they start, where the last one ends, which are padded."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avaffect.windows.cut import cut, window_starts

FRAMES = st.integers(1, 400)
SHAPES = st.integers(1, 40).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n - 1)))


@pytest.mark.parametrize(
    ("frames", "length", "overlap", "starts"),
    [
        (0, 15, 5, []),
        (1, 15, 5, [0]),
        (15, 15, 5, [0]),
        (16, 15, 5, [0, 1]),
        (25, 15, 5, [0, 10]),
        (26, 15, 5, [0, 10, 11]),
        (35, 15, 5, [0, 10, 20]),
        (10, 4, 0, [0, 4, 6]),
        (4, 1, 0, [0, 1, 2, 3]),
        (5, 3, 2, [0, 1, 2]),
    ],
)
def test_starts(frames: int, length: int, overlap: int, starts) -> None:
    found = window_starts(frames, length, overlap)
    assert found.tolist() == starts
    assert found.dtype == np.int64


@given(frames=FRAMES, shape=SHAPES)
def test_windows_cover_a_clip(frames, shape) -> None:
    length, overlap = shape
    starts = window_starts(frames, length, overlap)
    covered = {t for start in starts.tolist() for t in range(start, start + length)}
    assert set(range(frames)) <= covered
    assert starts[0] == 0
    steps = np.diff(starts)
    assert (steps > 0).all()
    assert (steps[:-1] == length - overlap).all()
    assert (steps <= length - overlap).all()
    if frames >= length:
        # None is padded, and the last one ends with the clip.
        assert covered == set(range(frames))
        assert starts[-1] + length == frames
    else:
        assert starts.tolist() == [0]


@pytest.mark.parametrize(("length", "overlap"), [(15, 15), (15, 20), (15, -1), (0, 0)])
def test_wrong_overlaps(length: int, overlap: int) -> None:
    with pytest.raises(ValueError, match="overlap"):
        window_starts(10, length, overlap)


@given(counts=st.lists(st.integers(0, 60), max_size=6), shape=SHAPES)
def test_windows_of_several_clips(counts, shape) -> None:
    windows = cut(counts, *shape)
    found = list(zip(windows.clip.tolist(), windows.start.tolist(), strict=True))
    assert found == [
        (clip, start)
        for clip, frames in enumerate(counts)
        for start in window_starts(frames, *shape).tolist()
    ]
    assert (windows.length, len(windows)) == (shape[0], len(found))
    assert windows.clip.dtype == windows.start.dtype == np.int64


def test_keeping_some() -> None:
    windows = cut([25, 16], 15, 5)
    kept = windows.keep(np.array([False, True, True, False]))
    assert (kept.length, kept.clip.tolist(), kept.start.tolist()) == (15, [0, 1], [10, 0])
    assert len(windows.keep(np.zeros(4, bool))) == 0


def test_a_clip_of_less_than_nothing_has_no_window() -> None:
    assert window_starts(-3, 15, 5).tolist() == []


def test_windows_are_compared_as_a_whole() -> None:
    assert cut([25, 16], 15, 5) == cut([25, 16], 15, 5)
    assert cut([25, 16], 15, 5) != cut([25], 15, 5)
