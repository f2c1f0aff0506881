"""The pass on a GPU: torch's nets in place of the others, and what is said of those left."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fixtures.videos import LIGHT

from avaffect.config import AnalysisConfig
from avaffect.media.source import open_source
from avaffect.preprocessing.nets import Nets
from avaffect.preprocessing.run import NetsLoader
from avaffect.preprocessing.video_pass import analyse
from avaffect.progress import Event, Notice


@pytest.mark.usefixtures("as_on_gpu")
def test_a_pass_on_a_gpu_finds_the_same(gap_clip: Path, nets: NetsLoader, tmp_path: Path) -> None:
    told: list[Event] = []
    video = open_source(gap_clip, LIGHT.media)
    there = Nets.load(LIGHT, "cuda", told.append)
    assert not [event for event in told if isinstance(event, Notice)]
    by_device = [
        analyse(video, LIGHT, some, tmp_path / name, name)
        for name, some in (("cpu", nets()), ("cuda", there))
    ]
    known, found = (each.spool for each in by_device)
    assert found.tracks == known.tracks
    for track in known.tracks:
        ours, theirs = found.base(track), known.base(track)
        np.testing.assert_array_equal(ours["frame"], theirs["frame"])
        np.testing.assert_allclose(ours["points"], theirs["points"], atol=0.05)  # pixels
        np.testing.assert_allclose(ours["pose"], theirs["pose"], atol=0.05)  # degrees


@pytest.mark.usefixtures("as_on_gpu")
def test_what_stays_on_the_cpu_is_told_in_one_line() -> None:
    told: list[Event] = []
    config: AnalysisConfig = replace(LIGHT, encoders=("fer", "starter-2-face"))
    assert Nets.load(config, "cuda", told.append).on_cpu == ["fer"]
    (notice,) = [event for event in told if isinstance(event, Notice)]
    assert notice.warning
    assert notice.text.startswith("on the CPU: fer (")


def test_on_a_cpu_nothing_is_said_of_it(nets: NetsLoader) -> None:
    told: list[Event] = []
    Nets.load(replace(LIGHT, encoders=("fer",)), "cpu", told.append)
    assert told == []
    assert nets().on_cpu == [
        "blazeface-full",
        "blazeface-back",
        "face-landmarker",
        "starter-2-face",
    ]
