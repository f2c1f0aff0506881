"""A picture that does not move is no film, whatever the file calls it."""

import pytest

from avaffect.config import MediaConfig
from avaffect.media.probe import probe
from avaffect.media.stills import stills

FORMATS = [("x.mp4", "mjpeg"), ("x.mkv", "mjpeg"), ("x.mp4", "libx264"), ("x.mov", "png")]


def slides(make, name, codec, pictures, seconds, every=None):
    """A file with so many pictures, evenly over its sound or ``every`` so many seconds."""
    every = every or seconds / pictures
    show = f"testsrc2=s=160x120:r={1 / every}"
    tone = f"sine=500:r=8000:d={seconds}"
    inputs = ["-f", "lavfi", "-i", show, "-f", "lavfi", "-i", tone]
    coding = ["-frames:v", str(pictures), "-c:v", codec, "-c:a", "aac", "-disposition:v", "0"]
    make.ffmpeg(*inputs, *coding, "-pix_fmt", "rgb24" if codec == "png" else "yuvj420p", name)
    return make.folder / name


@pytest.mark.parametrize(("name", "codec"), FORMATS)
@pytest.mark.parametrize(("pictures", "seconds"), [(1, 4), (2, 14), (4, 40)])
def test_a_cover_and_slides(make, name: str, codec: str, pictures: int, seconds: int) -> None:
    assert stills(slides(make, name, codec, pictures, seconds)) == pictures


@pytest.mark.parametrize(
    ("pictures", "seconds", "every"),
    [(1, 1.5, 0.04), (5, 4, 0.04), (3, 4, 1.0), (11, 60, 5.4), (40, 60, 0.04)],
)
def test_a_film_however_short(make, pictures: int, seconds: float, every: float) -> None:
    assert stills(slides(make, "x.mp4", "libx264", pictures, seconds, every)) is None


def test_without_sound_a_picture_is_a_film_of_one_frame(make) -> None:
    make.test_card("one.mp4", "-frames:v", "1")
    make.test_card("one.jpg", "-frames:v", "1")
    assert stills(make.folder / "one.mp4") is None
    assert stills(make.folder / "one.jpg") is None


@pytest.mark.parametrize("name", ["both.mp4", "both.mkv"])
def test_a_cover_before_a_film(make, name: str) -> None:
    """The film is what is looked at, also where the cover comes first and is no marked one."""
    make.test_card("cover.jpg", "-frames:v", "1", size="80x80")
    film = make.test_card("film.mp4", "-f", "lavfi", "-i", "sine=500:d=3", "-c:a", "aac",
                          seconds=3)  # fmt: skip
    both = ["-i", "cover.jpg", "-i", film.name, "-map", "0", "-map", "1", "-c:a", "copy"]
    coding = ["-c:v:0", "mjpeg", "-c:v:1", "copy", "-disposition:v", "0"]
    make.ffmpeg(*both, *coding, name)
    path = make.folder / name
    assert stills(path) is None
    assert (probe(path).video.ordinal, probe(path).video.width) == (1, 160)
    assert probe(path, MediaConfig(video_stream=0)).video.width == 80
