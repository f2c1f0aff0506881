"""What a checkpoint says of its data: fingerprints, settings of the features, versions."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from avaffect.config import AnalysisConfig
from avaffect.datasets.clip import Clip, Dataset
from avaffect.datasets.own import _FirstRows
from avaffect.errors import FeatureError
from avaffect.files.npy import ArraySpec
from avaffect.progress import Notice
from avaffect.store.provenance import relevant_settings
from avaffect.training.facts import data_facts, feature_settings, versions


class Stored:
    """Features that know their settings."""

    frames = 4

    def __init__(self, *arrays, **changes):
        self.specs = {name: ArraySpec((2,), "float32") for name in arrays}
        self.provenance = {"configuration": replace(AnalysisConfig(), **changes).to_dict()}

    def array(self, name, start=0, stop=None):
        return np.zeros((4, 2), np.float32)[start:stop]


class Table(Stored):
    """Features that do not."""

    def __init__(self):
        super().__init__("table")
        del self.provenance


def clip(features, name="a", **labels):
    return Clip(name, name, features, labels)


def va(value):
    return np.full((4, 1), value, np.float32)


def test_features_of_two_backbones_are_not_mixed() -> None:
    def clip(name, digest):
        keys = {"deep": f"backbone:net:face:{digest}@crops"}
        about = {"configuration": {}, "keys": keys}
        features = SimpleNamespace(provenance=about, specs={"deep": None})
        return SimpleNamespace(name=name, features=features)

    same = [clip("a", "1" * 64), clip("b", "1" * 64)]
    assert feature_settings(same, pytest.fail, ("deep",))["backbones"].keys() == {"deep"}
    other = [*same, clip("c", "2" * 64)]
    with pytest.raises(FeatureError, match="the features deep of 'c' were made by another backb"):
        feature_settings(other, pytest.fail, ("deep",))


def test_the_fingerprint_is_that_of_frames_and_labels() -> None:
    def fingerprint(*clips):
        return data_facts(Dataset(clips, {"va": ("valence",)}), clips, ())["fingerprint"]

    first, second = clip(Table(), "a", va=va(0.5)), clip(Table(), "b", va=va(0.5))
    assert fingerprint(first, second) == fingerprint(second, first)
    different = [
        fingerprint(first),
        fingerprint(first, clip(Table(), "c", va=va(0.5))),
        fingerprint(first, clip(Table(), "b", va=va(0.25))),
        fingerprint(first, clip(Table(), "b")),
        fingerprint(first, second),
    ]
    assert len(set(different)) == len(different)
    facts = data_facts(
        Dataset((first, second), {"va": ("valence",)}, about={"x": 1}), (second,), (first,)
    )
    assert (facts["x"], facts["clips"]) == (1, {"train": ["b"], "val": ["a"]})


@pytest.mark.parametrize("wrap", [lambda table: table, lambda table: _FirstRows(table, 3)])
def test_settings_of_stored_features(wrap) -> None:
    """Also of those that are longer than their labels."""
    seen = feature_settings([clip(wrap(Stored("audio", "face_pose")))], pytest.fail)
    assert seen == {
        "audio": AnalysisConfig().to_dict()["audio"],
        "faces": {"aligner": "mesh", "crop_size": 112},
    }
    heard = feature_settings(
        [clip(wrap(Stored("audio", "has_sound", sound_rate=50)))], pytest.fail
    )
    assert heard["sound_rate"] == 50


def test_own_tables_have_none() -> None:
    assert feature_settings([clip(Table()), clip(_FirstRows(Table(), 2), "b")], pytest.fail) == {}


def test_settings_that_differ_are_told_once() -> None:
    events = []
    clips = [clip(Stored("audio"), "a"), clip(Stored("audio", audio=None), "b"),
             clip(Stored("audio", audio=None), "c")]  # fmt: skip
    found = feature_settings(clips, events.append)
    assert found["audio"] is not None
    (notice,) = events
    assert isinstance(notice, Notice)
    assert notice.warning
    assert "'b' were made with other settings" in notice.text


def test_what_matters_in_a_configuration() -> None:
    assert relevant_settings({}) == {}
    found = relevant_settings({"encoders": ["fer"], "sound_rate": 25.0, "faces": None})
    assert found == {"sound_rate": 25.0, "faces": None}


def test_versions() -> None:
    found = versions()
    assert found["torch"] and found["numpy"] and found["avaffect"]


def test_a_checkpoint_keeps_the_hashes_of_its_videos() -> None:
    clips = []
    for name, sha256 in (("a_left", "1f"), ("a_right", "1f"), ("b", "")):
        features = Stored("x")
        features.provenance["video"] = {"sha256": sha256}
        clips.append(Clip(name, name, features, {"va": np.zeros((4, 1), np.float32)}))
    facts = data_facts(Dataset(tuple(clips), {"va": ("valence",)}), clips[:2], clips[2:])
    assert facts["clips"] == {"train": ["a_left", "a_right"], "val": ["b"]}
    assert facts["videos"] == {"train": ["1f"], "val": []}
