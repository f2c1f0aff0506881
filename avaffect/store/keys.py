"""What each result depends on: a key changes when, and only when, the result would."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict

from avaffect.config import AnalysisConfig, MediaConfig
from avaffect.faces.encoders import encoder_spec
from avaffect.faces.search import SECOND
from avaffect.models.zoo import find_model
from avaffect.sound.voice import voice_models
from avaffect.store.provenance import array_key
from avaffect.store.subject import FACES

# The weights behind each aligner; a detector's have its name, encoders name their own.
_ALIGNER_MODELS = {"mesh": (), "fan": ("2dfan4",)}
CROPS = "crops"
WAV = "wav"
# Raised whenever an unfinished pass can no longer be gone on with: its checkpoint holds the
# tracker's own state.
PASS_VERSION = 2


def model_hashes(names: tuple[str, ...]) -> dict[str, str]:
    """The published hash of each of the named weights."""
    return {name: find_model(name).identity for name in names}


def face_models(config: AnalysisConfig) -> tuple[str, ...]:
    """The weights that the face stage uses."""
    names = (
        config.faces.detector,
        SECOND,
        "face-landmarker",
        *_ALIGNER_MODELS[config.faces.aligner],
    )
    return tuple(dict.fromkeys(names))


def all_models(config: AnalysisConfig) -> tuple[str, ...]:
    """Every file of weights that is used on a video's picture and sound."""
    encoders = [model for name in config.encoders for model in encoder_spec(name).models]
    return tuple(dict.fromkeys((*face_models(config), *encoders, *sound_models(config))))


def sound_models(config: AnalysisConfig) -> tuple[str, ...]:
    """Every file of weights that is used on sound."""
    return () if config.voice is None else voice_models(config.voice)


def face_settings(config: AnalysisConfig) -> dict[str, object]:
    """What the frame table depends on."""
    faces = asdict(config.faces)
    del faces["crop_size"]
    if faces["looks"] == "every":  # as stores of earlier versions, which do not say so
        del faces["looks"]
    media = media_settings(config.media)
    heard = ("audio_stream", "channel")
    return {"faces": faces, **{name: media[name] for name in media if name not in heard}}


def media_settings(media: MediaConfig) -> dict[str, object]:
    """What is decoded. Settings that stores of earlier versions do not know count if set."""
    unset = asdict(MediaConfig())
    return {
        name: value
        for name, value in asdict(media).items()
        if name in ("video_stream", "audio_stream") or value != unset[name]
    }


def pass_key(wanted: Mapping[str, str], names: Iterable[str]) -> str:
    """The key of an unfinished pass that makes ``names``."""
    return "-".join((str(PASS_VERSION), *(wanted[name] for name in names)))


def keys(video_hash: str, config: AnalysisConfig) -> dict[str, str]:
    """The key of the frame table (``faces``), of the crops, of the wav and of each array.

    Args:
        video_hash: SHA-256 of the video.
        config: the settings.
    """
    settings = face_settings(config)
    hashes = model_hashes(face_models(config))
    faces = array_key(video_hash, FACES, settings, hashes)
    found = {
        FACES: faces,
        CROPS: array_key(video_hash, CROPS, [faces, config.faces.crop_size]),
        "face_pose": array_key(video_hash, "face_pose", faces),
    }
    for name in config.encoders:
        spec = encoder_spec(name)
        crop = [spec.crop.name, spec.crop.size]
        found[name] = array_key(video_hash, name, [faces, crop], model_hashes(spec.models))
    # Frame times come from the video stream.
    media = media_settings(config.media)
    found[WAV] = array_key(video_hash, WAV, media)
    if config.voice is not None:
        found["voice"] = array_key(video_hash, "voice", media, model_hashes(sound_models(config)))
    if config.audio is not None:
        sound = [asdict(config.audio), media]
        found["audio"] = array_key(video_hash, "audio", sound)
        found["has_sound"] = array_key(video_hash, "has_sound", sound)
    return found
