"""What the files of each edition of the ABAW challenge look like.

Source: the annotations and calls of ABAW1 (2020) to ABAW11 (2026) as public code reads and
writes them. Editions 4, 7 and 11 have the multi-task track only.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from avaffect.errors import UnknownNameError, UsageError, setting
from avaffect.labels import ACTION_UNITS, EXPRESSIONS
from avaffect.tasks.registry import AU, EXPR, TASKS, VA, task_named

# The forms of text files that editions know; all forms are in `predicting.writers.registry`.
FORMATS = ("files", "single", "mtl")
DEFAULT_EDITION = "abaw10"

TRACKS = (VA.name, EXPR.name, AU.name)
"""The challenge's own tasks, in the order of a multi-task row."""

_FIRST_FOLDERS = {VA.name: "VA_Set", EXPR.name: "EXPR_Set", AU.name: "AU_Set"}
_FOLDERS = {task: TASKS[task].folder for task in TRACKS}
_ABAW1_ACTION_UNITS = ("AU1", "AU2", "AU4", "AU6", "AU12", "AU15", "AU20", "AU25")


@dataclass(frozen=True)
class Edition:
    """One edition's labels, folders and kinds of file.

    Attributes:
        name: e.g. ``"abaw5"``.
        formats: which of ``FORMATS`` it knows: ``files`` (one a subject and task), ``single``
            (one ``predictions.txt`` a task), ``mtl`` (one file with all tasks).
        expressions: names of the classes 0, 1, 2 ...
        action_units: names of the AU columns in order.
        folders: the folder of each track's files, see `folder`.
    """

    name: str
    formats: tuple[str, ...]
    expressions: tuple[str, ...] = EXPRESSIONS
    action_units: tuple[str, ...] = ACTION_UNITS
    folders: dict[str, str] = field(default_factory=lambda: dict(_FOLDERS))

    def header(self, task: str) -> str:
        """The first line of a file of one subject, e.g. ``valence,arousal``."""
        return ",".join(self.targets(task))

    def targets(self, task: str) -> tuple[str, ...]:
        """Names of what is labelled: the dimensions, the classes or the action units."""
        own = {EXPR.name: self.expressions, AU.name: self.action_units}
        return own[task] if task in own else task_named(task).targets

    def columns(self, task: str) -> int:
        """How many values a row holds. EXPR has one, though its header names every class."""
        return task_named(task).columns(len(self.targets(task)))

    def folder(self, task: str) -> str:
        """The folder of the task's files."""
        return self.folders[task] if task in self.folders else task_named(task).folder

    @property
    def every_folder(self) -> tuple[str, ...]:
        """The folders of all tasks."""
        return tuple(self.folder(task) for task in TASKS)

    def require_predicted(self, task: str) -> None:
        """Raise UsageError if it labels what is not predicted (AU20 of ABAW1)."""
        ours = task_named(task)
        unknown = [name for name in self.targets(task) if name not in ours.targets]
        if unknown:
            others = " or ".join(f'task="{other}"' for other in TRACKS if other != task)
            raise UsageError(
                f"edition {self.name} has a column for {unknown[0]}, which is not predicted",
                f"choose {others}, or another edition for {ours.title}",
            )


EDITIONS = {
    edition.name: edition
    for edition in (
        Edition("abaw1", ("files",), EXPRESSIONS[:7], _ABAW1_ACTION_UNITS, _FIRST_FOLDERS),
        Edition("abaw2", ("files",), EXPRESSIONS[:7], ACTION_UNITS, _FIRST_FOLDERS),
        Edition("abaw3", ("files", "mtl")),
        Edition("abaw4", ("mtl",)),
        Edition("abaw5", ("files", "single")),
        Edition("abaw6", ("files", "single")),
        Edition("abaw7", ("mtl",)),
        Edition("abaw8", ("files", "single")),
        Edition("abaw9", ("files", "single")),
        Edition("abaw10", ("files", "single")),
        Edition("abaw11", ("mtl",)),
    )
}


MTL_EDITIONS = tuple(name for name, edition in EDITIONS.items() if "mtl" in edition.formats)
"""Those with a multi-task track, the newest last."""


def edition_for(task: str, edition: str | None = None) -> str:
    """``edition``, or without one the newest that scores ``task`` (a task, or ``mtl``).

    >>> edition_for("mtl", "abaw7")
    'abaw7'

    Raises:
        UsageError: the edition has no multi-task track.
    """
    if task != "mtl":
        return edition or DEFAULT_EDITION
    if edition is not None and edition not in MTL_EDITIONS:
        raise UsageError(
            f"edition {edition} has no multi-task track",
            f"choose another edition: {' or '.join(MTL_EDITIONS)}",
        )
    return edition or MTL_EDITIONS[-1]


def edition_named(name: str) -> Edition:
    """The edition of this name.

    Raises:
        UnknownNameError: there is none.
    """
    if name not in EDITIONS:
        raise UnknownNameError("edition", name, EDITIONS)
    return EDITIONS[name]


def check_choice(edition: str, form: str, tasks: tuple[str, ...] = TRACKS) -> None:
    """Raise unless predictions of ``tasks`` can be written in this edition's format.

    To be called before the long work, so that a wrong choice costs nothing.

    Raises:
        UnknownNameError: no such edition, format or task.
        UsageError: the edition does not have the format, or asks for more than is predicted.
    """
    chosen = edition_named(edition)
    for task in tasks:
        task_named(task)
    if form not in FORMATS:
        raise UnknownNameError("format", form, FORMATS)
    if form not in chosen.formats:
        raise UsageError(
            f"edition {edition} has no files of format '{form}'",
            f"choose {setting('form', chosen.formats)}, or an edition that has it: "
            + ", ".join(e.name for e in EDITIONS.values() if form in e.formats),
        )
    if form == "mtl" and set(tasks) != set(TRACKS):
        raise UsageError(
            "a multi-task file holds valence/arousal, expression and action units together",
            'choose task="all" with form="mtl"',
        )
    for task in tasks:
        chosen.require_predicted(task)
