"""Which videos and sound files the arguments of a command mean."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from avaffect.challenge.editions import EDITIONS
from avaffect.errors import InputNotFoundError
from avaffect.files.names import CROPS, FEATURES, MADE_VIDEOS, RECORD, RECORDS, RUN, TABLES, WAV
from avaffect.media.endings import EXTENSIONS, MAYBE_PICTURES, SOUND_EXTENSIONS
from avaffect.media.endings import PICTURE_EXTENSIONS as PICTURES
from avaffect.media.local import local_path
from avaffect.progress import EventCallback, Notice, ignore_events

# By what the folders are known that `preprocess`, `predict` and `train` write.
PREDICTED = {TABLES, RECORDS}

_NAMED_ENDINGS = 4


def expand_inputs(
    arguments: Sequence[str],
    recursive: bool = False,
    sound: bool = False,
    on_event: EventCallback = ignore_events,
    pictures: bool = False,
) -> list[Path]:
    """The files that ``arguments`` mean, each once.

    A file stands for itself whatever its extension, a folder for the videos in it (by their
    extension; hidden files and avaffect's own are left out, and a Notice counts the rest), a glob
    for what it matches; ``~`` is the user's home. A file or folder that exists is never taken for
    a glob. The order is that of the arguments; what one of them stands for is sorted.

    Args:
        recursive: search folders in folders too.
        sound: a folder without any video stands for the sound files in it, but never for the
            audio.wav of a preprocessed folder. Sound beside videos is taken for theirs.
        on_event: notices.
        pictures: a folder without any video or sound stands for the pictures in it. Pictures
            beside those are taken for covers and thumbnails; GIFs beside pictures for such.

    Raises:
        InputNotFoundError: an argument that does not exist or matches nothing, a folder without
            a video, no argument at all, or what :func:`avaffect.media.local.local_path` refuses.
    """
    if not arguments:
        raise InputNotFoundError("no input is given", "name a video, a folder or a glob")
    found: dict[str, Path] = {}
    for argument in arguments:
        for path in _expand(argument, _Wanted(recursive, sound, pictures), on_event):
            found.setdefault(os.path.realpath(path), path)
    return list(found.values())


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a folder stands for, see `expand_inputs`."""

    recursive: bool
    sound: bool
    pictures: bool

    @property
    def what(self) -> str:
        """It in words."""
        if self.pictures:
            return "a video, sound file or picture"
        return "a video or sound file" if self.sound else "a video"


def _expand(argument: str, wanted: _Wanted, on_event: EventCallback) -> list[Path]:
    path = local_path(argument)
    if argument and path.is_dir():
        files = _media_in(path, wanted, on_event)
        if not files:
            raise _no_media(path, wanted)
        return files
    if argument and os.path.lexists(path):
        return [path]
    if not glob.has_magic(argument):
        raise InputNotFoundError(f"'{argument}' does not exist", "check the name")
    found = sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207  (it may be absolute)
    matches = [Path(match) for match in found]
    if not matches:
        raise InputNotFoundError(
            f"nothing matches '{argument}'", "check the pattern, or name the files"
        )
    files = [match for match in matches if not match.is_dir()]
    folders = [match for match in matches if match.is_dir()]
    for folder in folders:
        files += _media_in(folder, wanted, on_event)
    if not files:
        raise InputNotFoundError(
            f"'{argument}' matches only folders without {wanted.what}", "name the files"
        )
    return sorted(files)


def _no_media(folder: Path, wanted: _Wanted) -> InputNotFoundError:
    found = _walk(folder, wanted.recursive)
    pictures = sorted(path.suffix for path in found if _ends(path, PICTURES))
    what = wanted.what.removeprefix("a ")
    if len(pictures) > 1:
        pattern = f"{folder}/*{pictures[0]}"
        return InputNotFoundError(
            f"the folder '{folder}' holds {len(pictures)} pictures and no {what}",
            "if they are the frames of one, make it at their rate, such as 25 a second: ffmpeg "
            f"-framerate 25 -pattern_type glob -i '{pattern}' -c:v libx264 -crf 16 frames.mp4; "
            f"'{pattern}' takes each alone",
        )
    deeper = "" if wanted.recursive else "recursive=True also searches its subfolders; "
    endings = EXTENSIONS | SOUND_EXTENSIONS if wanted.sound else EXTENSIONS
    endings |= PICTURES if wanted.pictures else frozenset()
    return InputNotFoundError(
        f"the folder '{folder}' holds no {what}",
        f"{deeper}such files end in {', '.join(sorted(endings))}",
    )


def _media_in(folder: Path, wanted: _Wanted, on_event: EventCallback) -> list[Path]:
    """The videos, or else the sound files, or else the pictures of a folder, sorted.

    A Notice names the rest.
    """
    found: dict[str, list[Path]] = {"video": [], "sound": [], "picture": []}
    others: Counter[str] = Counter()
    for path in _walk(folder, wanted.recursive):
        if _ends(path, EXTENSIONS):
            found["video"].append(path)
        elif wanted.sound and _ends(path, SOUND_EXTENSIONS):
            found["sound"].append(path)
        elif wanted.pictures and _ends(path, PICTURES):
            found["picture"].append(path)
        else:
            others[path.suffix.lower()] += 1
    moving = [path for path in found["video"] if not _ends(path, MAYBE_PICTURES)]
    if found["picture"] and not moving and not found["sound"]:
        found["picture"] += found.pop("video")
    first = next((kind for kind, paths in found.items() if paths), "")
    taken = sorted(found.pop(first, []))
    # Sound beside videos is taken for theirs, pictures for covers and thumbnails.
    others.update(path.suffix.lower() for paths in found.values() for path in paths)
    if taken and others:
        count = others.total()
        named = [ending or "no ending" for ending, _ in others.most_common(_NAMED_ENDINGS)]
        more = " ..." if len(others) > _NAMED_ENDINGS else ""
        files = "1 other file" if count == 1 else f"{count} other files"
        kinds = f"({', '.join(named)}{more})"
        on_event(Notice(f"{files} in '{folder}' left out {kinds}"))
    return taken


def _ends(path: Path, extensions: frozenset[str]) -> bool:
    return path.suffix.lower() in extensions


def _walk(folder: Path, recursive: bool) -> Iterator[Path]:
    """All files but hidden ones and what avaffect itself wrote."""
    for parent, folders, names in os.walk(folder):
        own = own_names(folders, names)
        folders[:] = sorted(
            name for name in folders if recursive and not name.startswith(".") and name not in own
        )
        for name in names:
            if not name.startswith(".") and name not in own:
                yield Path(parent, name)


def own_names(folders: Collection[str], names: Collection[str]) -> set[str]:
    """What avaffect wrote, of the ``folders`` and files (``names``) that lie in one folder."""
    own: set[str] = set()
    if RECORD in names:
        own |= {RECORD, WAV, CROPS, FEATURES}
    if set(folders) >= PREDICTED:
        own |= {*PREDICTED, MADE_VIDEOS, "MTL_Challenge"}
        own |= {name for edition in EDITIONS.values() for name in edition.every_folder}
    if RUN in names:
        own |= {*names, *folders}
    return own
