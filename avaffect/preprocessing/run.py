"""``preprocess``: a video becomes crops, a wav file and a feature store.

A file of nothing but sound becomes a wav file and a feature store, see
``preprocessing.sound_file``.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from avaffect.challenge.text import subject_file_name
from avaffect.config import AnalysisConfig
from avaffect.errors import boundary, output_error
from avaffect.files.atomic import sync_all, sync_folder
from avaffect.files.names import PROVENANCE
from avaffect.files.names import WAV as AUDIO_WAV
from avaffect.files.ours import relative, require_written
from avaffect.files.temporaries import remove_abandoned
from avaffect.media.facts import MediaFacts, video_facts
from avaffect.media.frames import DecodeReport
from avaffect.media.local import local_path
from avaffect.media.sound import SoundInfo
from avaffect.media.source import Source, open_source
from avaffect.models.device import choose_device
from avaffect.preprocessing.again import crop_again, encode_again, put_crops
from avaffect.preprocessing.listening import Heard, Listening
from avaffect.preprocessing.nets import Nets
from avaffect.preprocessing.recorder import crop_file
from avaffect.preprocessing.segments import join
from avaffect.preprocessing.sound import (
    SoundReader,
    make_wav,
    sound_arrays,
    stages,
    stale_arrays,
    store_sound,
)
from avaffect.preprocessing.sound_file import preprocess_voice
from avaffect.preprocessing.video_pass import Analysis, analyse
from avaffect.progress import EventCallback, ignore_events
from avaffect.store.keys import CROPS, WAV, all_models, keys, model_hashes, pass_key
from avaffect.store.prepared import Prepared, source_name
from avaffect.store.provenance import provenance
from avaffect.store.record import Damage, Media, Record, Sound, Video
from avaffect.store.subject import FACES, SpooledSubject, StoredSubject
from avaffect.store.writing import replace_configuration, write_subject


@dataclass(frozen=True)
class Preprocessed:
    """What became of a video or sound file.

    Attributes:
        video: the file.
        folder: where everything is.
        subjects: names, a folder each in ``cropped_aligned/`` and ``features/``.
        frames: decoded frames, of a sound file the rows on its clock.
        faces: frames with a face, of the subject seen most often.
        done: what was made now, e.g. ``("faces", "audio")``; empty if all was there.
        sound_only: the file has no picture, so nobody was looked for.
        rotate: the ``MediaConfig.rotate`` by which faces would be upright; None if they are.
    """

    video: Path
    folder: Prepared
    subjects: tuple[str, ...]
    frames: int
    faces: int
    done: tuple[str, ...]
    sound_only: bool = False
    rotate: int | None = None


class NetsLoader:
    """Loads the nets when they are first needed, and only once for many videos."""

    def __init__(self, config: AnalysisConfig, device: str) -> None:
        self._config = config
        self.device = device
        self._nets: Nets | None = None

    def __call__(self, on_event: EventCallback = ignore_events) -> Nets:
        """The nets; ``on_event`` gets the progress of fetching their weights."""
        if self._nets is None:
            self._nets = Nets.load(self._config, self.device, on_event)
        return self._nets


@boundary()
def preprocess(
    video: Path | str,
    out: Path | str,
    config: AnalysisConfig | None = None,
    *,
    device: str = "auto",
    nets: NetsLoader | None = None,
    name: str | None = None,
    on_event: EventCallback = ignore_events,
) -> Preprocessed:
    """Write crops, sound and features of a video; do only what is not there already.

    A file of sound without a picture gets sound features on a clock of
    ``config.sound_rate`` rows a second.

    What was made with the same video and settings is kept; a changed setting redoes what depends
    on it and nothing else; an interrupted run goes on where it stopped (at most 250 frames are
    done again).

    Args:
        video: the file.
        out: the folder for this video.
        config: the settings; None takes the defaults.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``, for the encoders and the sound.
        nets: loaded nets to share between videos; None loads them if needed.
        name: what its subjects are called; None takes the video's stem.
        on_event: progress and notices.

    Raises:
        MediaError: if the file can be used neither as a video nor as sound.
        UsageError: if ``out`` belongs to another video, or the video's name cannot be a folder's.
        ForeignFileError: if something is in the way that avaffect did not write.
        BusyError: if another process writes into ``out``.
        ModelError: if weights are not to be had or damaged.
        OutputError: if results cannot be written; what was finished is kept.
    """
    video = local_path(video)
    source_name(video)  # refuses a name that no file can have
    subject_file_name(f"{name or video.stem}_right")
    config = config or AnalysisConfig()
    source = open_source(video, config.media)  # and what is no video, before anything is written
    if nets is None:
        nets = NetsLoader(config, choose_device(device).name)
    return preprocess_source(source, Path(out).expanduser(), config, nets, name, on_event)


def preprocess_source(
    source: Source,
    out: Path,
    config: AnalysisConfig,
    nets: NetsLoader,
    name: str | None = None,
    on_event: EventCallback = ignore_events,
) -> Preprocessed:
    """As :func:`preprocess`, of a file that was opened already."""
    video, folder = source.path, Prepared(out)
    stem, name = source_name(video), name or video.stem
    with folder.alone():
        remove_abandoned(folder.root)
        folder.require_free_for(video.name, source.sha256)
        if source.kind == "sound":
            # Of a video that had this name before.
            _drop_others(folder, {name})
            made = preprocess_voice(source, folder, config, on_event, name, nets.device)
            result = _result(video, folder, made, sound_only=True)
        else:
            result = _preprocess(source, folder, config, nets, name, on_event)
        if name != stem and folder.record.name != name:
            folder.update(name=name)
        return result


def _preprocess(
    video: Source,
    folder: Prepared,
    config: AnalysisConfig,
    nets: NetsLoader,
    name: str,
    on_event: EventCallback,
) -> Preprocessed:
    wanted, models = keys(video.sha256, config), model_hashes(all_models(config))
    about = provenance(video.path.name, video.sha256, config.to_dict(), models)
    done: list[str] = []
    heard: Heard | None = None
    stored = folder.finished(wanted[FACES])
    if stored is None:
        # Before the long work; who is in the video shows at its end.
        wav = [folder.wav] if sound_arrays(config) else []
        folder.require_ours([folder.features(name), folder.crops(name), *wav])
        loaded = nets(on_event)
        with Listening(video, folder.work / AUDIO_WAV, config, nets.device) as listening:
            stored = _everything(video, folder, config, loaded, wanted, about, name, on_event)
            heard = listening.heard(on_event)
        done += [FACES, CROPS]
    if not folder.record.knows("media"):  # of an earlier version
        facts = video_facts(video.media, stored[0].times, video.media.video.first_time_s)
        folder.update(media=Media.of(facts))
    stale = [
        name
        for name in config.encoders
        if not all(subject.has(name, wanted[name]) for subject in stored)
    ]
    unheard = stale_arrays(stored, config, wanted)
    silent = bool(sound_arrays(config)) and not _has_wav(folder, wanted[WAV])
    if silent or unheard or stale or folder.record.crops != wanted[CROPS]:
        # First, since a run that is killed behind its last stage leaves nothing to be done.
        folder.update(configuration=config.to_dict())
    done += _add_sound(video, folder, stored, heard, config, wanted, about, on_event, nets.device)
    if stale:
        encoders = [encoder for encoder in nets(on_event).encoders if encoder.spec.name in stale]
        encode_again(video, config, folder, stored, encoders, wanted, about, on_event)
        done += stale
    if folder.record.crops != wanted[CROPS]:
        # No key while they are exchanged: a run cut off in between makes them again.
        folder.update(crops=None)
        folder.claim(folder.crops(subject.name) for subject in stored)
        crop_again(video, config, folder, stored, on_event)
        for subject in stored:
            replace_configuration(subject.folder, faces=asdict(config.faces))
        sync_all()
        folder.update(crops=wanted[CROPS])
        if CROPS not in done:
            done += [CROPS]
    folder.clear_work()
    return _result(video.path, folder, tuple(done))


def _result(
    video: Path, folder: Prepared, done: tuple[str, ...], sound_only: bool = False
) -> Preprocessed:
    record = folder.record
    stores = [folder.features(name) / PROVENANCE for name in record.subjects]
    crops = [folder.crops(name) for name in record.subjects if record.crops is not None]
    wav = [folder.wav] if record.sound is not None and record.wav is not None else []
    require_written([folder.path, *stores, *crops, *wav])
    return Preprocessed(
        video,
        folder,
        tuple(record.subjects),
        record.frames or 0,
        record.faces or 0,
        done,
        sound_only,
        record.rotate,
    )


def _everything(
    video: Source,
    folder: Prepared,
    config: AnalysisConfig,
    nets: Nets,
    wanted: Mapping[str, str],
    about: Mapping[str, Any],
    name: str,
    on_event: EventCallback,
) -> list[StoredSubject]:
    crops = folder.work / "crops"
    key = pass_key(wanted, (FACES, CROPS, *config.encoders))
    join(video, config, folder.work, key, crops=crops, on_event=on_event)
    analysis = analyse(video, config, nets, folder.work, key, crops=crops, on_event=on_event)
    subjects = analysis.spooled(config.faces, name)
    # The pictures last: a run cut off in between makes them again from the stored points.
    keep_subjects(folder, analysis, subjects, wanted, about)
    folder.claim(folder.crops(subject.name) for subject in subjects)
    if all(_take_crops(crops, subject, folder.crops(subject.name)) for subject in subjects):
        sync_all()
        folder.update(crops=wanted[CROPS])
    return folder.subjects()


def keep_subjects(
    folder: Prepared,
    analysis: Analysis,
    subjects: Sequence[SpooledSubject],
    wanted: Mapping[str, str],
    about: Mapping[str, Any],
    sound: SoundInfo | None = None,
) -> None:
    """Write the subjects of a finished pass into the feature store, and the folder's record.

    Args:
        folder: where.
        analysis: the pass.
        subjects: who.
        wanted: the key of every array, from ``store.keys``.
        about: provenance.
        sound: what the sound features in the spool were made from, None if there are none.

    Raises:
        ForeignFileError: features that avaffect did not write are in the way.
    """
    folder.claim(folder.features(subject.name) for subject in subjects)
    for subject in subjects:
        array_keys = {name: wanted[name] for name in (FACES, *subject.names)}
        write_subject(folder.features(subject.name), subject, about, array_keys)
    names = [subject.name for subject in subjects]
    _drop_others(folder, set(names))
    record = Record(
        video=Video(**about["video"]),
        made_with=wanted[FACES],
        frames=analysis.report.frames,
        faces=max(int(subject.present.sum()) for subject in subjects),
        subjects=names,
        first_time_s=analysis.report.first_time_s,
        media=Media.of(media_facts(analysis)),
        damage=Damage(**damage(analysis.report)),
        people=analysis.people(),
        crops=None,
        sound=None if sound is None else Sound.of(sound),
        wav=None,
        configuration=about["configuration"],
        versions=about["versions"],
    )
    more = {"rotate": analysis.rotate, "segments": analysis.segments or None}
    folder.write(record.but(**{name: value for name, value in more.items() if value is not None}))


def media_facts(analysis: Analysis) -> MediaFacts:
    """What a finished pass knows of the file's clock, rate and picture."""
    times = analysis.spool.times()
    return video_facts(analysis.info, times, analysis.report.first_time_s)


def damage(report: DecodeReport) -> dict[str, Any]:
    """What decoding met, for the records."""
    return {
        "decoding_errors": report.damaged,
        "first_error": report.first_error,
        "repaired_times": report.repaired_times,
    }


def _take_crops(crops: Path, subject: SpooledSubject, target: Path) -> bool:
    """Make the folder ``target`` of the pictures that a pass left, a folder a track; False if
    some are gone."""
    fresh = crops / "subject"
    try:
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        # On a frame with two tracks of a subject only one counts.
        for frame, track in enumerate(subject.arrow_table()["track"].to_numpy()):
            if track >= 0:
                picture = crop_file(crops / str(track), frame)
                picture.rename(fresh / picture.name)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise output_error(target, error) from error
    put_crops(fresh, target)
    return True


def _drop_others(folder: Prepared, names: set[str]) -> None:
    """Remove subjects that an earlier run with other settings named and this one does not."""
    ours = folder.ours()
    for name in set(folder.record.subjects) - names:
        for path in (folder.crops(name), folder.features(name)):
            if Path(name).name == name and relative(path, folder.root) in ours:
                shutil.rmtree(path, ignore_errors=True)


def _add_sound(
    video: Source,
    folder: Prepared,
    stored: list[StoredSubject],
    heard: Heard | None,
    config: AnalysisConfig,
    wanted: Mapping[str, str],
    about: Mapping[str, Any],
    on_event: EventCallback,
    device: str,
) -> tuple[str, ...]:
    """Bring the wav and the arrays made of it up to date; what was made, as ``stages`` has it.

    What was ``heard`` during the pass is taken as it is.
    """
    unheard = stale_arrays(stored, config, wanted)
    made = set(unheard)
    if sound_arrays(config) and (heard or not _has_wav(folder, wanted[WAV])):
        fresh = folder.work / AUDIO_WAV
        sound = heard.sound if heard else make_wav(video, fresh, config.media, on_event)
        _keep_wav(folder, fresh, sound, wanted[WAV])
        made.add("audio")
    if unheard:
        reader = (
            heard.moved(folder.wav)
            if heard
            else SoundReader(folder.wav, folder.sound, config, unheard, on_event, device)
        )
        store_sound(folder, stored, reader, wanted, about)
    return stages(made)


def _has_wav(folder: Prepared, key: str) -> bool:
    """Whether ``audio.wav`` was made with ``key``, or it was found that there is no sound."""
    record = folder.record
    return record.wav == key and (record.sound is None or folder.wav.is_file())


def _keep_wav(folder: Prepared, wav: Path, sound: SoundInfo | None, key: str) -> None:
    """Make ``wav``, which holds ``sound``, the folder's; without sound it has none."""
    # No key while it is exchanged: a run cut off in between makes it again.
    folder.update(wav=None)
    folder.claim([folder.wav])
    try:
        if sound is None:
            folder.wav.unlink(missing_ok=True)
        else:
            wav.replace(folder.wav)
    except OSError as error:
        raise output_error(folder.wav, error) from error
    sync_folder(folder.root)
    folder.update(sound=None if sound is None else Sound.of(sound), wav=key)
