"""What folders stand for follows from what the decoder takes."""

import av

from avaffect.media.endings import _SOUND as SOUND
from avaffect.media.endings import _VIDEO as VIDEO
from avaffect.media.endings import EXTENSIONS, PICTURE_EXTENSIONS, SOUND_EXTENSIONS
from avaffect.media.ffmpeg import FORMATS

# Other names of the same formats, raw streams without a name of their own, and still pictures.
SAME = {"mp4", "m4a", "3gp", "3g2", "mj2", "webm", "live_flv", "vob", "obu", "m4v"}
STILL = {name for name in FORMATS.split(",") if name.endswith("_pipe")} | {"image2", "webp_anim"}
# Scripts of AviSynth, and subtitles.
OF_OTHERS = {"avs", "mks"}


def test_every_format_has_its_endings() -> None:
    assert {*VIDEO, *SOUND} | SAME | STILL == set(FORMATS.split(","))


def test_what_ffmpeg_calls_its_files_is_taken() -> None:
    ours = EXTENSIONS | SOUND_EXTENSIONS | PICTURE_EXTENSIONS
    for name in FORMATS.split(","):
        # Formats of FFmpeg's that only write, or that earlier versions lack.
        if name not in ("vob", "webp_anim"):
            theirs = av.ContainerFormat(name, "r").extensions - OF_OTHERS
            assert {f".{ending}" for ending in theirs} <= ours, name


def test_no_ending_has_two_meanings() -> None:
    assert not EXTENSIONS & SOUND_EXTENSIONS
    assert not (EXTENSIONS | SOUND_EXTENSIONS) & PICTURE_EXTENSIONS


def test_the_endings_that_were_missing() -> None:
    for ending in ["vob", "mxf", "asf", "f4v", "qt", "gif", "dv", "3g2", "m2v"]:
        assert f".{ending}" in EXTENSIONS
    for ending in ["w64", "au", "ac3", "wv", "mp2", "sph"]:
        assert f".{ending}" in SOUND_EXTENSIONS
