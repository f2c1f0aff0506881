"""Naming subjects."""

from __future__ import annotations

import random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from avaffect.faces.subjects import (
    LASTING_PRESENCE,
    LASTING_TIME,
    SMALLEST_TRACK,
    Subject,
    TrackSummary,
    counting,
    lasting,
    name_subjects,
)


def track(number, frames, size=100.0, x=0.5):
    return TrackSummary(number, frames, frames * size, frames * x)


def names(subjects):
    return [subject.name for subject in subjects]


lengths = st.integers(1, 500)


@st.composite
def videos(draw):
    """(tracks, frames) of a video."""
    frames = draw(lengths)
    seen = draw(
        st.lists(
            st.tuples(st.integers(0, frames), st.floats(1, 1000), st.floats(0, 1)), max_size=9
        )
    )
    return [track(number, *values) for number, values in enumerate(seen, start=1)], frames


whiches = st.sampled_from(["main", "all"])


@given(videos(), whiches, st.randoms(use_true_random=False))
def test_names_are_unique_and_do_not_depend_on_the_order(video, which, rng: random.Random) -> None:
    tracks, frames = video
    subjects = name_subjects("talk", tracks, which, frames)
    assert len({subject.name for subject in subjects}) == len(subjects) >= 1
    assert len({subject.track for subject in subjects}) == len(subjects)
    rng.shuffle(tracks)
    assert name_subjects("talk", tracks, which, frames) == subjects


@given(videos(), whiches)
def test_left_is_left_of_right(video, which) -> None:
    tracks, frames = video
    by_name = {
        subject.name: next(track for track in tracks if track.track == subject.track)
        for subject in name_subjects("talk", tracks, which, frames)
        if subject.track is not None
    }
    assert ("talk_left" in by_name) == ("talk_right" in by_name)
    if "talk_left" in by_name:
        assert by_name["talk_left"].x <= by_name["talk_right"].x
        assert "talk" not in by_name


@given(videos())
def test_main_is_one_or_two_and_the_most_present_is_among_them(video) -> None:
    tracks, frames = video
    subjects = name_subjects("talk", tracks, "main", frames)
    count = counting(tracks, frames)
    if not count:
        assert subjects == [Subject("talk", None)]
        return
    assert names(subjects) in (["talk"], ["talk_left", "talk_right"])
    most = max(each.size_sum for each in count)
    chosen = {subject.track for subject in subjects}
    assert any(each.size_sum == most for each in count if each.track in chosen)
    assert (len(subjects) == 2) == (len(lasting(count)) == 2)


@given(videos())
def test_all_is_everyone_who_counts_and_keeps_the_names_of_main(video) -> None:
    tracks, frames = video
    everyone = name_subjects("talk", tracks, "all", frames)
    count = {each.track for each in counting(tracks, frames)}
    assert {subject.track for subject in everyone} == (count or {None})
    main = name_subjects("talk", tracks, "main", frames)
    assert everyone[: len(main)] == main
    presence = {each.track: each.size_sum for each in tracks}
    rest = [presence[subject.track] for subject in everyone[len(main) :]]
    if len(lasting(counting(tracks, frames))) <= 2:
        assert rest == sorted(rest, reverse=True)


@given(videos())
def test_short_tracks_do_not_count_but_in_short_videos(video) -> None:
    tracks, frames = video
    count = counting(tracks, frames)
    for each in tracks:
        if each.frames >= SMALLEST_TRACK or each.frames > frames // 2:
            assert each in count
        if each.frames == 0 or each.frames < min(SMALLEST_TRACK, frames // 2):
            assert each not in count


@pytest.mark.parametrize("which", ["main", "all"])
def test_a_passing_mistake_is_nobody(which: str) -> None:
    assert name_subjects("clouds", [track(1, 1)], which, 95) == [Subject("clouds", None)]
    found = name_subjects("talk", [track(1, 72), track(2, 4, 900)], which, 169)
    assert found == [Subject("talk", 1)]


@pytest.mark.parametrize("frames", [1, 2, 3, 8])
def test_a_still_picture_and_a_very_short_clip_have_a_subject(frames: int) -> None:
    assert name_subjects("still", [track(1, frames)], "main", frames) == [Subject("still", 1)]


def test_nobody_gets_a_file_too() -> None:
    assert name_subjects("empty", [], "main", 100) == [Subject("empty", None)]
    assert name_subjects("empty", [], "all", 0) == [Subject("empty", None)]


def test_names_of_three() -> None:
    tracks = [track(1, 100, x=0.8), track(2, 90, x=0.2), track(3, 80, x=0.5)]
    assert name_subjects("v", tracks, "main", 100) == [Subject("v", 1)]
    assert name_subjects("v", tracks, "all", 100) == [
        Subject("v", 1),
        Subject("v_2", 2),
        Subject("v_3", 3),
    ]


def test_names_of_two_and_a_passer_by() -> None:
    tracks = [track(7, 100, x=0.8), track(2, 90, x=0.2), track(3, 10, x=0.1)]
    two = [Subject("v_left", 2), Subject("v_right", 7)]
    assert name_subjects("v", tracks, "main", 100) == two
    assert name_subjects("v", tracks, "all", 100) == [*two, Subject("v_3", 3)]


def test_a_large_face_for_a_short_time_and_a_small_one_all_the_time() -> None:
    """The most present one lasts, whatever the others do."""
    tracks = [track(1, 100, 10), track(2, 20, 500)]
    assert [each.track for each in lasting(tracks)] == [2]


@given(st.integers(5, 500), st.floats(10, 500), st.integers(5, 500), st.floats(10, 500))
def test_the_second_lasts_by_time_and_presence(frames, size, other_frames, other_size) -> None:
    first, second = track(1, frames, size), track(2, other_frames, other_size)
    assume(first.size_sum > second.size_sum)
    expected = (
        other_frames >= LASTING_TIME * frames
        and second.size_sum >= LASTING_PRESENCE * first.size_sum
    )
    assert (len(lasting([first, second])) == 2) == expected


def test_a_summary_adds_up() -> None:
    summary = TrackSummary(4)
    assert summary.x == 0
    summary.add(100.0, 0.25)
    summary.add(50.0, 0.75)
    assert summary == TrackSummary(4, 2, 150.0, 1.0)
    assert summary.x == 0.5


def seen(track, frames, size, x, still=False):
    summary = TrackSummary(track, still=still)
    for _ in range(frames):
        summary.add(size, x)
    return summary


def test_a_portrait_does_not_rename_the_person_beside_it() -> None:
    person, portrait = seen(1, 75, 160, 0.3), seen(2, 75, 60, 0.8, still=True)
    assert name_subjects("v", [person, portrait], "main", 75) == [Subject("v", 1)]
    named = name_subjects("v", [person, portrait], "all", 75)
    assert named == [Subject("v", 1), Subject("v_2", 2)]


def test_who_is_alone_or_among_still_ones_is_a_person() -> None:
    alone = seen(1, 75, 160, 0.3, still=True)
    assert name_subjects("v", [alone], "main", 75) == [Subject("v", 1)]
    other = seen(2, 75, 160, 0.8, still=True)
    names = [subject.name for subject in name_subjects("v", [alone, other], "main", 75)]
    assert names == ["v_left", "v_right"]
    passing = seen(3, 8, 160, 0.8)
    assert name_subjects("v", [alone, passing], "main", 75) == [Subject("v", 1)]
