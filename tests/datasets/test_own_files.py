"""Own pictures: a file a clip or a folder a clip, and what else may lie in the folder."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from avaffect.datasets.columns import parse_columns
from avaffect.datasets.own import load_own
from avaffect.datasets.own_files import FeatureFiles
from avaffect.errors import FeatureError, FormatError, InputNotFoundError, UsageError


def put(path, value, side=4):
    """A grey picture, all pixels ``value``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        cv2.imencode(path.suffix, np.full((side, side), value, np.uint8))[1].tobytes()
    )
    return path


def table(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def load(features, labels, pairs):
    return load_own(features, labels, parse_columns(pairs.split()))


def shades(clip):
    return clip.features.array("faces")[:, 0, 0, 0].tolist()


FACES = "clip=clip expression=expression split=split"


def test_a_picture_a_clip(tmp_path: Path) -> None:
    """As FER2013: pictures in folders, one table."""
    put(tmp_path / "f/train/b.png", 20)
    put(tmp_path / "f/train/a.png", 10)
    put(tmp_path / "f/val/00001.png", 30, side=8)
    rows = ("a,neutral,train", "train/b.png,Fear,train", r"val\00001.png,fear,val")
    labels = table(tmp_path / "f/labels.csv", "clip,expression,split", *rows)
    found = load(tmp_path / "f", labels, FACES)
    assert [(clip.name, clip.group, clip.split, clip.frames) for clip in found.clips] == [
        ("00001", "00001", "val", 1), ("a", "a", "train", 1), ("b", "b", "train", 1),
    ]  # fmt: skip
    assert [shades(clip) for clip in found.clips] == [[30], [10], [20]]
    assert [clip.labels["expr"].tolist() for clip in found.clips] == [[3], [0], [3]]
    assert (found.per_clip, found.notes, found.about["inputs"]) == (True, (), [])
    # All are of the size of the first.
    assert {clip.features.specs["faces"].shape for clip in found.clips} == {(8, 8, 3)}
    assert all(clip.features.array("has_face").all() for clip in found.clips)


def test_a_folder_a_clip_with_a_label_for_the_whole(tmp_path: Path) -> None:
    for name, number in (("anna", 2), ("anna", 3), ("ben", 1), ("carl", 1)):
        put(tmp_path / f"f/{name}/{number:05d}.png", 10 * number)
    labels = table(tmp_path / "l.csv", "clip,v", "f/anna,.5", "ben,0")
    anna, ben = load(tmp_path / "f", labels, "clip=clip valence=v").clips
    assert shades(anna) == [0, 20, 30]
    assert anna.features.array("has_face").tolist() == [False, True, True]
    assert anna.labels["va"].tolist() == [[0.5]] * 3
    assert (ben.name, ben.frames) == ("ben", 1)
    notes = load(tmp_path / "f", labels, "clip=clip valence=v").notes
    assert notes == ("1 clip without labels left out: carl",)


@pytest.mark.parametrize(
    ("rows", "frames", "notes"),
    [
        (4, 4, ()),  # nobody is seen in the last frame
        (3, 3, ()),
        (2, 2, ("1 clip with more or fewer labels than rows of features, of which the shorter "
                "counts: anna (-1)",)),
    ],
)  # fmt: skip
def test_a_folder_a_clip_with_a_label_a_frame(
    tmp_path: Path, rows: int, frames: int, notes
) -> None:
    put(tmp_path / "f/anna/00001.png", 10)
    put(tmp_path / "f/anna/00003.png", 30)
    values = (".1", ".2", ".3", ".4")[:rows]
    table(tmp_path / "l/anna.csv", "v", *values)
    found = load(tmp_path / "f", tmp_path / "l", "valence=v")
    (anna,) = found.clips
    assert (anna.frames, shades(anna)) == (frames, [10, 0, 30, 0][:frames])
    np.testing.assert_allclose(anna.labels["va"][:, 0], [float(v) for v in values])
    assert (found.per_clip, found.notes) == (False, notes)


def test_one_picture_has_no_label_a_frame(tmp_path: Path) -> None:
    put(tmp_path / "f/anna.png", 10)
    table(tmp_path / "l/anna.csv", "v", *["0"] * 30)
    with pytest.raises(FormatError, match="30 labels for 1 rows"):
        load(tmp_path / "f", tmp_path / "l", "valence=v")


def test_tables_win_over_pictures_where_they_match(tmp_path: Path) -> None:
    put(tmp_path / "f/a.png", 10)
    table(tmp_path / "f/a.csv", "p", "1")
    table(tmp_path / "f/plan.csv", "p", "1")
    labels = table(tmp_path / "l.csv", "clip,v", "a,0")
    found = load(tmp_path / "f", labels, "clip=clip valence=v")
    assert found.clips[0].features.specs.keys() == {"table"}
    assert found.notes[0] == (f"1 clip of pictures beside tables left out: {tmp_path / 'f/a.png'}")
    (tmp_path / "f/a.csv").unlink()
    found = load(tmp_path / "f", labels, "clip=clip valence=v")
    assert (shades(found.clips[0]), found.notes) == ([10], ())


def test_pictures_beside_stores_are_theirs(tmp_path: Path) -> None:
    put(tmp_path / "v/cropped_aligned/a/00001.png", 10)
    (tmp_path / "v/features/a").mkdir(parents=True)
    (tmp_path / "v/features/a/provenance.json").touch()
    found = FeatureFiles.find(tmp_path, set())
    assert (found.names, found.pictures) == ({"a"}, {})
    labels = table(tmp_path / "l.csv", "clip,v", "a,0")
    with pytest.raises(FeatureError, match="damaged"):
        load(tmp_path, labels, "clip=clip valence=v")


def test_two_pictures_of_one_name(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        put(tmp_path / f"f/{folder}/00001.png", 10)
    labels = table(tmp_path / "l.csv", "clip,v", "x/00001.png,0")
    with pytest.raises(UsageError, match="two files are called '00001'"):
        load(tmp_path / "f", labels, "clip=clip valence=v")


def test_a_damaged_first_picture_is_named(tmp_path: Path) -> None:
    put(tmp_path / "f/a.png", 10).write_bytes(b"")
    labels = table(tmp_path / "l.csv", "clip,v", "a,0")
    with pytest.raises(FeatureError, match=r"a\.png"):
        load(tmp_path / "f", labels, "clip=clip valence=v")


def test_hidden_and_other_files_are_no_features(tmp_path: Path) -> None:
    put(tmp_path / ".f/a.png", 10)
    put(tmp_path / ".a.png", 10)
    (tmp_path / "a.gif").touch()
    with pytest.raises(
        InputNotFoundError, match=r"holds no features.*\.safetensors, or pictures \(\.jpg"
    ):
        FeatureFiles.find(tmp_path, set())
