"""The video of a page: found by content, played or not, faces cut at the right place."""

import base64
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from avaffect.config import MediaConfig
from avaffect.drawing.subjects import Table
from avaffect.errors import InputNotFoundError
from avaffect.files.hashing import file_sha256
from avaffect.reporting.footage import cut_faces, find_footage, look_at


def picture(text: str) -> np.ndarray:
    found = cv2.imdecode(np.frombuffer(base64.b64decode(text), np.uint8), cv2.IMREAD_COLOR)
    assert found is not None
    return found


def test_faces_are_cut_where_and_when_they_are(
    ffmpeg: Callable[..., None], tmp_path: Path
) -> None:
    # Four seconds with two pictures to jump to; the colour tells the time, the place the face.
    path = tmp_path / "colours.mp4"
    paint = [f"drawbox=x=40:y=20:w=60:h=60:color={colour}:t=fill:enable='gte(t,{at})'"
             for at, colour in enumerate(("red", "lime", "blue", "white"))]  # fmt: skip
    ffmpeg("-f", "lavfi", "-i", "color=black:s=160x120:r=10:d=4", "-vf", ",".join(paint),
           "-g", "20", "-pix_fmt", "yuv420p", path)  # fmt: skip
    n = 40
    box = dict(zip(("left", "top", "right", "bottom"), (55, 35, 85, 65), strict=True))
    columns = {"frame": np.arange(1, n + 1), "time": np.arange(n) / 10}
    columns |= {f"box_{side}": np.full(n, float(at)) for side, at in box.items()}
    columns["confidence"] = (np.arange(n) % 10 == 4).astype(float)
    seen = Table("a", columns | {"present": np.arange(n) % 10 > 2}, MediaConfig())
    nobody = Table("b", columns | {"present": np.zeros(n, bool)}, MediaConfig())
    found, none = cut_faces(path, [seen, nobody], 0.0)
    assert none == []
    colours = [picture(face)[40:60, 40:60].mean(axis=(0, 1)).round(-2) for face in found]
    assert len(colours) == 6
    kinds = [tuple(colour > 100) for colour in colours]
    # Blue, green, red as OpenCV has them; in the order of time.
    order = [(False, False, True), (False, True, False), (True, False, False), (True, True, True)]
    assert sorted(kinds, key=order.index) == kinds
    assert set(kinds) == set(order)


def test_what_cannot_be_cut_is_left_out(tmp_path: Path, made: Callable[..., Table]) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no video")
    assert cut_faces(tmp_path / "a.mp4", [made(5)], 0.0) == [[]]
    assert cut_faces(tmp_path / "none.mp4", [made(5)], 0.0) == [[]]


def test_what_browsers_do_not_play_is_said(
    sample: Callable[[str], Path], ffmpeg: Callable[..., None], tmp_path: Path
) -> None:
    assert look_at(sample("one_person.mp4")).why_not == ""
    ten_bit, other = tmp_path / "a.mp4", tmp_path / "a.mkv"
    ffmpeg("-f", "lavfi", "-i", "color=red:s=64x64:d=0.2", "-pix_fmt", "yuv422p", ten_bit)
    ffmpeg("-f", "lavfi", "-i", "color=red:s=64x64:d=0.2", "-c:v", "mpeg4", other)
    assert "yuv422p" in look_at(ten_bit).why_not
    assert ".mkv" in look_at(other).why_not


@pytest.mark.parametrize("name", ["../secret.mp4", "/etc/secret.mp4", ""])
def test_a_record_does_not_lead_out_of_the_folders(name: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret.mp4"
    secret.write_bytes(b"x")
    (tmp_path / "out").mkdir()
    about = {"video": {"name": name, "sha256": file_sha256(secret)}}
    assert find_footage(about, [], [tmp_path / "out"]) is None
    assert find_footage(about, [secret], []) == secret
    assert find_footage({"video": 3}, [], [tmp_path]) is None


def test_a_folder_that_is_named_is_looked_into_first(tmp_path: Path) -> None:
    for place, content in (("named", b"x"), ("near", b"x"), ("other", b"y")):
        (tmp_path / place).mkdir()
        (tmp_path / place / "v.mp4").write_bytes(content)
    about = {"video": {"name": "v.mp4", "sha256": file_sha256(tmp_path / "near/v.mp4")}}
    other, named, near = (tmp_path / place for place in ("other", "named", "near"))
    assert find_footage(about, [other, named], [near]) == named / "v.mp4"
    assert find_footage(about, [other], [near]) == near / "v.mp4"
    with pytest.raises(InputNotFoundError):
        find_footage(about, [tmp_path / "nowhere"], [near])
