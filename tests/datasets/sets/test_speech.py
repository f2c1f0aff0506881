"""RAVDESS, CREMA-D and nEMO: what names and lists say of a take."""

from __future__ import annotations

from pathlib import Path

import pytest
from fixtures.public_sets import MAKERS, empty, nemo, text

from avaffect.datasets.sets import cremad, ravdess
from avaffect.datasets.sets import nemo as nemo_set
from avaffect.datasets.sets.registry import SETS
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
    """Two that differ are a fault: which is meant is not known."""
    for folder, rest in (("a", ""), ("b", "more")):
        text(tmp_path / folder / "03-01-05-01-02-01-24.wav", rest)
    with pytest.raises(FormatError, match="is there twice"):
        [*ravdess.read(tmp_path, Log())]


def test_ravdess_as_it_is_mirrored(tmp_path: Path) -> None:
    """A well-known copy holds all takes twice, once more in a folder of its own."""
    name = "Actor_24/03-01-05-01-02-01-24.wav"
    for folder in (tmp_path, tmp_path / "audio_speech_actors_01-24"):
        text(folder / name, "sound")
    log = Log()
    (sample,) = ravdess.read(tmp_path, log)
    assert sample.files == (tmp_path / name,)
    assert log.left_out == {"there twice: one copy is taken": 1}


def test_ravdess_videos_without_sound(tmp_path: Path) -> None:
    """Each video comes with and without sound: it is one take. Alone the silent one is read."""
    folder = tmp_path / "Video_Speech_Actor_01/Actor_01"
    for name in ("01-01-06-01-02-01-01", "02-01-06-01-02-01-01", "02-02-04-01-02-01-01"):
        empty(folder / f"{name}.mp4")
    log = Log()
    samples = [*ravdess.read(tmp_path, log)]
    assert [(sample.name, word(sample)) for sample in samples] == [
        ("01-01-06-01-02-01-01", "Fear"),
        ("02-02-04-01-02-01-01", "Sadness"),
    ]
    assert sum(log.left_out.values()) == 1


def test_files_of_macos_are_no_takes(tmp_path: Path) -> None:
    for name in ("Actor_01/._03-01-05-01-02-01-01.wav", "__MACOSX/._Actor_01", ".DS_Store"):
        empty(tmp_path / name)
    empty(tmp_path / "Actor_01/03-01-05-01-02-01-01.WAV")
    empty(tmp_path / "Actor_01/Thumbs.db")
    assert [sample.name for sample in ravdess.read(tmp_path, Log())] == ["03-01-05-01-02-01-01"]


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


def test_cremad_takes_known_to_be_broken(tmp_path: Path) -> None:
    """Nobody speaks in one, another holds all emotions (issue 8 of its repository)."""
    for name in ("1076_MTI_SAD_XX", "1064_IEO_DIS_MD", "1064_IEO_DIS_LO"):
        empty(tmp_path / "AudioWAV" / f"{name}.wav")
    log = Log()
    assert [sample.name for sample in cremad.read(tmp_path, log)] == ["1064_IEO_DIS_LO"]
    assert log.left_out == {"known to be broken": 2}


def test_cremad_the_folder_of_sounds_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "AudioWAV"
    empty(folder / "1001_DFA_ANG_XX.wav")
    monkeypatch.chdir(folder)
    for root in (folder, Path()):
        (sample,) = cremad.read(root, Log())
        assert sample.group == "1001"


def test_cremad_in_two_codings(tmp_path: Path) -> None:
    """Else a run would end with two clips of one name."""
    text(tmp_path / "AudioWAV/1001_DFA_ANG_XX.wav", "sound")
    empty(tmp_path / "AudioWAV/1001_DFA_ANG_XX.mp3")
    with pytest.raises(FormatError, match="is there twice"):
        [*cremad.read(tmp_path, Log())]


@pytest.mark.parametrize("name", ["crema-d", "ravdess", "nemo"])
def test_a_clone_without_git_lfs(name: str, tmp_path: Path) -> None:
    """Found when labels are read, and not when a thousand sounds could not be decoded."""
    root = MAKERS[name](tmp_path)
    path = next(iter(SETS[name].read(root, Log()))).files[0]
    text(path, "version https://git-lfs.github.com/spec/v1", "oid sha256:0", "size 12345")
    with pytest.raises(FormatError, match="pointer of Git LFS") as caught:
        [*SETS[name].read(root, Log(strict=False))]
    assert str(path) in str(caught.value)
    assert "git lfs pull" in str(caught.value)


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
