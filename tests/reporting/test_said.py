"""What is said, as the page has it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from fixtures.recordings import write_person

from avaffect.errors import FormatError, UsageError
from avaffect.reporting import said
from avaffect.reporting.report import report

SRT = "1\n00:00:01,000 --> 00:00:02,000\nGood </script morning\n"
RTTM = "SPEAKER talk 1 0.5 2 <NA> <NA> S0 <NA> <NA>\n"
TIMES = np.arange(40) / 10


def write(root: Path) -> dict[str, Path]:
    speaking = np.where(TIMES < 3, 0.9, 0.0)
    late = {"media": {"first_time_s": 0.25}}
    write_person(root, "talk", TIMES, speaking=speaking, about=late)
    (root / "a.srt").write_text(SRT, "utf-8")
    (root / "a.rttm").write_text(RTTM, "utf-8")
    return {"transcript": root / "a.srt", "speakers": root / "a.rttm"}


def test_the_page_has_words_on_its_own_clock_and_harmless(tmp_path: Path) -> None:
    given = write(tmp_path)
    done = report(tmp_path, **given)
    assert [str(voice) for voice in done.voices] == ["S0 is talk (0.90)"]
    page = done.path.read_text("utf-8")
    assert 'id="n-said"' in page and "Good </script" not in page
    data = page.split('id="data">')[1].split("</script>")[0]
    assert json.loads(data)["said"] == [[0.75, 1.75, "talk: Good </script morning"]]
    turns = report(tmp_path, speakers=given["speakers"]).path.read_text("utf-8")
    data = turns.split('id="data">')[1].split("</script>")[0]
    assert json.loads(data)["said"] == [[0.25, 2.25, "talk"]]
    assert 'id="n-said"' not in report(tmp_path).path.read_text("utf-8")


def test_a_page_stays_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = write(tmp_path)
    monkeypatch.setattr(said, "_MOST_LETTERS", 5)
    assert said.said_lines(given["transcript"], None, _tables(tmp_path))[0] == []


def _tables(root: Path) -> list[dict[str, Path]]:
    return [{"talk": root / "tables" / "talk.parquet"}]


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    given = write(tmp_path)
    given["transcript"].write_text("1\nno time\n", "utf-8")
    with pytest.raises(FormatError, match="line 2"):
        report(tmp_path, transcript=given["transcript"])
    with pytest.raises(UsageError, match="of one video"):
        said.said_lines(given["transcript"], None, [*_tables(tmp_path)] * 2)
