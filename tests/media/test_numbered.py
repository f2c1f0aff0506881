"""Numbered pictures become the video whose frames they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from avaffect.errors import AvaffectError, ForeignFileError, UsageError
from avaffect.media.frames import FrameReader
from avaffect.media.numbered import video_of_frames
from avaffect.progress import Event, Notice


def grey(folder: Path, name: str, level: int) -> None:
    folder.mkdir(exist_ok=True)
    Image.fromarray(np.full((16, 24, 3), level, np.uint8)).save(folder / name, quality=95)


@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_frames_are_in_order_at_their_times(ending: str, tmp_path: Path) -> None:
    folder, events = tmp_path / "walk", list[Event]()
    for number in (8, 9, 10, 12):
        grey(folder, f"f_{number}.{ending}", number * 10)
    (folder / "notes.txt").touch()
    made = video_of_frames(folder, tmp_path / "walk.mov", 29.97, events.append)
    with FrameReader(made) as reader:
        frames = [(frame.time * 29.97, int(frame.image.mean())) for frame in reader]
    np.testing.assert_allclose([time for time, _ in frames], [0, 1, 2, 4], atol=1e-3)
    np.testing.assert_allclose([level for _, level in frames], [80, 90, 100, 120], atol=1)
    (notice,) = events
    assert isinstance(notice, Notice)
    assert "lacks 1 of its numbers, the first behind 10" in notice.text
    # The same pictures are the same file.
    before = made.read_bytes()
    assert video_of_frames(folder, made, 29.97).read_bytes() == before
    with pytest.raises(ForeignFileError, match="was not made of these pictures"):
        video_of_frames(folder, made, 25)
    assert made.read_bytes() == before


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a_1.png", "b_2.png"], "not frames of one video"),
        (["a_1.png", "a_2.jpg"], "not frames of one video"),
        (["a_1.png", "a_01.png"], "not frames of one video"),
        (["a.png"], "has no number"),
        ([], "holds no JPEG or PNG"),
    ],
)
def test_what_is_no_series_is_refused(names: list[str], message: str, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for name in names:
        grey(tmp_path / "a", name, 100)
    with pytest.raises(UsageError, match=message):
        video_of_frames(tmp_path / "a", tmp_path / "a.mov", 25)
    assert not (tmp_path / "a.mov").exists()


def test_a_file_that_is_no_picture_is_named(tmp_path: Path) -> None:
    for number in (1, 2):
        grey(tmp_path / "a", f"{number}.png", 100)
    for at, content in ((2, b"text"), (1, b"")):
        (tmp_path / f"a/{at}.png").write_bytes(content)
        with pytest.raises(AvaffectError, match=rf"{at}\.png'"):
            video_of_frames(tmp_path / "a", tmp_path / "a.mov", 25)
    with pytest.raises(UsageError, match="impossible"):
        video_of_frames(tmp_path / "a", tmp_path / "a.mov", 0)
