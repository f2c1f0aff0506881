"""An artificial set in Aff-Wild2's shape, small and seeded: for tests and demos only.

Videos of one portrait bent into other persons and expressions, with voices made of harmonics, and
annotations that are known functions of what is rendered (`synth_script.LABELS`). Numbers on such
a set tell whether a program works, and nothing of how well it reads people.
"""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avaffect.challenge.editions import TRACKS, edition_named
from avaffect.challenge.mtl import MtlSubject, write_mtl
from avaffect.challenge.places import files_in
from avaffect.challenge.text import write_annotations
from avaffect.datasets.synth.film import write_film
from avaffect.datasets.synth.plan import INVALID_SHARE, Take, plan
from avaffect.datasets.synth.script import LABELS
from avaffect.errors import UsageError
from avaffect.files.atomic import write_json, write_text
from avaffect.files.lock import LOCK, alone_in
from avaffect.files.ours import read_claims, relative, write_claims
from avaffect.files.temporaries import remove_abandoned
from avaffect.progress import EventCallback, Progress, ignore_events
from avaffect.tasks.registry import TASKS, VA

EDITION = "abaw5"
_SPLIT_FOLDERS = {"train": "Train_Set", "val": "Validation_Set"}
_MTL_FILES = {"train": "train_set.txt", "val": "validation_set.txt"}
_PROGRESS_FRAMES = 25
# What an unfinished run writes.
CLAIMS = ".unfinished.json"

_README = """\
THIS DATA SET IS ARTIFICIAL.

It was made by `avaffect data synth` (avaffect {version}), seed {seed}, for tests and demos. It is
not Aff-Wild2 and has nothing of it but the shape: folders, file names, frame rates, statistics.
Nobody felt, said or annotated anything. Scores on it say whether a program works, and nothing of
how well a model reads people. Do not publish them as results, and do not train on it for use.

The faces: {people} artificial persons, all bent out of one portrait (Eileen Collins, NASA, public
domain). The pictures are made by software and are no statement by or about her; neither she nor
NASA endorses this. The voices are made of harmonics and noise; they say nothing.

The labels are functions of what is rendered in the same frame. Actions of the face are 0 to 1;
pitch is -1 to 1 and energy 0 to 1, both 0 in a pause and in a video without sound. Actions are 0
where no face is to be seen; there, valence and arousal come from the voice, and expression and
action units are invalid. Where two persons are in the picture, the one voice belongs to both.

{labels}

Some frames are marked as invalid, at random: {invalid}.
Files have as many rows as the video has frames, or one or two more, or one fewer.
{people} persons are in {videos} videos; nobody is in both train and validation.
synthetic.json lists the videos, with what is odd about each.
"""


@dataclass(frozen=True)
class Synthetic:
    """The result: the data set that was made.

    Attributes:
        folder: where.
        videos: how many videos.
        subjects: how many annotated subjects; a video with two persons has two.
        people: how many different persons.
        frames: frames of all videos.
    """

    folder: Path
    videos: int
    subjects: int
    people: int
    frames: int


def synthesise(
    out: Path,
    *,
    videos: int = 12,
    seconds: float = 8.0,
    seed: int = 0,
    on_event: EventCallback = ignore_events,
) -> Synthetic:
    """Make an artificial set: ``videos/``, ``annotations/``, README.txt and synthetic.json.

    The same arguments give the same labels and the same pixels before encoding.

    Args:
        out: a folder that does not exist or is empty, or in which a run ended too soon: what
            that has written is made anew.
        videos: how many videos; from six on there are one with two persons, one without sound
            and one that shows nobody for a while, all three in the training part.
        seconds: how long a video is on average, 2 to 600.
        seed: any whole number from 0 on.
        on_event: progress in frames.

    Raises:
        UsageError: a number out of range, or a folder that holds something.
        BusyError: another process makes a set there.
        OutputError: a file cannot be written.
    """
    out = Path(out)
    takes = plan(videos=videos, seconds=seconds, seed=seed)
    if out.exists() and not out.is_dir():
        raise UsageError(f"'{out}' exists and is not an empty folder", "choose another folder")
    with alone_in(out):
        _clear_unfinished(out)
        write_claims(out / CLAIMS, _files(takes))
        made = _synthesise(out, takes, seed, on_event)
        (out / CLAIMS).unlink()
        return made


def _clear_unfinished(out: Path) -> None:
    """Remove what a run that ended too soon has written in ``out``.

    Raises:
        UsageError: there is something else.
    """
    remove_abandoned(out)
    claims = read_claims(out / CLAIMS)
    there = [path for path in out.iterdir() if path.name not in (LOCK, CLAIMS)]
    if claims:
        for parent, _, _ in os.walk(out):
            remove_abandoned(Path(parent))
        there = [path for _, path in files_in(out)]
    if any(relative(path, out) not in claims for path in there):
        raise UsageError(f"'{out}' exists and is not an empty folder", "choose another folder")
    for path in there:
        path.unlink()


def _files(takes: tuple[Take, ...]) -> set[str]:
    """The names of the files and folders, relative to the folder."""
    found = {"README.txt", "synthetic.json"}
    for take in takes:
        found.add(f"videos/{take.film.name}.mp4")
        found.add(f"annotations/MTL_Challenge/{_MTL_FILES[take.split]}")
        found |= {
            f"annotations/{folder}/{_SPLIT_FOLDERS[take.split]}/{role.subject}.txt"
            for folder in edition_named(EDITION).folders.values()
            for role in take.film.roles
        }
    return found


def _synthesise(
    out: Path, takes: tuple[Take, ...], seed: int, on_event: EventCallback
) -> Synthetic:
    total = sum(take.film.frames for take in takes)
    done = 0
    for take in takes:

        def on_frame(number: int, done: int = done) -> None:
            if number % _PROGRESS_FRAMES == 0:
                on_event(Progress("synth", done + number, total))

        write_film(out / "videos" / f"{take.film.name}.mp4", take.film, on_frame)
        done += take.film.frames
    _write_annotations(out / "annotations", takes)
    people = 1 + max(person for take in takes for person in take.people)
    _write_about(out, takes, people=people, seed=seed)
    on_event(Progress("synth", total, total, finished=True))
    subjects = sum(len(take.film.roles) for take in takes)
    return Synthetic(out, len(takes), subjects, people, total)


def _write_annotations(folder: Path, takes: Iterable[Take]) -> None:
    """One file a subject and task, and the multi-task file of each split."""
    edition = edition_named(EDITION)
    listed: dict[str, list[MtlSubject]] = {}
    for take in takes:
        for place, role in enumerate(take.film.roles):
            rows = take.annotations(place)
            for task, values in rows.items():
                split = folder / edition.folder(task) / _SPLIT_FOLDERS[take.split]
                write_annotations(split / f"{role.subject}.txt", values, task, EDITION)
            subject = _listed(role.subject, rows, take.film.frames)
            listed.setdefault(take.split, []).append(subject)
    for name, subjects in listed.items():
        write_mtl(folder / "MTL_Challenge" / _MTL_FILES[name], subjects)


def _listed(subject: str, rows: dict[str, NDArray[Any]], frames: int) -> MtlSubject:
    """A subject's part of the multi-task file: frames with any label."""
    length = min(len(rows[VA.name]), frames)
    labelled = np.zeros(length, bool)
    for task, values in rows.items():
        labelled |= (values[:length] != TASKS[task].invalid).reshape(length, -1).any(axis=1)
    va, expr, au = (rows[task][:length][labelled] for task in TRACKS)
    return MtlSubject(subject, 1 + np.flatnonzero(labelled), va, expr, au)


def _write_about(out: Path, takes: tuple[Take, ...], *, people: int, seed: int) -> None:
    from avaffect.version import __version__

    invalid = ", ".join(
        f"about {largest / 2:.0%} for {task.upper()}" for task, largest in INVALID_SHARE.items()
    )
    text = _README.format(
        version=__version__,
        seed=seed,
        people=people,
        videos=len(takes),
        labels="\n".join(_wrapped(f"{name}: {rule}") for name, rule in LABELS.items()),
        invalid=invalid,
    )
    write_text(out / "README.txt", text)
    write_json(
        out / "synthetic.json",
        {
            "artificial": True,
            "about": "made by `avaffect data synth` for tests and demos; see README.txt",
            "version": __version__,
            "seed": seed,
            "people": people,
            "labels": LABELS,
            "videos": [take.about() for take in takes],
        },
    )


def _wrapped(text: str) -> str:
    return textwrap.fill(text, 98, initial_indent="  ", subsequent_indent="    ")
