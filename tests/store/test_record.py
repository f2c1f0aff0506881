"""``preprocess.json`` as a typed record."""

import json
from dataclasses import fields
from pathlib import Path

import pytest

from avaffect.errors import FeatureError
from avaffect.media.facts import MediaFacts
from avaffect.media.sound import SoundInfo
from avaffect.store.record import Media, Record, Sound, Video

VIDEO = {"name": "a.mp4", "sha256": "0"}
SOUND = {"samples": 1, "sample_rate": 16_000, "duration_s": 1, "start_s": 0, "end_s": 1,
         "errors": 0}  # fmt: skip


def read(folder, tree):
    path = folder / "preprocess.json"
    path.write_text(tree if isinstance(tree, str) else json.dumps(tree))
    return Record.read(path)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    info = SoundInfo(16, 16_000, 0.001, 0.0, 0.001, 0, cuts=((1.0, 2.0),))
    record = Record(
        video=Video(**VIDEO),
        frames=3,
        subjects=["a"],
        crops=None,
        sound=Sound.of(info, closed_gaps=((0.5, 1.0),)),
    )
    record.write(tmp_path / "r.json")
    tree = json.loads((tmp_path / "r.json").read_text())
    # What nobody said is not there, and that there are no pictures is.
    assert list(tree) == ["video", "frames", "subjects", "crops", "sound"]
    assert tree["crops"] is None
    again = Record.read(tmp_path / "r.json")
    assert again == record
    assert SoundInfo.from_record(again.sound.to_dict()) == info
    assert (again.knows("crops"), again.knows("wav")) == (True, False)


def test_what_is_known_of_media_and_sound_has_a_field_in_the_record() -> None:
    # Spelled again there, since records of earlier versions lack some and hold lists for tuples.
    assert list(Media.model_fields) == [field.name for field in fields(MediaFacts)]
    assert list(Sound.model_fields) == [*(f.name for f in fields(SoundInfo)), "closed_gaps"]


def test_a_change_leaves_the_rest_and_the_record_as_it_is() -> None:
    record = Record(frames=3, crops="k")
    assert record.but(crops=None).to_dict() == {"frames": 3, "crops": None}
    assert record.crops == "k"
    with pytest.raises(ValueError, match="frozen"):
        record.frames = 4


def test_there_is_none(tmp_path: Path) -> None:
    assert Record.read(tmp_path / "preprocess.json").to_dict() == {}


@pytest.mark.parametrize(
    "tree",
    [
        {},
        {"video": VIDEO, "frames": 1, "faces": 1, "subjects": ["a"], "first_time_s": 0},
        {"video": VIDEO, "crops": "k", "sound": SOUND},
        {"media": {"first_time_s": 0.5}, "sound": None},
    ],
)
def test_records_of_earlier_versions(tree, tmp_path: Path) -> None:
    assert read(tmp_path, tree).to_dict() == tree


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"frames": True}, r"frames: Input should be a valid integer"),
        ({"frames": "3"}, r"frames: "),
        ({"frames": 3.0}, r"frames: "),
        ({"subjects": "ab"}, r"subjects: "),
        ({"subjects": ["a", 1]}, r"subjects\.1: "),
        ({"video": {"name": "a.mp4"}}, r"video\.sha256: Field required"),
        ({"video": {**VIDEO, "size": 1}}, r"there is no field 'video\.size'"),
        ({"later": 1}, r"there is no field 'later'"),
        ({"sound": {**SOUND, "cuts": [["a", 1]]}}, r"sound\.cuts\.0\.0: "),
        ({"media": {"fps": "25"}}, r"media\.fps: "),
        ({"configuration": []}, r"configuration: "),
        ('{"frames": 1', "damaged"),
        ('{"frames": NaN}', "'NaN' is no number"),
        ("[]", "damaged"),
        ("theirs", "damaged"),
    ],
)
def test_what_is_no_record_is_told_in_a_line(tree, message: str, tmp_path: Path) -> None:
    with pytest.raises(FeatureError, match=message) as caught:
        read(tmp_path, tree)
    assert "preprocess.json" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a\0b", ""])
def test_subjects_lie_in_the_folder(name: str, tmp_path: Path) -> None:
    with pytest.raises(FeatureError, match="names a subject that cannot be a file"):
        read(tmp_path, {"subjects": [name]})
