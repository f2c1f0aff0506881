"""AFEW-VA: frames by number, values by 10, and the actor."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixtures.public_sets import afewva, picture, text

from avaffect.datasets.sets.afewva import read
from avaffect.datasets.sets.sample import Log
from avaffect.errors import FormatError


def test_values_and_groups(tmp_path: Path) -> None:
    afewva(tmp_path, {"001": [(-10, 10), (3, 0)]}, actor="A. N. Other")
    afewva(tmp_path, {"002": [(0, 0)]})
    first, second = read(tmp_path, Log())
    np.testing.assert_allclose(first.labels["va"], [[-1, 1], [0.3, 0]], atol=1e-6)
    assert [file.name for file in first.files] == ["00000.png", "00001.png"]
    assert (first.group, second.group) == ("A. N. Other", "002")
    assert not first.cut


def test_folders_of_the_zips(tmp_path: Path) -> None:
    """Each of the twelve zips unpacks into a folder of its own."""
    afewva(tmp_path / "01", {"001": [(0, 0)]})
    afewva(tmp_path / "02", {"051": [(0, 0)]})
    assert [sample.name for sample in read(tmp_path, Log())] == ["001", "051"]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"00001": {"valence": 11, "arousal": 0}}, "frame 00001: valence 11"),
        ({"00009": {"valence": 1, "arousal": 0}}, "frame 00009: there is no picture"),
        ({"../../x": {"valence": 1, "arousal": 0}}, "there is no picture"),
        ({"00001": {"valence": 1}}, "no frames with valence and arousal"),
        ({"00001": {"valence": "1", "arousal": 0}}, "no frames with valence and arousal"),
    ],
)
def test_faults_name_file_and_frame(change: dict[str, Any], fault: str, tmp_path: Path) -> None:
    path = afewva(tmp_path, {"001": [(0, 0), (0, 0)]}) / "001" / "001.json"
    whole = json.loads(path.read_text())
    path.write_text(json.dumps(whole | {"frames": whole["frames"] | change}))
    with pytest.raises(FormatError, match=fault) as caught:
        [*read(tmp_path, Log())]
    assert "001.json" in str(caught.value)


@pytest.mark.parametrize("folder", ["01", "AFEW-VA/01", "AFEW-VA/AFEW-VA/AFEW-VA"])
def test_folders_as_unpacking_leaves_them(folder: str, tmp_path: Path) -> None:
    afewva(tmp_path / folder, {"001": [(5, -10)]})
    (sample,) = read(tmp_path, Log())
    np.testing.assert_allclose(sample.labels["va"], [[0.5, -1]])


def test_a_copy_cropped_pictures_and_another_ending(tmp_path: Path) -> None:
    """The folder of a copy that others give out holds cropped pictures too, without labels."""
    root = afewva(tmp_path, {"001": [(5, -5)]})
    afewva(tmp_path / "01", {"001": [(5, -5)]})
    (root / "001/00000.png").rename(root / "001/00000.jpg")
    picture(root / "001_cropped/00000.png")
    text(root / "001/._001.json", "Mac OS X")
    log = Log()
    (sample,) = read(root, log)
    assert sample.files == (root / "001/00000.jpg",)
    assert log.left_out == {"there twice: one copy is taken": 1}
