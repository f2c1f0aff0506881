"""A form in which predictions are written, such as the challenge's text files or CSV."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, Protocol

from avaffect.predictions.prediction import Prediction


@dataclass(frozen=True, eq=False)
class Ready:
    """One subject, ready to be written.

    Attributes:
        prediction: a row a decoded frame; NaN where nothing was seen or heard.
        filled: the same, with such rows filled by the policy for missing frames.
        about: JSON-able facts: subject, model, settings, what to bear in mind.
        place: where its files lie below a form's folder, without endings, see `challenge.places`.
    """

    prediction: Prediction
    filled: Prediction
    about: Mapping[str, Any]
    place: PurePath


class Writer(Protocol):
    """Writes predictions below an output folder, in one form.

    Either each subject has files of its own, or some files hold all subjects of a run.

    Attributes:
        shared: the files for all subjects; empty where each subject has its own.
    """

    shared: tuple[Path, ...] = ()

    def files(self, place: PurePath) -> tuple[Path, ...]:
        """Every file of its own that a subject may have; empty where all are shared.

        Args:
            place: see `Ready`.
        """
        return ()

    def open(self) -> AbstractContextManager[None]:
        """A block for `write`. The shared files are whole when it ends; if it fails, not there."""
        return nullcontext()

    def write(self, ready: Ready) -> tuple[Path, ...]:
        """Write one subject; each file of its own is whole or not there.

        Returns:
            the subject's own files.

        Raises:
            UsageError: the form cannot hold this subject.
            OutputError: a file cannot be written.
        """
        ...
