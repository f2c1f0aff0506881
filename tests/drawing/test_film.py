"""Films, frame by frame."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from avaffect.drawing.film import Film


def test_pictures_of_other_sizes_are_made_to_fit(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with Film(path, 64, 48) as film:
        for at, shape in enumerate([(48, 64), (480, 64), (20, 30), (49, 1000), (48, 64)]):
            film.add(np.full((*shape, 3), 200, np.uint8), at / 10)
    with av.open(str(path)) as file:
        frames = list(file.decode(video=0))
    assert [(frame.width, frame.height) for frame in frames] == [(64, 48)] * 5
    assert [frame.time for frame in frames] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])


def test_times_closer_than_a_tick_remain_two(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with Film(path, 16, 16) as film:
        for time in (0, 1e-6, 2e-6, 7200.0):
            film.add(np.zeros((16, 16, 3), np.uint8), time)
    with av.open(str(path)) as file:
        assert len(list(file.decode(video=0))) == 4


@pytest.mark.parametrize("colour", [(255, 0, 0), (0, 255, 0), (30, 60, 200), (128, 128, 128)])
def test_colours_come_back(colour, tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with Film(path, 64, 64) as film:
        film.add(np.full((64, 64, 3), colour, np.uint8), 0)
    from avaffect.media.frames import FrameReader

    with FrameReader(path) as reader:
        (frame,) = reader
    assert np.abs(frame.image.reshape(-1, 3).mean(0) - colour).max() < 4
