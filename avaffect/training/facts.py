"""The facts in a checkpoint: its data, features and libraries."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from typing import Any

from avaffect.config import fingerprint
from avaffect.datasets.clip import Clip, Dataset
from avaffect.datasets.overlap import video_hash
from avaffect.errors import FeatureError
from avaffect.extras import version_of
from avaffect.progress import EventCallback, Notice
from avaffect.store.provenance import backbones_in, relevant_settings

_LIBRARIES = ("avaffect", "torch", "numpy", "safetensors", "pydantic")
_SOUND = {"audio", "has_sound", "voice"}


def data_facts(
    dataset: Dataset, train_clips: Iterable[Clip], val_clips: Iterable[Clip]
) -> dict[str, Any]:
    """Where the data came from, the clips' names and their videos' hashes, as far as they are
    known, and a fingerprint of frames and labels."""
    names: dict[str, list[str]] = {}
    hashes: dict[str, list[str]] = {}
    for split, clips in (("train", [*train_clips]), ("val", [*val_clips])):
        names[split] = [clip.name for clip in clips]
        hashes[split] = sorted({found for clip in clips if (found := video_hash(clip))})
    return {
        **dataset.about,
        "clips": names,
        "videos": hashes,
        "fingerprint": fingerprint(sorted(_clip_hash(clip) for clip in dataset.clips)),
    }


def _clip_hash(clip: Clip) -> str:
    digest = hashlib.sha256(f"{clip.name}\0{clip.frames}\0".encode(errors="surrogateescape"))
    for task, labels in sorted(clip.labels.items()):
        digest.update(task.encode())
        digest.update(labels.tobytes())
    return digest.hexdigest()


def feature_settings(
    clips: Iterable[Clip], on_event: EventCallback, reads: Collection[str] = ()
) -> dict[str, Any]:
    """The settings that the clips' stored features were made with; empty for own tables.

    Args:
        clips: the clips.
        on_event: gets a warning if they were made with different ones.
        reads: the arrays that are read of them. Of those that a trained backbone made,
            ``backbones`` names which.

    Raises:
        FeatureError: different backbones made an array that is read: its values mean other things.
    """
    found: dict[str, Any] = {}
    for clip in clips:
        provenance = getattr(clip.features, "provenance", None)
        if not provenance:
            continue
        settings = relevant_settings(provenance.get("configuration", {}))
        if not clip.features.specs.keys() <= _SOUND:
            # The frames of a video are the clock, whatever the setting.
            settings.pop("sound_rate", None)
        backbones = backbones_in(provenance.get("keys", {}))
        if mine := {name: backbone for name, backbone in backbones.items() if name in reads}:
            settings["backbones"] = mine
        if found and settings.get("backbones") != found.get("backbones"):
            raise FeatureError(
                f"the features {', '.join(sorted(mine or found.get('backbones', {})))} of "
                f"'{clip.name}' were made by another backbone than those of other clips",
                "run `avaffect features` with one and the same checkpoint on all of them",
            )
        if found and settings != found:
            on_event(
                Notice(
                    f"the features of '{clip.name}' were made with other settings than those of "
                    "other clips",
                    warning=True,
                )
            )
            break
        found = settings
    return found


def versions() -> dict[str, str | None]:
    """The versions of the libraries that training depends on."""
    return {name: version_of(name) for name in _LIBRARIES}
