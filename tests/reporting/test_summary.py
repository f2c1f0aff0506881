"""The arithmetic of the summary, by hand."""

import csv
from pathlib import Path

import numpy as np
import pytest

from avaffect.config import MediaConfig
from avaffect.drawing.subjects import Table
from avaffect.labels import EXPRESSIONS
from avaffect.reporting.summary import summarise, write_summary

NAN = np.nan


def table(times: list[float], **columns: list[float]) -> Table:
    found = {"frame": np.arange(1, len(times) + 1), "time": np.array(times)}
    return Table("anna", found | {k: np.array(v) for k, v in columns.items()}, MediaConfig())


def test_means_are_over_time_and_not_over_frames() -> None:
    # The first frame lasts as long as all the others together.
    found = summarise(table([0, 0.3, 0.4, 0.5], valence=[1, 0, 0, 0.0], arousal=[0, 0, 0, NAN]))
    assert found.duration_s == pytest.approx(0.6)
    assert found.whole.valence_mean == pytest.approx(0.5)
    assert found.whole.valence_sd == pytest.approx(0.5)
    assert (found.whole.arousal_mean, found.whole.arousal_sd) == (0, 0)
    # A pause in the file is not a long frame.
    assert summarise(table([0, 100, 101], valence=[1, 0, 0.0])).duration_s == pytest.approx(3)


def test_gaps_count_in_the_whole_and_not_in_what_is_seen() -> None:
    seen = [True, True, False, False, False, True, True, True, False, True]
    voice = [0.5, 0.5, -1, NAN, NAN, 0.5, 0.5, 0.5, NAN, 0.5]
    shares = {f"p_{name}": [float(name == "Fear") if s else NAN for s in seen]
              for name in EXPRESSIONS}  # fmt: skip
    smile = [1.0, 1, NAN, NAN, NAN, 1, 1, 0, NAN, 0]
    times = [at / 10 for at in range(10)]
    found = summarise(table(times, present=seen, valence=voice, AU12=smile, **shares))
    assert (found.frames, found.frames_seen) == (10, 6)
    assert (found.gaps, found.seen_share) == (2, pytest.approx(0.6))
    assert found.longest_gap_s == pytest.approx(0.3)
    # What the voice alone says counts in the whole.
    assert found.whole.valence_mean == pytest.approx((6 * 0.5 - 1) / 7)
    assert found.seen.valence_mean == pytest.approx(0.5)
    assert found.whole.expressions["Fear"] == pytest.approx(0.6)
    assert found.seen.expressions["Fear"] == pytest.approx(1)
    assert found.whole.smile_share == pytest.approx(0.4)
    assert found.seen.smile_share == pytest.approx(4 / 6)
    # A gap ends a smile, or it goes on over it.
    assert (found.whole.smiles, found.seen.smiles) == (2, 1)


def test_a_flicker_is_no_smile() -> None:
    times = [at / 25 for at in range(12)]
    assert summarise(table(times, AU12=[1.0] * 4 + [0] * 8)).whole.smiles == 0
    assert summarise(table(times, AU12=[1.0] * 5 + [0] * 7)).whole.smiles == 1


def test_what_is_not_known_is_none() -> None:
    nobody = [False, False]
    found = summarise(table([0, 0.1], present=nobody, valence=[NAN, NAN]))
    assert (found.seen_share, found.gaps, found.seen.time_s) == (0, 1, 0)
    assert found.whole.valence_mean is None
    assert found.seen.smiles is None
    assert set(found.seen.expressions.values()) == {None}
    assert summarise(table([0.0])).duration_s > 0


def test_a_row_a_person_that_no_spreadsheet_computes(tmp_path: Path) -> None:
    first = table([0, 0.1], valence=[0.25, 0.25], present=[True, False])
    second = Table("=HYPERLINK(1)", first.columns, first.media)
    write_summary([first, second], tmp_path / "summary.csv")
    with (tmp_path / "summary.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["subject"] for row in rows] == ["anna", "'=HYPERLINK(1)"]
    assert (rows[0]["seen_share"], rows[0]["valence_mean"]) == ("0.5", "0.25")
    assert rows[0]["smiles"] == rows[0]["Fear_share_seen"] == ""
    assert "valence_mean_seen" in rows[0]


def test_a_decimal_comma(tmp_path: Path) -> None:
    tables = [table([0, 0.1], valence=[-0.25, -0.25])]
    write_summary(tables, tmp_path / "a.csv", decimal="comma")
    assert ";-0,25;" in (tmp_path / "a.csv").read_text("utf-8").splitlines()[1]
