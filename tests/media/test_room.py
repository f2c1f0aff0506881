"""Bytes of pictures are counted, not pictures."""

import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from avaffect.errors import MediaError
from avaffect.media.frames import FrameReader
from avaffect.media.room import MAX_MOVING_PIXELS, Room, within_bounds


def waits(room, size):
    """Whether entering would have to wait."""
    entered = threading.Event()
    thread = threading.Thread(target=lambda: (room.enter(size), entered.set()), daemon=True)
    thread.start()
    late = not entered.wait(0.2)
    room.close()
    thread.join()
    return late


def test_as_many_as_fit() -> None:
    room = Room(3, 100)
    room.enter(60)
    assert waits(room, 50)
    room = Room(3, 100)
    room.enter(60)
    room.leave(60)
    assert not waits(room, 100)
    room = Room(2, 100)
    room.enter(1)
    room.enter(1)
    assert waits(room, 1)


def test_what_is_too_large_for_all_goes_alone() -> None:
    room = Room(3, 100)
    assert not waits(room, 1000)


def frame(side):
    return SimpleNamespace(frame=SimpleNamespace(width=side, height=side))


def test_a_single_picture_may_be_larger_than_a_moving_one() -> None:
    side = int(MAX_MOVING_PIXELS**0.5)
    assert len(list(within_bounds([frame(side)] * 3, Path("a")))) == 3
    assert len(list(within_bounds([frame(side + 1)], Path("a")))) == 1
    with pytest.raises(MediaError, match="moving pictures of"):
        list(within_bounds([frame(10), frame(side + 1)], Path("a")))
    with pytest.raises(MediaError, match="claims pictures of"):
        list(within_bounds([frame(20_000)], Path("a")))


def test_a_large_animation(ffmpeg, tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    ffmpeg("-f", "lavfi", "-i", "color=s=6400x6400:r=5:d=0.6", path)
    with pytest.raises(MediaError, match="moving pictures of 6400x6400"):
        list(FrameReader(path))
