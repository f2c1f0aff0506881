"""``predict``: a video, or a folder that ``preprocess`` wrote, becomes predictions."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avaffect.challenge.known import ways
from avaffect.config import PredictConfig
from avaffect.errors import FeatureError, boundary
from avaffect.files.names import WAV
from avaffect.files.temporaries import temporary_folder
from avaffect.media.local import local_path
from avaffect.media.source import Source, open_source
from avaffect.models.device import choose_device
from avaffect.predicting.beside import places, prepared_beside
from avaffect.predicting.loudness import loudness_of, stored_loudness
from avaffect.predicting.result import Result
from avaffect.predicting.settings import (
    chosen_config,
    chosen_predictor,
    require_listener,
    require_made,
)
from avaffect.predictions.eyes import with_eyes
from avaffect.predictions.missing import (
    marked,
    without_lone_voice,
)
from avaffect.predictions.smooth import apply, parse_smoothing
from avaffect.predictions.speaking import with_speaking
from avaffect.predictors.interface import Predictor
from avaffect.preprocessing.listening import Listening
from avaffect.preprocessing.run import (
    NetsLoader,
    damage,
    keep_subjects,
    media_facts,
    preprocess_source,
)
from avaffect.preprocessing.segments import join
from avaffect.preprocessing.sound_file import preprocess_voice
from avaffect.preprocessing.video_pass import Analysis, analyse
from avaffect.progress import EventCallback, ignore_events
from avaffect.recipes.pictures import FACE_PICTURES
from avaffect.store.keys import all_models, keys, model_hashes, pass_key
from avaffect.store.prepared import Prepared, is_preprocessed, sound_only
from avaffect.store.provenance import backbones_in, provenance
from avaffect.store.subject import FACES, SubjectFeatures

if TYPE_CHECKING:
    from avaffect.datasets.own_tables import OwnTables
    from avaffect.sound.loudness import Loudness


@boundary()
def predict(
    source: Path | str,
    task: str | Sequence[str] = "all",
    *,
    model: str | None = None,
    checkpoint: Path | str | None = None,
    missing: str | None = None,
    smooth: str | None = None,
    subjects: str | None = None,
    config: PredictConfig | None = None,
    device: str = "auto",
    on_event: EventCallback = ignore_events,
) -> Result:
    """Predict every frame of a video.

    Goes through the video once, at some 110 frames a second or more on two CPU cores for one
    face; the weights (6 MB) are fetched at the first use.

    >>> result = predict("video.mp4", task="va")  # doctest: +SKIP
    >>> result["video"].va  # float32 [frames, 2]: valence, arousal in -1..1  # doctest: +SKIP
    >>> result.to_frame()  # everything as a pandas DataFrame  # doctest: +SKIP

    Args:
        source: a video or sound file, or a folder that ``preprocess`` wrote.
        task: ``va``, ``expr``, ``au``, several of them, or ``all``.
        model: a built-in model, ``starter-2`` by default.
        checkpoint: folder that ``train`` wrote, to predict with that model instead.
        missing: what `Result.written` and the challenge's files hold in frames without a value:
            ``linear``, ``nearest``, ``previous`` or ``invalid``.
        smooth: ``off``, or a kind and seconds such as ``gaussian:0.5``; ``auto`` as suits the
            model.
        subjects: ``main`` (one person, or two as left and right) or ``all``.
        config: all settings, see :class:`avaffect.PredictConfig`. ``task`` and what is given of
            the arguments above take the place of its own; features that the model reads are
            added. None takes the defaults, without features that it does not read.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        on_event: progress and notices.

    Raises:
        UsageError: for a task, model or path that does not exist, or a net that the settings
            exclude by its licence.
        MediaError: if the file cannot be used as a video.
        ModelError: if weights are not to be had or damaged.
    """
    source = local_path(source)
    config = chosen_config(
        task,
        model=model,
        checkpoint=checkpoint,
        missing=missing,
        smooth=smooth,
        subjects=subjects,
        config=config,
    )
    device = choose_device(device).name
    predictor = chosen_predictor(config, device)
    if is_preprocessed(source):
        return predict_folder(source, config, predictor).on(device)
    opened = open_source(source, config.analysis.media)
    with temporary_folder(Path(tempfile.gettempdir()), "avaffect") as work:
        if opened.kind == "sound":
            result = predict_voice(
                opened, config, predictor, work, device=device, on_event=on_event
            )
        else:
            nets = NetsLoader(config.analysis, device)
            found_at = places(opened.path)
            prepared = prepared_beside(opened, config.analysis, found_at, on_event=on_event)
            result = predict_video(
                opened, config, predictor, nets, work, prepared=prepared, on_event=on_event
            )
        return result.on(device)


def predict_video(
    video: Source,
    config: PredictConfig,
    predictor: Predictor,
    nets: NetsLoader,
    work: Path,
    *,
    store: Prepared | None = None,
    name: str | None = None,
    prepared: Prepared | None = None,
    on_event: EventCallback = ignore_events,
) -> Result:
    """Predict a video in one streaming pass; see :func:`predict`.

    For a model that looks at pictures the pass writes them first, as they were written for its
    training.

    Args:
        video: the file.
        config: the settings.
        predictor: built for ``config``.
        nets: loads the nets of ``config.analysis``.
        work: a folder for the pass; an interrupted pass goes on from what is there.
        store: where to keep the features too; None keeps none.
        name: what the subjects are called; None takes the video's stem.
        prepared: what was made of the video before (``predicting.beside``), read in place of the
            pass; None makes it.
        on_event: progress and notices.

    Raises:
        UsageError: the predictor reads what cannot be made from a video alone.
    """
    analysis_config = config.analysis
    require_made(predictor)
    predictor.require_settings(analysis_config.to_dict())
    if FACE_PICTURES in predictor.needs:
        folder = store or Prepared(work / "preprocessed")
        preprocess_source(video, folder.root, analysis_config, nets, name, on_event)
        prepared = folder
    if prepared is not None:
        result = predict_folder(prepared.root, config, predictor)
        # Where preprocessing has written since.
        record = Prepared(prepared.root).record.to_dict()
        facts = ("frames", "damage", "people", "rotate", "segments")
        read = {name: record[name] for name in facts if name in record}
        return replace(result, source=video.path, about=result.about | read)
    if store is not None:
        store.require_free_for(video.path.name, video.sha256)
        store.require_ours([store.features(name or video.path.stem)])
    wanted = keys(video.sha256, analysis_config)
    key = pass_key(wanted, (FACES, *analysis_config.encoders))
    loaded, wav = nets(on_event), work / WAV
    join(video, analysis_config, work, key, on_event=on_event)
    with Listening(video, wav, analysis_config, nets.device) as listening:
        found = analyse(video, analysis_config, loaded, work, key, on_event=on_event)
        heard = listening.heard(on_event)
    # Without any arrays, what an interrupted run left goes.
    found.spool.write_rows(heard.reader.specs, heard.reader.chunks(found.spool.times()))
    loudness = loudness_of(wav, heard.sound, analysis_config.faces)
    wav.unlink(missing_ok=True)
    about = provenance_of(video.path.name, video.sha256, config, found)
    about["sound"] = None if heard.sound is None else asdict(heard.sound)
    subjects = found.spooled(analysis_config.faces, name)
    if store is not None:
        # The store's own configuration is that of the pass, as `preprocess` writes it.
        made = ("video", "models", "versions")
        kept = {name: about[name] for name in made}
        kept["configuration"] = analysis_config.to_dict()
        with store.alone():
            keep_subjects(store, found, subjects, wanted, kept, heard.sound)
            if name is not None:
                store.update(name=name)
    return result_of(video.path, subjects, config, predictor, about, loudness)


def provenance_of(
    name: str, sha256: str, config: PredictConfig, found: Analysis
) -> dict[str, object]:
    """What is written beside a prediction of the picture; the sound is not known here.

    Args:
        name: of the video's file.
        sha256: of its content.
        config: the settings.
        found: the pass over it.
    """
    models = model_hashes(all_models(config.analysis))
    about: dict[str, object] = provenance(name, sha256, config.to_dict(), models)
    about |= {
        "frames": found.report.frames,
        "damage": damage(found.report),
        "media": media_facts(found).to_dict(),
        "people": found.people(),
    }
    about |= {} if found.rotate is None else {"rotate": found.rotate}
    return about | ({"segments": found.segments} if found.segments else {})


def predict_folder(
    folder: Path, config: PredictConfig, predictor: Predictor, tables: OwnTables | None = None
) -> Result:
    """Predict from the features and pictures that ``preprocess`` stored in ``folder``.

    Args:
        folder: the folder.
        config: the settings.
        predictor: built for ``config``.
        tables: own features of the same subjects beside them.

    Raises:
        FeatureError: if preprocessing was not finished, or lacks what the model reads.
        UsageError: if there is nothing but sound, and the model does not listen.
    """
    prepared = Prepared(folder)
    stored = prepared.subjects()
    if sound_only(stored):
        own = () if tables is None else tables.folders
        require_listener(predictor, folder, {*stored[0].names, *own})
    first = stored[0].provenance
    for store in stored:
        backbones = backbones_in(store.keys) | ({} if tables is None else tables.models)
        predictor.require_settings({**first["configuration"], "backbones": backbones})
    subjects: Sequence[SubjectFeatures] = stored
    if FACE_PICTURES in predictor.needs:
        subjects = prepared.pictured()
    if tables is not None:
        from avaffect.datasets.own_subject import beside

        subjects = beside(subjects, tables)
    about = {key: first[key] for key in ("video", "models", "versions")}
    about["configuration"] = {**config.to_dict(), "analysis": first["configuration"]}
    sound = prepared.record.sound
    about |= {"media": prepared.media, "sound": None if sound is None else sound.to_dict()}
    loudness = stored_loudness(prepared)
    return result_of(folder, subjects, config, predictor, about, loudness)


def predict_voice(
    sound: Source,
    config: PredictConfig,
    predictor: Predictor,
    work: Path,
    *,
    store: Prepared | None = None,
    name: str | None = None,
    device: str = "cpu",
    on_event: EventCallback = ignore_events,
) -> Result:
    """Predict from a file that holds sound and no picture; see :func:`predict_video`.

    Raises:
        UsageError: if the predictor does not listen, or cannot do without faces.
    """
    require_listener(predictor, sound.path)
    folder = store or Prepared(work / "sound")
    with folder.alone():
        preprocess_voice(sound, folder, config.analysis, on_event, name, device)
        if name is not None and folder.record.name != name:
            folder.update(name=name)
    return replace(predict_folder(folder.root, config, predictor), source=sound.path)


def result_of(
    source: Path,
    subjects: Sequence[SubjectFeatures],
    config: PredictConfig,
    predictor: Predictor,
    about: dict[str, object],
    loudness: Loudness | None = None,
) -> Result:
    smoothing = parse_smoothing(config.smooth, predictor.smooth)
    start = _start(source, config, about)
    predictions, valued = [], 0
    for subject in subjects:
        raw = predictor.predict(subject, config.tasks)
        if len(subjects) > 1:
            raw = without_lone_voice(raw)
        # Once marked, a frame that was only heard counts as filled: its units are, in the text.
        valued = max(valued, raw.valued)
        prediction = marked(apply(raw, smoothing), config.missing)
        predictions.append(with_eyes(replace(prediction, start=start), subject))
    predictions, late = with_speaking(predictions, subjects, loudness)
    seen = max(int(prediction.present.sum()) for prediction in predictions)
    video = about.get("video")
    sha256 = str(video.get("sha256", "")) if isinstance(video, Mapping) else ""
    about = {
        **about,
        "model": predictor.name,
        "smoothing": str(smoothing),
        "missing": config.missing,
        "clock": config.clock,
        "known": {
            prediction.subject: ways(prediction.subject, getattr(predictor, "clips", {}), sha256)
            for prediction in predictions
        },
        "notes": list(predictor.notes),
        "sound_late_s": late,
    }
    return Result(source, tuple(predictions), predictor.notes, about, seen, valued, config.missing)


def _start(source: Path, config: PredictConfig, about: Mapping[str, Any]) -> float:
    """The time of the first frame on the clock that ``config`` asks for, in seconds.

    Raises:
        FeatureError: an older version preprocessed ``source`` and did not note it.
    """
    if config.clock == "frame":
        return 0.0
    media = about["media"]
    if "first_time_s" not in media:
        raise FeatureError(
            f"'{source}' does not say when the first frame is on the file's own clock",
            'run `avaffect preprocess` on the video again (quick), or use clock="frame"',
        )
    return float(media["first_time_s"])
