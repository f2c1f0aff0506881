"""How loud the sound of what is predicted is, for lips to be compared with it."""

from __future__ import annotations

from pathlib import Path

from avaffect.config import FaceConfig
from avaffect.media.sound import SoundInfo
from avaffect.sound.loudness import Loudness
from avaffect.store.prepared import Prepared

# Looks at faces among which syllables are lost, see `FaceConfig.looks`.
_TOO_FEW = "few"


def loudness_of(wav: Path, sound: SoundInfo | None, faces: FaceConfig) -> Loudness | None:
    """How loud a sound is: 3 kB of memory a second.

    Args:
        wav: the sound.
        sound: what is known of it; None if there is none.
        faces: how faces were looked at.

    Returns:
        None without sound, and where faces were looked at too seldom.

    Raises:
        MediaError: the sound is damaged.
    """
    return None if sound is None or faces.looks == _TOO_FEW else Loudness.of(wav, sound)


def stored_loudness(prepared: Prepared) -> Loudness | None:
    """How loud the sound of a preprocessed folder is; None as `loudness_of`.

    Raises:
        MediaError: the sound is damaged.
    """
    settings = prepared.record.configuration or {}
    if (settings.get("faces") or {}).get("looks") == _TOO_FEW:
        return None
    if prepared.record.sound is None or not prepared.wav.is_file():
        return None
    return Loudness.of(prepared.wav, prepared.sound)
