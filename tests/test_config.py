"""Settings: validated, saved whole, with a fingerprint that depends on all of them."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

import pytest

from avaffect.config import (
    AnalysisConfig,
    AudioConfig,
    FaceConfig,
    MediaConfig,
    PredictConfig,
    fingerprint,
)
from avaffect.errors import UsageError


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        (FaceConfig, {"detect_every": 0}),
        (FaceConfig, {"min_score": 1.0}),
        (FaceConfig, {"min_presence": 0.0}),
        (FaceConfig, {"max_faces": 0}),
        (FaceConfig, {"crop_size": 8}),
        (FaceConfig, {"aligner": "eyes"}),
        (FaceConfig, {"subjects": "some"}),
        (AudioConfig, {"n_mfcc": 200}),
        (AudioConfig, {"n_fft": 100}),
        (AudioConfig, {"mel_scale": "cubic"}),
        (AudioConfig, {"normalise": "video"}),
        (AnalysisConfig, {"sound_rate": 0.5}),
        (AnalysisConfig, {"sound_rate": float("nan")}),
        (FaceConfig, {"min_score": float("nan")}),
        (FaceConfig, {"min_size": float("nan")}),
        (FaceConfig, {"detect_every": 1.5}),
        (FaceConfig, {"crop_size": "large" * 100}),
        (AudioConfig, {"n_mels": 10**9}),
        (AudioConfig, {"n_fft": 10**9}),
        (MediaConfig, {"fps": float("inf")}),
        (MediaConfig, {"rotate": 45}),
        (PredictConfig, {"clock": "sun"}),
        (PredictConfig, {"no_such_setting": 1}),
        (AnalysisConfig, {"faces": {"crop_size": 8}}),
    ],
)
def test_settings_that_make_no_sense_are_refused(kind, wrong) -> None:
    (name,) = wrong
    with pytest.raises(UsageError, match=rf"{kind.__name__}.*{name}") as raised:
        kind(**wrong)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 250


@pytest.mark.parametrize(
    "kind", [MediaConfig, FaceConfig, AudioConfig, AnalysisConfig, PredictConfig]
)
def test_defaults_fit(kind: type[Any]) -> None:
    """They are not checked where no value is given."""
    assert kind(**asdict(kind())) == kind()


def test_a_change_is_checked_as_well() -> None:
    with pytest.raises(UsageError, match="detect_every"):
        replace(FaceConfig(), detect_every=0)


def test_what_older_versions_saved_can_be_read() -> None:
    """Values as JSON has them: lists for tuples, whole numbers for others."""
    audio = {"n_mfcc": 40, "n_mels": 128, "n_fft": 2048, "mel_scale": "log", "normalise": "none"}
    assert AudioConfig(**audio) == AudioConfig()
    found = AnalysisConfig(sound_rate=50, encoders=["efficientnet-lite0"])
    assert (found.sound_rate, found.encoders) == (50.0, ("efficientnet-lite0",))
    assert AnalysisConfig(**json.loads(json.dumps(AnalysisConfig().to_dict()))) == AnalysisConfig()


def test_the_whole_configuration_can_be_saved() -> None:
    value = PredictConfig().to_dict()
    assert json.loads(json.dumps(value))["analysis"]["faces"]["detector"] == "blazeface-full"
    assert AnalysisConfig(audio=None).to_dict()["audio"] is None
    assert (value["analysis"]["voice"], value["noncommercial"]) == (None, True)


def test_the_fingerprint_sees_every_change_and_no_order() -> None:
    first = AnalysisConfig()
    second = replace(first, faces=FaceConfig(detect_every=16))
    assert fingerprint(first.to_dict()) == fingerprint(AnalysisConfig().to_dict())
    assert fingerprint(first.to_dict()) != fingerprint(second.to_dict())
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    with pytest.raises(ValueError, match="JSON"):
        fingerprint(float("nan"))
