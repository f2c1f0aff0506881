"""The sound of what is predicted: its arrays for the models, and how loud it is."""

from __future__ import annotations

from pathlib import Path

from avaffect.config import AnalysisConfig
from avaffect.files.names import WAV
from avaffect.media.sound import SoundInfo
from avaffect.media.source import Source
from avaffect.preprocessing.sound import SoundReader, make_wav, sound_arrays
from avaffect.preprocessing.video_pass import Analysis
from avaffect.progress import EventCallback
from avaffect.sound.loudness import Loudness
from avaffect.store.prepared import Prepared

# Looks at faces among which syllables are lost, see `FaceConfig.looks`.
_TOO_FEW = "few"


def spool_sound(
    video: Source,
    config: AnalysisConfig,
    found: Analysis,
    work: Path,
    device: str,
    on_event: EventCallback,
) -> tuple[SoundInfo | None, Loudness | None]:
    """Write the arrays made of sound; without any, what an interrupted run left goes.

    Returns how loud it is, too; None where `stored_loudness` is.
    """
    arrays = sound_arrays(config)
    wav = work / WAV
    sound = make_wav(video, wav, config.media, on_event) if arrays else None
    reader = SoundReader(wav, sound, config, arrays, on_event, device)
    found.spool.write_rows(reader.specs, reader.chunks(found.spool.times()))
    loudness = None
    if sound is not None and config.faces.looks != _TOO_FEW:
        loudness = Loudness.of(wav, sound)
    wav.unlink(missing_ok=True)
    return sound, loudness


def stored_loudness(prepared: Prepared) -> Loudness | None:
    """How loud the sound of a preprocessed folder is.

    None where it has no sound (any more), and where its faces were looked at too seldom for lips
    to be compared with it.

    Raises:
        MediaError: the sound is damaged.
    """
    settings = prepared.record.configuration or {}
    if (settings.get("faces") or {}).get("looks") == _TOO_FEW:
        return None
    if prepared.record.sound is None or not prepared.wav.is_file():
        return None
    return Loudness.of(prepared.wav, prepared.sound)
