"""Pictures come out upright, in the right colours, and whole."""

import gc

import av
import numpy as np
import pytest
from av.sidedata.sidedata import SideDataContainer

from avaffect.media.frames import FrameReader
from avaffect.media.picture import RgbConverter, deinterlaced
from avaffect.media.probe import probe


def first_image(path):
    with FrameReader(path) as reader:
        return next(iter(reader)).image


def corners():
    """A picture without any symmetry."""
    image = np.zeros((48, 64, 3), np.uint8)
    image[:24, :32] = (220, 30, 30)
    image[:24, 32:] = (30, 220, 30)
    image[24:, :32] = (30, 30, 220)
    return image


@pytest.mark.parametrize(
    ("flags", "rotation", "turned"),
    [
        (["-display_rotation", "90"], 270, lambda image: np.rot90(image, 1)),
        (["-display_rotation", "180"], 180, lambda image: np.rot90(image, 2)),
        (["-display_rotation", "270"], 90, lambda image: np.rot90(image, 3)),
        (["-display_hflip"], 0, lambda image: image[:, ::-1]),
        (["-display_vflip"], 180, lambda image: image[::-1]),
    ],
)
def test_rotation_flag_gives_upright_pictures(make, flags, rotation, turned):
    make.still("still.png", corners())
    encode = ["-c:v", "libx264", "-crf", "5", "-pix_fmt", "yuv444p"]
    make.ffmpeg("-loop", "1", "-i", "still.png", "-frames:v", "3", *encode, "flat.mp4")
    make.ffmpeg(*flags, "-i", "flat.mp4", "-c", "copy", "turned.mp4")
    path = make.folder / "turned.mp4"
    image, expected = first_image(path), turned(corners())
    video = probe(path).video
    assert image.shape == expected.shape == (video.height, video.width, 3)
    assert np.abs(image.astype(int) - expected).mean() < 4
    assert video.rotation == rotation


def test_turn_and_mirror_agree_with_ffmpeg(make):
    make.still("still.png", corners())
    encode = ["-c:v", "libx264", "-crf", "5", "-pix_fmt", "yuv444p"]
    make.ffmpeg("-loop", "1", "-i", "still.png", "-frames:v", "3", *encode, "flat.mp4")
    flags = ["-display_rotation", "90", "-display_hflip"]
    make.ffmpeg(*flags, "-i", "flat.mp4", "-c", "copy", "turned.mp4")
    make.ffmpeg("-i", "turned.mp4", "-frames:v", "1", "expected.png")
    image = first_image(make.folder / "turned.mp4").astype(int)
    assert np.abs(image - first_image(make.folder / "expected.png")).mean() < 4


RED_BROWN = (200, 100, 50)


@pytest.mark.parametrize(
    ("size", "arguments"),
    [
        ("320x240", "-pix_fmt yuv420p"),
        ("1280x720", "-vf scale=out_color_matrix=bt709:out_range=tv,format=yuv420p"),
        (
            "320x240",
            "-vf scale=out_color_matrix=bt709:out_range=tv,format=yuv420p"
            " -colorspace bt709 -color_range tv",
        ),
        (
            "1280x720",
            "-vf scale=out_color_matrix=bt601:out_range=pc,format=yuv420p"
            " -colorspace smpte170m -color_range pc",
        ),
        (
            "320x240",
            "-vf scale=out_color_matrix=bt2020:out_range=tv,format=yuv420p10le"
            " -colorspace bt2020nc -color_range tv",
        ),
        ("320x240", "-c:v libx264rgb"),
    ],
    ids=["sd-untagged", "hd-untagged", "sd-709", "hd-601-full", "2020-10bit", "rgb"],
)
def test_colours_are_those_that_were_filmed(make, size, arguments):
    make.ffmpeg(
        *["-f", "lavfi", "-i", f"color=c=0xC86432:s={size}:r=5:d=0.4,format=rgb24"],
        *["-c:v", "libx264", "-qp", "4", *arguments.split(), "colour.mp4"],
    )
    image = first_image(make.folder / "colour.mp4")
    assert np.abs(image.astype(int) - RED_BROWN).max() <= 5


@pytest.mark.parametrize("pix_fmt", ["gray", "yuv411p", "yuv422p10le", "nv12", "yuva420p"])
def test_any_pixel_format_becomes_rgb(make, pix_fmt):
    arguments = ["-c:v", "rawvideo", "-pix_fmt", pix_fmt, "-frames:v", "2"]
    image = first_image(make.test_card("raw.nut", *arguments))
    assert image.shape == (120, 160, 3)
    assert image.std() > 30


@pytest.mark.parametrize("pix_fmt", ["yuv444p", "yuv420p"])
def test_the_last_row_and_column_of_odd_sizes_are_there(make, pix_fmt):
    expected = np.full((241, 321, 3), 40, np.uint8)
    expected[-1], expected[:, -1] = 200, 200
    make.still("odd.png", expected)
    encode = ["-frames:v", "1", "-c:v", "ffv1", "-pix_fmt", pix_fmt]
    make.ffmpeg("-i", "odd.png", *encode, "odd.mkv")
    image = first_image(make.folder / "odd.mkv")
    assert image.shape == (241, 321, 3)
    assert np.abs(image.astype(int) - expected).max() < 12


def test_converted_frames_leave_memory_at_once(make):
    """PyAV's frames can refer to themselves; at 4K that would pile up gigabytes."""
    path = make.test_card("plain.mp4", "-c:v", "libx264")
    convert = RgbConverter()
    with av.open(str(path)) as container:
        frames = container.decode(video=0)
        gc.collect()
        gc.disable()
        try:
            for frame in frames:
                convert(frame)
            del frame
            # Not isinstance: that would ask proxies of other tests' dead objects.
            alive = [item for item in gc.get_objects() if type(item) is SideDataContainer]
        finally:
            gc.enable()
    assert len(alive) <= 1


def combing(image):
    """How much neighbouring rows differ more than rows two apart."""
    rows = image.mean(2)
    return np.abs(rows[1:-1] - rows[:-2]).mean() / (np.abs(rows[2:] - rows[:-2]).mean() + 1e-9)


def test_interlaced_frames_are_deinterlaced_one_for_one(make, independent_count):
    motion = "testsrc2=s=320x240:r=50:d=1,scroll=h=0.05,interlace=lowpass=0"
    coding = [
        "-c:v",
        "mpeg2video",
        "-qscale:v",
        "2",
        "-flags",
        "+ildct+ilme",
        "-pix_fmt",
        "yuv420p",
    ]
    make.ffmpeg("-f", "lavfi", "-i", motion, *coding, "fields.mpg")
    path = make.folder / "fields.mpg"
    with FrameReader(path) as reader:
        frames = list(reader)
    with av.open(str(path)) as container:
        woven = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert reader.info.video.interlaced
    assert len(frames) == len(woven) == independent_count(path) == 25
    steps = np.diff([frame.time for frame in frames])
    assert steps == pytest.approx(0.04, abs=1e-4)
    assert combing(frames[10].image) < 0.8 * combing(woven[10])
    first_field = np.abs(frames[10].image[::2].astype(int) - woven[10][::2])
    assert first_field.mean() < 8


def test_deinterlacing_keeps_colour_tags_and_times_of_a_single_frame(make):
    motion = "testsrc2=s=320x240:r=50:d=0.04,interlace=lowpass=0"
    coding = ["-c:v", "libx264", "-flags", "+ildct", "-colorspace", "bt709", "-color_range", "tv"]
    make.ffmpeg("-f", "lavfi", "-i", motion, *coding, "one.mkv")
    with av.open(str(make.folder / "one.mkv")) as container:
        originals = list(container.decode(video=0))
    assert [frame.interlaced_frame for frame in originals] == [True]
    (result,) = deinterlaced(originals)
    assert (result.pts, result.time_base) == (originals[0].pts, originals[0].time_base)
    assert (result.colorspace, result.color_range) == (1, 1)
