"""``eaf``: an ELAN file a video, with tiers a person.

Format 3.0 (Max Planck Institute for Psycholinguistics, EAFv3.0.xsd). Times are whole milliseconds
on the video's own clock; what is shorter than one is left out.
"""

from __future__ import annotations

import mimetypes
from functools import partial
from itertools import count
from pathlib import Path, PurePosixPath
from typing import TextIO
from urllib.parse import quote
from xml.sax.saxutils import escape

from avaffect.converting.elements import HEAD, empty, opened
from avaffect.converting.form import Choices, Files, ending
from avaffect.converting.recording import Recording
from avaffect.converting.spans import Tier, printable
from avaffect.files.atomic import atomic_path

_NAME = "avaffect"
_TYPE = {"LINGUISTIC_TYPE_ID": _NAME, "TIME_ALIGNABLE": "true", "GRAPHIC_REFERENCES": "false"}
_DOCUMENT = {
    "AUTHOR": _NAME,
    # ELAN wants a date. The same tables give the same bytes.
    "DATE": "2000-01-01T00:00:00+00:00",
    "FORMAT": "3.0",
    "VERSION": "3.0",
    "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
    "xsi:noNamespaceSchemaLocation": "http://www.mpi.nl/tools/elan/EAFv3.0.xsd",
}


def files(recording: Recording, choices: Choices) -> Files:
    """``<video>.eaf``."""
    return [(ending(recording.name, ".eaf"), partial(_write, recording))]


def _write(recording: Recording, path: Path) -> None:
    tiers = recording.tiers()
    with (
        atomic_path(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="\n") as file,
    ):
        name = printable(PurePosixPath(recording.video).name)
        # ELAN looks for the video beside its own file.
        url = f"./{quote(name)}"
        mime = mimetypes.guess_type(name)[0] or "unknown"
        video = {"MEDIA_URL": url, "RELATIVE_MEDIA_URL": url, "MIME_TYPE": mime}
        head = {"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"}
        lines = (opened("ANNOTATION_DOCUMENT", _DOCUMENT), opened("HEADER", head))
        file.write(HEAD + "\n".join(lines) + "\n")
        file.write(empty("MEDIA_DESCRIPTOR", video) + "\n</HEADER>\n")
        _write_tiers(file, tiers)
        file.write(empty("LINGUISTIC_TYPE", _TYPE) + "\n</ANNOTATION_DOCUMENT>\n")


def _write_tiers(file: TextIO, tiers: list[Tier]) -> None:
    spans = [span for tier in tiers for span in tier.spans]
    moments = {_ms(time) for span in spans for time in (span.start, span.end)}
    slots = {time: f"ts{number}" for number, time in enumerate(sorted(moments), 1)}
    file.write("<TIME_ORDER>\n")
    for time, slot in slots.items():
        file.write(empty("TIME_SLOT", {"TIME_SLOT_ID": slot, "TIME_VALUE": time}) + "\n")
    file.write("</TIME_ORDER>\n")
    numbers = count(1)
    for tier in tiers:
        named = {"TIER_ID": tier.name, "PARTICIPANT": tier.subject}
        file.write(opened("TIER", {**named, "LINGUISTIC_TYPE_REF": _NAME}) + "\n")
        for span in tier.spans:
            start, end = _ms(span.start), _ms(span.end)
            if start < end:
                places = {"TIME_SLOT_REF1": slots[start], "TIME_SLOT_REF2": slots[end]}
                own = {"ANNOTATION_ID": f"a{next(numbers)}", **places}
                file.write(
                    f"<ANNOTATION>{opened('ALIGNABLE_ANNOTATION', own)}"
                    f"<ANNOTATION_VALUE>{escape(span.text)}</ANNOTATION_VALUE>"
                    "</ALIGNABLE_ANNOTATION></ANNOTATION>\n"
                )
        file.write("</TIER>\n")


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
