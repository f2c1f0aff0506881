"""Single pictures: photographs and drawings, each for itself. A video's frames are in `frames`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from avaffect.config import MediaConfig
from avaffect.errors import InputNotFoundError, MediaError
from avaffect.media.endings import MAYBE_PICTURES, PICTURE_EXTENSIONS
from avaffect.media.frames import Frame, FrameReader
from avaffect.media.probe import DEFAULTS


@dataclass(frozen=True, slots=True)
class StillPicture:
    """A picture that was read.

    Attributes:
        frame: it, as a video's frame would be: upright, in RGB, in square pixels.
        width, height: of the upright picture, in the file's own pixels.
        moves: there are further pictures in the file, which are not looked at.
        damage: the first sign of damage in words, None without any.
    """

    frame: Frame
    width: int
    height: int
    moves: bool
    damage: str | None


def read_still(path: Path, config: MediaConfig = DEFAULTS) -> StillPicture:
    """Read a picture, or the first one of a file that holds several.

    Bounds: those of `frames.FrameReader`.

    Raises:
        InputNotFoundError: there is no such file.
        MediaError: it is no picture, damaged from its start, or absurdly large.
    """
    try:
        with FrameReader(path, config, prefetch=1) as reader:
            frames = iter(reader)
            frame = next(frames)
            moves = next(frames, None) is not None
            video, report = reader.info.video, reader.report
    except InputNotFoundError:
        raise
    except MediaError as error:
        raise MediaError(
            f"'{path}' cannot be used as a picture ({error.problem})",
            "see whether an image viewer shows it, and save it from there as JPEG or PNG",
        ) from error
    return StillPicture(frame, video.width, video.height, moves, report.first_error)


def is_still(path: Path) -> bool:
    """Whether a file is by its ending a picture that does not move."""
    return path.suffix.lower() in PICTURE_EXTENSIONS


def split_stills(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Pictures, and what else there is, each in its order.

    A GIF or APNG is a picture if there is one that does not move of the same folder.
    """
    folders = {path.parent for path in paths if is_still(path)}
    stills = [
        path
        for path in paths
        if is_still(path)
        or (path.suffix.lower() in MAYBE_PICTURES and path.parent in folders and path.is_file())
    ]
    taken = set(stills)
    return stills, [path for path in paths if path not in taken]
