"""``voice``: pitch, loudness, speech and pauses of a sound, on the frames' clock."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avaffect.challenge.places import checked
from avaffect.config import AnalysisConfig
from avaffect.errors import AvaffectError, MediaError, boundary
from avaffect.files.atomic import write_json
from avaffect.files.csv_text import DECIMALS, Decimal, require_decimal, write_csv
from avaffect.files.names import VOICES, WAV
from avaffect.files.ours import foreign
from avaffect.files.table import read_about, write_table
from avaffect.files.temporaries import temporary_folder
from avaffect.measuring.summary import summary_of
from avaffect.media.frames import FrameReader
from avaffect.media.local import local_path
from avaffect.media.sound import SoundInfo, extract_sound
from avaffect.media.source import open_source
from avaffect.preprocessing.sound import make_wav
from avaffect.progress import EventCallback, ignore_events
from avaffect.sound.loudness import Loudness
from avaffect.sound.pauses import talk_of
from avaffect.sound.pitch import measure_pitch
from avaffect.sound.smile import measure_smile
from avaffect.sound.speech import detect_speech
from avaffect.store.prepared import Prepared, is_preprocessed, source_name

_KIND = "voice"
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Measured:
    """What `measure` wrote.

    Attributes:
        files: the table, its CSV, and the summary as JSON.
        rows: of the table, one a decoded frame.
        summary: what the JSON says.
    """

    files: tuple[Path, ...]
    rows: int
    summary: Mapping[str, Any]


@dataclass(frozen=True)
class _Heard:
    """A sound and the frames beside it."""

    wav: Path
    sound: SoundInfo
    times: Floats


@boundary()
def measure(
    source: Path | str,
    out: Path | str,
    *,
    name: PurePath | None = None,
    smile: str | None = None,
    decimal: Decimal = DECIMALS[0],
    config: AnalysisConfig | None = None,
    on_event: EventCallback = ignore_events,
) -> Measured:
    """Measure the voice in a video, a sound file, or a folder that `preprocess` wrote.

    Writes ``voices/<name>.parquet`` and ``.csv``, a row a decoded frame (of a sound file,
    ``config.sound_rate`` rows a second), and ``voices/<name>.json``. Their
    columns are in docs/howto/speaking.md.

    Args:
        source: what is measured. A video is decoded for the times of its frames.
        out: the folder to write to. What an earlier run wrote is replaced.
        name: what the files are called; None for the source's own name.
        smile: a set of openSMILE too, see `sound.smile.SETS`, where the package is installed.
        decimal: ``point`` or ``comma``, of the CSV.
        config: which audio stream and channel.
        on_event: progress.

    Raises:
        UsageError: no such source, or opensmile is not installed.
        MediaError: it cannot be read, or has no sound.
        ForeignFileError: a file is in the way that is not ours.
        OutputError: a file cannot be written.
    """
    require_decimal(decimal)
    source, config = local_path(source), config or AnalysisConfig()
    place = checked(name or PurePath(source_name(source)))
    paths = tuple(Path(out, VOICES, f"{place}{end}") for end in (".parquet", ".csv", ".json"))
    _require_ours(paths)
    with temporary_folder(Path(tempfile.gettempdir()), "avaffect") as work:
        heard, about = _heard(source, work / WAV, config, on_event)
        columns, summary = _measures(heard, smile, on_event)
    about |= {"kind": _KIND, "subject": place.name, "smile": smile}
    write_table(paths[0], columns, about)
    write_csv(paths[1], columns, decimal)
    write_json(paths[2], {**about, **summary})
    return Measured(paths, len(heard.times), summary)


def _heard(
    source: Path, wav: Path, config: AnalysisConfig, on_event: EventCallback
) -> tuple[_Heard, dict[str, Any]]:
    """The sound of a source; ``wav`` is where it is written if there is none yet.

    Raises:
        MediaError: it has no sound.
    """
    silent = MediaError(f"'{source}' has no sound", "choose a file with a voice")
    if is_preprocessed(source):
        prepared = Prepared(source)
        stored = prepared.subjects()
        sound = prepared.sound
        if sound is None or not prepared.wav.is_file():
            raise silent
        about = {"video": stored[0].provenance.get("video"), "media": prepared.media}
        return _Heard(prepared.wav, sound, np.asarray(stored[0].times)), about
    opened = open_source(source, config.media)
    about = {"video": {"name": opened.path.name, "sha256": opened.sha256}}
    if opened.kind == "sound":
        found = extract_sound(source, config.media, wav, first_time_s=None, on_event=on_event)
        if found is None:
            raise silent
        rows = max(1, int(np.ceil(found.end_s * config.sound_rate)))
        return _Heard(wav, found, np.arange(rows) / config.sound_rate), about
    found = make_wav(opened, wav, config.media, on_event)
    if found is None:
        raise silent
    with FrameReader(source, config.media) as reader:
        times = np.array([frame.time for frame in reader])
    return _Heard(wav, found, times), about


def _measures(
    heard: _Heard, smile: str | None, on_event: EventCallback
) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """The columns, and the summary."""
    times, sound = heard.times, heard.sound
    at = sound.in_wav(times)
    there = (times >= sound.start_s) & (times < sound.end_s)
    extra = {} if smile is None else measure_smile(heard.wav, smile, at, on_event)
    speech = detect_speech(heard.wav, on_event)
    pitch, talk = measure_pitch(heard.wav, on_event), talk_of(speech)
    loudness = Loudness.of(heard.wav, sound)
    f0, voiced = pitch.at(at)
    spoken, paused = (_within(spans, at) for spans in (talk.speech, talk.pauses))
    columns: dict[str, Any] = {
        "f0_hz": f0,
        "voiced": np.isfinite(f0),
        "voiced_p": voiced,
        "level_db": loudness.at(times),
        "speech": speech.mean(at - 0.1, at + 0.1),
        "in_speech": spoken,
        "in_pause": paused,
        **extra,
    }
    known = {
        name: np.where(there, values, np.nan).astype(np.float32)
        for name, values in columns.items()
    }
    rows = {"frame": np.arange(1, len(times) + 1), "time": times}
    return rows | known, summary_of(pitch, talk, loudness, sound)


def _within(spans: tuple[tuple[float, float], ...], at: Floats) -> NDArray[np.bool_]:
    edges = np.array(spans).reshape(-1)
    return np.asarray(np.searchsorted(edges, at, side="right") % 2 == 1)


def _require_ours(paths: tuple[Path, ...]) -> None:
    """Raise ForeignFileError unless nothing is in the way, or our own table is."""
    if not any(path.exists() for path in paths):
        return
    with suppress(AvaffectError):
        if read_about(paths[0]).get("kind") == _KIND:
            return
    raise foreign(next(path for path in paths if path.exists()), "choose another folder")
