"""Transcripts beside predictions: whose a voice is, and tiers that other readers read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pympi
import pytest
import webvtt
from fixtures.recordings import HOSTILE, rows_of, write_person
from praatio import textgrid as praatio

from avaffect.converting.run import convert
from avaffect.converting.spans import Span
from avaffect.converting.speech import Mapped, Transcript, map_speakers, read_speech
from avaffect.errors import UsageError
from avaffect.transcripts.said import Said

TIMES = np.arange(100) / 10
FIRST = np.where(TIMES < 4, 0.9, 0.0)
SECOND = np.where((TIMES >= 4) & (TIMES < 7), 0.8, 0.0)
RTTM = "".join(
    f"SPEAKER talk 1 {start} {length} <NA> <NA> {name} <NA> <NA>\n"
    for start, length, name in [(0.5, 3, "S0"), (4, 2.5, "S1"), (7.5, 2, "S2"), (3.6, 0.2, "S3")]
)
SRT = """1
00:00:01,000 --> 00:00:03,000
Good morning

2
00:00:04,500 --> 00:00:06,000
Hello <there>

3
00:00:07,600 --> 00:00:09,000
A voice
"""


def people(root: Path, late: float = 0.0):
    about = {"media": {"first_time_s": late}}
    return [
        rows_of(root, "talk_left", TIMES, speech=FIRST, speaking=FIRST, about=about),
        rows_of(root, "talk_right", TIMES, speaking=SECOND, about=about),
    ]


def test_each_voice_has_the_face_that_speaks(tmp_path: Path) -> None:
    turns = [Said(0.5, 3.5, "", "S0"), Said(4, 6.5, "", "S1"), Said(7.5, 9.5, "", "S2"),
             Said(3.6, 3.8, "", "S3")]  # fmt: skip
    found = map_speakers(turns, people(tmp_path))
    assert {name: each.subject for name, each in found.items()} == {
        "S0": "talk_left", "S1": "talk_right", "S2": None, "S3": "talk_left",
    }  # fmt: skip
    assert found["S1"].share == pytest.approx(0.8, abs=1e-6)
    assert str(found["S0"]) == "S0 is talk_left (0.90)"
    assert str(found["S2"]) == "S2 is off screen"
    # The clock is the file's own, of which the first frame may be later than 0.
    later = map_speakers(turns[:1], people(tmp_path, 4.0))
    assert later["S0"].subject is None
    assert map_speakers(turns, [rows_of(tmp_path / "old", times=TIMES)])["S0"].share < 0.9


def test_tiers_of_words_and_turns() -> None:
    turns = (Said(0, 2, "", "A"), Said(1.5, 4, "", "B"), Said(5, 6, "", "A"))
    words = (Said(0.5, 1.9, "a"), Said(1.6, 3, "b"), Said(8, 9, "c"), Said(1.0, 1.2, "d", "Z"))
    both = {"A": Mapped("A", "anna", 0.9), "B": Mapped("B", "anna", 0.5)}
    found = {each.name: each.spans for each in Transcript(words, turns, both).tiers("talk")}
    assert found["said@anna"] == (Span(0.5, 1.9, "a"), Span(1.9, 3, "b"))
    assert found["said@talk"] == (Span(8, 9, "c"),)
    assert found["said@Z"] == (Span(1.0, 1.2, "d"),)
    # Nothing lies over another in a tier.
    assert [(each.start, each.end) for each in found["turn@anna"]] == [(0, 2), (2, 4), (5, 6)]
    assert found["turn@anna"][1].text == "B is anna (0.50)"


def test_other_readers_read_what_was_said(tmp_path: Path) -> None:
    people(tmp_path)
    (tmp_path / "talk.srt").write_text(SRT, "utf-8")
    (tmp_path / "talk.rttm").write_text(RTTM, "utf-8")
    given = {"transcript": tmp_path / "talk.srt", "speakers": tmp_path / "talk.rttm"}
    done = convert(tmp_path, "eaf", **given)
    assert [each.subject for each in done.voices] == ["talk_left", "talk_left", "talk_right", None]
    eaf = pympi.Elan.Eaf(str(done.files[0]))
    assert eaf.get_annotation_data_for_tier("said@talk_right") == [(4500, 6000, "Hello")]
    assert eaf.get_annotation_data_for_tier("turn@S2") == [(7500, 9500, "S2 is off screen")]
    assert eaf.get_annotation_data_for_tier("said@S2") == [(7600, 9000, "A voice")]
    assert eaf.get_annotation_data_for_tier("speaking@talk_right") == [(4000, 7000, "speaking")]
    (path,) = convert(tmp_path, "textgrid", **given).files
    grid = praatio.openTextgrid(str(path), includeEmptyIntervals=False)
    assert [tuple(each) for each in grid.getTier("said@talk_left").entries] == [
        (1.0, 3.0, "Good morning")
    ]
    (path,) = convert(tmp_path, "vtt", **given).files
    said = [each for each in webvtt.read(str(path)).captions if each.text == "A voice"]
    assert [(each.start, each.end, each.voice) for each in said] == [
        ("00:00:07.600", "00:00:09.000", "S2")
    ]


def test_what_is_said_behind_the_videos_end_is_kept(tmp_path: Path) -> None:
    write_person(tmp_path)
    (tmp_path / "a.vtt").write_text(
        f'WEBVTT\n\n00:00.000 --> 00:20.000\n<v {HOSTILE[:3]}x>&lt;a&gt;"\n', "utf-8"
    )
    (path,) = convert(tmp_path, "textgrid", transcript=tmp_path / "a.vtt").files
    grid = praatio.openTextgrid(str(path), includeEmptyIntervals=False)
    assert grid.maxTimestamp == 20
    (path,) = convert(tmp_path, "eaf", transcript=tmp_path / "a.vtt").files
    names = [name for name in pympi.Elan.Eaf(str(path)).tiers if name.startswith("said@")]
    assert len(names) == 1


def test_a_transcript_is_of_one_video_and_needs_tiers(tmp_path: Path) -> None:
    write_person(tmp_path, "one")
    (tmp_path / "a.srt").write_text(SRT, "utf-8")
    with pytest.raises(UsageError, match="no tiers"):
        convert(tmp_path, "csv", transcript=tmp_path / "a.srt")
    write_person(tmp_path, "two", video="other.mp4", about={"video": {"name": "o", "sha256": "1"}})
    with pytest.raises(UsageError, match="here are 2"):
        convert(tmp_path, "eaf", transcript=tmp_path / "a.srt")
    read = read_speech(tmp_path / "a.srt", None, [rows_of(tmp_path, "one")])
    assert read.mapped == {} and read.speaker_of(read.words[0]) == ""
