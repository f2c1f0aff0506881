from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixtures.spooled import append_face

from avaffect.faces.limits import Limits
from avaffect.files.npy import ArraySpec
from avaffect.media.frames import DecodeReport
from avaffect.media.segments import Place, Segment
from avaffect.preprocessing.stitch import Part, stitch
from avaffect.preprocessing.video_pass import Passed
from avaffect.store.spool import Spool

ARRAYS = {"face_pose": ArraySpec((1,), "float32")}
ANNA, BERT, CARL = (np.eye(3, dtype=np.float32)[at] for at in range(3))
LEFT, RIGHT = (np.array([x, 10, x + 40, 50], np.float32) for x in (10, 100))
# Frames 0 to 20 and 20 to 40, with a warm-up of 10 and a run-out of 5.
CUTS = ((0, 0, 20, 25), (10, 20, 40, 40))


def part(
    folder: Path,
    number: int,
    tracks: dict[int, tuple[range, np.ndarray, np.ndarray]],
    limits: Limits | None = None,
) -> Part:
    """A segment with tracks: in which frames of the whole video, where, and their looks."""
    first, start, stop, end = CUTS[number]
    places = [Place(index, index) for index in (first, first, start, stop)]
    segment = Segment(places[0], places[1], places[2], places[3], zero_s=2.0)
    spool = Spool.create(folder / str(number), ARRAYS, f"key-{number}")
    for frame in range(first, end):
        spool.append_frame(frame / 25)
        for track, (frames, box, _) in tracks.items():
            if frame in frames:
                append_face(
                    spool,
                    track,
                    frame - first,
                    box=box,
                    points=np.zeros((5, 2), np.float32),
                    pose=np.zeros(3, np.float32),
                    confidence=1.0,
                    arrays={"face_pose": np.array([100 * number + track], np.float32)},
                )
    looks = [{"number": track, "look": look.tolist()} for track, (_, _, look) in tracks.items()]
    state: dict[str, Any] = {
        "tracker": {"tracks": looks, "limits": (limits or Limits()).to_json()}
    }
    report = DecodeReport(end - first, 0, 0, None, 2.0)
    return Part(segment, Passed(spool, report, limits or Limits(), None, state))


def stitched(folder: Path, parts: Sequence[Part]) -> Passed:
    spool = Spool.create(folder / "whole", ARRAYS, "key")
    stitch(parts, spool, [], None)
    again = Spool.resume(folder / "whole", ARRAYS, "key")
    assert again is not None
    passed = Passed.again(*again)
    assert passed is not None
    return passed


def frames_of(passed: Passed, track: int) -> list[int]:
    frames: list[int] = passed.spool.base(track)["frame"].tolist()
    return frames


def test_tracks_go_on_by_their_place_and_each_frame_comes_once(tmp_path: Path) -> None:
    first = part(tmp_path, 0, {1: (range(25), LEFT, ANNA), 2: (range(25), RIGHT, BERT)})
    # The second segment met them in another order.
    second = part(tmp_path, 1, {1: (range(10, 40), RIGHT, BERT), 2: (range(10, 40), LEFT, ANNA)})
    passed = stitched(tmp_path, [first, second])
    assert passed.report == DecodeReport(40, 0, 0, None, 2.0)
    np.testing.assert_array_equal(passed.spool.times(), np.arange(40) / 25)
    assert passed.spool.tracks == {1: 40, 2: 40}
    for track, values in ((1, (1, 102)), (2, (2, 101))):
        assert frames_of(passed, track) == [*range(40)]
        found = passed.spool.track(track)["face_pose"][:, 0].tolist()
        assert found == [values[0]] * 20 + [values[1]] * 20


def test_who_left_is_known_again_by_looks_and_a_new_face_gets_the_next_number(
    tmp_path: Path,
) -> None:
    first = part(tmp_path, 0, {1: (range(25), LEFT, ANNA), 2: (range(8), RIGHT, BERT)})
    tracks = {
        1: (range(10, 40), LEFT, ANNA),
        2: (range(25, 30), RIGHT, CARL),
        3: (range(32, 40), RIGHT, BERT),
    }
    passed = stitched(tmp_path, [first, part(tmp_path, 1, tracks)])
    assert frames_of(passed, 2) == [*range(8), *range(32, 40)]
    assert frames_of(passed, 3) == [*range(25, 30)]


def test_what_was_seen_in_the_warm_up_alone_is_left_out(tmp_path: Path) -> None:
    first = part(tmp_path, 0, {1: (range(25), LEFT, ANNA)})
    tracks = {1: (range(10, 18), RIGHT, CARL), 2: (range(10, 40), LEFT, ANNA)}
    passed = stitched(tmp_path, [first, part(tmp_path, 1, tracks)])
    assert passed.spool.tracks == {1: 40}


def test_another_face_at_the_place_of_one_that_left_is_another_track(tmp_path: Path) -> None:
    first = part(tmp_path, 0, {1: (range(12), LEFT, ANNA)})
    passed = stitched(tmp_path, [first, part(tmp_path, 1, {1: (range(15, 40), LEFT, CARL)})])
    assert passed.spool.tracks == {1: 12, 2: 20}


@pytest.mark.parametrize("nobody", [0, 1])
def test_a_segment_may_show_nobody(nobody: int, tmp_path: Path) -> None:
    seen = {1: (range(40), LEFT, ANNA)}
    parts = [part(tmp_path, at, {} if at == nobody else seen) for at in (0, 1)]
    assert stitched(tmp_path, parts).spool.tracks == {1: 20}


def test_limits_are_those_of_all(tmp_path: Path) -> None:
    parts = [
        part(tmp_path, 0, {}, Limits(9.0, None, 1)),
        part(tmp_path, 1, {}, Limits(3.0, 5.0, 2)),
    ]
    assert stitched(tmp_path, parts).limits == Limits(3.0, 5.0, 3)
