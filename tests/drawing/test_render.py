"""Films: as many frames at the same times, sound in sync, and nothing of others replaced."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from avaffect import render
from avaffect.errors import (
    ForeignFileError,
    FormatError,
    InputNotFoundError,
    UnknownNameError,
    UsageError,
)
from avaffect.media.frames import FrameReader
from avaffect.progress import Progress


def frames_of(path):
    with FrameReader(path) as reader:
        return [(frame.time, frame.image.copy()) for frame in reader]


def onset(path, stream="audio"):
    """Seconds from the first frame to the first loud sample."""
    with av.open(str(path)) as file:
        first = next(file.decode(video=0)).time
    with av.open(str(path)) as file:
        for frame in file.decode(audio=0):
            samples = frame.to_ndarray().astype(float)
            if frame.format.name.startswith("s16"):
                samples /= 32768
            count = frame.samples
            loud = np.flatnonzero(np.abs(samples).reshape(-1, count).max(0) > 0.1)
            if len(loud):
                return frame.time + loud[0] / frame.sample_rate - first
    return None


@pytest.fixture
def clip(ffmpeg, tmp_path: Path):
    """Makes a test card with a tone from ``tone`` seconds on."""

    def make(name="clip.mp4", *options, size="160x120", seconds=2, fps=25, tone=0.5, rate=44100):
        path = tmp_path / name
        picture = f"testsrc2=size={size}:rate={fps}:duration={seconds}"
        sound = f"aevalsrc='0.7*sin(2*PI*1000*t)*gte(t,{tone})':s={rate}:d={seconds}"
        ffmpeg("-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", sound, *options, path)
        return path

    return make


@pytest.mark.parametrize("name", ["one_person.mp4", "two_people.mp4", "vfr_rotated.mov"])
def test_frames_times_and_sound_are_the_source_s(
    name: str, sample, tables, tmp_path: Path
) -> None:
    video = sample(name)
    events = []
    done = render(video, tables(video), tmp_path / "out.mp4", on_event=events.append)
    source, film = frames_of(video), frames_of(done.path)
    assert done.frames == len(film) == len(source)
    assert [t for t, _ in film] == pytest.approx([t for t, _ in source], abs=2e-4)
    assert {image.shape for _, image in film} == {source[0][1].shape}
    assert done.has_sound
    assert events[-1] == Progress("render", done.frames, done.frames, finished=True)


@pytest.mark.parametrize(
    ("options", "tone"),
    [
        (("-ss", "0.3"), 0.5),
        (("-output_ts_offset", "3"), 0.5),
        (("-af", "adelay=400:all=1"), 0.2),
        (("-ac", "2", "-ar", "48000"), 1.0),
    ],
)
@pytest.mark.parametrize("ending", [".mp4", ".mkv"])
def test_sound_stays_in_sync(
    options, tone: float, ending: str, clip, tables, tmp_path: Path
) -> None:
    video = clip("clip.mkv", *options, tone=tone)
    done = render(video, tables(video), tmp_path / f"out{ending}")
    assert onset(done.path) == pytest.approx(onset(video), abs=0.02)


@pytest.mark.parametrize("late", [-0.7, 0.9])
def test_sound_that_begins_earlier_or_later(
    late: float, clip, ffmpeg, tables, tmp_path: Path
) -> None:
    whole = clip(seconds=3, tone=1.5)
    video = tmp_path / "late.mkv"
    ffmpeg("-i", whole, "-itsoffset", late, "-i", whole, "-map", "0:v", "-map", "1:a", "-c",
           "copy", "-copyts", video)  # fmt: skip
    done = render(video, tables(video), tmp_path / "out.mp4")
    assert onset(video) == pytest.approx(1.5 + late, abs=0.05)
    assert onset(done.path) == pytest.approx(onset(video), abs=0.02)


def test_a_gap_in_the_sound_stays(clip, ffmpeg, tables, tmp_path: Path) -> None:
    whole = clip(seconds=3, tone=2.0)
    video = tmp_path / "gap.mkv"
    cut = "aselect='not(between(t,0.5,1.5))'"
    ffmpeg("-i", whole, "-c:v", "copy", "-af", cut, "-c:a", "pcm_s16le", video)
    done = render(video, tables(video), tmp_path / "out.mp4")
    assert onset(video) == pytest.approx(2.0, abs=0.05)
    assert onset(done.path) == pytest.approx(onset(video), abs=0.02)


def test_only_frames_with_a_face_are_drawn_on(clip, tables, tmp_path: Path) -> None:
    video = clip(size="320x240")
    done = render(video, tables(video, unseen=range(10, 20)), tmp_path / "out.mp4")
    differs = [
        np.abs(a[1].astype(int) - b[1]).mean()
        for a, b in zip(frames_of(video), frames_of(done.path), strict=True)
    ]
    plain, drawn = differs[10:20], differs[:10] + differs[20:]
    # The colours are the source's too: coding alone makes the difference.
    assert max(plain) < 4 < min(drawn)


@pytest.mark.parametrize("size", ["161x121", "2x2", "17x300", "16x16"])
def test_any_size(size: str, ffmpeg, tables, tmp_path: Path) -> None:
    video = tmp_path / "odd.mkv"
    card = f"testsrc=size={size}:rate=10:duration=0.5"
    ffmpeg("-f", "lavfi", "-i", card, "-c:v", "ffv1", video)
    done = render(video, tables(video), tmp_path / "out.mp4")
    wide, high = map(int, size.split("x"))
    shape = frames_of(done.path)[0][1].shape
    assert (done.frames, done.has_sound) == (5, False)
    assert shape[:2] == (max(16, high + high % 2), max(16, wide + wide % 2))


def test_pixels_that_are_not_square_become_so(clip, tables, tmp_path: Path) -> None:
    video = clip("wide.mp4", "-vf", "setsar=2")
    done = render(video, tables(video), tmp_path / "out.mp4")
    assert frames_of(done.path)[0][1].shape == (120, 320, 3)


def test_the_decoder_is_set_as_the_table_says(clip, tables, tmp_path: Path) -> None:
    video = clip()
    done = render(video, tables(video, media={"rotate": 90}), tmp_path / "out.mp4")
    assert frames_of(done.path)[0][1].shape == (160, 120, 3)


@pytest.mark.parametrize(
    "name", ["映画$x_{", "a" * 200, "-rf; $(x)", "<b>&\u202e\u0007", "ÄÖü Ж λ", "%s %d {0}"]
)
def test_hostile_names(name: str, clip, tables, tmp_path: Path) -> None:
    video = clip(seconds=0.2)
    done = render(video, tables(video, name), tmp_path / f"{name[:20]}.mp4")
    assert done.subjects == (name,)
    assert len(frames_of(done.path)) == 5


@pytest.mark.parametrize("box", [(-1e30, -1e30, 1e30, 1e30), (9e9, 5, 9e9, 9), (60, 70, 20, 20)])
def test_absurd_boxes(box, clip, tables, tmp_path: Path) -> None:
    video = clip(seconds=0.2)
    assert render(video, tables(video, box=box), tmp_path / "out.mp4").frames == 5


def test_subjects_are_chosen(clip, tables, tmp_path: Path) -> None:
    video = clip(seconds=0.2)
    folder = tables(video, "clip_left", "clip_right")
    assert render(video, folder, tmp_path / "a.mp4").subjects == ("clip_left", "clip_right")
    rendered = render(video, folder, tmp_path / "b.mp4", subjects=["clip_right"])
    assert rendered.subjects == ("clip_right",)
    table = folder / "tables/clip_left.parquet"
    assert render(video, table, tmp_path / "c.mp4").subjects == ("clip_left",)
    with pytest.raises(UnknownNameError, match="did you mean 'clip_left'"):
        render(video, folder, tmp_path / "d.mp4", subjects=["clip_lef"])


def test_what_is_there_is_not_replaced_unasked(clip, tables, tmp_path: Path) -> None:
    video, out = clip(seconds=0.2), tmp_path / "out.mp4"
    folder = tables(video)
    for overwrite in (False, True):
        copy = tmp_path / "other.mp4"
        copy.write_bytes(video.read_bytes())
        with pytest.raises(ForeignFileError):
            render(video, folder, copy, overwrite=overwrite)
        assert copy.read_bytes() == video.read_bytes()
    render(video, folder, out)
    before = out.stat().st_mtime_ns
    with pytest.raises(UsageError, match="overwrite=True"):
        render(video, folder, out)
    assert out.stat().st_mtime_ns == before
    render(video, folder, out, overwrite=True)
    assert out.stat().st_mtime_ns > before


def test_wrong_use_leaves_nothing(clip, tables, tmp_path: Path) -> None:
    video, other = clip(seconds=0.2), clip("other.mp4", seconds=0.4)
    folder = tables(video)
    with pytest.raises(UsageError, match=r"\.mp4"):
        render(video, folder, tmp_path / "out.avi")
    with pytest.raises(InputNotFoundError, match="as it is now"):
        render(other, folder, tmp_path / "out.mp4")
    with pytest.raises(InputNotFoundError):
        render(tmp_path / "none.mp4", folder, tmp_path / "out.mp4")
    with pytest.raises(InputNotFoundError):
        render(video, tmp_path / "nothing", tmp_path / "out.mp4")
    assert not list(tmp_path.glob("*out*"))


def test_rows_that_are_not_the_frames(clip, tables, tmp_path: Path) -> None:
    video = clip(seconds=0.4)
    with pytest.raises(FormatError, match="4 rows"):
        render(video, tables(video, rows=4), tmp_path / "out.mp4")
    assert not list(tmp_path.glob("*out*"))


def test_a_film_is_not_drawn_on_itself(clip, tables, tmp_path: Path) -> None:
    video = clip(seconds=0.2)
    film = render(video, tables(video), tmp_path / "out.mp4").path
    with pytest.raises(UsageError, match="the video itself"):
        render(film, tables(film), film, overwrite=True)
