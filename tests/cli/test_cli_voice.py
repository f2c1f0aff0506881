"""``avaffect voice``, and transcripts on the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fixtures.recordings import write_person

from avaffect.measuring import run as measuring

TIMES = np.arange(20) / 10


def test_it_says_what_was_measured(run, sample, tmp_path, monkeypatch) -> None:
    asked = []

    def measure(source: Path, out: str, **more: object) -> measuring.Measured:
        asked.append((source.name, out, more["smile"], more["decimal"]))
        return measuring.Measured((Path(out, "a.parquet"),), 7, {"speech_s": 1.25, "pauses": 3})

    monkeypatch.setattr(measuring, "measure", measure)
    done = run("voice", sample("one_person.mp4"), "-o", tmp_path, "--opensmile", "eGeMAPSv02",
               "--decimal", "comma")  # fmt: skip
    assert done.code == 0 and asked == [
        ("one_person.mp4", str(tmp_path), "eGeMAPSv02", "comma")
    ]  # fmt: skip
    assert "1.2 s of speech, 3 pauses" in " ".join(done.out.split())


@pytest.mark.parametrize("command", [("convert", "--format", "eaf"), ("report",)])
def test_voices_are_said(run, tmp_path: Path, command: tuple[str, ...]) -> None:
    write_person(tmp_path, times=TIMES, speaking=np.full(20, 0.75))
    (tmp_path / "a.rttm").write_text("SPEAKER a 1 0.5 1 <NA> <NA> S0 <NA> <NA>\n", "utf-8")
    done = run(command[0], tmp_path, *command[1:], "--speakers", tmp_path / "a.rttm")
    assert done.code == 0 and "voice: S0 is talk (0.75)" in done.err
    done = run(command[0], tmp_path, *command[1:], "--transcript", tmp_path / "a.sbv")
    assert done.code == 2 and ".srt" in done.err
