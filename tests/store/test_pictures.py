"""Pictures as arrays: rows by the numbers in file names, decoded only where they are asked for."""

import os
import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avaffect.errors import FeatureError, UnknownNameError
from avaffect.files.npy import ArraySpec
from avaffect.store import pictures
from avaffect.store.pictures import (
    FACE_PICTURES,
    HAS_FACE,
    PictureFiles,
    PictureFolder,
    WithPictures,
    open_features,
    side_of,
)
from avaffect.store.provenance import provenance
from avaffect.store.spool import Spool
from avaffect.store.subject import SpooledSubject, SubjectFeatures
from avaffect.store.writing import write_subject

FRAMES = 6


def put(path, value, side=4):
    """A grey picture, all pixels ``value``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        cv2.imencode(path.suffix, np.full((side, side), value, np.uint8))[1].tobytes()
    )
    return path


@pytest.fixture
def video(tmp_path: Path):
    """A preprocessed video of six frames, of which 2, 3 and 5 have a picture."""
    spool = Spool.create(tmp_path / "spool", {}, "k")
    for frame in range(FRAMES):
        spool.append_frame(frame / 25)
    spool.write_rows(
        {"audio": ArraySpec((2,), "float32")}, [{"audio": np.ones((FRAMES, 2), "f4")}]
    )
    folder = tmp_path / "v/features/anna"
    about = provenance("v.mp4", "00", {"size": 1}, {})
    write_subject(folder, SpooledSubject("anna", spool, []), about, {"faces": "k", "audio": "k"})
    for frame in (2, 3, 5):
        put(tmp_path / f"v/cropped_aligned/anna/{frame:05d}.png", 10 * frame)
    return tmp_path / "v"


def values(features, *span):
    """Of pictures that are all of one colour, that; checked to be so."""
    faces = features.array(FACE_PICTURES, *span)
    assert faces.dtype == np.uint8
    assert (
        faces.min(initial=255, axis=(1, 2, 3)).tolist()
        == faces.max(initial=0, axis=(1, 2, 3)).tolist()
    )
    return faces.max(initial=0, axis=(1, 2, 3)).tolist()


def test_a_stored_subject_with_its_pictures(video) -> None:
    found = open_features(video / "features/anna")
    alone = SubjectFeatures.open(video / "features/anna")
    assert isinstance(found, SubjectFeatures)
    assert found.specs == alone.specs | {
        FACE_PICTURES: ArraySpec((4, 4, 3), "uint8"),
        HAS_FACE: ArraySpec((), "bool"),
    }
    assert found.names == ("audio", FACE_PICTURES, HAS_FACE)
    assert (found.name, found.frames, side_of(found)) == ("anna", FRAMES, 4)
    assert found.provenance == alone.provenance
    np.testing.assert_array_equal(found.times, alone.times)
    np.testing.assert_array_equal(found.present, alone.present)
    np.testing.assert_array_equal(found.confidence, alone.confidence)
    assert found.table().equals(alone.table())
    assert found.array("audio", 1, 3).tolist() == [[1, 1], [1, 1]]
    assert found.array(HAS_FACE).tolist() == [False, True, True, False, True, False]
    assert values(found) == [0, 20, 30, 0, 50, 0]


def test_pictures_are_decoded_only_where_they_are_asked_for(
    video, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    real = pictures.read_picture

    def counted(path: Path, side: int) -> np.ndarray:
        read.append(path.name)
        return real(path, side)

    monkeypatch.setattr(pictures, "read_picture", counted)
    found = open_features(video / "features/anna")
    assert [sorted(chunk) for chunk in found.chunks()] == [["audio"]]
    assert found.array(HAS_FACE, 0, 4).tolist() == [False, True, True, False]
    assert found.specs
    assert read == []
    assert values(found, 2, 4) == [30, 0]
    assert read == ["00003.png"]


def test_a_folder_is_listed_once_and_not_for_each_window(
    video, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = []
    real = os.scandir
    monkeypatch.setattr(os, "scandir", lambda folder: listed.append(folder) or real(folder))
    for found in (
        open_features(video / "features/anna"),
        PictureFolder(video / "cropped_aligned/anna"),
    ):
        assert found.specs
        found.array(FACE_PICTURES, 0, 1)
        del listed[:]
        for start in range(5):
            found.array(FACE_PICTURES, start, start + 1)
            found.array(HAS_FACE, start, start + 1)
        assert listed == []


def test_a_subject_without_pictures(video) -> None:
    for path in (video / "cropped_aligned/anna").iterdir():
        path.unlink()
    for folder in (video / "cropped_aligned/anna", video / "nothing", video / "preprocess.json"):
        found = WithPictures(SubjectFeatures.open(video / "features/anna"), folder)
        assert (found.names, side_of(found)) == (("audio",), None)
        for name in (FACE_PICTURES, HAS_FACE):
            with pytest.raises(FeatureError, match=rf"no features called '{name}' \(has audio\)"):
                found.array(name)


def test_features_of_a_pass_have_no_provenance(tmp_path: Path) -> None:
    spool = Spool.create(tmp_path / "spool", {}, "k")
    spool.append_frame(0.0)
    put(tmp_path / "p/00001.png", 7)
    found = WithPictures(SpooledSubject("x", spool, []), tmp_path / "p")
    assert (found.provenance, values(found)) == ({}, [7])


def test_pictures_travel_to_other_processes(video) -> None:
    found = pickle.loads(pickle.dumps(open_features(video / "features/anna")))  # noqa: S301
    assert values(found) == [0, 20, 30, 0, 50, 0]
    assert values(pickle.loads(pickle.dumps(found)), 4) == [50, 0]  # noqa: S301


def test_pictures_behind_the_last_frame_are_left_out(video) -> None:
    put(video / "cropped_aligned/anna/00009.png", 90)
    found = open_features(video / "features/anna")
    assert values(found) == [0, 20, 30, 0, 50, 0]
    assert found.array(HAS_FACE).shape == (FRAMES,)


def test_a_folder_of_pictures_alone(tmp_path: Path) -> None:
    put(tmp_path / "00002.png", 20)
    put(tmp_path / "00004.JPG", 40)
    found = open_features(tmp_path)
    assert isinstance(found, PictureFolder)
    assert (found.frames, found.last, found.array(HAS_FACE).tolist()) == (
        4, 4, [False, True, False, True],
    )  # fmt: skip
    assert values(found) == [0, 20, 0, 40]
    longer = found.lasting(6)
    assert (longer.frames, found.lasting(2).frames, found.frames) == (6, 4, 4)
    assert values(longer, 3) == [40, 0, 0]


@settings(max_examples=40)
@given(
    st.dictionaries(st.integers(1, 12), st.integers(1, 255)),
    st.integers(0, 14),
    st.slices(16).filter(lambda span: span.step in (None, 1)),
)
def test_rows_are_those_of_the_numbers(
    tmp_path_factory: pytest.TempPathFactory, files, frames, span
) -> None:
    folder = tmp_path_factory.mktemp("p")
    for number, value in files.items():
        put(folder / f"{number:05d}.png", value, side=2)
    found = PictureFolder(folder, frames)
    if not files:
        assert found.specs == {}
        with pytest.raises(UnknownNameError, match="array of pictures"):
            found.array(FACE_PICTURES)
        return
    expected = [files.get(frame, 0) for frame in range(1, frames + 1)][span]
    assert values(found, span.start or 0, span.stop) == expected
    there = found.array(HAS_FACE, span.start or 0, span.stop)
    assert there.tolist() == [value > 0 for value in expected]


def test_what_is_no_picture_of_a_frame_is_overlooked(tmp_path: Path) -> None:
    put(tmp_path / "00003.png", 30)
    put(tmp_path / "0000000004.png", 40)
    for name in ("00000.png", "a0001.png", "-1.png", "00001.png.bak", "99999999.png", "1.5.png"):
        put(tmp_path / "x.png", 1).rename(tmp_path / name)
    (tmp_path / "00001.png").mkdir()
    (tmp_path / "00002.png").symlink_to(tmp_path / "nowhere")
    assert values(PictureFolder(tmp_path)) == [0, 0, 30, 40]


def test_two_pictures_of_a_frame(tmp_path: Path) -> None:
    """The same one counts wherever the files lie."""
    put(tmp_path / "00001.png", 20)
    put(tmp_path / "1.png", 30)
    put(tmp_path / "00001.jpg", 10)
    assert values(PictureFolder(tmp_path)) == [10]


def test_the_first_picture_gives_the_size_unless_it_is_given(tmp_path: Path) -> None:
    files = [put(tmp_path / "00001.png", 10, side=6), put(tmp_path / "00002.png", 20, side=3)]
    for found in (PictureFolder(tmp_path), PictureFiles(files)):
        assert found.specs[FACE_PICTURES].shape == (6, 6, 3)
        assert values(found) == [10, 20]
    assert PictureFiles(files, 5).array(FACE_PICTURES).shape == (2, 5, 5, 3)
    assert PictureFolder(tmp_path, side=5).specs[FACE_PICTURES].shape == (5, 5, 3)


def test_no_face_is_larger_than_encoders_take(tmp_path: Path) -> None:
    assert side_of(PictureFiles([put(tmp_path / "a.png", 1, side=600)])) == 512


def test_files_in_their_order(tmp_path: Path) -> None:
    files = [put(tmp_path / f"{name}.png", value) for name, value in (("b", 1), ("a", 2))]
    found = PictureFiles(files)
    assert (found.frames, values(found), values(found, -1)) == (2, [1, 2], [2])
    assert found.array(HAS_FACE).tolist() == [True, True]
    with pytest.raises(UnknownNameError, match="array of pictures"):
        found.array("audio")
    with pytest.raises(ValueError, match="no files"):
        PictureFiles([])


def test_a_damaged_picture_is_named_when_it_is_read(video) -> None:
    path = video / "cropped_aligned/anna/00003.png"
    path.write_bytes(path.read_bytes()[:30])
    found = open_features(video / "features/anna")
    assert values(found, 0, 2) == [0, 20]
    with pytest.raises(FeatureError, match=r"00003\.png' is no picture that can be decoded"):
        found.array(FACE_PICTURES)


def test_a_damaged_first_picture_is_named_at_once(video) -> None:
    (video / "cropped_aligned/anna/00002.png").write_bytes(b"")
    with pytest.raises(FeatureError, match=r"00002\.png"):
        _ = open_features(video / "features/anna").specs


def test_neither_features_nor_pictures(tmp_path: Path) -> None:
    with pytest.raises(FeatureError, match=r"is unfinished or damaged"):
        open_features(tmp_path)


def test_a_subject_who_is_in_no_frame_has_no_faces_and_that_is_right(
    video, tmp_path: Path
) -> None:
    """One such subject must not keep a network from training on the others."""
    subject = SubjectFeatures.open(video / "features/anna")
    assert not subject.present.any()
    found = WithPictures(subject, tmp_path / "nothing", side=8)
    assert found.specs[FACE_PICTURES] == ArraySpec((8, 8, 3), "uint8")
    assert found.array(FACE_PICTURES).shape == (FRAMES, 8, 8, 3)
    assert not found.array(FACE_PICTURES, 1, 3).any()
    assert found.array(HAS_FACE).tolist() == [False] * FRAMES
    # Nothing says how large they would be.
    assert FACE_PICTURES not in WithPictures(subject, tmp_path / "nothing").specs
