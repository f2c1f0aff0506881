"""``starter_training/action_units.py``: the figures follow from the pictures."""

from __future__ import annotations

import importlib
import itertools
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import av
import cv2
import numpy as np
import pytest

from avaffect.faces.face_pose import LANDMARK_VALUES, SIZE, face_pose_names
from avaffect.predictors.starter.unit_proxies import PROXIES, UnitProxies

TRAINING = Path(__file__).parents[3] / "starter_training"
NAMES = face_pose_names()
PARTS = ("train", "test", "validation")
# What each expression's made-up faces do.
SHOWN = {
    "angry": ("browDown", "eyeSquint", "mouthRoll", "mouthPress"),
    "disgust": ("mouthUpperUp",),
    "happy": ("mouthSmile", "eyeSquint"),
    "sad": ("mouthFrown",),
    "surprise": ("browInnerUp", "browOuterUp", "jawOpen", "y62"),
}


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(TRAINING))
    for name in ("action_units", "fer2013"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return importlib.import_module("action_units")


def made_up(script: ModuleType, seed: int) -> Any:
    """200 resting faces with known slopes, 100 of each expression."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(["neutral", *SHOWN], [200] + [100] * len(SHOWN))
    poses = np.zeros((len(labels), SIZE), np.float32)
    shapes = slice(LANDMARK_VALUES + 7, None)
    poses[:, shapes] = rng.uniform(0, 0.1, (len(labels), 52))

    def columns(start: str) -> list[int]:
        return [at for at, name in enumerate(NAMES) if name.startswith(start)]

    poses[:, NAMES.index("y62")] = rng.uniform(0, 0.04, len(labels))
    poses[:, NAMES.index("pitch")] = rng.uniform(-20, 20, len(labels)) / 90
    poses[:, columns("eyeBlink")] = rng.uniform(0, 0.5, (len(labels), 1))
    poses[:, columns("eyeSquint")] = (
        0.2 + 0.6 * poses[:, columns("eyeBlink")] - 0.005 * 90 * poses[:, [NAMES.index("pitch")]]
    )
    for label, starts in SHOWN.items():
        for start in starts:
            strength = rng.uniform(0.3, 0.7, (100, 1))
            poses[np.ix_(labels == label, columns(start))] += strength
    # A few keep their lips closed.
    poses[np.flatnonzero(labels == "surprise")[:5], NAMES.index("y62")] = 0.01
    return script.Pictures(labels, poses, 2 * len(labels))


def test_known_pictures_give_known_figures(script: ModuleType) -> None:
    train = made_up(script, 0)
    figures = script.measure(train, made_up(script, 1), made_up(script, 2))
    assert figures["explained"]["squint_by_blink"] == pytest.approx(0.6, abs=1e-3)
    assert figures["explained"]["squint_by_pitch"] == pytest.approx(-0.005, abs=1e-4)
    assert figures["pictures"]["read"] == dict.fromkeys(PARTS, 1400)
    assert figures["pictures"]["used"]["train"]["neutral"] == 200
    brow = figures["units"]["AU1"]
    assert (brow["low"], brow["middle"]) == pytest.approx((0.005, 0.05), abs=0.01)
    assert brow["high"] == pytest.approx(0.1, abs=0.02)  # 95 %, and at least .05 more
    assert figures["units"]["AU12"]["full"] == pytest.approx(0.75, abs=0.05)
    for part, proxy in itertools.product(PARTS[1:], PROXIES):
        row = figures[part][proxy.name]
        assert row["expression"] == proxy.expression
        assert row["auc"] > 0.9
        assert row["present_in_expression"] > 0.8
        assert row["false_alarms"] <= 0.05
    # Anger's faces do not smile.
    assert figures["test"]["AU12"]["all_expressions"]["angry"][0] < 0.6
    rest = train.poses[train.of("neutral")]
    proxies = UnitProxies.from_figures(figures)
    level = proxies.neutral_level(proxies.signals(rest), np.full(len(rest), 0.04))
    assert proxies.activation(proxies.signals(rest), level).max() < 0.3


def test_the_area_under_the_curve_and_its_interval(script: ModuleType) -> None:
    apart = np.arange(10.0)
    assert script.auc(apart + 20, apart) == (1, 1, 1)
    assert script.auc(np.ones(5), np.ones(5))[0] == 0.5
    rng = np.random.default_rng(0)
    area, low, high = script.auc(rng.normal(1, 1, 2000), rng.normal(0, 1, 2000))
    assert area == pytest.approx(0.7602, abs=0.02)  # the normal distribution at 1 / sqrt(2)
    # Of 2,000 a side; Hanley & McNeil (1982) give a standard error of .0075.
    assert (high - low) / (2 * 1.96) == pytest.approx(0.0075, abs=0.001)
    assert (high + low) / 2 == pytest.approx(area)


def test_the_same_pictures_are_chosen_of_each_label(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "NEUTRAL_PICTURES", 7)
    monkeypatch.setattr(script, "OTHER_PICTURES", 3)
    rows = [
        ({"split": split, "label": label, "path": f"{label}{at}"}, np.zeros((48, 48), np.uint8))
        for split in ("train", "test")
        for label in ("happy", "neutral", "sad")
        for at in range(5 if label == "sad" else 20)
    ]
    rows += [({**row, "path": "a.jpg3.jpg"}, picture) for row, picture in rows]
    chosen = script.choose(rows, "train")
    assert [row["label"] for row, _ in chosen] == ["happy"] * 3 + ["neutral"] * 7 + ["sad"] * 3
    assert {row["split"] for row, _ in chosen} == {"train"}
    assert len({row["path"] for row, _ in chosen}) == 13
    again = script.choose(rows, "train")
    assert [row["path"] for row, _ in again] == [row["path"] for row, _ in chosen]


def test_small_grey_faces_are_read_and_other_pictures_left_out(script: ModuleType, sample) -> None:
    with av.open(str(sample("one_person.mp4"))) as container:
        decoded = itertools.islice(container.decode(video=0), 57)
        frames = [frame.to_ndarray(format="gray") for frame in decoded]
    smile, rest = (
        cv2.resize(frames[at][90:310, 90:310], (48, 48), interpolation=cv2.INTER_AREA)
        for at in (56, 5)
    )
    grey = np.full((48, 48), 128, np.uint8)
    rows = [({"label": name}, picture) for name, picture in
            (("happy", smile), ("sad", grey), ("neutral", rest))]  # fmt: skip
    pictures = script.read_faces(rows, script.Reader())
    assert pictures.labels.tolist() == ["happy", "neutral"]
    assert pictures.read == 3
    smiles = pictures.poses[:, NAMES.index("mouthSmileLeft")]
    assert smiles[0] > smiles[1] + 0.4
