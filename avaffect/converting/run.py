"""``convert``: predictions that `predict` wrote, in the form of another program."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any

from avaffect.converting.form import Choices
from avaffect.converting.forms.registry import FORMS, form_named
from avaffect.converting.recording import Recording, find_recordings
from avaffect.converting.speech import Mapped, read_speech, require_one
from avaffect.errors import ForeignFileError, UsageError, boundary
from avaffect.files.atomic import write_json
from avaffect.files.csv_text import DECIMALS, Decimal, require_decimal
from avaffect.files.hashing import file_sha256
from avaffect.files.lock import alone_in
from avaffect.files.names import CONVERSIONS, CONVERTED, TABLES
from avaffect.files.ours import foreign
from avaffect.files.outside import read_kept
from avaffect.progress import EventCallback, Progress, ignore_events

# By file below the folder: its form, and the hash of what we wrote; empty while we write it.
_SHAPE = {"files": {str: {"form": str, "sha256": str}}}
_ELSEWHERE = "move it away, or choose another folder"


@dataclass(frozen=True)
class Converted:
    """What `convert` wrote.

    Attributes:
        folders: where, in the order of the predictions.
        files: paths.
        people: how many tables were converted.
        voices: of a transcript that was given, whose voice is whose.
    """

    folders: tuple[Path, ...]
    files: tuple[Path, ...]
    people: int
    voices: tuple[Mapped, ...] = ()


@boundary()
def convert(
    predictions: Path | str | Sequence[Path | str],
    form: str,
    out: Path | str | None = None,
    *,
    rate: float | None = None,
    decimal: Decimal = DECIMALS[0],
    transcript: Path | str | None = None,
    speakers: Path | str | None = None,
    on_event: EventCallback = ignore_events,
) -> Converted:
    """Write predictions in the form of another program. Nothing is predicted anew.

    Args:
        predictions: a folder that `predict` wrote, a parquet table in it, or several.
        form: ``csv``, ``jsonl``, ``eaf``, ``textgrid``, ``vtt``, ``nova``, ``index``, ``bids``
            or ``openface``, see docs/converting.md.
        out: the folder to write to; None for ``converted/<form>`` in each folder of predictions.
            What `convert` wrote there before is replaced, unless somebody has changed it since.
        rate: samples a second of forms that have no times of their own (``nova``, ``bids``); None
            takes the frames' mean rate.
        decimal: ``point`` or ``comma``, of ``csv``.
        transcript: what is said in the video, on its own clock: SubRip, WebVTT or TextGrid. It
            becomes tiers of ``eaf``, ``textgrid`` and ``vtt``.
        speakers: who speaks when, as RTTM; each voice is given to the person whose lips move.
        on_event: progress, stage ``convert``, unit ``files``.

    Raises:
        InputNotFoundError: there are no such predictions.
        UnknownNameError: no such form.
        UsageError: choices that do not go together, or two files of one name.
        ForeignFileError: a file is in the way that is not ours, or that somebody has changed.
        FormatError: a table that is damaged.
        OutputError: a file cannot be written.
        BusyError: another process converts into the same folder.
    """
    entry = form_named(form)
    require_decimal(decimal)
    if rate is not None and not entry.steady:
        raise UsageError(f"'{form}' has the frames' own times, and no rate", "leave out rate=...")
    heard = transcript is not None or speakers is not None
    if heard and not entry.tiers:
        named = ", ".join(name for name, each in FORMS.items() if each.tiers)
        raise UsageError(f"'{form}' has no tiers for a transcript", f"choose one of {named}")
    build, choices = entry.load(), Choices(rate, decimal)
    given = [predictions] if isinstance(predictions, Path | str) else list(predictions)
    folders: dict[Path, list[Recording]] = {}
    for each in map(Path, given):
        place = _root(each) / CONVERTED / form if out is None else Path(out)
        folders.setdefault(place, []).extend(find_recordings(each))
    voices: tuple[Mapped, ...] = ()
    if heard:
        ((place, found),) = _one_video(folders)
        speech = read_speech(transcript, speakers, found.people)
        tiers = speech.tiers(found.name.name)
        folders = {place: [replace(found, said=tiers)]}
        voices = tuple(speech.mapped.values())
    jobs: dict[Path, dict[PurePath, Callable[[Path], None]]] = {}
    for folder, recordings in folders.items():
        jobs[folder] = {}
        for path, write in (file for each in recordings for file in build(each, choices)):
            if path in jobs[folder]:
                raise UsageError(
                    f"two of the predictions would be written to '{folder / path}'",
                    "convert them into different folders",
                )
            jobs[folder][path] = write
    people = sum(len(each.people) for group in folders.values() for each in group)
    # With the jobs that are done what they have read goes.
    folders.clear()
    total = sum(map(len, jobs.values()))
    done: list[Path] = []
    for folder, files in jobs.items():
        names = [*files]
        with alone_in(folder):
            record = _Record(folder, form)
            record.claim(names)
            for name in names:
                files.pop(name)(folder / name)
                done.append(folder / name)
                on_event(Progress("convert", len(done), total, "files", len(done) == total))
            record.keep(names)
    return Converted(tuple(jobs), tuple(done), people, voices)


def _one_video(folders: Mapping[Path, Sequence[Recording]]) -> list[tuple[Path, Recording]]:
    found = [(place, each) for place, group in folders.items() for each in group]
    require_one(len(found))
    return found


class _Record:
    """Which files of a folder `convert` wrote, and what was in them then.

    Args:
        folder: where.
        form: that is written now.
    """

    def __init__(self, folder: Path, form: str) -> None:
        self._folder, self._form = folder, form
        kept = read_kept(self._path, _SHAPE) or {"files": {}}
        self._known: dict[str, dict[str, Any]] = kept["files"]

    @property
    def _path(self) -> Path:
        return self._folder / CONVERSIONS

    def claim(self, files: Sequence[PurePath]) -> None:
        """Write down what is about to be written.

        Raises:
            ForeignFileError: one is there that is not ours, of another form, or changed.
        """
        if self._path.exists() and not self._known:
            raise foreign(self._path)
        for name in files:
            path = self._folder / name
            if not path.exists():
                continue
            known = self._known.get(name.as_posix())
            if known is None:
                raise foreign(path, "choose another folder")
            if known["form"] != self._form:
                raise ForeignFileError(
                    f"'{path}' is there and of the form '{known['form']}'", _ELSEWHERE
                )
            if known["sha256"] and known["sha256"] != file_sha256(path):
                raise ForeignFileError(
                    f"somebody has changed '{path}' since avaffect wrote it", _ELSEWHERE
                )
        self._write(dict.fromkeys(files, ""))

    def keep(self, files: Sequence[PurePath]) -> None:
        """Write down what was written."""
        self._write({name: file_sha256(self._folder / name) for name in files})

    def _write(self, hashes: dict[PurePath, str]) -> None:
        for name, sha256 in hashes.items():
            self._known[name.as_posix()] = {"form": self._form, "sha256": sha256}
        write_json(self._path, {"files": dict(sorted(self._known.items()))})


def _root(predictions: Path) -> Path:
    """The output folder that predictions lie in: itself, or that of a table."""
    if not predictions.is_file():
        return predictions
    above = (folder.parent for folder in predictions.parents if folder.name == TABLES)
    return next(above, predictions.parent)
