from dataclasses import replace

import pytest

from avaffect.config import AnalysisConfig, AudioConfig, FaceConfig, MediaConfig
from avaffect.faces.detectors.registry import DETECTORS
from avaffect.models.zoo import ZOO
from avaffect.store import keys as module
from avaffect.store.keys import all_models, face_settings, keys, media_settings, pass_key
from avaffect.store.provenance import array_key

BASE = AnalysisConfig()
PICTURES = {"faces", "crops", "face_pose", "efficientnet-lite0", "starter-2-face"}
EVERYTHING = PICTURES | {"wav", "audio", "has_sound"}


def changed(config, video="v1"):
    """What has another key than under BASE."""
    before, after = keys("v1", BASE), keys(video, config)
    return {name for name in before if name in after and before[name] != after[name]}


def test_every_result_has_a_key_of_its_own() -> None:
    found = keys("v1", BASE)
    assert found.keys() == EVERYTHING
    assert len(set(found.values())) == len(found)
    assert found == keys("v1", AnalysisConfig())


@pytest.mark.parametrize(
    ("config", "depends"),
    [
        (replace(BASE, faces=FaceConfig(crop_size=64)), {"crops"}),
        (replace(BASE, audio=AudioConfig(n_mfcc=20)), {"audio", "has_sound"}),
        (replace(BASE, media=MediaConfig(audio_stream=1)), {"wav", "audio", "has_sound"}),
        (replace(BASE, media=MediaConfig(channel=0)), {"wav", "audio", "has_sound"}),
        (replace(BASE, media=MediaConfig(video_stream=1)), EVERYTHING),
        (replace(BASE, media=MediaConfig(fps=50)), EVERYTHING),
        (replace(BASE, media=MediaConfig(rotate=90)), EVERYTHING),
        (replace(BASE, faces=FaceConfig(detector="centerface")), PICTURES),
        (replace(BASE, faces=FaceConfig(subjects="all")), PICTURES),
        (replace(BASE, faces=FaceConfig(aligner="fan")), PICTURES),
        (replace(BASE, encoders=("fer",)), set()),
        (replace(BASE, audio=None), set()),
        (replace(BASE, sound_rate=50.0), set()),
    ],
)
def test_a_changed_setting_changes_what_depends_on_it(config, depends) -> None:
    assert changed(config) == depends


def test_settings_that_came_later_leave_the_keys_of_earlier_stores() -> None:
    """As they were when ``MediaConfig`` had two fields."""
    media = {"video_stream": None, "audio_stream": None}
    assert media_settings(BASE.media) == media
    assert keys("v1", BASE)["wav"] == array_key("v1", "wav", media)


def test_the_voice_depends_on_its_net_and_the_sound_alone(voice_net) -> None:
    with_voice = replace(BASE, voice=voice_net())
    base = keys("v1", with_voice)
    assert base.keys() == EVERYTHING | {"voice"}
    assert {name: base[name] for name in EVERYTHING} == keys("v1", BASE)

    def voice(config, video="v1"):
        return keys(video, config)["voice"]

    assert voice(replace(with_voice, audio=None, encoders=())) == base["voice"]
    assert voice(replace(with_voice, faces=FaceConfig(subjects="all"))) == base["voice"]
    others = [
        voice(replace(with_voice, media=MediaConfig(audio_stream=1))),
        voice(replace(with_voice, media=MediaConfig(video_stream=1))),
        voice(with_voice, "v2"),
        voice(replace(with_voice, voice=voice_net(seed=1))),
        base["voice"],
    ]
    assert len(set(others)) == len(others)
    assert set(all_models(with_voice)) == {*all_models(BASE), "silero-vad", "starter-2-voice"}


def test_settings_that_earlier_versions_did_not_know_count_only_if_set() -> None:
    media = MediaConfig(audio_stream=2)
    assert media_settings(media) == {"video_stream": None, "audio_stream": 2}
    assert media_settings(replace(media, channel=0)) == media_settings(media) | {"channel": 0}


def test_another_video_changes_everything() -> None:
    assert changed(BASE, "v2") == EVERYTHING


@pytest.mark.parametrize("detector", DETECTORS)
@pytest.mark.parametrize("aligner", ["mesh", "fan"])
def test_the_weights_of_every_choice_are_in_the_zoo(detector, aligner: str) -> None:
    config = replace(BASE, faces=FaceConfig(detector=detector, aligner=aligner))
    assert set(all_models(config)) <= set(ZOO)
    assert len(keys("v1", config)) == len(EVERYTHING)


def test_another_format_does_not_go_on_with_a_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = keys("v1", BASE)
    before = pass_key(wanted, ("faces", "starter-2-face"))
    assert before != pass_key(wanted, ("faces",))
    monkeypatch.setattr(module, "PASS_VERSION", module.PASS_VERSION + 1)
    assert before != pass_key(wanted, ("faces", "starter-2-face"))


def test_looking_at_every_frame_has_the_keys_of_stores_before_it_was_a_setting() -> None:
    settings = face_settings(AnalysisConfig(faces=FaceConfig(looks="every")))
    assert "looks" not in settings["faces"]
    found = {
        looks: keys("0" * 64, AnalysisConfig(faces=FaceConfig(looks=looks)))["faces"]
        for looks in ("every", "changed", "few")
    }
    assert len(set(found.values())) == 3
