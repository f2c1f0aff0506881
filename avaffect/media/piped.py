"""An audio stream as `mono` gives it, decoded by a program ffmpeg of the user's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av

from avaffect.config import SAMPLE_RATE
from avaffect.media.channels import Mix
from avaffect.media.ffmpeg import file_input, pipe_from
from avaffect.media.pyav import open_media
from avaffect.media.tracks import Track


def piped_pieces(
    path: Path, track: Track, mix: Mix, on_message: Callable[[str], None]
) -> Iterator[tuple[int, bytes]]:
    """The sound of ``track``; see :func:`avaffect.media.mono.mono_pieces`.

    Raises:
        MediaError: ffmpeg cannot be started.
    """
    with pipe_from(_graph(path, track.index, mix), on_message) as pipe:
        try:
            with open_media(pipe, format="nut") as container:
                stream = container.streams.audio[0]
                shift: int | None = None
                for packet in container.demux(stream):
                    if packet.size and packet.pts is not None and packet.time_base is not None:
                        place = round(packet.pts * packet.time_base * SAMPLE_RATE)
                        shift = -place if shift is None else shift
                        yield place + shift, bytes(packet)
        except (av.FFmpegError, IndexError):
            # Nothing was decoded, or ffmpeg ended early, as its messages show.
            return


def _graph(path: Path, index: int, mix: Mix) -> Any:
    """Decode and convert. NUT carries each piece's timestamp through the pipe."""
    sound = file_input(path)[str(index)]
    if mix.expression is not None:
        sound = sound.filter("aeval", mix.expression, channel_layout="mono")
    return (
        sound.filter("aresample", SAMPLE_RATE)
        .filter("aformat", sample_fmts="s16", channel_layouts="mono", sample_rates=SAMPLE_RATE)
        .output("pipe:1", format="nut", acodec="pcm_s16le")
    )
