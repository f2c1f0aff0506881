"""Settings: validated, saved whole, with a fingerprint that depends on all of them."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from avaffect.config import AnalysisConfig, AudioConfig, FaceConfig, PredictConfig, fingerprint


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
    ],
)
def test_settings_that_make_no_sense_are_refused(kind, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        kind(**wrong)


def test_the_whole_configuration_can_be_saved():
    value = PredictConfig().to_dict()
    assert json.loads(json.dumps(value))["analysis"]["faces"]["detector"] == "blazeface-full"
    assert AnalysisConfig(audio=None).to_dict()["audio"] is None
    assert (value["analysis"]["voice"], value["noncommercial"]) == (None, True)


def test_the_fingerprint_sees_every_change_and_no_order():
    first = AnalysisConfig()
    second = replace(first, faces=FaceConfig(detect_every=16))
    assert fingerprint(first.to_dict()) == fingerprint(AnalysisConfig().to_dict())
    assert fingerprint(first.to_dict()) != fingerprint(second.to_dict())
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    with pytest.raises(ValueError, match="JSON"):
        fingerprint(float("nan"))
