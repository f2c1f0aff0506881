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
from xml.sax.saxutils import escape, quoteattr

from avaffect.converting.form import Choices, Files, ending
from avaffect.converting.recording import Recording
from avaffect.converting.spans import Tier, printable, tiers_of
from avaffect.files.atomic import atomic_path

_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"
_TYPE = "avaffect"
# ELAN wants a date. The same tables give the same bytes.
_DATE = "2000-01-01T00:00:00+00:00"


def files(recording: Recording, choices: Choices) -> Files:
    """``<video>.eaf``."""
    return [(ending(recording.name, ".eaf"), partial(_write, recording))]


def _write(recording: Recording, path: Path) -> None:
    tiers = [tier for rows in recording.people for tier in tiers_of(rows)]
    with (
        atomic_path(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="\n") as file,
    ):
        name = printable(PurePosixPath(recording.video).name)
        # ELAN looks for the video beside its own file.
        url = quoteattr(f"./{quote(name)}")
        mime = quoteattr(mimetypes.guess_type(name)[0] or "unknown")
        file.write(
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f'<ANNOTATION_DOCUMENT AUTHOR="avaffect" DATE="{_DATE}" FORMAT="3.0" VERSION="3.0" '
            f'xmlns:xsi="{_XSI}" xsi:noNamespaceSchemaLocation="{_SCHEMA}">\n'
            '<HEADER MEDIA_FILE="" TIME_UNITS="milliseconds">\n'
            f"<MEDIA_DESCRIPTOR MEDIA_URL={url} RELATIVE_MEDIA_URL={url} MIME_TYPE={mime}/>\n"
            "</HEADER>\n"
        )
        _write_tiers(file, tiers)
        file.write(
            f'<LINGUISTIC_TYPE LINGUISTIC_TYPE_ID="{_TYPE}" TIME_ALIGNABLE="true" '
            'GRAPHIC_REFERENCES="false"/>\n</ANNOTATION_DOCUMENT>\n'
        )


def _write_tiers(file: TextIO, tiers: list[Tier]) -> None:
    spans = [span for tier in tiers for span in tier.spans]
    moments = {_ms(time) for span in spans for time in (span.start, span.end)}
    slots = {time: f"ts{number}" for number, time in enumerate(sorted(moments), 1)}
    file.write("<TIME_ORDER>\n")
    file.writelines(
        f'<TIME_SLOT TIME_SLOT_ID="{slot}" TIME_VALUE="{time}"/>\n' for time, slot in slots.items()
    )
    file.write("</TIME_ORDER>\n")
    numbers = count(1)
    for tier in tiers:
        file.write(
            f"<TIER TIER_ID={quoteattr(tier.name)} PARTICIPANT={quoteattr(tier.subject)} "
            f'LINGUISTIC_TYPE_REF="{_TYPE}">\n'
        )
        for span in tier.spans:
            start, end = _ms(span.start), _ms(span.end)
            if start < end:
                file.write(
                    f'<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a{next(numbers)}" '
                    f'TIME_SLOT_REF1="{slots[start]}" TIME_SLOT_REF2="{slots[end]}">'
                    f"<ANNOTATION_VALUE>{escape(span.text)}</ANNOTATION_VALUE>"
                    "</ALIGNABLE_ANNOTATION></ANNOTATION>\n"
                )
        file.write("</TIER>\n")


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
