"""OMG-Emotion: arousal from 0..1, classes of its own order, videos that are gone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fixtures.public_sets import OMG_HEADER, omg, text

from avaffect.datasets.sets.omg import read
from avaffect.datasets.sets.sample import Log
from avaffect.errors import FormatError
from avaffect.labels import EXPRESSIONS

TRAIN, TEST = "omg_TrainVideos.csv", "omg_TestVideos_WithLabels.csv"


def test_values_and_classes(tmp_path: Path) -> None:
    rows = [f"a1_1,utterance_{at}.mp4,0.75,-0.5,{at}" for at in range(7)]
    root = omg(tmp_path, {TRAIN: rows, TEST: ["b2_1,utterance_1.mp4,0,1,4"]})
    samples = [*read(root, Log())]
    words = [EXPRESSIONS[int(sample.labels["expr"][0])] for sample in samples[:7]]
    assert words == [
        "Anger", "Disgust", "Fear", "Happiness", "Neutral", "Sadness", "Surprise",
    ]  # fmt: skip
    np.testing.assert_allclose(samples[0].labels["va"], [[-0.5, 0.5]])
    assert samples[0].name == "a1_1_utterance_0"
    assert {sample.group for sample in samples[:7]} == {"a1_1"}
    assert (samples[-1].split, samples[-1].group) == ("test", "b2_1")


def test_utterances_of_one_name_are_told_apart(tmp_path: Path) -> None:
    rows = ["a1_1,utterance_1.mp4,0,0,0", "b2_1,utterance_1.mp4,1,0,0"]
    first, second = read(omg(tmp_path, {TRAIN: rows}), Log())
    assert first.files[0].parts[-3] == "a1_1"
    assert second.files[0].parts[-3] == "b2_1"


def test_videos_that_are_gone_are_counted(tmp_path: Path) -> None:
    rows = ["a1_1,utterance_1.mp4,0,0,0", "b2_1,utterance_1.mp4,1,0,0"]
    log = Log()
    found = [*read(omg(tmp_path, {TRAIN: rows}, ["b2_1/utterance_1.mp4"]), log)]
    assert len(found) == 1
    assert log.left_out == {"without a video": 1}


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("l,0,1,a1_1,utterance_1.mp4,1.5,0,0", "arousal must be from 0 to 1"),
        ("l,0,1,a1_1,utterance_1.mp4,0.5,-2,0", "valence from -1 to 1"),
        ("l,0,1,a1_1,utterance_1.mp4,0.5,nan,0", "valence from -1 to 1"),
        ("l,0,1,a1_1,utterance_1.mp4,0.5,0,7", "7 is no class"),
        ("l,0,1,a1_1,utterance_1.mp4,0.5,0,x", "no numbers"),
        ("l,0,1,a1_1", "4 cells"),
    ],
)
def test_faults_name_the_line(row: str, fault: str, tmp_path: Path) -> None:
    root = omg(tmp_path, {TRAIN: ["a1_1,utterance_1.mp4,0,0,0"]})
    text(root / TRAIN, OMG_HEADER, row)
    with pytest.raises(FormatError, match=fault) as caught:
        [*read(root, Log())]
    assert "line 2" in str(caught.value)
