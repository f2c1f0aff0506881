"""``blend``: join folders of several models' predictions into one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path, PurePath
from typing import Any

from avaffect.challenge.editions import DEFAULT_EDITION, TRACKS
from avaffect.challenge.known import WAYS, ways_of
from avaffect.challenge.places import files_in, mirrored
from avaffect.config import fingerprint
from avaffect.errors import AvaffectError, UsageError, boundary
from avaffect.files.atomic import write_json
from avaffect.files.csv_text import DECIMALS
from avaffect.files.hashing import file_sha256
from avaffect.files.names import RECORDS, TABLES
from avaffect.files.ours import holds, require_own_file, require_written
from avaffect.files.outside import real_path
from avaffect.files.table import read_about
from avaffect.metrics.by_video import Scored
from avaffect.metrics.pairs import first_few
from avaffect.predicting.blend_scores import BlendScores, labels_of
from avaffect.predicting.outputs import Outputs, ready
from avaffect.predicting.read_back import Predictions, Tables, open_predictions
from avaffect.predicting.records import WORK
from avaffect.predicting.run import Result
from avaffect.predicting.writers.registry import DEFAULT_FORM, build_writer, require_form
from avaffect.predicting.writers.writer import Writer
from avaffect.predictions.blend import Blending, blend
from avaffect.predictions.missing import DEFAULT_POLICY, marked
from avaffect.predictions.prediction import Prediction
from avaffect.predictions.smooth import apply, parse_smoothing
from avaffect.progress import EventCallback, Progress, ignore_events
from avaffect.version import __version__

RECORD = "blend.json"


@dataclass(frozen=True)
class Blended:
    """The result of blending.

    Attributes:
        subjects: who is in the output folder, sorted.
        frames: of all of them.
        tasks: that are predicted of any.
        models: by folder, the models' names.
        left_out: subjects that only some folders have.
        scores: by task, of each folder in their order, and last of the blend; on the subjects
            whose labels are in one of the folders, see `predicting.blend_scores`. All empty
            without labels.
    """

    subjects: tuple[str, ...]
    frames: int
    tasks: tuple[str, ...]
    models: dict[str, tuple[str, ...]]
    left_out: tuple[str, ...]
    scores: tuple[dict[str, Scored], ...] = ()


@boundary()
def blend_folders(
    folders: Sequence[Path | str],
    out: Path | str,
    how: Blending | None = None,
    *,
    smooth: str = "off",
    missing: str = DEFAULT_POLICY,
    form: str = DEFAULT_FORM,
    edition: str = DEFAULT_EDITION,
    common: bool = False,
    overwrite: bool = False,
    csv: bool = True,
    decimal: str = DECIMALS[0],
    on_event: EventCallback = ignore_events,
) -> Blended:
    """Blend the predictions in several folders.

    The output folder gets what `predict` writes (challenge files, a table and a record a
    subject), and ``blend.json`` with the settings, and with scores where labels are known: the
    tables of training runs' validation clips hold them. Tables count with their probabilities,
    folders of challenge files alone with their labels, see `predicting.read_back`. What is in the
    folders was smoothed when it was predicted, or was not; values that stood in for missing ones
    are dropped and made anew.

    Args:
        folders: see `predicting.read_back.open_predictions`.
        out: the output folder, none of ``folders``.
        how: weights and rules; None averages with equal weights.
        smooth: smoothing of the result, see `predictions.smooth.parse_smoothing`; ``auto`` is off.
        missing: policy for frames without a value.
        form: a key of ``writers.registry.WRITERS``.
        edition: an edition of ``challenge.editions.EDITIONS``.
        common: blend the subjects that all folders have, and leave out the others.
        overwrite: replace the predictions that are in ``out``.
        csv: whether each table lies beside it as CSV too.
        decimal: one of ``files.csv_text.DECIMALS``, for the CSV.
        on_event: progress in subjects.

    Raises:
        UsageError: settings that do not fit, subjects that only some folders have, or an ``out``
            that holds predictions.
        InputNotFoundError: a folder without predictions.
        FormatError: predictions that do not belong together.
        ForeignFileError: something is in the way that avaffect did not write.
        BusyError: another process writes into ``out``.
        OutputError: a file cannot be written.
    """
    how, out = how or Blending(), Path(out)
    how.require_fits(len(folders))
    smoothing = parse_smoothing(smooth)
    require_form(form, edition, TRACKS if form == "mtl" else ())
    opened = [open_predictions(Path(folder), edition) for folder in folders]
    subjects, left_out = _subjects(opened, common=common)
    outputs = Outputs(out, edition, form, decimal=decimal if csv else None)
    _require_free(out, opened, overwrite=overwrite)
    settings: dict[str, Any] = {
        "version": __version__,
        "folders": [str(folder) for folder in folders],
        **asdict(how),
        "weights": list(how.weights or [1.0] * len(folders)),
        "smooth": str(smoothing),
        "missing": missing,
        "edition": edition,
    }
    models: dict[str, dict[str, None]] = {str(folder): {} for folder in folders}
    tasks: dict[str, None] = {}
    shared: Writer | None = None
    scores = BlendScores(len(folders))
    frames = 0
    with outputs.alone_with_single(), outputs.writing(0.0):
        _require_free(out, opened, overwrite=overwrite)
        outputs.require_ours(outputs.writer.shared)
        # What is half replaced is no blend.
        (out / RECORD).unlink(missing_ok=True)
        with ExitStack() as stack:
            for done, subject in enumerate(subjects, start=1):
                each, inputs, video = _read(opened, subject)
                for folder, prediction in zip(folders, each, strict=True):
                    models[str(folder)][prediction.model] = None
                raw = blend(each, how)
                smoothed = apply(raw, smoothing)
                if (labelled := labels_of(subject, _tables(opened, subject))) is not None:
                    scores.add(labelled, each, smoothed)
                blended = marked(smoothed, missing)
                about = {
                    **video,
                    "model": blended.model,
                    "smoothing": str(smoothing),
                    "missing": missing,
                    "blend": {**settings, "inputs": inputs},
                    "notes": [f"blended from {len(folders)} folders, see blend.json"],
                }
                seen = int(blended.present.sum())
                result = Result(out, (blended,), (), about, seen, raw.valued, missing)
                name = _place(opened, subject)
                outputs.write(name, result, _key(each, settings))
                if outputs.writer.shared:
                    if shared is None:
                        shared = build_writer(form, out, edition, blended.tasks)
                        stack.enter_context(shared.open())
                    shared.write(*ready(name, result))
                frames += len(blended)
                tasks |= dict.fromkeys(blended.tasks)
                on_event(
                    Progress(
                        "blend", done, len(subjects), "subjects", finished=done == len(subjects)
                    )
                )
        for subject, name in outputs.owners().items():
            if subject not in subjects:
                outputs.drop(name, [subject])
        for subject in subjects:
            place = _place(opened, subject)
            named = outputs.records.read(place).get("files", ())
            require_written([outputs.records.path(place), *(out / file for file in named)])
        names = {folder: tuple(some) for folder, some in models.items()}
        record: dict[str, Any] = {"models": names, "subjects": subjects, "left_out": left_out}
        if any(parts := scores.parts):
            each_task = [{task: of.to_dict() for task, of in part.items()} for part in parts]
            record["scores"] = {"folders": each_task[:-1], "blend": each_task[-1]}
        write_json(out / RECORD, {**settings, **record})
        return Blended(subjects, frames, tuple(tasks), names, left_out, parts)


def _subjects(
    opened: Sequence[Predictions], *, common: bool
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Whom to blend, and whom to leave out."""
    shared = frozenset.intersection(*(folder.subjects for folder in opened))
    odd = sorted(frozenset.union(*(folder.subjects for folder in opened)) - shared)
    if not shared:
        raise UsageError(
            "no subject is in all of the folders", "predict the same videos with all models"
        )
    if odd and not common:
        lacking = next(folder.root for folder in opened if odd[0] not in folder.subjects)
        raise UsageError(
            f"{len(odd)} subjects are in some of the folders only ({first_few(odd)}; '{lacking}' "
            f"lacks '{odd[0]}')",
            "predict them with all models, or blend the others with common=True",
        )
    return tuple(sorted(shared)), tuple(odd)


def _require_free(out: Path, opened: Sequence[Predictions], *, overwrite: bool) -> None:
    """Refuse an output folder that is read from, or that holds other predictions."""
    places = {real_path(source.root) for source in opened}
    for source in opened:
        if isinstance(source, Tables):
            tables = (
                path.parents[len(mirrored(path.with_suffix(""), subject).parts) - 1]
                for subject, path in source.files.items()
            )
            places |= {real_path(folder.parent) for folder in tables}
    if real_path(out) in places:
        raise UsageError(f"'{out}' is what is blended", "choose another output folder")
    record = out / RECORD
    require_own_file(record, holds(b'"folders"', b'"version"'))
    ours, unfinished = record.is_file(), not record.exists() and _is_begun(out)
    if unfinished:
        return
    if any((out / name).exists() for name in (TABLES, RECORDS)) and not (ours and overwrite):
        raise UsageError(
            f"'{out}' holds predictions already",
            "choose another output folder"
            + (", or replace them with overwrite=True" if ours else ""),
        )


def _is_begun(out: Path) -> bool:
    """Whether all predictions in ``out`` are those of a blend, which did not end."""
    records = [path for place, path in files_in(out / RECORDS) if place.suffix == ".json"]
    tables = [path for place, path in files_in(out / TABLES) if place.suffix == ".parquet"]
    if not (records or tables):
        return any(place.suffix == ".claims" for place, _ in files_in(out / WORK))
    return all(map(holds(b'"blend"', b'"inputs"'), records)) and all(map(_is_blend, tables))


def _is_blend(table: Path) -> bool:
    try:
        return "blend" in read_about(table)
    except AvaffectError:
        return False


def _key(each: Sequence[Prediction], settings: Mapping[str, Any]) -> str:
    """What a blend depends on: the predictions' values and how they are joined."""
    how = {name: value for name, value in settings.items() if name not in ("version", "folders")}
    return fingerprint([how, [_content(prediction) for prediction in each]])


def _content(prediction: Prediction) -> str:
    digest = hashlib.sha256(prediction.model.encode(errors="replace"))
    for name, values in prediction.columns().items():
        plain = values.tolist() if values.dtype == object else values.tobytes()
        digest.update(repr((name, plain)).encode())
    return digest.hexdigest()


def _place(opened: Sequence[Predictions], subject: str) -> str:
    """The name of a subject's files, with the folders of the first table of it."""
    tables = _tables(opened, subject)
    place = next((mirrored(path.with_suffix(""), subject) for path in tables), PurePath(subject))
    return place.as_posix()


def _tables(opened: Sequence[Predictions], subject: str) -> list[Path]:
    """The tables of a subject, in the order of the folders."""
    return [source.files[subject] for source in opened if isinstance(source, Tables)]


def _read(
    opened: Sequence[Predictions], subject: str
) -> tuple[list[Prediction], list[dict[str, str]], dict[str, Any]]:
    """Each folder's prediction, its source, and the video's description in the first table."""
    clocks = (folder.times(subject) for folder in opened)
    times = next((clock for clock in clocks if clock is not None), None)
    inputs: list[dict[str, str]] = []
    video: dict[str, Any] = {}
    known_ways: set[str] = set()
    for folder in opened:
        if not isinstance(folder, Tables):
            inputs.append({"folder": str(folder.root)})
            continue
        path = folder.files[subject]
        inputs.append({"table": str(path), "sha256": file_sha256(path)})
        about = read_about(path)
        known_ways |= set(ways_of(about, subject))
        # The result's times are those of the first table.
        known = {key: about[key] for key in ("video", "media", "clock") if key in about}
        video = video or {key: value for key, value in known.items() if value}
    video["known"] = {subject: [way for way in WAYS if way in known_ways]}
    return [folder.read(subject, times) for folder in opened], inputs, video
