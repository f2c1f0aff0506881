"""Pictures come out upright, in the right colours, and whole."""

import gc
import struct
from fractions import Fraction

import av
import numpy as np
import pytest
from av.sidedata.sidedata import SideDataContainer

from avaffect.config import MediaConfig
from avaffect.media.decode import Decoded
from avaffect.media.frames import FrameReader
from avaffect.media.picture import RgbConverter, deinterlaced
from avaffect.media.probe import probe


def plain(frame):
    """``frame``, of whose stream nothing special is known."""
    return Decoded(frame, None, 2, 2)


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
def test_rotation_flag_gives_upright_pictures(make, flags, rotation: int, turned) -> None:
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


def test_turn_and_mirror_agree_with_ffmpeg(make) -> None:
    make.still("still.png", corners())
    encode = ["-c:v", "libx264", "-crf", "5", "-pix_fmt", "yuv444p"]
    make.ffmpeg("-loop", "1", "-i", "still.png", "-frames:v", "3", *encode, "flat.mp4")
    flags = ["-display_rotation", "90", "-display_hflip"]
    make.ffmpeg(*flags, "-i", "flat.mp4", "-c", "copy", "turned.mp4")
    make.ffmpeg("-i", "turned.mp4", "-frames:v", "1", "expected.png")
    image = first_image(make.folder / "turned.mp4").astype(int)
    assert np.abs(image - first_image(make.folder / "expected.png")).mean() < 4


# What EXIF's orientation 1 to 8 asks for (CIPA DC-008, 4.6.4): of the stored picture.
EXIF_TURNS = [
    lambda image: image,
    lambda image: image[:, ::-1],
    lambda image: np.rot90(image, 2),
    lambda image: image[::-1],
    lambda image: image.transpose(1, 0, 2),
    lambda image: np.rot90(image, 3),
    lambda image: image[::-1, ::-1].transpose(1, 0, 2),
    lambda image: np.rot90(image, 1),
]


def exif(jpeg, orientation):
    """``jpeg`` with EXIF data behind its first marker: maker, and orientation."""
    tags = struct.pack("<HHIIHHIIHHI", 0x10F, 2, 4, 0x6D6163, 0x112, 3, 1, orientation, 0, 0, 0)
    tiff = b"II*\0" + struct.pack("<IH", 8, 2) + tags[:24] + b"\0\0\0\0"
    content = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content + jpeg[2:]


def jpeg_of_corners(make):
    make.still("flat.png", corners())
    make.ffmpeg("-i", "flat.png", "-q:v", "1", "-pix_fmt", "yuvj444p", "flat.jpg")
    return (make.folder / "flat.jpg").read_bytes()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_in_exif_is_obeyed(make, orientation) -> None:
    path = make.folder / "camera.jpg"
    path.write_bytes(exif(jpeg_of_corners(make), orientation))
    image, expected = first_image(path), EXIF_TURNS[orientation - 1](corners())
    assert image.shape == expected.shape
    assert np.abs(image.astype(int) - expected).mean() < 4
    assert (probe(path).video.height, probe(path).video.width) == image.shape[:2]


@pytest.mark.parametrize("first", [1, 6])
def test_each_frame_of_a_series_of_pictures_is_turned_by_its_own_exif(make, first: int) -> None:
    jpeg = jpeg_of_corners(make)
    orders = [first, 2, 3, 4, 1, 5, 6, 7, 8, 6, 5, 1]
    path = make.folder / "series.mjpeg"
    path.write_bytes(b"".join(exif(jpeg, order) for order in orders))
    images = [frame.image for frame in FrameReader(path)]
    assert len(images) == len(orders)
    for image, order in zip(images, orders, strict=True):
        assert np.abs(image.astype(int) - EXIF_TURNS[order - 1](corners())).mean() < 4


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_a_turn_that_is_asked_for_stands_in_place_of_the_files_own(make, degrees: int) -> None:
    path = make.folder / "camera.jpg"
    path.write_bytes(exif(jpeg_of_corners(make), 6))
    expected = np.rot90(corners(), -degrees // 90)
    config = MediaConfig(rotate=degrees)
    with FrameReader(path, config) as reader:
        image = next(iter(reader)).image
    assert image.shape == expected.shape
    assert np.abs(image.astype(int) - expected).mean() < 4
    assert probe(path, config).video.rotation == degrees


def wide_pixels(make, aspect, *arguments):
    """A disc that is round only where the pixels are made square; half as wide as high."""
    y, x = np.mgrid[:96, :64]
    disc = ((x - 31.5) * 2) ** 2 + (y - 47.5) ** 2 < 40**2
    make.still("disc.png", np.repeat(np.where(disc, 230, 20)[..., None], 3, 2).astype(np.uint8))
    source = ["-loop", "1", "-i", "disc.png", "-frames:v", "3", "-vf", f"setsar={aspect}"]
    make.ffmpeg(*source, *arguments)
    return make.folder / arguments[-1]


def extent(image):
    """Width and height of what is bright."""
    bright = image.mean(2) > 128
    return np.ptp(np.flatnonzero(bright.any(0))) + 1, np.ptp(np.flatnonzero(bright.any(1))) + 1


@pytest.mark.parametrize(
    "name", ["a.mp4", "a.mkv", "a.avi", "a.ts", "a.mpg", "a.mov", "a.m2v", "a.h264"]
)
def test_pixels_become_square_whoever_says_that_they_are_not(make, name: str) -> None:
    codec = "mpeg2video" if name in ("a.mpg", "a.m2v") else "libx264"
    arguments = ["-c:v", codec, "-pix_fmt", "yuv420p", "-q:v", "2", "-crf", "10"]
    # MPEG-2 knows the whole picture's shape alone.
    aspect = "2" if codec == "libx264" else "8/3"
    path = wide_pixels(make, aspect, *arguments[: 6 if codec == "mpeg2video" else 8], name)
    for frame in FrameReader(path):
        height, width = frame.image.shape[:2]
        assert (width, height) == (pytest.approx(64 * ratio(aspect), abs=1), 96)
        wide, high = extent(frame.image)
        assert wide / high == pytest.approx(ratio(aspect) / 2, abs=0.06)
        assert frame.scale.x == pytest.approx(ratio(aspect), abs=0.02)


def ratio(text):
    return float(Fraction(text))


def test_a_turned_picture_is_stretched_along_its_other_side(make) -> None:
    wide_pixels(make, "2", "-c:v", "libx264", "-pix_fmt", "yuv420p", "flat.mp4")
    make.ffmpeg("-display_rotation", "90", "-i", "flat.mp4", "-c", "copy", "turned.mp4")
    with FrameReader(make.folder / "turned.mp4") as reader:
        frame = next(iter(reader))
        assert frame.image.shape == (128, 96, 3)
        assert (frame.scale.x, frame.scale.y) == (1, 2)
        assert reader.info.video.square_size == (96, 128)
        assert (reader.info.video.width, reader.info.video.height) == (96, 64)
    wide, high = extent(frame.image)
    assert abs(wide - high) <= 3


def test_the_shape_of_pixels_may_change_in_mid_stream(make) -> None:
    code = ["-c:v", "libx264", "-bf", "0", "-pix_fmt", "yuv420p"]
    paths = [wide_pixels(make, aspect, *code, f"{aspect}.ts") for aspect in "12"]
    both = make.folder / "both.ts"
    both.write_bytes(b"".join(path.read_bytes() for path in paths))
    widths = [frame.image.shape[1] for frame in FrameReader(both)]
    assert widths == [64] * 3 + [128] * 3


@pytest.mark.parametrize("aspect", ["100", "1/100"])
def test_absurd_pixels_are_taken_for_square_and_said(make, aspect: str) -> None:
    path = make.test_card("a.mp4", "-vf", f"setsar={aspect}", "-c:v", "libx264")
    with FrameReader(path) as reader:
        assert next(iter(reader)).image.shape == (120, 160, 3)
        assert reader.info.video.sample_aspect == 1
        (doubt,) = reader.info.doubts
    assert "taken for square" in doubt


def hdr_clip(make, name, transfer, signal):
    """A lossless clip of one colour, whose RGB signal in 0..1 is ``signal``."""
    raw = np.broadcast_to(np.rint(np.array(signal) * 65_535), (3, 48, 64, 3)).astype("<u2")
    source = ["-f", "rawvideo", "-pix_fmt", "rgb48le", "-s", "64x48", "-r", "25", "-i", "-"]
    tags = f"setparams=color_trc={transfer}:color_primaries=bt2020:colorspace=bt2020nc:range=tv"
    matrix = "scale=out_color_matrix=bt2020:out_range=tv,format=yuv444p12le"
    code = ["-vf", f"{matrix},{tags}", "-c:v", "ffv1"]
    make.ffmpeg(*source, *code, name, stdin=raw.tobytes())
    return make.folder / name


@pytest.mark.parametrize(
    ("transfer", "signal", "expected"),
    [
        # White of BT.2408, and what its inverse of BT.1886 makes of 50 nits.
        ("smpte2084", (0.58, 0.58, 0.58), (245, 245, 245)),
        ("arib-std-b67", (0.75, 0.75, 0.75), (245, 245, 245)),
        ("smpte2084", (0.44, 0.44, 0.44), (142, 142, 142)),
        ("arib-std-b67", (1.0, 1.0, 1.0), (255, 255, 255)),
        # No HDR, though the primaries are those of BT.2020: nothing but the matrix is undone.
        ("bt2020-10", (0.58, 0.58, 0.58), (148, 148, 148)),
        ("bt709", (0.8, 0.4, 0.2), (204, 102, 51)),
        ("smpte428", (0.58, 0.58, 0.58), (148, 148, 148)),
    ],
)
def test_hdr_becomes_sdr_and_all_else_stays(make, transfer: str, signal, expected) -> None:
    image = first_image(hdr_clip(make, "hdr.mkv", transfer, signal))
    assert image.dtype == np.uint8
    assert np.abs(image.astype(int) - expected).max() <= 3


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
def test_colours_are_those_that_were_filmed(make, size: str, arguments: str) -> None:
    make.ffmpeg(
        *["-f", "lavfi", "-i", f"color=c=0xC86432:s={size}:r=5:d=0.4,format=rgb24"],
        *["-c:v", "libx264", "-qp", "4", *arguments.split(), "colour.mp4"],
    )
    image = first_image(make.folder / "colour.mp4")
    assert np.abs(image.astype(int) - RED_BROWN).max() <= 5


@pytest.mark.parametrize("pix_fmt", ["gray", "yuv411p", "yuv422p10le", "nv12", "yuva420p"])
def test_any_pixel_format_becomes_rgb(make, pix_fmt: str) -> None:
    arguments = ["-c:v", "rawvideo", "-pix_fmt", pix_fmt, "-frames:v", "2"]
    image = first_image(make.test_card("raw.nut", *arguments))
    assert image.shape == (120, 160, 3)
    assert image.std() > 30


@pytest.mark.parametrize("pix_fmt", ["yuv444p", "yuv420p"])
def test_the_last_row_and_column_of_odd_sizes_are_there(make, pix_fmt: str) -> None:
    expected = np.full((241, 321, 3), 40, np.uint8)
    expected[-1], expected[:, -1] = 200, 200
    make.still("odd.png", expected)
    encode = ["-frames:v", "1", "-c:v", "ffv1", "-pix_fmt", pix_fmt]
    make.ffmpeg("-i", "odd.png", *encode, "odd.mkv")
    image = first_image(make.folder / "odd.mkv")
    assert image.shape == (241, 321, 3)
    assert np.abs(image.astype(int) - expected).max() < 12


def test_converted_frames_leave_memory_at_once(make) -> None:
    """PyAV's frames can refer to themselves; at 4K that would pile up gigabytes."""
    path = make.test_card("plain.mp4", "-c:v", "libx264")
    convert = RgbConverter()
    with av.open(str(path)) as container:
        frames = container.decode(video=0)
        gc.collect()
        gc.disable()
        try:
            for frame in frames:
                convert(plain(frame))
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


def test_interlaced_frames_are_deinterlaced_one_for_one(make, independent_count) -> None:
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


def test_deinterlacing_keeps_colour_tags_and_times_of_a_single_frame(make) -> None:
    motion = "testsrc2=s=320x240:r=50:d=0.04,interlace=lowpass=0"
    coding = ["-c:v", "libx264", "-flags", "+ildct", "-colorspace", "bt709", "-color_range", "tv"]
    make.ffmpeg("-f", "lavfi", "-i", motion, *coding, "one.mkv")
    with av.open(str(make.folder / "one.mkv")) as container:
        originals = list(container.decode(video=0))
    assert [frame.interlaced_frame for frame in originals] == [True]
    (decoded,) = deinterlaced([Decoded(originals[0], None, 1, 1)])
    result = decoded.frame
    assert (decoded.transfer, decoded.primaries) == (1, 1)
    assert (result.pts, result.time_base) == (originals[0].pts, originals[0].time_base)
    assert (result.colorspace, result.color_range) == (1, 1)
