"""starter_training/voice_corpora.py: four corpora as one table."""

import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "starter_training"))
sys.path.insert(0, str(Path(__file__).parent))

import voice_corpora
from made_up_voices import OURS, make_corpora
from voice_corpora import CORPORA, READERS, Take, arousal_ranks, dealt, read_takes


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return make_corpora(tmp_path_factory.mktemp("corpora"))


def found(corpora: dict[str, Path], name: str) -> list[Take]:
    return list(READERS[name](corpora[name]))


def test_each_corpus_calls_emotions_by_our_names(corpora: dict[str, Path]) -> None:
    for name in CORPORA:
        labels = {take.label for take in found(corpora, name)}
        missing = {"ravdess": set(), "tess": {"calm"}}.get(name, {"calm", "disgust"})
        assert labels == set(OURS) - missing


def test_a_speaker_is_in_one_fold_and_has_one_sex(corpora: dict[str, Path]) -> None:
    for name in CORPORA:
        facts = {(take.speaker, take.sex, take.fold) for take in found(corpora, name)}
        assert len(facts) == len({speaker for speaker, _, _ in facts})


def test_held_out_names_of_tess_are_read(corpora: dict[str, Path]) -> None:
    takes = {take.key: take for take in found(corpora, "tess")}
    assert takes["7testOAF_bar_ps28"].label == "surprised"
    assert takes["8testOA_bite_neutral48"].speaker == "tess-OAF"


def test_speakers_of_both_sexes_are_dealt_out_among_folds() -> None:
    sex = {f"w{i}": "F" for i in range(5)} | {f"m{i}": "M" for i in range(4)}
    fold = dealt(sex)
    assert Counter(fold.values()) == {0: 2, 1: 2, 2: 2, 3: 2, 4: 1}
    assert sorted(fold[f"w{i}"] for i in range(5)) == [0, 1, 2, 3, 4]


def test_ranks_are_within_a_speaker_and_strong_lies_above_normal() -> None:
    label = ["sad", "neutral", "angry", "angry", "neutral", "happy"]
    ranks = arousal_ranks(["a"] * 4 + ["b"] * 2, label, ["01", "01", "01", "02", "01", "01"])
    np.testing.assert_allclose(ranks, [1 / 8, 3 / 8, 5 / 8, 7 / 8, 1 / 4, 3 / 4])


def test_the_table_leaves_copies_out_and_tells_what_sounds_are_like(
    corpora: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = [f"--{name}={corpora[name]}" for name in CORPORA]
    monkeypatch.setattr(sys, "argv", ["voice_corpora.py", *options, f"--out={tmp_path}"])
    voice_corpora.main()
    takes = read_takes(tmp_path / "takes.csv")
    assert Counter(take.corpus for take in takes) == {
        "ravdess": 40,
        "nemo": 12,
        "casia": 12,
        "tess": 16,
    }
    said = capsys.readouterr().out
    assert "ravdess: 41 takes, 5 speakers" in said
    assert "rates {24414: 16}" in said
    assert "copy left out: copy (surprised) of 5-surprised (surprised)" in said
