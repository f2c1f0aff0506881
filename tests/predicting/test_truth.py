"""What happens in the sample clips comes out in the written files, on the right frames."""

import numpy as np
import pytest
from fixtures.videos import Batch

from avaffect.challenge.editions import edition_named
from avaffect.challenge.text import read_annotations
from avaffect.files.table import read_table
from avaffect.labels import ACTION_UNITS
from avaffect.tasks.registry import TASKS

CLIPS = ("one_person.mp4", "two_people.mp4", "vfr_rotated.mov", "no_face.mp4")


def table(samples, subject):
    return read_table(samples.root / "tables" / f"{subject}.parquet")[0]


def challenge(samples, subject, task):
    folder = edition_named("abaw10").folders[task]
    return read_annotations(samples.root / folder / f"{subject}.txt", task)


def subject_of(clip, event):
    return event["subject"].replace("video", clip.rsplit(".")[0])


def apex(times, event):
    return (times >= event["apex_start"]) & (times <= event["apex_end"])


def neutral(times, events):
    """Frames in which nothing happens."""
    calm = np.ones(len(times), bool)
    for event in events:
        calm &= (times < event["start"]) | (times > event["end"])
    return calm


@pytest.mark.parametrize("clip", CLIPS)
def test_every_file_has_a_row_for_every_frame(samples: Batch, truth, clip: str) -> None:
    done = samples.done[clip]
    stem = clip.rsplit(".")[0]
    named = [name.replace("video", stem) for name in truth[clip]["subjects"]] or [stem]
    assert list(done.subjects) == named
    assert done.frames == truth[clip]["frames"]
    assert done.files == 5 * len(named)
    for subject in named:
        assert len(table(samples, subject)["frame"]) == truth[clip]["frames"]
        for task in TASKS:
            assert len(challenge(samples, subject, task)) == truth[clip]["frames"]


@pytest.mark.parametrize("clip", CLIPS[:3])
def test_units_are_present_at_the_apex_and_absent_when_nothing_happens(
    samples: Batch, truth, clip
) -> None:
    events = truth[clip]["events"]
    for subject in {event["subject"] for event in events}:
        own = [event for event in events if event["subject"] == subject]
        subject = subject_of(clip, own[0])
        times, units = table(samples, subject)["time"], challenge(samples, subject, "au")
        calm = neutral(times, own)
        assert calm.sum() >= 10
        for event in own:
            here = apex(times, event)
            assert here.sum() >= 10
            raised = [ACTION_UNITS.index(name) for name in event["raises"] if name[:2] == "AU"]
            assert (units[here][:, raised] == 1).all(), (subject, event["expression"])
            assert (units[calm][:, raised] == 0).all(), (subject, event["expression"])


def test_units_belong_to_their_own_event_and_person(samples: Batch, truth) -> None:
    for clip, unit in (("one_person.mp4", "AU12"), ("one_person.mp4", "AU2"),
                       ("one_person.mp4", "AU26"), ("one_person.mp4", "AU15"),
                       ("two_people.mp4", "AU12"), ("two_people.mp4", "AU26")):  # fmt: skip
        for event in truth[clip]["events"]:
            if unit not in event["raises"]:
                subject = subject_of(clip, event)
                here = apex(table(samples, subject)["time"], event)
                units = challenge(samples, subject, "au")[here, ACTION_UNITS.index(unit)]
                assert (units == 0).all(), (subject, event["expression"], unit)


@pytest.mark.parametrize("clip", CLIPS[:3])
def test_valence_follows_smile_and_frown(samples: Batch, truth, clip) -> None:
    seen = 0
    for event in truth[clip]["events"]:
        subject = subject_of(clip, event)
        times, va = table(samples, subject)["time"], challenge(samples, subject, "va")
        own = [other for other in truth[clip]["events"] if other["subject"] == event["subject"]]
        calm = va[neutral(times, own), 0]
        here = va[apex(times, event), 0]
        if "valence" in event["raises"]:
            # The portrait smiles a little at rest.
            assert here.min() > calm.max() + 0.05
            seen += 1
        if "valence" in event["lowers"]:
            assert here.max() < calm.min() - 0.1
            seen += 1
    assert seen


def test_smile_is_happiness(samples: Batch, truth) -> None:
    (smile,) = (e for e in truth["one_person.mp4"]["events"] if e["expression"] == "smile")
    here = apex(table(samples, "one_person")["time"], smile)
    happiness = edition_named("abaw10").expressions.index("Happiness")
    assert (challenge(samples, "one_person", "expr")[here] == happiness).all()


def test_frame_times_are_the_containers(samples: Batch, truth) -> None:
    times = table(samples, "vfr_rotated")["time"]
    np.testing.assert_allclose(times, truth["vfr_rotated.mov"]["frame_times"], atol=2e-3)
    np.testing.assert_allclose(
        table(samples, "one_person")["time"], np.arange(200) / 25, atol=1e-3
    )


def test_without_a_face_all_rows_are_invalid(samples: Batch) -> None:
    assert samples.done["no_face.mp4"].found == 0
    assert (challenge(samples, "no_face", "va") == -5).all()
    assert (challenge(samples, "no_face", "expr") == -1).all()
    assert (challenge(samples, "no_face", "au") == -1).all()
    columns = table(samples, "no_face")
    assert not columns["present"].any()
    assert np.isnan(columns["valence"]).all()


def test_every_seen_frame_of_the_others_has_a_value(samples: Batch) -> None:
    for subject in ("one_person", "two_people_left", "two_people_right", "vfr_rotated"):
        assert table(samples, subject)["present"].all()
        assert np.abs(challenge(samples, subject, "va")).max() <= 1
