"""`voice`: the sample's known words and pause, and what else can be measured."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from avaffect.errors import ForeignFileError, MediaError, UnknownNameError
from avaffect.files.table import read_table
from avaffect.measuring import run
from avaffect.measuring.run import measure


@pytest.fixture(scope="module")
def measured(sample, tmp_path_factory: pytest.TempPathFactory):
    return measure(sample("one_person.mp4"), tmp_path_factory.mktemp("voice"))


def test_words_and_the_pause_between_them(measured) -> None:
    # sample_media/truth.json: words from 0.4 to 3.841 s and from 4.6 to 5.78 s.
    columns, about = read_table(measured.files[0])
    assert measured.rows == len(columns["time"]) == 200
    assert about["kind"] == "voice" and about["video"]["name"] == "one_person.mp4"
    at, spoken, paused = (columns[name] for name in ("time", "in_speech", "in_pause"))
    assert (spoken[(at > 0.6) & (at < 1.0)] == 1).all() and (spoken[at > 6.2] == 0).all()
    assert (paused[(at > 4.05) & (at < 4.4)] == 1).all() and (paused[at > 6.2] == 0).all()
    assert abs(measured.summary["pause_longest_s"] - 0.76) < 0.15
    # In speech something is voiced, and it is louder than what is not speech.
    level, voiced = columns["level_db"], columns["voiced"]
    assert 0.5 < voiced[spoken == 1].mean() < 1
    assert level[spoken == 1].mean() > level[at > 6.5].mean() + 20
    hz = columns["f0_hz"]
    assert (np.isfinite(hz) == (voiced == 1)).all()
    assert 80 < np.nanmedian(hz) < 300


def test_the_csv_and_the_summary_are_the_same(measured) -> None:
    table, csv, summary = measured.files
    read = pd.read_csv(csv)
    pd.testing.assert_frame_equal(
        read, pd.read_parquet(table).astype(read.dtypes), rtol=1e-6, check_dtype=False
    )
    assert json.loads(summary.read_text("utf-8"))["pauses"] == measured.summary["pauses"]


def test_a_sound_file_has_a_clock_of_its_own(
    sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(
        run, "measure_smile",
        lambda wav, name, at, on: asked.append(name) or {"x": np.ones(len(at), np.float32)},
    )  # fmt: skip
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros(8000), 16_000)
    done = measure(path, tmp_path / "out", smile="eGeMAPSv02")
    columns, _ = read_table(done.files[0])
    assert done.rows == 13 and asked == ["eGeMAPSv02"] and (columns["x"] == 1).all()
    assert np.isnan(columns["f0_hz"]).all() and (columns["voiced"] == 0).all()
    assert done.summary["speech_s"] == 0 and done.summary["f0_median_hz"] is None
    # Its own files are replaced, others never.
    (tmp_path / "out/voices/b.csv").write_text("mine")
    assert measure(path, tmp_path / "out").rows == 13
    path.rename(tmp_path / "b.wav")
    with pytest.raises(ForeignFileError, match=r"b\.csv"):
        measure(tmp_path / "b.wav", tmp_path / "out")


def test_what_has_no_sound_is_refused(sample, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="has no sound"):
        measure(sample("no_face.mp4"), tmp_path)
    with pytest.raises(UnknownNameError):
        measure(sample("one_person.mp4"), tmp_path, smile="wrong")
