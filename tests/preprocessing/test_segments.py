from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixtures.videos import FACELESS, FRAMES, LIGHT

from avaffect.files.atomic import write_json
from avaffect.files.names import SEGMENTS
from avaffect.preprocessing import segments as module
from avaffect.preprocessing.run import NetsLoader, Preprocessed, preprocess
from avaffect.preprocessing.segmented import cut_for_preprocess, preprocess_segment
from avaffect.progress import Event, Notice
from avaffect.store.prepared import Prepared
from avaffect.store.subject import SubjectFeatures

# Of 1.6 s; the second begins in the gap, with nobody in its warm-up.
SECONDS = 0.8
SEEN = [frame for frame in range(FRAMES) if frame not in FACELESS]
# Pixels of 240, and values of blendshapes or probabilities: 0.2 s of warm-up are short.
PIXELS, VALUES = 2.0, 0.05


@pytest.fixture(scope="module")
def in_segments(
    gap_clip: Path, nets: NetsLoader, tmp_path_factory: pytest.TempPathFactory
) -> Preprocessed:
    """The gap clip, preprocessed in two segments, the last one first."""
    out = tmp_path_factory.mktemp("segments")
    count, sha256 = cut_for_preprocess(gap_clip, out, LIGHT, SECONDS)
    assert count == 2
    for number in (1, 0):
        preprocess_segment(gap_clip, out, LIGHT, sha256, number, nets=nets)
    return preprocess(gap_clip, out, LIGHT, nets=nets)


def features(made: Preprocessed) -> SubjectFeatures:
    (name,) = made.subjects
    return SubjectFeatures.open(made.folder.features(name))


def test_each_frame_has_its_row_and_the_person_goes_on(
    whole: Preprocessed, in_segments: Preprocessed
) -> None:
    assert (in_segments.subjects, in_segments.frames) == (whole.subjects, whole.frames)
    one, other = features(whole), features(in_segments)
    np.testing.assert_array_equal(one.times, other.times)
    np.testing.assert_array_equal(np.flatnonzero(other.present), SEEN)
    np.testing.assert_array_equal(one.present, other.present)


def test_what_is_found_is_the_same_within_the_tolerance(
    whole: Preprocessed, in_segments: Preprocessed
) -> None:
    one, other = features(whole), features(in_segments)
    places = np.abs(np.asarray(one.geometry) - np.asarray(other.geometry))[SEEN]
    assert places.max() < PIXELS
    for name in ("face_pose", "starter-2-face"):
        apart = np.abs(one.array(name).astype(float) - other.array(name))[SEEN]
        assert apart.max() < VALUES, name
    # What comes before the second segment's warm-up is the same to the bit.
    before = FACELESS[0]
    for name in one.names:
        np.testing.assert_array_equal(one.array(name)[:before], other.array(name)[:before])


def test_sound_and_pictures_are_those_of_the_whole(
    whole: Preprocessed, in_segments: Preprocessed
) -> None:
    one, other = features(whole), features(in_segments)
    np.testing.assert_array_equal(one.array("audio"), other.array("audio"))
    assert whole.folder.wav.read_bytes() == in_segments.folder.wav.read_bytes()
    pictures = [
        sorted(path.name for path in made.folder.crops("gap").iterdir())
        for made in (whole, in_segments)
    ]
    assert pictures[0] == pictures[1] == [f"{frame + 1:05d}.jpg" for frame in SEEN]


def test_the_record_says_of_how_many_segments(
    whole: Preprocessed, in_segments: Preprocessed
) -> None:
    assert in_segments.folder.record.segments == 2
    assert not whole.folder.record.knows("segments")


def test_nothing_is_left_and_nothing_done_again(
    in_segments: Preprocessed, gap_clip: Path, no_nets: Any
) -> None:
    root = in_segments.folder.root
    assert not in_segments.folder.work.exists()
    assert cut_for_preprocess(gap_clip, root, LIGHT, SECONDS)[0] == 0
    assert preprocess(gap_clip, root, LIGHT, nets=no_nets).done == ()


def test_a_short_video_is_not_cut(gap_clip: Path, tmp_path: Path) -> None:
    assert cut_for_preprocess(gap_clip, tmp_path / "out", LIGHT, 60.0)[0] == 0
    assert not (tmp_path / "out").exists()


def test_a_segment_that_was_stopped_goes_on(
    gap_clip: Path,
    nets: NetsLoader,
    interrupt_at: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("avaffect.preprocessing.video_pass.CHECKPOINT_EVERY", 4)
    monkeypatch.setattr("avaffect.preprocessing.video_pass.REPORT_EVERY", 1)
    config = replace(LIGHT, audio=None)
    _, sha256 = cut_for_preprocess(gap_clip, tmp_path, config, SECONDS)
    notes: list[Event] = []
    stop = interrupt_at(tmp_path, 14, 8)
    with pytest.raises(KeyboardInterrupt, match="saved up to frame"):
        preprocess_segment(gap_clip, tmp_path, config, sha256, 0, nets=nets, on_event=stop)
    preprocess_segment(gap_clip, tmp_path, config, sha256, 0, nets=nets, on_event=notes.append)
    assert any("going on with" in note.text for note in notes if isinstance(note, Notice))


def test_a_video_that_decodes_differently_from_its_middle_is_gone_through_in_one_go(
    whole: Preprocessed, gap_clip: Path, nets: NetsLoader, tmp_path: Path
) -> None:
    config = replace(LIGHT, audio=None)
    count, sha256 = cut_for_preprocess(gap_clip, tmp_path, config, SECONDS)
    for number in range(count):
        preprocess_segment(gap_clip, tmp_path, config, sha256, number, nets=nets)
    edges = Prepared(tmp_path).work / SEGMENTS / "1" / "edges.json"
    seen = module.read_kept(edges, {str: int})
    write_json(edges, {index: value ^ 1 for index, value in seen.items()})
    notes: list[Event] = []
    made = preprocess(gap_clip, tmp_path, config, nets=nets, on_event=notes.append)
    texts = [note.text for note in notes if isinstance(note, Notice)]
    assert any("differently from its middle: it is gone through in one go" in t for t in texts)
    one, other = features(whole), features(made)
    np.testing.assert_array_equal(one.array("face_pose"), other.array("face_pose"))
