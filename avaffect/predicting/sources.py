"""Which videos, sound files, pictures and preprocessed folders a command is given."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from avaffect.errors import FeatureError, InputNotFoundError, boundary
from avaffect.media.inputs import expand_inputs
from avaffect.media.local import local_path
from avaffect.progress import EventCallback, ignore_events
from avaffect.store.prepared import Prepared, is_preprocessed, prepared_in


@boundary()
def find_sources(
    arguments: Sequence[str], recursive: bool = False, on_event: EventCallback = ignore_events
) -> list[Path]:
    """What to predict: preprocessed folders where ``arguments`` name them, else videos.

    Raises:
        InputNotFoundError: an argument that stands for nothing.
    """
    sources: list[Path] = []
    for argument in arguments:
        # An empty argument is no folder, though Path takes it for the current one.
        folders = preprocessed_in(local_path(argument)) if argument else []
        try:
            sources += folders or expand_inputs([argument], recursive, True, on_event, True)
        except InputNotFoundError:
            # Below other folders, as those of the videos were.
            if not (argument and (deeper := _deeper(local_path(argument), recursive))):
                raise
            sources += deeper
    return list(dict.fromkeys(sources))


def preprocessed_in(path: Path) -> list[Path]:
    """The preprocessed folders at ``path``: itself, or those in it."""
    if is_preprocessed(path):
        return [path]
    try:
        found = [folder for folder in path.iterdir() if is_preprocessed(folder)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise InputNotFoundError(
            f"'{path}' cannot be read ({error.strerror})", "check the name and the permissions"
        ) from error
    return sorted({*found, *_deeper(path)}) if found else []


def _deeper(path: Path, every: bool = False) -> list[Path]:
    """Preprocessed folders in folders: all, or those that have folders in their names."""
    found = prepared_in(path)
    return [folder for folder in found if every or _has_name(folder)]


def _has_name(folder: Path) -> bool:
    """Whether its subjects have a name of their own; of a damaged one nothing is known."""
    try:
        return Prepared(folder).record.name is not None
    except FeatureError:
        return False
