"""Frames that a caller has: checked one by one, read once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from avaffect.errors import NoFramesError, UsageError
from avaffect.media.given import Given, GivenFrames, as_image

IMAGE = np.zeros((8, 12, 3), np.uint8)


def test_frames_are_those_of_a_file() -> None:
    with GivenFrames(Given(Path("a"), iter([IMAGE, IMAGE]), iter([5.0, 5.25]))) as reader:
        frames = list(reader)
    assert [(frame.index, frame.time) for frame in frames] == [(0, 0.0), (1, 0.25)]
    assert reader.report.frames == 2
    assert reader.report.first_time_s == 5
    assert reader.info.video.square_size == (12, 8)
    assert reader.info.frames_hint is None
    listed = GivenFrames(Given(Path("a"), [IMAGE] * 3, fps=50))
    assert listed.info.frames_hint == 3
    assert [frame.time for frame in listed] == pytest.approx([0, 0.02, 0.04])


def test_views_become_contiguous() -> None:
    flipped = np.arange(8 * 12 * 3, dtype=np.uint8).reshape(8, 12, 3)[:, :, ::-1]
    image = as_image(flipped)
    assert image.flags.c_contiguous
    np.testing.assert_array_equal(image, flipped)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"times": [0, 1], "fps": 25}, "not both"),
        ({}, "times or fps"),
        ({"fps": 0}, "frame rate"),
        ({"fps": float("nan")}, "frame rate"),
        ({"times": [0]}, "1 times"),
        ({"times": [0, 0]}, "must increase"),
        ({"times": [0, None]}, "number of seconds"),
        ({"times": [0, 10**400]}, "number of seconds"),
    ],
)
def test_other_times_are_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        list(GivenFrames(Given(Path("a"), [IMAGE, IMAGE], **given)))


def test_no_frames_and_no_start_in_their_midst() -> None:
    with pytest.raises(NoFramesError):
        GivenFrames(Given(Path("a"), [], fps=25))
    with pytest.raises(UsageError):
        GivenFrames(Given(Path("a"), [IMAGE], fps=25), start=1)
