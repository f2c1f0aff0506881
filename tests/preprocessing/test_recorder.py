from pathlib import Path

import numpy as np
import pytest

from avaffect.media.frames import Frame
from avaffect.preprocessing.recorder import Recorder, crop_file, frames_at_once


class Broken:
    """A spool whose disk is full from the third frame on."""

    def __init__(self):
        self.times = []

    def append_frame(self, time):
        if len(self.times) == 2:
            raise OSError("full")
        self.times.append(time)


def frames(count):
    for index in range(count):
        yield Frame(index, index / 25, np.zeros((8, 8, 3), np.uint8))


def test_failure_of_the_thread_reaches_the_caller_and_blocks_nobody() -> None:
    spool = Broken()
    with pytest.raises(OSError, match="full"), Recorder(spool, [], None, batch=2) as recorder:
        for frame in frames(1000):
            recorder.put(frame, [], None)
    assert len(spool.times) == 2


def test_failure_in_the_last_batch_is_not_lost() -> None:
    with pytest.raises(OSError, match="full"), Recorder(Broken(), [], None) as recorder:
        for frame in frames(3):
            recorder.put(frame, [], None)


def test_the_callers_own_error_comes_first_and_ends_the_thread() -> None:
    recorder = Recorder(Broken(), [], None)
    with pytest.raises(KeyboardInterrupt), recorder:
        recorder.put(next(frames(1)), [], None)
        raise KeyboardInterrupt
    assert not recorder._thread.is_alive()


def test_crops_are_numbered_from_one(tmp_path: Path) -> None:
    assert crop_file(tmp_path, 0).name == "00001.jpg"
    assert crop_file(tmp_path, 123_455).name == "123456.jpg"


def test_large_frames_are_kept_in_smaller_numbers() -> None:
    assert frames_at_once(640, 360) == 16
    assert frames_at_once(1920, 1080) == 5
    assert frames_at_once(3840, 2160) == 1
    assert frames_at_once(16_384, 6_000) == 1
