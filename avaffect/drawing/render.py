"""``render``: the predictions of a video drawn on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from avaffect.drawing.film import ENDINGS, MARK, Film
from avaffect.drawing.overlay import Overlay, draw_all
from avaffect.drawing.soundtrack import Samples, Soundtrack
from avaffect.drawing.subjects import COLOURS, Table, load_table, tables_of_video
from avaffect.drawing.target import require_target
from avaffect.errors import FormatError, OutputError, UsageError, boundary, need
from avaffect.files.atomic import atomic_path
from avaffect.files.outside import reading
from avaffect.media.frames import FrameReader
from avaffect.media.tracks import choose_track
from avaffect.progress import EventCallback, Progress, ignore_events

_EVERY = 25


@dataclass(frozen=True)
class Rendered:
    """A film that was written.

    Attributes:
        path: the file.
        frames: how many it has, as many as were decoded.
        subjects: who is drawn on it.
        has_sound: whether the video had sound.
    """

    path: Path
    frames: int
    subjects: tuple[str, ...]
    has_sound: bool


@boundary()
def render(
    video: Path | str,
    predictions: Path | str,
    out: Path | str,
    *,
    subjects: Sequence[str] | None = None,
    overwrite: bool = False,
    on_event: EventCallback = ignore_events,
) -> Rendered:
    """Draw predictions on their video: face, name, expression, values and active units.

    Every decoded frame becomes one frame of the film, at the same time since the first one,
    upright and in square pixels; of a picture with odd sides an edge is repeated once. The sound
    is kept, as mono or stereo. Frames in which nobody's face is seen are left as they are.

    Args:
        video: the very file that was predicted.
        predictions: the folder that `predict` wrote, or one table of it.
        out: the film: ``.mp4``, ``.m4v``, ``.mov`` or ``.mkv``, H.264 and AAC. It appears whole
            or not at all.
        subjects: names of those to draw; None draws everyone who was predicted.
        overwrite: replace a film that `render` wrote before; others are never replaced.
        on_event: progress, stage ``render``, and notices.

    Raises:
        InputNotFoundError: no such video, or no predictions of it.
        UnknownNameError: no subject is called so.
        ForeignFileError: a file is in the way that is no such film.
        FormatError: a table that is damaged, or does not fit the video's frames.
        MediaError: the video cannot be decoded.
        OutputError: the film cannot be written.
        UsageError: another ending; the film is there; tables that were decoded differently.
    """
    need("plot", "matplotlib")  # whose font the words on the film are in
    video, out = Path(video), Path(out)
    require_target(out, ENDINGS, MARK, overwrite)
    paths = tables_of_video(video, Path(predictions), subjects)
    if out.exists() and out.samefile(video):
        raise UsageError(f"'{out}' is the video itself", "choose another name")
    tables = [load_table(name, path) for name, path in paths.items()]
    if any(table.media != tables[0].media for table in tables):
        raise UsageError(
            f"the tables of '{video}' were made with different settings of the decoder",
            "predict it again into one folder",
        )
    overlays = [Overlay(table, COLOURS[at % len(COLOURS)]) for at, table in enumerate(tables)]
    with atomic_path(out) as temporary, FrameReader(video, tables[0].media) as reader:
        frames, has_sound = _write(reader, tables, overlays, temporary, out, on_event)
    return Rendered(out, frames, tuple(table.subject for table in tables), has_sound)


def _write(
    reader: FrameReader,
    tables: Sequence[Table],
    overlays: Sequence[Overlay],
    path: Path,
    out: Path,
    on_event: EventCallback,
) -> tuple[int, bool]:
    """Write the film to ``path``, to be ``out``; its frames, and whether it has sound."""
    info = reader.info
    width, height = info.video.square_size
    rows = len(overlays[0])
    track = choose_track(info.path, tables[0].media, on_event)
    with ExitStack() as stack:
        stack.enter_context(reading(out, OutputError, "cannot be written", "try another ending"))
        sound: Soundtrack | None = None
        blocks: Iterator[tuple[float, Samples]] = iter(())
        if track is not None:
            sound = Soundtrack(info.path, track, info.video.first_time_s, info.clock_restarts)
            blocks = stack.enter_context(closing(sound.blocks()))  # type: ignore[type-var]
        film = stack.enter_context(
            Film(path, width, height, *((sound.rate, sound.layout) if sound else ()))
        )
        done, last, step, heard = 0, 0.0, 1 / (info.video.fps or 25.0), 0.0
        for frame in reader:
            if frame.index >= rows:
                raise _misfit(info.path, rows)
            draw_all(frame.image, frame.index, frame.scale, overlays)
            film.add(frame.image, frame.time)
            if done:
                step = frame.time - last
            done, last = done + 1, frame.time
            # Beside the pictures, so that neither has to wait for the other in memory.
            while sound is not None and heard < frame.time:
                heard, samples = next(blocks)
                film.add_sound(samples, sound.rate, sound.layout)
            if done % _EVERY == 0:
                on_event(Progress("render", done, rows))
        if done < rows:
            raise _misfit(info.path, rows)
        while sound is not None and heard < last + step:
            heard, samples = next(blocks)
            # It ends with the picture.
            more = max(0, round((heard - last - step) * sound.rate))
            kept = samples[:, : max(1, samples.shape[1] - more)]
            film.add_sound(kept, sound.rate, sound.layout)
    on_event(Progress("render", done, done, finished=True))
    return done, sound is not None


def _misfit(path: Path, rows: int) -> FormatError:
    return FormatError(
        f"the predictions of '{path}' have {rows:,} rows, and the video has not as many frames",
        "predict it again with this version",
    )
