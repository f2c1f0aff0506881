"""``features`` by an encoder of a library: its vectors, into the feature store."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import torch

from avaffect.config import fingerprint
from avaffect.errors import FeatureError, UsageError, boundary
from avaffect.files.npy import Array, ArraySpec
from avaffect.networks.hub import hub_folder, loading
from avaffect.networks.picture_encoders import (
    PictureEncoder,
    hf_picture_encoder,
    timm_encoder,
)
from avaffect.networks.sound_encoders import (
    SoundEncoder,
    hears_waves,
    hf_sound_encoder,
    parse_layers,
    torchaudio_encoder,
)
from avaffect.progress import EventCallback, ignore_events
from avaffect.store.adding import Added, NewArray, add_array, require_name, require_replaceable
from avaffect.store.pictures import FACE_PICTURES, HAS_FACE, WithPictures
from avaffect.store.prepared import Prepared
from avaffect.store.provenance import backbone_key
from avaffect.store.subject import FACES, StoredSubject

Encoder = PictureEncoder | SoundEncoder
# Of pictures in memory at a time: some 400 of 112 pixels.
_BYTES = 1 << 24


@boundary()
def load_encoder(
    text: str, *, device: str = "cpu", layers: str | None = None, size: int | None = None
) -> Encoder:
    """A ready-made encoder by name.

    Args:
        text: ``timm:NAME``, ``torchaudio:BUNDLE``, or ``hf:NAME`` or ``hf:FOLDER`` for a model of
            transformers.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        layers: of an encoder of sound, ``N`` or ``last:N`` (the mean of the last N); None takes
            the last one.
        size: of one of pictures, pixels that faces are brought to; None takes its own.

    Raises:
        UsageError: settings that are none of its.
        MissingPackageError: its library is not installed.
        ModelError: there is none of that name, or its weights are not to be had.
    """
    kind, _, name = text.partition(":")
    parse_layers(layers)
    where = torch.device(device)
    sound = kind == "torchaudio"
    if kind == "hf":
        with loading(text):
            sound = hears_waves(hub_folder(name))
    if sound and size is not None:
        raise UsageError(f"'{text}' hears sound, which has no size", "leave out size=...")
    if not sound and layers is not None:
        raise UsageError(f"'{text}' looks at pictures", "leave out layers=...")
    if kind == "timm":
        return timm_encoder(name, where, size)
    if kind == "torchaudio":
        return torchaudio_encoder(name, where, layers)
    if kind == "hf" and sound:
        return hf_sound_encoder(name, where, layers)
    if kind == "hf":
        return hf_picture_encoder(name, where, size)
    raise UsageError(f"'{text}' names no library", "write timm:NAME, torchaudio:NAME or hf:NAME")


def encoder_name(encoder: Encoder, name: str | None = None) -> str:
    """How the array is called: ``name``, or the last part of the encoder's own.

    Raises:
        UsageError: no array can be called so.
    """
    own = re.split(r"[:/\\]", encoder.weights.name.rstrip("/\\"))[-1]
    return require_name(name if name is not None else own)


@boundary()
def encode(
    folder: Path | str,
    encoder: Encoder,
    name: str | None = None,
    *,
    on_event: EventCallback = ignore_events,
) -> Added:
    """Write a ready-made encoder's vectors of each face, or of the sound, into the feature store.

    The array is float16 [N, size], NaN in frames without a face or sound. A subject whose array
    this encoder made of the same pictures or sound is left as it is. Memory does not grow with the
    video's length.

    Args:
        folder: what ``preprocess`` wrote for a video.
        encoder: from :func:`load_encoder`.
        name: of the array, see :func:`encoder_name`.
        on_event: progress.

    Raises:
        UsageError: the array cannot be called so, or one of that name is something else.
        FeatureError: the folder holds no pictures, or no sound.
        CheckpointError: the encoder gives what is no number.
        BusyError: another process writes there.
        OutputError: results cannot be written; subjects that were finished are kept.
    """
    name = encoder_name(encoder, name)
    whole = Prepared(Path(folder))
    whole.subjects()  # refuses what is no preprocessed folder before anything is written
    with whole.alone():
        stored = whole.subjects()
        require_replaceable(stored, name)
        spec = ArraySpec((encoder.size,), "float16")
        about = {"kind": "encoder", **asdict(encoder.weights)}
        if isinstance(encoder, PictureEncoder):
            key = backbone_key(encoder.model, str(whole.record.crops))
            about["size"] = encoder.side
            arrays = [
                NewArray(key, spec, partial(_seen, faces, encoder), about)
                for faces in whole.pictured()
            ]
        else:
            if whole.sound is None or not whole.wav.is_file():
                raise FeatureError(f"'{whole.root}' has no sound", "preprocess the video again")
            about["layers"] = encoder.layers or "last:1"
            of_sound = [whole.record.wav, whole.video.get("sha256")]
            arrays = [
                NewArray(
                    backbone_key(encoder.model, fingerprint([*of_sound, subject.keys[FACES]])),
                    spec,
                    partial(_heard, whole, subject, encoder),
                    about,
                )
                for subject in stored
            ]
        return add_array(whole, stored, name, arrays, "features", on_event)


def _seen(subject: WithPictures, encoder: PictureEncoder) -> Iterator[Array]:
    rows = max(1, _BYTES // math.prod(subject.specs[FACE_PICTURES].shape))
    for start in range(0, subject.frames, rows):
        stop = min(start + rows, subject.frames)
        seen = subject.array(HAS_FACE, start, stop)
        yield encoder(subject.array(FACE_PICTURES, start, stop), seen)


def _heard(whole: Prepared, subject: StoredSubject, encoder: SoundEncoder) -> Iterator[Array]:
    sound = whole.sound
    times = subject.times if sound is None else sound.in_wav(subject.times)
    at = 0
    for rows in encoder.vectors(whole.wav, times):
        if "has_sound" in subject.specs:
            rows[~subject.array("has_sound", at, at + len(rows)).astype(bool)] = np.nan
        yield rows
        at += len(rows)
