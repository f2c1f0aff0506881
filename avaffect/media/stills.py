"""Sound whose picture is a cover or a few slides, though the file does not mark it so."""

from __future__ import annotations

from pathlib import Path

import av
from av.container import InputContainer
from av.packet import Packet

from avaffect.errors import MediaError
from avaffect.files.outside import reading
from avaffect.media.apart import apart
from avaffect.media.container import COVER, open_container

# A film has more pictures than this.
_MOST = 10
# One picture beside sound longer than this is a cover.
_COVER_S = 2.0
# Further ones are slides where they change no more often than this.
_SLIDE_S = 5.0


@apart
def stills(path: Path) -> int | None:
    """How many still pictures a file shows beside its sound; None where the picture moves.

    Pictures are counted as they are stored and not decoded; no more is read of a film than its
    beginning.

    Raises:
        InputNotFoundError, MediaError: the file cannot be opened.
    """
    unusable = reading(path, MediaError, "cannot be used", "convert it to MP4")
    with unusable, open_container(path) as container:
        return count_stills(container)[0]


def count_stills(container: InputContainer) -> tuple[int | None, list[Packet]]:
    """See :func:`stills`, of a file that was just opened; and the pictures' packets that were
    read for it, in their order: some ten a stream."""
    pictures = [stream for stream in container.streams.video if not stream.disposition & COVER]
    sounds = list(container.streams.audio)
    begun: list[Packet] = []
    if not pictures or not sounds:
        return None, begun
    counts = {stream.index: 0 for stream in pictures}
    times: list[float] = []
    try:
        for packet in container.demux(*pictures, *sounds):
            if not packet.size:
                continue
            if packet.stream_index in counts:
                begun.append(packet)
                counts[packet.stream_index] += 1
                if counts[packet.stream_index] > _MOST:
                    return None, begun
            elif packet.pts is not None and packet.time_base is not None:
                time = float(packet.pts * packet.time_base)
                times = [min([time, *times]), max([time, *times])]
    except (av.FFmpegError, IndexError):
        pass
    count = max(counts.values())
    heard = times[1] - times[0] if times else 0.0
    return (count if heard > max(_COVER_S, _SLIDE_S * (count - 1)) else None), begun
