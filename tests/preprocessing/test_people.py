"""What is said of those who get no file."""

from avaffect.config import FaceConfig
from avaffect.faces.limits import Limits
from avaffect.faces.subjects import TrackSummary, name_subjects
from avaffect.preprocessing.people import notices, record


def seen(track, frames, size, x, still=False):
    return TrackSummary(track, frames, size * frames, x * frames, still)


def texts(tracks, which="main"):
    config = FaceConfig(subjects=which)
    subjects = name_subjects("v", tracks, which, 100)
    return [notice.text for notice in notices("v.mp4", tracks, subjects, Limits(), 100, config)]


def test_one_person_needs_no_words() -> None:
    assert texts([seen(1, 100, 100, 0.5)]) == []


def test_more_people_are_counted_once() -> None:
    crowd = [seen(number, 90, 50, 0.5) for number in range(1, 5)]
    assert texts(crowd) == ["'v.mp4': 3 more people were seen: subjects=\"all\""]
    assert texts(crowd, "all") == []
    assert record(crowd, Limits(), 100)["seen"] == 4


def test_a_portrait_is_told_and_recorded() -> None:
    tracks = [seen(1, 100, 100, 0.4), seen(2, 100, 50, 0.9, still=True)]
    (text,) = texts(tracks)
    assert "right of the picture never moves" in text and "left out" in text
    (text,) = texts(tracks, "all")
    assert "called 'v_2'" in text
    found = record(tracks, Limits(), 100)
    assert found["seen"] == 1
    assert found["portraits"] == [{"track": 2, "x": 0.9, "frames": 100}]


def test_faces_that_passed_get_a_word_with_all() -> None:
    tracks = [seen(1, 100, 100, 0.4), seen(2, 2, 50, 0.9)]
    assert texts(tracks) == []
    assert "1 face was seen too briefly" in texts(tracks, "all")[0]
