"""Faces are analysed in square pixels; what is stored is in the file's own."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from avaffect.config import AnalysisConfig
from avaffect.preprocessing.run import NetsLoader, preprocess
from avaffect.store.subject import SubjectFeatures

LIGHT = AnalysisConfig(encoders=("starter-2-face",), audio=None)
POSITIONS = ["left", "top", "right", "bottom", "left_eye_x", "left_eye_y", "nose_x", "nose_y"]


@pytest.fixture(scope="module")
def made(sample, nets: NetsLoader, ffmpeg, tmp_path_factory: pytest.TempPathFactory):
    """A clip in square pixels, and the same with three pixels in place of four in each row."""
    root = tmp_path_factory.mktemp("pixels")
    folders = {}
    for name, shape in (("square", "scale=400:400"), ("wide", "scale=300:400,setsar=4/3")):
        coding = ["-an", "-vf", shape, "-crf", "12", "-frames:v", 30]
        ffmpeg("-i", sample("one_person.mp4"), *coding, root / f"{name}.mp4")
        config = replace(LIGHT, faces=replace(LIGHT.faces, crop_size=96))
        preprocess(root / f"{name}.mp4", root / name, config, nets=nets)
        folders[name] = root / name
    return folders


def stored(made, name):
    return SubjectFeatures.open(made[name] / "features" / name)


def test_positions_are_in_the_files_own_pixels(made) -> None:
    square, wide = (stored(made, name).table()[POSITIONS].to_numpy() for name in made)
    assert len(square) == len(wide) == 30
    for place, column in enumerate(POSITIONS):
        factor = 0.75 if place in (0, 2) or column.endswith("_x") else 1
        away = np.abs((square[:, place] + 0.5) * factor - 0.5 - wide[:, place])
        assert away.mean() < 1, column


def test_features_are_those_of_the_square_copy(made) -> None:
    square, wide = (stored(made, name) for name in made)
    turned = square.table()[["yaw", "pitch", "roll"]] - wide.table()[["yaw", "pitch", "roll"]]
    assert np.abs(turned.to_numpy()).mean() < 1
    # Blendshapes, the last 52 values.
    first, second = (subject.array("face_pose")[:, -52:] for subject in (square, wide))
    assert np.abs(first - second).mean() < 0.01


def crops(folder: Path):
    pictures = sorted(folder.glob("cropped_aligned/*/*.jpg"))
    return [cv2.imread(str(path)).astype(int) for path in pictures]


def test_pictures_made_again_from_the_stored_points_are_the_same(made, nets: NetsLoader) -> None:
    before = crops(made["wide"])
    assert (
        np.mean([np.abs(a - b).mean() for a, b in zip(before, crops(made["square"]), strict=True)])
        < 6
    )
    video = made["wide"].with_suffix(".mp4")
    for size in (64, 96):
        config = replace(LIGHT, faces=replace(LIGHT.faces, crop_size=size))
        done = preprocess(video, made["wide"], config, nets=nets).done
        assert done == ("crops",)
    after = crops(made["wide"])
    assert len(after) == len(before) == 30
    assert max(np.abs(a - b).mean() for a, b in zip(before, after, strict=True)) < 0.2
