"""The forms by name. Light to import: the help of the command lists them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from avaffect.errors import UnknownNameError

if TYPE_CHECKING:
    from avaffect.converting.form import Build


@dataclass(frozen=True)
class FormEntry:
    """An entry of the registry.

    Attributes:
        about: what is written, in a few words for the help.
        load: gives what makes the files of a recording; it imports what it needs when called.
        steady: whether it has samples at a steady rate, which one can choose.
        tiers: whether it has tiers, and so takes a transcript.
    """

    about: str
    load: Callable[[], Build]
    steady: bool = False
    tiers: bool = False


def _of(module: str) -> Callable[[], Build]:
    """The function ``files`` of a module beside this one."""

    def load() -> Build:
        build: Build = import_module(f"avaffect.converting.forms.{module}").files
        return build

    return load


FORMS: dict[str, FormEntry] = {
    "csv": FormEntry("the table as CSV", _of("comma")),
    "jsonl": FormEntry("JSON, a line a frame", _of("json_lines")),
    "eaf": FormEntry("ELAN, tiers a person", _of("elan"), tiers=True),
    "textgrid": FormEntry("Praat, tiers a person", _of("praat"), tiers=True),
    "vtt": FormEntry("WebVTT, subtitles of expression and smile", _of("webvtt"), tiers=True),
    "nova": FormEntry("streams of NOVA and DISCOVER", _of("nova"), steady=True),
    "index": FormEntry("CSV by file, start, end, as audinterface and audformat", _of("index")),
    "bids": FormEntry("BIDS, _physio.tsv.gz and its JSON", _of("bids"), steady=True),
    "openface": FormEntry("CSV with OpenFace's columns", _of("openface")),
}


def form_named(name: str) -> FormEntry:
    """The form called ``name``.

    Raises:
        UnknownNameError: there is none.
    """
    if name not in FORMS:
        raise UnknownNameError("format", name, FORMS)
    return FORMS[name]
