"""A file at its own speed, a camera that is not there, and the newest frame."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from avaffect.errors import InputNotFoundError, MediaError, UsageError
from avaffect.live.sources import Camera, FilePlayer, Newest


def test_a_file_takes_its_own_time(gap_clip: Path, clock: Any) -> None:
    player = FilePlayer(gap_clip, clock)
    began, shots = clock.now(), []
    while (shot := player.newest()) is not None:
        assert clock.now() == pytest.approx(shot.captured)
        shots.append(shot)
    assert len(shots) == 40
    assert player.dropped == 0
    assert clock.now() - began == pytest.approx(39 / 25)
    assert shots[0].sound is None
    player.close()


def test_who_is_slow_gets_the_newest(gap_clip: Path, clock: Any) -> None:
    player = FilePlayer(gap_clip, clock)
    times = []
    while (shot := player.newest()) is not None:
        times.append(round(shot.time * 25))
        clock.time += 0.105
    # Each is the last whose time has come; the end is not left out.
    assert times[:5] == [0, 2, 5, 7, 10]
    assert times[-1] == 39
    assert len(times) + player.dropped == 40


def test_the_sound_comes_with_its_frames(gap_clip: Path, clock: Any) -> None:
    player = FilePlayer(gap_clip, clock, sound=True)
    end, total = None, 0
    while (shot := player.newest()) is not None:
        if shot.sound is None:
            continue
        assert shot.sound_time <= shot.time
        if end is not None:
            assert shot.sound_time == pytest.approx(end, abs=0.02)
        end = shot.sound_time + len(shot.sound) / 16_000
        total += len(shot.sound)
    assert total / 16_000 == pytest.approx(1.6, abs=0.1)


def test_no_file_and_no_camera(tmp_path: Path, clock: Any) -> None:
    with pytest.raises(InputNotFoundError):
        FilePlayer(tmp_path / "none.mp4", clock)
    with pytest.raises(UsageError, match="counted from 0"):
        Camera(-1, clock)
    with pytest.raises(MediaError, match="camera 97 cannot be opened"):
        Camera(97, clock)


class Capture:
    """Stands for OpenCV's: frames of one colour each, then none."""

    def __init__(self, number: int) -> None:
        self.left = 3 if number == 0 else 0

    def isOpened(self) -> bool:
        return True

    def read(self) -> tuple[bool, np.ndarray | None]:
        self.left -= 1
        blue = np.zeros((4, 4, 3), np.uint8)
        blue[:, :, 0] = 255
        return (True, blue) if self.left >= 0 else (False, None)

    def release(self) -> None:
        self.left = 0


def test_a_camera_gives_rgb_and_says_when_it_ends(
    clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cv2.VideoCapture", Capture)
    camera = Camera(0, clock)
    camera._thread.join()
    shot = camera.newest()
    assert shot is not None
    assert shot.image[0, 0].tolist() == [0, 0, 255]
    assert shot.time == 0
    assert camera.dropped == 2
    with pytest.raises(MediaError, match="gives no picture"):
        camera.newest()
    camera.close()


def test_the_newest_takes_the_place_of_what_nobody_took() -> None:
    slot = Newest()
    for number in range(3):
        slot.put(np.full((1, 1, 3), number, np.uint8), float(number))
    held = slot.take(0)
    assert held is not None
    assert held[1] == 2
    assert slot.dropped == 2
    assert slot.take(0) is None
