"""Which videos and sound files the arguments of a command mean."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from avaffect.errors import InputNotFoundError

EXTENSIONS = frozenset(
    f".{name}"
    for name in [
        "mp4",
        "mov",
        "avi",
        "mkv",
        "webm",
        "m4v",
        "mpg",
        "mpeg",
        "ts",
        "mts",
        "m2ts",
        "wmv",
        "flv",
        "3gp",
        "ogv",
    ]
)
SOUND_EXTENSIONS = frozenset(
    f".{name}"
    for name in [
        "wav",
        "ogg",
        "oga",
        "opus",
        "flac",
        "mp3",
        "m4a",
        "aac",
        "wma",
        "aif",
        "aiff",
        "caf",
        "amr",
        "mka",
        "weba",
    ]
)
# What `avaffect preprocess` writes beside its own audio.wav.
_OWN_RECORD = "preprocess.json"


def expand_inputs(
    arguments: Sequence[str], recursive: bool = False, sound: bool = False
) -> list[Path]:
    """The files that ``arguments`` mean, each once.

    A file stands for itself whatever its extension, a folder for the videos in it (by their
    extension; hidden files are left out), a glob for what it matches. A file or folder that
    exists is never taken for a glob. The order is that of the arguments; what one of them stands
    for is sorted.

    Args:
        recursive: search folders in folders too.
        sound: a folder without any video stands for the sound files in it, but never for the
            audio.wav of a preprocessed folder. Sound beside videos is taken for theirs.

    Raises:
        InputNotFoundError: an argument that does not exist or matches nothing, a folder without
            a video, or no argument at all.
    """
    if not arguments:
        raise InputNotFoundError("no input is given", "name a video, a folder or a glob")
    found: dict[str, Path] = {}
    for argument in arguments:
        for path in _expand(argument, recursive, sound):
            found.setdefault(os.path.realpath(path), path)
    return list(found.values())


def _expand(argument: str, recursive: bool, sound: bool) -> list[Path]:
    path = Path(argument)
    if argument and path.is_dir():
        return _named_folder(path, recursive, sound)
    if argument and os.path.lexists(path):
        return [path]
    if not glob.has_magic(argument):
        raise InputNotFoundError(f"'{argument}' does not exist", "check the name")
    found = sorted(glob.glob(argument, recursive=True))  # noqa: PTH207  (it may be absolute)
    matches = [Path(match) for match in found]
    if not matches:
        raise InputNotFoundError(
            f"nothing matches '{argument}'", "check the pattern, or name the files"
        )
    files = [match for match in matches if not match.is_dir()]
    folders = [match for match in matches if match.is_dir()]
    for folder in folders:
        files += _media_in(folder, recursive, sound)
    if not files:
        raise InputNotFoundError(
            f"'{argument}' matches only folders without {_what(sound)}", "name the files"
        )
    return sorted(files)


def _named_folder(folder: Path, recursive: bool, sound: bool) -> list[Path]:
    files = sorted(_media_in(folder, recursive, sound))
    if not files:
        deeper = "" if recursive else "; --recursive also searches its subfolders"
        endings = EXTENSIONS | SOUND_EXTENSIONS if sound else EXTENSIONS
        raise InputNotFoundError(
            f"the folder '{folder}' holds no {_what(sound).removeprefix('a ')}",
            f"such files end in {', '.join(sorted(endings))}{deeper}",
        )
    return files


def _what(sound: bool) -> str:
    return "a video or sound file" if sound else "a video"


def _media_in(folder: Path, recursive: bool, sound: bool) -> list[Path]:
    videos = list(_walk(folder, recursive, EXTENSIONS))
    if videos or not sound:
        return videos
    found = _walk(folder, recursive, SOUND_EXTENSIONS)
    return [path for path in found if not path.with_name(_OWN_RECORD).exists()]


def _walk(folder: Path, recursive: bool, extensions: frozenset[str]) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if recursive and not name.startswith(".")]
        for name in names:
            path = Path(parent, name)
            if path.suffix.lower() in extensions and not name.startswith("."):
                yield path
