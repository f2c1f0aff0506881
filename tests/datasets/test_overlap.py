"""Validation clips that are known from training, by whatever name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fixtures.trained import Memory

from avaffect.datasets.clip import Clip
from avaffect.datasets.overlap import shared, video_hash, warn_of_shared
from avaffect.progress import Event, Notice


def make_clip(name: str, group: str = "", sha256: str = "") -> Clip:
    features = Memory({"x": np.zeros((2, 1), np.float32)})
    if sha256:
        features.provenance = {"video": {"name": "a.mp4", "sha256": sha256}}  # type: ignore[attr-defined]
    return Clip(name, group or name, features)


@pytest.mark.parametrize(
    ("other", "known"),
    [
        (make_clip("b"), False),
        (make_clip("b", "a"), True),  # the same person, by the user's own groups
        (make_clip("a_right", "new"), True),  # the other person of the same video
        (make_clip("copy of a", sha256="1f"), True),
        (make_clip("c", sha256="2e"), False),
    ],
)
def test_what_is_known_from_training(other: Clip, known: bool) -> None:
    train = [make_clip("a_left", "a", "1f")]
    events: list[Event] = []
    warn_of_shared(train, [other], events.append)
    assert shared(train, [other]) == ((other.name,) if known else ())
    assert [type(event) for event in events] == [Notice] * known
    if isinstance(notice := next(iter(events), None), Notice):
        assert notice.warning
        assert f"1 of 1 validation clips are of a video or group that is trained on too ('{other.name}')" in notice.text  # noqa: E501  # fmt: skip


def test_a_stimulus_that_is_known_from_training() -> None:
    heard, new = (replace(make_clip("b"), stimulus=name) for name in ("1", "2"))
    train = [replace(make_clip("a"), stimulus="1")]
    events: list[Event] = []
    warn_of_shared(train, [new, heard], events.append)
    assert shared(train, [new]) == ()
    (notice,) = events
    assert isinstance(notice, Notice)
    assert "1 of 2 validation clips are of a video, group or stimulus" in notice.text


def test_a_provenance_that_names_no_video_is_no_hash() -> None:
    clip = make_clip("a", sha256="1f")
    assert video_hash(clip) == "1f"
    clip.features.provenance = {"video": None}  # type: ignore[attr-defined]
    assert video_hash(clip) == video_hash(make_clip("a")) == ""
