"""``preprocess`` for a file that holds sound and no picture.

What takes the place of the picture's frames is a regular clock: row i of the feature store lies at
i / ``AnalysisConfig.sound_rate`` seconds, t = 0 being the first sound that can be decoded. Nobody
is in the picture, so ``present`` is false in all rows, and the only arrays are those made
of sound.
"""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np

from avaffect.config import AnalysisConfig, fingerprint
from avaffect.errors import MediaError, UsageError, output_error
from avaffect.files.atomic import sync_folder
from avaffect.files.names import WAV
from avaffect.media.facts import sound_facts
from avaffect.media.sound import extract_sound
from avaffect.media.source import Source
from avaffect.preprocessing.sound import (
    SoundReader,
    sound_arrays,
    stages,
    stale_arrays,
    store_sound,
    tell_cuts,
)
from avaffect.progress import EventCallback, Notice, ignore_events
from avaffect.store.keys import keys, model_hashes, sound_models
from avaffect.store.prepared import Prepared
from avaffect.store.provenance import array_key, provenance
from avaffect.store.record import Media, Record, Sound, Video
from avaffect.store.spool import Spool
from avaffect.store.subject import FACES, SpooledSubject
from avaffect.store.writing import write_subject


def voice_keys(sha256: str, config: AnalysisConfig) -> dict[str, str]:
    """The key of the frame table (``faces``) and of each array of a sound file.

    Args:
        sha256: of the file.
        config: the settings.
    """
    clock: list[float | None] = [float(config.sound_rate), config.media.audio_stream]
    if config.media.channel is not None:
        clock.append(config.media.channel)
    found = {FACES: array_key(sha256, FACES, clock)}
    if config.voice is not None:
        found["voice"] = array_key(sha256, "voice", clock, model_hashes(sound_models(config)))
    if config.audio is not None:
        sound = [clock, asdict(config.audio)]
        found["audio"] = array_key(sha256, "audio", sound)
        found["has_sound"] = array_key(sha256, "has_sound", sound)
    return found


def settings_key(config: AnalysisConfig) -> str:
    """Fingerprint of all that features depend on but the content: known without the file."""
    return fingerprint([keys("", config), voice_keys("", config)])


def preprocess_voice(
    source: Source,
    folder: Prepared,
    config: AnalysisConfig,
    on_event: EventCallback = ignore_events,
    name: str | None = None,
    device: str = "cpu",
) -> tuple[str, ...]:
    """Write ``audio.wav`` and the features of a sound file, as far as they are not there already.

    Some 60 ms for a clip of four seconds, most of it for starting ffmpeg. Memory does not grow
    with the length.

    Args:
        source: the file.
        folder: where to.
        config: the settings; those of faces and encoders do not matter.
        on_event: progress and notices.
        name: of the subject; None takes the file's stem.
        device: see ``mfcc.audio_features``.

    Returns:
        what was made now, of ``audio`` and ``voice``; empty if all was there.

    Raises:
        UsageError: ``config`` leaves the sound out.
        MediaError: no sound can be decoded.
        ModelError: weights of the voice net are not to be had or damaged.
        OutputError: results cannot be written.
    """
    path, sha256 = source.path, source.sha256
    arrays = sound_arrays(config)
    if not arrays:
        raise UsageError(
            f"'{path}' holds nothing but sound, which is left out", "leave out audio=None"
        )
    name = name or path.stem
    wanted = voice_keys(sha256, config)
    about = provenance(path.name, sha256, config.to_dict(), model_hashes(sound_models(config)))
    stored = folder.finished(wanted[FACES])
    if stored is not None and folder.wav.is_file():
        if not folder.media:  # of an earlier version
            seconds = stored[0].frames / config.sound_rate
            facts = sound_facts(path, config.media, config.sound_rate, seconds)
            folder.update(media=Media.of(facts))
        if arrays := stale_arrays(stored, config, wanted):
            folder.update(configuration=about["configuration"])
            reader = SoundReader(folder.wav, folder.sound, config, arrays, on_event, device)
            store_sound(folder, stored, reader, wanted, about)
        folder.clear_work()  # a run may have been killed while it did so
        return stages(arrays)
    folder.require_ours([folder.wav, folder.features(name)])
    if pictures := source.header.stills:
        shown = "a still picture" if pictures == 1 else f"{pictures} still pictures"
        text = (
            f"'{path.name}' shows {shown} beside its sound and is taken as sound "
            "(video_stream=0 takes the picture)"
        )
        on_event(Notice(text))
    wav = folder.work / WAV
    tracks = source.header.tracks
    sound = extract_sound(
        path, config.media, wav, first_time_s=None, tracks=tracks, on_event=on_event
    )
    if sound is None or sound.samples == 0:
        folder.clear_work()
        raise MediaError(
            f"no sound of '{path}' can be decoded", "check whether the file plays in a player"
        )
    # The rows are on a regular clock, which would run on through a gap.
    tell_cuts(path, sound, "what follows is moved forward by so much", on_event)
    closed = sound.in_wav(np.array([sound.start_s, sound.end_s]))
    heard = replace(sound, start_s=float(closed[0]), end_s=float(closed[1]), cuts=())
    spool = Spool.create(folder.work, {}, wanted[FACES])
    for row in range(int(np.ceil(sound.duration_s * config.sound_rate))):
        spool.append_frame(row / config.sound_rate)
    reader = SoundReader(wav, heard, config, arrays, on_event, device)
    spool.write_rows(reader.specs, reader.chunks(spool.times()))
    subject = SpooledSubject(name, spool, ())
    folder.claim([folder.wav, folder.features(subject.name)])
    write_subject(folder.features(subject.name), subject, about, wanted)
    try:
        wav.replace(folder.wav)
        sync_folder(folder.root)
    except OSError as error:
        raise output_error(folder.wav, error) from error
    facts = sound_facts(
        path,
        replace(config.media, audio_stream=sound.stream),
        config.sound_rate,
        sound.duration_s,
    )
    folder.write(
        Record(
            video=Video(**about["video"]),
            made_with=wanted[FACES],
            frames=subject.frames,
            faces=0,
            subjects=[subject.name],
            media=Media.of(facts),
            sound=Sound.of(heard, closed_gaps=sound.cuts),
            configuration=about["configuration"],
            versions=about["versions"],
        )
    )
    folder.clear_work()
    return stages(arrays)
