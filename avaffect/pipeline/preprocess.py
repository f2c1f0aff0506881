"""``preprocess``: a video becomes aligned faces, a wav file and a feature store."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from avaffect.config import AnalysisConfig, AudioConfig
from avaffect.errors import FeatureError, output_error
from avaffect.features.audio import audio_specs
from avaffect.features.store import (
    FACES,
    SpooledSubject,
    StoredSubject,
    provenance,
    replace_arrays,
    write_subject,
)
from avaffect.media.frames import DecodeReport
from avaffect.media.probe import probe, video_hash
from avaffect.media.sound import SoundInfo
from avaffect.pipeline.analyse import Analysis, Nets, analyse
from avaffect.pipeline.folder import Folder
from avaffect.pipeline.keys import CROPS, all_models, keys, model_hashes
from avaffect.pipeline.redo import crop_again, encode_again
from avaffect.pipeline.sound import make_wav, sound_chunks
from avaffect.progress import EventCallback, Notice, ignore_events

SOUND = ("audio", "has_sound")


@dataclass(frozen=True)
class Preprocessed:
    """What became of a video.

    Attributes:
        video: the file.
        folder: where everything is.
        subjects: names, a folder each in ``cropped_aligned/`` and ``features/``.
        frames: decoded frames.
        faces: frames with a face, of the subject seen most often.
        done: what was made now, e.g. ``("faces", "audio")``; empty if all was there.
    """

    video: Path
    folder: Folder
    subjects: tuple[str, ...]
    frames: int
    faces: int
    done: tuple[str, ...]


class NetsLoader:
    """Loads the nets when they are first needed, and only once for many videos."""

    def __init__(self, config: AnalysisConfig, device: str) -> None:
        self._config = config
        self._device = device
        self._nets: Nets | None = None

    def __call__(self, on_event: EventCallback = ignore_events) -> Nets:
        """The nets; ``on_event`` gets the progress of fetching their weights."""
        if self._nets is None:
            self._nets = Nets.load(self._config, self._device, on_event)
        return self._nets


def preprocess(
    video: Path | str,
    out: Path | str,
    config: AnalysisConfig | None = None,
    *,
    device: str = "cpu",
    nets: NetsLoader | None = None,
    on_event: EventCallback = ignore_events,
) -> Preprocessed:
    """Write aligned faces, sound and features of a video; do only what is not there already.

    What was made with the same video and settings is kept; a changed setting redoes what depends
    on it and nothing else; an interrupted run goes on where it stopped (at most 250 frames are
    done again).

    Args:
        video: the file.
        out: the folder for this video.
        config: the settings; None takes the defaults.
        device: ``cpu`` or ``cuda``, for the encoders.
        nets: loaded nets to share between videos; None loads them if needed.
        on_event: progress and notices.

    Raises:
        MediaError: if the file cannot be used as a video.
        UsageError: if ``out`` belongs to another video.
        ModelError: if weights are not to be had or damaged.
        OutputError: if results cannot be written; what was finished is kept.
    """
    video, folder = Path(video), Folder(Path(out))
    config = config or AnalysisConfig()
    nets = nets or NetsLoader(config, device)
    probe(video, config.media)  # refuses what is no video before anything is written
    sha256 = video_hash(video)
    folder.require_free_for(video.name, sha256)
    wanted = keys(sha256, config)
    about = provenance(video.name, sha256, config.to_dict(), model_hashes(all_models(config)))
    done: list[str] = []
    stored = _stored(folder, wanted[FACES])
    if stored is None:
        stored = _everything(video, folder, config, nets(on_event), wanted, about, on_event)
        done += [FACES]
    record = folder.record()
    if config.audio and not all(one.has(name, wanted[name]) for one in stored for name in SOUND):
        _make_wav(video, folder, config, record, on_event)
        _store_sound(folder, stored, config.audio, about, wanted, on_event)
        done += ["audio"]
    elif config.audio and record.get("sound") and not folder.wav.is_file():
        _make_wav(video, folder, config, record, on_event)
        done += ["audio"]
    stale = [
        name for name in config.encoders if not all(one.has(name, wanted[name]) for one in stored)
    ]
    if stale:
        encoders = [one for one in nets(on_event).encoders if one.spec.name in stale]
        encode_again(video, config, folder, stored, encoders, wanted, about, on_event)
        done += stale
    if folder.record().get("crops") != wanted[CROPS]:
        crop_again(video, config, folder, stored, on_event)
        folder.write_record({**folder.record(), "crops": wanted[CROPS]})
        done += [CROPS]
    if done:
        folder.write_record({**folder.record(), "configuration": config.to_dict()})
    record = folder.record()
    return Preprocessed(
        video, folder, tuple(record["subjects"]), record["frames"], record["faces"], tuple(done)
    )


def _stored(folder: Folder, faces_key: str) -> list[StoredSubject] | None:
    """The subjects that are there already, if they were made from this video in this way."""
    try:
        stored = folder.subjects()
    except FeatureError:
        return None
    return stored if all(one.has(FACES, faces_key) for one in stored) else None


def _everything(
    video: Path,
    folder: Folder,
    config: AnalysisConfig,
    nets: Nets,
    wanted: Mapping[str, str],
    about: Mapping[str, Any],
    on_event: EventCallback,
) -> list[StoredSubject]:
    crops = folder.work / "crops"
    names = (FACES, CROPS, *config.encoders)
    pass_key = "-".join(wanted[name] for name in names)
    analysis = analyse(video, config, nets, folder.work, pass_key, crops=crops, on_event=on_event)
    subjects = analysis.spooled(config.faces)
    for subject in subjects:
        _move_crops(crops, subject.tracks, folder.crops(subject.name))
    keep_subjects(folder, analysis, subjects, wanted, about, crops=wanted[CROPS])
    if not any(subject.tracks for subject in subjects):
        on_event(no_face(video, analysis.report.frames))
    shutil.rmtree(folder.work, ignore_errors=True)
    return folder.subjects()


def keep_subjects(
    folder: Folder,
    analysis: Analysis,
    subjects: Sequence[SpooledSubject],
    wanted: Mapping[str, str],
    about: Mapping[str, Any],
    *,
    crops: str | None = None,
    sound: SoundInfo | None = None,
) -> None:
    """Write the subjects of a finished pass into the feature store, and the folder's record.

    Args:
        folder: where.
        analysis: the pass.
        subjects: who.
        wanted: the key of every array, from ``pipeline.keys``.
        about: provenance.
        crops: the key of the aligned pictures, None if they were not made.
        sound: what the sound features in the spool were made from, None if there are none.
    """
    for subject in subjects:
        array_keys = {name: wanted[name] for name in (FACES, *subject.names)}
        write_subject(folder.features(subject.name), subject, about, array_keys)
    names = [subject.name for subject in subjects]
    _drop_others(folder, set(names))
    folder.write_record(
        {
            "video": about["video"],
            "frames": analysis.report.frames,
            "faces": max(int(subject.present.sum()) for subject in subjects),
            "subjects": names,
            "first_time_s": analysis.report.first_time_s,
            "damage": damage(analysis.report),
            "crops": crops,
            "sound": None if sound is None else asdict(sound),
            "configuration": about["configuration"],
            "versions": about["versions"],
        }
    )


def no_face(video: Path, frames: int) -> Notice:
    """What to say of a video without a face."""
    return Notice(
        f"no face was found in any of the {frames} frames of '{video.name}': all rows are marked "
        "missing; try --detector centerface, which finds smaller faces",
        warning=True,
    )


def damage(report: DecodeReport) -> dict[str, Any]:
    """What decoding met, for the records."""
    return {
        "decoding_errors": report.damaged,
        "first_error": report.first_error,
        "repaired_times": report.repaired_times,
    }


def _move_crops(crops: Path, tracks: Sequence[int], target: Path) -> None:
    try:
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for track in tracks:
            for picture in (crops / str(track)).iterdir():
                picture.rename(target / picture.name)
    except OSError as error:
        raise output_error(target, error) from error


def _drop_others(folder: Folder, names: set[str]) -> None:
    """Remove subjects that an earlier run with other settings named and this one does not."""
    for name in set(folder.record().get("subjects", ())) - names:
        if Path(name).name == name:
            shutil.rmtree(folder.crops(name), ignore_errors=True)
            shutil.rmtree(folder.features(name), ignore_errors=True)


def _make_wav(
    video: Path,
    folder: Folder,
    config: AnalysisConfig,
    record: dict[str, Any],
    on_event: EventCallback,
) -> None:
    sound = make_wav(video, folder.wav, config.media, on_event)
    if sound is None:
        folder.wav.unlink(missing_ok=True)
    folder.write_record({**record, "sound": None if sound is None else asdict(sound)})


def _store_sound(
    folder: Folder,
    stored: list[StoredSubject],
    config: AudioConfig,
    about: Mapping[str, Any],
    wanted: Mapping[str, str],
    on_event: EventCallback,
) -> None:
    specs = audio_specs(config)
    sound = folder.record()["sound"]
    span = None if sound is None else (sound["start_s"], sound["end_s"])
    sound_keys = {name: wanted[name] for name in specs}
    for subject in stored:
        chunks = sound_chunks(folder.wav, span, subject.times, config, on_event)
        replace_arrays(subject.folder, specs, chunks, about, sound_keys)
    stored[:] = folder.subjects()
