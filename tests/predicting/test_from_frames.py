"""Frames that a caller has, predicted as a file is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from avaffect import predict, predict_frames
from avaffect.errors import AvaffectError, UsageError
from avaffect.media.frames import FrameReader


@pytest.fixture(scope="module")
def short(
    gap_clip: Path, ffmpeg: Callable[..., None], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A second with sound that needs no decoder's run-up."""
    path = tmp_path_factory.mktemp("given") / "short.mov"
    ffmpeg("-i", gap_clip, "-c:v", "copy", "-c:a", "pcm_s16le", path)
    return path


def test_the_result_is_that_of_the_file(short: Path) -> None:
    file = predict(short).predictions[0]
    with FrameReader(short) as reader:
        images, times = zip(*((frame.image, frame.time) for frame in reader), strict=True)
    with av.open(str(short)) as container:
        (stream,) = container.streams.audio
        blocks = [frame.to_ndarray() for frame in container.decode(stream)]
        rate, start = stream.rate, (stream.start_time or 0) * stream.time_base
    samples = np.concatenate(blocks, axis=1)[0].astype(np.float32) / 32768
    assert start == 0
    result = predict_frames(iter(images), iter(times), sound=(samples, rate), name="short")
    ours = result.predictions[0]
    assert result.subjects == ("short",)
    assert result.frames == 40
    assert len(ours.columns()) == len(file.columns())
    assert np.array_equal(ours.present, file.present)
    assert np.array_equal(ours.heard, file.heard)
    for name in ("va", "expr", "au", "geometry", "eyes"):
        np.testing.assert_allclose(getattr(ours, name), getattr(file, name), atol=5e-3)
    alone = predict_frames(images, fps=25, task="va")
    assert alone.predictions[0].tasks == ("va",)
    assert not alone.predictions[0].heard.any()
    assert alone.about["sound"] is None


def test_what_cannot_be_used_is_said_before_any_work() -> None:
    image = np.zeros((8, 8, 3), np.uint8)
    given: list[dict[str, Any]] = [
        {},
        {"fps": 25, "times": [0]},
        {"fps": 25, "name": "a/b"},
        {"fps": 25, "sound": (np.zeros(4, np.int16), 8000)},
        {"fps": 25, "missing": "guess"},
    ]
    for options in given:
        with pytest.raises(AvaffectError):
            predict_frames([image], **options)
    frames: Any = [image.astype(float)]
    with pytest.raises(UsageError, match="expected uint8"):
        predict_frames(frames, fps=25)
