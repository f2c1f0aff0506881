"""RAVDESS, CREMA-D and nEMO: what names and lists say of a take."""

from __future__ import annotations

from pathlib import Path

import pytest
from fixtures.public_sets import empty, nemo, text

from avaffect.datasets.sets import cremad, ravdess
from avaffect.datasets.sets import nemo as nemo_set
from avaffect.datasets.sets.sample import Log, Sample
from avaffect.errors import FormatError
from avaffect.labels import EXPRESSIONS


def word(sample: Sample) -> str:
    return EXPRESSIONS[int(sample.labels["expr"][0])]


def test_ravdess_codes(tmp_path: Path) -> None:
    """01 neutral, 02 calm, 03 happy, 04 sad, 05 angry, 06 fearful, 07 disgust, 08 surprised."""
    for code in range(1, 9):
        empty(tmp_path / "Actor_24" / f"03-01-{code:02d}-01-02-01-24.wav")
    samples = [*ravdess.read(tmp_path, Log())]
    assert [word(sample) for sample in samples] == [
        "Neutral", "Neutral", "Happiness", "Sadness", "Anger", "Fear", "Disgust", "Surprise",
    ]  # fmt: skip
    assert {sample.group for sample in samples} == {"Actor_24"}


@pytest.mark.parametrize("name", ["03-01-09-01-02-01-24.wav", "03-01-05-01-02-01-25.wav", "a.wav"])
def test_ravdess_names(name: str, tmp_path: Path) -> None:
    empty(tmp_path / "Actor_24" / name)
    with pytest.raises(FormatError, match=name):
        [*ravdess.read(tmp_path, Log())]


def test_ravdess_a_take_twice(tmp_path: Path) -> None:
    """Both archives unpacked into one folder would train on the same take in two parts."""
    for folder in ("a", "b"):
        empty(tmp_path / folder / "03-01-05-01-02-01-24.wav")
    with pytest.raises(FormatError, match="is there twice"):
        [*ravdess.read(tmp_path, Log())]


def test_cremad_codes(tmp_path: Path) -> None:
    codes = ("ANG", "DIS", "FEA", "HAP", "NEU", "SAD")
    for code in codes:
        empty(tmp_path / "AudioWAV" / f"1091_IEO_{code}_HI.wav")
        empty(tmp_path / "AudioMP3" / f"1091_IEO_{code}_HI.mp3")
    empty(tmp_path / "AudioWAV" / "1040_ITH_SAD_X.wav")  # as the set has it
    samples = [*cremad.read(tmp_path, Log())]
    assert [word(sample) for sample in samples] == [
        "Sadness", "Anger", "Disgust", "Fear", "Happiness", "Neutral", "Sadness",
    ]  # fmt: skip
    assert [sample.group for sample in samples] == ["1040"] + ["1091"] * 6


@pytest.mark.parametrize(
    "name", ["1092_DFA_ANG_XX.wav", "1001_DFA_SUR_XX.wav", "1001_DFA_ANG.wav"]
)
def test_cremad_names(name: str, tmp_path: Path) -> None:
    empty(tmp_path / "AudioWAV" / name)
    with pytest.raises(FormatError, match=name):
        [*cremad.read(tmp_path, Log())]


def test_nemo_rows(tmp_path: Path) -> None:
    words = ("anger", "fear", "happiness", "neutral", "sadness", "surprised")
    root = nemo(tmp_path, [(f"WR0_{each}_1.wav", each, "WR0") for each in words])
    samples = [*nemo_set.read(root, Log())]
    assert [word(sample) for sample in samples] == [
        "Anger", "Fear", "Happiness", "Neutral", "Sadness", "Surprise",
    ]  # fmt: skip
    assert {sample.group for sample in samples} == {"WR0"}


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("WR0_fear_1.wav\tdisgust\ta\ta\tWR0\tm\t1", "'disgust' is none of"),
        ("WR0_fear_2.wav\tfear\ta\ta\tWR0\tm\t1", "no sound"),
        ("../data.tsv\tfear\ta\ta\tWR0\tm\t1", "no sound"),
        ("WR0_fear_1.wav\tfear\ta", "3 cells"),
    ],
)
def test_nemo_faults_name_the_line(row: str, fault: str, tmp_path: Path) -> None:
    path = nemo(tmp_path, [("WR0_fear_1.wav", "fear", "WR0")]) / "data.tsv"
    header = path.read_text().splitlines()[0]
    text(path, header, row)
    with pytest.raises(FormatError, match=fault) as caught:
        [*nemo_set.read(tmp_path, Log())]
    assert "line 2" in str(caught.value)
