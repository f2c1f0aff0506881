"""Running the program ffmpeg: which one, with which file, and what comes out of its pipe.

It is run only where a user names one; PyAV, which brings FFmpeg's libraries, does all else.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, cast

from avaffect.errors import MediaError, need

# Containers that hold their own data. Left out are those that name other files or hosts
# (playlists, concat scripts, SDP), which a hostile file could use to read what it should not.
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,live_flv,asf,ogg,mxf,nut,"
    "wtv,ivf,rm,dv,gxf,nsv,roq,smk,bink,vob,yuv4mpegpipe,h261,h263,h264,hevc,vvc,av1,obu,m4v,mjpeg,"
    "cavsvideo,dirac,vc1,vc1test,swf,gif,apng,image2,bmp_pipe,gif_pipe,j2k_pipe,jpeg_pipe,"
    "jpegls_pipe,jpegxl_pipe,pam_pipe,pbm_pipe,pgm_pipe,png_pipe,ppm_pipe,tiff_pipe,webp_pipe,"
    "webp_anim,wav,w64,mp3,aac,ac3,eac3,flac,caf,aiff,amr,au,ape,dts,tak,tta,truehd,wv,nistsphere"
)

MESSAGES = 20


def own_program() -> bool:
    """Whether the user names an ffmpeg to read sound with, by ``IMAGEIO_FFMPEG_EXE``."""
    return bool(os.environ.get("IMAGEIO_FFMPEG_EXE"))


@cache
def ffmpeg_binary() -> str:
    """The ffmpeg to run: that of ``imageio-ffmpeg``, whatever else a machine has.

    The environment's ``IMAGEIO_FFMPEG_EXE`` names another; one on the PATH is taken where the
    package has none.

    Raises:
        MediaError: there is none.
        MissingPackageError: neither it nor the package is there.
    """
    need("ffmpeg")
    import imageio_ffmpeg

    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as error:
        raise MediaError(
            "there is no ffmpeg to read sound with", "install one: pip install imageio-ffmpeg"
        ) from error


def file_url(path: Path) -> str:
    """``path`` so that ffmpeg takes it for a file whatever its name is.

    Without it a leading dash would be an option and ``concat:`` or ``http:`` a protocol.
    """
    return f"file:{path.absolute()}"


def file_input(path: Path, **options: Any) -> Any:
    """An ffmpeg-python input node that can read ``path`` and nothing else.

    Args:
        options: further input options, as ffmpeg-python takes them.
    """
    need("ffmpeg", "ffmpeg")
    import ffmpeg

    return ffmpeg.input(
        file_url(path), protocol_whitelist="file,pipe", format_whitelist=FORMATS, **options
    )


@contextmanager
def pipe_from(graph: Any, on_message: Callable[[str], None]) -> Iterator[BinaryIO]:
    """Run an ffmpeg-python graph whose output is ``pipe:1``; the block reads that output.

    The block may leave some of it unread; ffmpeg is ended then. It goes on after damage in its
    input, so its complaints become a Notice, not an error.

    Args:
        on_message: gets the lines of ffmpeg's error output when the block was left without an
            exception, at most 20.

    Raises:
        MediaError: ffmpeg cannot be started.
    """
    import ffmpeg

    quiet = graph.global_args("-hide_banner", "-nostdin", "-loglevel", "error")
    arguments = ffmpeg.compile(quiet, cmd=ffmpeg_binary())
    # Errors go to a file, since a pipe that nobody reads would stop ffmpeg when full.
    with tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(
                arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors
            )
        except OSError as error:
            raise MediaError(
                f"cannot run '{arguments[0]}' ({error.strerror})",
                "install ffmpeg, or pip install imageio-ffmpeg",
            ) from error
        output = cast(BinaryIO, process.stdout)
        try:
            yield output
            # Ended early, it would complain of the broken pipe: then it is killed first.
            code = process.wait() if output.read(1) == b"" else 0
        finally:
            process.kill()
            output.close()
            process.wait()
        errors.seek(0)
        lines = [line.decode(errors="replace").strip() for line in errors.readlines(100_000)]
    if code and not lines:
        lines = [f"ffmpeg ended with code {code}"]
    for line in lines[:MESSAGES]:
        on_message(line)
