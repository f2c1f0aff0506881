"""WebVTT, read back by webvtt-py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import webvtt
from fixtures.recordings import HOSTILE, write_person

from avaffect.converting.run import convert


def test_cues_last_as_long_as_what_they_say(tmp_path: Path) -> None:
    said = np.array(["Fear", "Fear", None, "Anger"], object)
    times = [3599.9, 3600.0, 3600.1, 3600.2]
    write_person(tmp_path, "talk_left", times, [2], expression=said, AU12=[0, 1, np.nan, 0])
    said = np.array(["Sadness"], object)
    write_person(tmp_path, "talk_right", times[:1], expression=said, AU12=[0.0])
    (path,) = convert(tmp_path, "vtt").files
    found = [(cue.start, cue.end, cue.voice, cue.text) for cue in webvtt.read(str(path)).captions]
    assert found == [
        ("00:59:59.900", "01:00:00.000", "talk_left", "Fear"),
        ("00:59:59.900", "00:59:59.940", "talk_right", "Sadness"),
        ("01:00:00.000", "01:00:00.100", "talk_left", "Fear, smile"),
        ("01:00:00.200", "01:00:00.300", "talk_left", "Anger"),
    ]


def test_arrows_and_tags_are_harmless(tmp_path: Path) -> None:
    text = f"{HOSTILE}\n\n00:00:09.000 --> 00:00:10.000\nNOTE"
    write_person(
        tmp_path, times=[0, 0.04], expression=np.full(2, text, object), AU12=[0.0, 0.0],
        about={"subject": text},
    )  # fmt: skip
    (path,) = convert(tmp_path, "vtt").files
    assert path.read_text().count("-->") == 1
    (cue,) = webvtt.read(str(path)).captions
    assert (cue.start, cue.end) == ("00:00:00.000", "00:00:00.080")
    assert "&lt;b&gt;" in path.read_text()
