"""What the files of each edition of the ABAW challenge look like.

Source: the annotations and calls of ABAW1 (2020) to ABAW11 (2026) as public code reads and
writes them. Editions 4, 7 and 11 have the multi-task track only.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from avaffect.errors import UnknownNameError, UsageError, setting
from avaffect.labels import ACTION_UNITS, EXPRESSIONS, TASKS

# The forms of text files that editions know; all forms are in `predicting.writers.registry`.
FORMATS = ("files", "single", "mtl")
DEFAULT_EDITION = "abaw10"

_FIRST_FOLDERS = {"va": "VA_Set", "expr": "EXPR_Set", "au": "AU_Set"}
_FOLDERS = {
    "va": "VA_Estimation_Challenge",
    "expr": "EXPR_Classification_Challenge",
    "au": "AU_Detection_Challenge",
}
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
        folders: the folder of each task's files.
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
        names = {
            "va": ("valence", "arousal"),
            "expr": self.expressions,
            "au": self.action_units,
        }
        return names[task]

    def columns(self, task: str) -> int:
        """How many values a row holds. EXPR has one, though its header names every class."""
        return {"va": 2, "expr": 1, "au": len(self.action_units)}[task]

    def au_indices(self) -> list[int]:
        """Where each AU column stands in ``ACTION_UNITS``.

        Raises:
            UsageError: the edition has an action unit that is not predicted (AU20 of ABAW1).
        """
        unknown = [name for name in self.action_units if name not in ACTION_UNITS]
        if unknown:
            raise UsageError(
                f"edition {self.name} has a column for {unknown[0]}, which is not predicted",
                'choose task="va" or task="expr", or another edition for action units',
            )
        return [ACTION_UNITS.index(name) for name in self.action_units]


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
        Edition("abaw10", ("files", "single")),
        Edition("abaw11", ("mtl",)),
    )
}


MTL_EDITIONS = tuple(name for name, one in EDITIONS.items() if "mtl" in one.formats)
"""Those with a multi-task track, the newest last."""


def edition_for(task: str, edition: str | None = None) -> str:
    """``edition``, or without one the newest that scores ``task`` (a task, or ``mtl``).

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


def check_choice(edition: str, form: str, tasks: tuple[str, ...] = TASKS) -> None:
    """Raise unless predictions of ``tasks`` can be written in this edition's format.

    To be called before the long work, so that a wrong choice costs nothing.

    Raises:
        UnknownNameError: no such edition, format or task.
        UsageError: the edition does not have the format, or asks for more than is predicted.
    """
    chosen = edition_named(edition)
    for task in tasks:
        if task not in TASKS:
            raise UnknownNameError("task", task, TASKS)
    if form not in FORMATS:
        raise UnknownNameError("format", form, FORMATS)
    if form not in chosen.formats:
        raise UsageError(
            f"edition {edition} has no files of format '{form}'",
            f"choose {setting('form', chosen.formats)}, or an edition that has it: "
            + ", ".join(e.name for e in EDITIONS.values() if form in e.formats),
        )
    if form == "mtl" and set(tasks) != set(TASKS):
        raise UsageError(
            "a multi-task file holds valence/arousal, expression and action units together",
            'choose task="all" with form="mtl"',
        )
    if "au" in tasks:
        chosen.au_indices()
