"""A video and the people in it, as an output folder of ``predict`` has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from avaffect.challenge.places import checked
from avaffect.converting.rows import Rows
from avaffect.converting.spans import Tier, tiers_of
from avaffect.errors import InputNotFoundError
from avaffect.files.names import TABLES
from avaffect.predicting.read_back import table_files


@dataclass(frozen=True)
class Recording:
    """A video and its people.

    Attributes:
        name: what files of all its people are called, with folders, such as ``P01/session1``.
        video: the name of its file with these folders; of a table that does not say, ``name``.
        people: their tables, at least one, in the order of their names.
        said: tiers of a transcript, and of who speaks when, see ``converting.speech``.
    """

    name: PurePath
    video: str
    people: tuple[Rows, ...]
    said: tuple[Tier, ...] = ()

    def tiers(self) -> list[Tier]:
        """All tiers of all people, then those of the transcript."""
        return [*(tier for rows in self.people for tier in tiers_of(rows)), *self.said]


def find_recordings(predictions: Path) -> list[Recording]:
    """The videos whose predictions lie in a folder, or that of one table.

    Args:
        predictions: a folder that `predict` wrote, or a table in it.

    Raises:
        InputNotFoundError: there are no tables.
        FormatError: a table is damaged, or none of a video's frames.
        UsageError: two tables of one subject, or one whose name none of our files can have.
    """
    single = predictions.is_file()
    found = {predictions.stem: predictions} if single else table_files(predictions)
    if not found:
        raise InputNotFoundError(
            f"there are no tables of predictions in '{predictions}'",
            "give a folder that `avaffect predict` wrote",
        )
    groups: dict[tuple[object, ...], list[Rows]] = {}
    for subject, path in found.items():
        place = checked(_place(path))
        rows = Rows.open(path, subject, place)
        video = rows.about.get("video")
        sha256 = str(video.get("sha256")) if isinstance(video, dict) else place
        groups.setdefault((place.parent, rows.video, sha256), []).append(rows)
    return [_recording(people) for people in groups.values()]


def _recording(people: Sequence[Rows]) -> Recording:
    first = people[0]
    stems = [rows.place.name for rows in people]
    named = PurePath(first.place.parent, _shared(stems) or PurePath(first.video).stem or "video")
    video = PurePath(first.place.parent, first.video or named.name).as_posix()
    numbered = tuple(replace(rows, number=number) for number, rows in enumerate(people))
    return Recording(checked(named), video, numbered)


def _shared(stems: Sequence[str]) -> str:
    """What the people of a video are called but for their side or number, see `faces.subjects`.

    >>> _shared(["talk_left", "talk_right"]), _shared(["a_talk", "a_talk_2"])
    ('talk', 'a_talk')
    """
    shortest = min(stems, key=len)
    if all(stem == shortest or stem.startswith(f"{shortest}_") for stem in stems):
        return shortest
    ends = (at for at in range(len(shortest)) if len({stem[: at + 1] for stem in stems}) > 1)
    return shortest[: next(ends, len(shortest))].rpartition("_")[0]


def _place(path: Path) -> PurePath:
    """Where a table lies below the folder of tables, without its ending."""
    for folder in path.parents:
        if folder.name == TABLES:
            return path.relative_to(folder).with_suffix("")
    return PurePath(path.stem)
