"""A folder of numbered pictures that are the frames of one video, as that video.

The pictures are taken over as they are: none is decoded, and nothing is lost.
"""

from __future__ import annotations

import re
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av

from avaffect.errors import ForeignFileError, InputNotFoundError, MediaError, UsageError, boundary
from avaffect.files.atomic import atomic_path
from avaffect.files.hashing import file_sha256
from avaffect.files.outside import reading
from avaffect.media.apart import is_untrusted
from avaffect.progress import EventCallback, Notice, ignore_events

# By ending, how such a file begins.
_KINDS = {".jpg": b"\xff\xd8\xff", ".jpeg": b"\xff\xd8\xff", ".png": b"\x89PNG\r\n\x1a\n"}
_NUMBER = re.compile(r"^(?P<before>.*?)(?P<number>\d+)(?P<behind>\D*)$")
_MOST_BYTES = 1 << 26
_MOST_DIGITS = 9


@boundary()
def video_of_frames(
    folder: Path | str,
    target: Path | str,
    fps: float,
    on_event: EventCallback = ignore_events,
) -> Path:
    """Make one video of a folder of numbered JPEG or PNG pictures.

    They are ordered by number, ``frame_9.png`` before ``frame_10.png``. The first is at time 0,
    each other one as many steps later as its number is higher: where numbers are missing, so are
    frames, and the times of the others stay right. The same pictures give the same file.

    Args:
        folder: where they lie; what is neither JPEG nor PNG is left out.
        target: the file to make, ``.mov``; one with the same content is left as it is.
        fps: pictures a second.
        on_event: notices.

    Returns:
        ``target``.

    Raises:
        InputNotFoundError: no folder, or no picture in it.
        UsageError: no frame rate, pictures without a number or with the same one, or of several
            series.
        MediaError: a file that is no picture.
        ForeignFileError: another file is there.
        OutputError: the file cannot be written.
    """
    folder, target = Path(folder), Path(target)
    if is_untrusted():
        raise UsageError(
            "numbered pictures are put together in this process, and untrusted ones must not be",
            "leave out untrusted, or make the video in a place of its own",
        )
    if not 0 < fps <= 1000:
        raise UsageError(f"{fps:g} frames a second are impossible", "use fps=N, such as fps=25")
    frames = numbered_frames(folder)
    missing = [(low, high) for low, high in pairwise(frames) if high - low > 1]
    if missing:
        low, _ = missing[0]
        count = sum(high - low - 1 for low, high in missing)
        on_event(
            Notice(
                f"'{folder}' lacks {count} of its numbers, the first behind {low}: they count as "
                "missing frames, the times of the others stay",
                warning=True,
            )
        )
    with atomic_path(target) as temporary:
        _join(frames, temporary, fps)
        if target.exists() and file_sha256(target) != file_sha256(temporary):
            raise ForeignFileError(
                f"'{target}' is there and was not made of these pictures at {fps:g} a second",
                "move it away, or choose another output folder",
            )
    return target


def numbered_frames(folder: Path) -> dict[int, Path]:
    """The pictures of a folder by their number, in its order; for the errors see above."""
    if not folder.is_dir():
        raise InputNotFoundError(f"there is no folder '{folder}'", "name a folder of pictures")
    files = [path for path in folder.iterdir() if path.suffix.lower() in _KINDS]
    files = sorted(path for path in files if not path.name.startswith("."))
    if not files:
        raise InputNotFoundError(
            f"the folder '{folder}' holds no JPEG or PNG pictures", "convert them, or name another"
        )
    frames: dict[int, Path] = {}
    series: dict[tuple[str, str, bytes], Path] = {}
    for path in files:
        found = _NUMBER.match(path.stem)
        if found is None or len(found["number"]) > _MOST_DIGITS:
            raise UsageError(
                f"'{path}' has no number", "number the frames, such as frame_0001.png"
            )
        kind = (found["before"], found["behind"], _KINDS[path.suffix.lower()])
        series.setdefault(kind, path)
        other = frames.setdefault(int(found["number"]), path)
        if len(series) > 1 or other != path:
            first = other if other != path else next(iter(series.values()))
            raise UsageError(
                f"'{first.name}' and '{path.name}' in '{folder}' are not frames of one video",
                "give each video a folder of its own, with each number once",
            )
    return dict(sorted(frames.items()))


def _join(frames: dict[int, Path], target: Path, fps: float) -> None:
    step = 1 / Fraction(fps).limit_denominator(100_000)
    first = min(frames)
    with (
        reading(frames[first], MediaError, "cannot be used as a picture", "make it again"),
        av.open(str(frames[first])) as sample,
        av.open(str(target), "w", format="mov", options={"fflags": "+bitexact"}) as video,
    ):
        stream = video.add_stream_from_template(sample.streams.video[0])
        stream.time_base = step
        for number, path in frames.items():
            packet = av.Packet(_bytes_of(path))
            packet.pts = packet.dts = number - first
            packet.duration, packet.time_base = 1, step
            packet.stream, packet.is_keyframe = stream, True
            video.mux(packet)


def _bytes_of(path: Path) -> bytes:
    with reading(path, MediaError, "cannot be read", "check the file"), path.open("rb") as file:
        data = file.read(_MOST_BYTES + 1)
    if not data.startswith(_KINDS[path.suffix.lower()]) or len(data) > _MOST_BYTES:
        raise MediaError(
            f"'{path}' is not what its name says, or larger than {_MOST_BYTES >> 20} MiB",
            "make it again, or take it out of the folder",
        )
    return data
