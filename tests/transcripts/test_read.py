"""Transcripts: read as other readers read them, and refused with a line where they are none."""

from __future__ import annotations

from pathlib import Path

import pytest
import textgrid
import webvtt
from praatio import textgrid as praatio
from praatio.data_classes.interval_tier import IntervalTier

from avaffect.errors import FormatError, InputNotFoundError, UnknownNameError
from avaffect.transcripts.read import read_transcript, read_turns
from avaffect.transcripts.said import MOST_BYTES, Said

SRT = """1
00:00:00,500 --> 00:00:01,250
Good <i>morning</i>.

2
00:01:02,000 --> 01:00:03,5
{\\an8}Two
lines
"""
VTT = """WEBVTT - a title
Kind: captions

STYLE
::cue { color: red }

NOTE nobody says this

intro
00:00.500 --> 00:01.250 align:start
<v.loud Anna B>Good &amp; <b>well</b></v>

01:00:02.000 --> 01:00:03.000
<c.x>nobody named</c>
"""
RTTM = """;; a comment
SPKR-INFO talk 1 <NA> <NA> <NA> unknown A <NA> <NA>
SPEAKER talk 1 2.50 1.00 <NA> <NA> B <NA> <NA>
SPEAKER talk 1 0.50 1.25 <NA> <NA> A <NA> <NA>
SPEAKER talk 1 9.0 0.0 <NA> <NA> A <NA> <NA>
"""


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("head", ["", "\ufeff", "\n\n"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_subrip(head: str, end: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.srt", head + SRT.replace("\n", end))
    assert read_transcript(path) == [
        Said(0.5, 1.25, "Good morning."),
        Said(62.0, 3603.5, "Two lines"),
    ]


def test_webvtt_as_its_own_library_reads_it(tmp_path: Path) -> None:
    path = write(tmp_path / "a.vtt", VTT)
    found = read_transcript(path)
    assert found == [
        Said(0.5, 1.25, "Good & well", "Anna B"),
        Said(3602.0, 3603.0, "nobody named"),
    ]
    theirs = webvtt.read(str(path)).captions
    assert [(each.start_in_seconds, each.voice) for each in theirs] == [
        (0, "Anna B"),
        (3602, None),
    ]


@pytest.mark.parametrize("form", ["short_textgrid", "long_textgrid"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_textgrids_that_praatio_writes(form: str, encoding: str, tmp_path: Path) -> None:
    grid = praatio.Textgrid()
    words = [(0.5, 1.25, 'say "hi" 3 = 4'), (2.0, 2.5, "é ! [1]:")]
    grid.addTier(IntervalTier("Anna <x>", words, 0, 3))
    grid.addTier(praatio.PointTier("clicks", [(1.0, "click")], 0, 3))
    path = tmp_path / "a.TextGrid"
    grid.save(str(path), form, includeBlankSpaces=True)
    write(path, path.read_text("utf-8"), encoding)
    assert read_transcript(path) == [Said(*each, "Anna <x>") for each in words]


def test_textgrids_that_textgrid_writes(tmp_path: Path) -> None:
    grid = textgrid.TextGrid("x", 0, 3)
    tier = textgrid.IntervalTier("A", 0, 3)
    tier.add(0.5, 1.25, 'a "word"')
    grid.append(tier)
    grid.write(str(tmp_path / "b.TextGrid"))
    assert read_transcript(tmp_path / "b.TextGrid") == [Said(0.5, 1.25, 'a "word"', "A")]


def test_turns_of_a_diarisation(tmp_path: Path) -> None:
    path = write(tmp_path / "a.rttm", RTTM)
    assert read_turns(path) == [Said(0.5, 1.75, "", "A"), Said(2.5, 3.5, "", "B")]
    write(path, RTTM + "SPEAKER other 1 0 1 <NA> <NA> C <NA> <NA>\n")
    assert [turn.speaker for turn in read_turns(path, "other")] == ["C"]
    with pytest.raises(FormatError, match="turns of 2 files"):
        read_turns(path, "third")


GRID = 'File type = "ooTextFile"\nObject class = "TextGrid"\n\n0\n3\n<exists>\n1\n'


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.srt", "", "no cues"),
        ("a.srt", "1\nGood morning\n", "line 2: there is no time"),
        ("a.srt", SRT + "\n3\n00:00:05,000 --> 00:00:04,000\nx\n", "line 11: it ends at 4"),
        ("a.srt", "1\n99999:00:00,000 --> 00:00:04,000\nx", "line 2: there is no time"),
        ("a.srt", "1\n9999:00:00,000 --> 9999:00:04,000\nx", "line 2: a time is none"),
        ("a.vtt", SRT, "line 1: it does not begin with WEBVTT"),
        ("a.vtt", "WEBVTT\n\nx\n", "line 3: there is no time"),
        ("a.TextGrid", "hello", "ends too early"),
        ("a.TextGrid", GRID + '"IntervalTier"\n"A"\n0\n3\n1\n0\n3\n"open', "line 15: a text has"),
        ("a.TextGrid", GRID + '"IntervalTier"\n"A"\n0\n3\n1e9\n', "line 12: the file ends"),
        ("a.TextGrid", GRID + '"Spectrum"\n"A"\n0\n', "line 9: there is no tier of the kind"),
        ("a.TextGrid", GRID + '"IntervalTier"\n"A"\n0\n3\n1\n2\n1\n"x"', "line 15: it ends at 1"),
        ("a.TextGrid", GRID + '"IntervalTier"\n"A"\n0\n3\n1\nx\n"x"', "line 14: a text stands"),
        ("a.rttm", "SPEAKER talk 1 x 1 <NA> <NA> A", "line 1: its fourth and fifth"),
        ("a.rttm", "\nSPEAKER talk 1 nan 1 <NA> <NA> A", "line 2: a time is none"),
        ("a.rttm", "SPEAKER talk 1 0", "line 1: it has 4 fields"),
        ("a.rttm", "speaker talk", "line 1: a line begins with SPEAKER"),
        ("a.rttm", ";; nothing\n", "no turns"),
    ],
)  # fmt: skip
def test_what_is_none_is_refused_with_its_line(
    name: str, text: str, message: str, tmp_path: Path
) -> None:
    path = write(tmp_path / name, text)
    with pytest.raises(FormatError, match=message) as caught:
        (read_turns if name.endswith("rttm") else read_transcript)(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"\.srt"):
        read_transcript(tmp_path / "a.sbv")
    with pytest.raises(InputNotFoundError):
        read_transcript(tmp_path / "a.srt")
    with pytest.raises(FormatError, match="line 2 is not UTF-8"):
        read_transcript(write(tmp_path / "a.srt", "1\né", "latin-1"))
    with (tmp_path / "a.srt").open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    with pytest.raises(FormatError, match="more than"):
        read_transcript(tmp_path / "a.srt")


@pytest.mark.parametrize("text", ["<v ", '"', '""', "{\\", "-->", " "])
@pytest.mark.parametrize("name", ["a.srt", "a.vtt", "a.TextGrid"])
def test_hostile_texts_end_soon(name: str, text: str, tmp_path: Path) -> None:
    head = {"a.srt": "1\n00:00:00,000 --> 00:00:01,000\n", "a.TextGrid": GRID,
            "a.vtt": "WEBVTT\n\n00:00.000 --> 00:01.000\n"}[name]  # fmt: skip
    path = write(tmp_path / name, head + text * 200_000)
    try:
        assert len(read_transcript(path)) == 1
    except FormatError:
        assert name == "a.TextGrid"
