from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from avaffect.config import MediaConfig
from avaffect.media.frames import FrameReader
from avaffect.media.probe import probe
from avaffect.media.segments import RUN_OUT, NoSegmentsError, Segment, read_stamps

FRAMES = 60
PICTURE = ("-f", "lavfi", "-i", "testsrc2=size=96x64:rate=20", "-frames:v", FRAMES)
X264 = ("-c:v", "libx264", "-preset", "veryfast", "-g", 12)
# What makes key frames, and frames that come in another order than they are shown.
KINDS = {
    "closed.mp4": X264,
    "open.mkv": (*X264, "-bf", 3, "-x264-params", "open-gop=1"),
    "one_key.mp4": (*X264[:-1], 999),
    "hevc.mp4": ("-c:v", "libx265", "-x265-params", "keyint=12:open-gop=1:log-level=none"),
    "vp9.webm": ("-c:v", "libvpx-vp9", "-g", 12, "-deadline", "realtime"),
    "mpeg4.mp4": ("-c:v", "mpeg4", "-g", 12, "-bf", 2),
    "interlaced.mp4": (*X264, "-flags", "+ilme+ildct", "-x264opts", "tff=1"),
    "uneven.mkv": (*X264, "-vf", "select='not(eq(mod(n,7),3))'", "-fps_mode", "vfr"),
    "late.mp4": (*X264, "-output_ts_offset", 3.5),
}


def frames(path: Path, segment: Segment | None = None) -> list[tuple[float, int]]:
    with FrameReader(path, segment=segment) as reader:
        return [(frame.time, zlib.crc32(frame.image.data)) for frame in reader]


@pytest.mark.parametrize("name", KINDS)
def test_a_segment_has_the_frames_of_the_whole(
    name: str, ffmpeg: Callable[..., None], tmp_path: Path
) -> None:
    path = tmp_path / name
    ffmpeg(*PICTURE, *KINDS[name], path)
    whole = frames(path)
    stamps = read_stamps(probe(path), MediaConfig())
    np.testing.assert_array_equal(stamps.times, [time for time, _ in whole])
    segments = stamps.segments(0.9, 0.3)
    assert len(segments) >= 3
    # Each frame belongs to one segment.
    owned = [range(each.start.index, each.stop.index) for each in segments]
    assert [index for part in owned for index in part] == [*range(len(whole))]
    for number, segment in enumerate(segments):
        first, last = segment.first.index, segment.stop.index + RUN_OUT
        warm_up = stamps.times[segment.start.index] - stamps.times[first]
        assert warm_up >= (0.25 if number else 0)
        found = frames(path, segment)
        wanted = whole[first : last + 1]
        if name == "interlaced.mp4":
            # The filter lacks the frame before the first, and the one behind the last.
            assert [time for time, _ in found] == [time for time, _ in wanted]
            wanted, found = wanted[1:-1], found[1:-1]
        assert found == wanted


def test_numbers_begin_with_the_segment_and_work_is_taken_up_in_it(
    ffmpeg: Callable[..., None], tmp_path: Path
) -> None:
    path = tmp_path / "a.mp4"
    ffmpeg(*PICTURE, *X264, path)
    segment = read_stamps(probe(path), MediaConfig()).segments(1.5, 0.5)[1]
    with FrameReader(path, segment=segment, start=4) as reader:
        first = next(iter(reader))
    assert (first.index, first.time) == (4, pytest.approx((segment.first.index + 4) / 20))


def test_segments_can_be_written_down(ffmpeg: Callable[..., None], tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    ffmpeg(*PICTURE, *X264, path)
    segments = read_stamps(probe(path), MediaConfig()).segments(1, 0.2)
    assert [Segment.of(each.to_dict()) for each in segments] == segments


def test_a_stream_without_times_is_not_cut(ffmpeg: Callable[..., None], tmp_path: Path) -> None:
    path = tmp_path / "bare.h264"
    ffmpeg(*PICTURE, *X264, path)
    with pytest.raises(NoSegmentsError, match="its frames have no times"):
        read_stamps(probe(path), MediaConfig())


def test_packets_in_another_order_than_they_say_are_noticed(
    ffmpeg: Callable[..., None], tmp_path: Path
) -> None:
    """AVI has no times: those that packets get are wrong where frames are reordered."""
    path = tmp_path / "a.avi"
    ffmpeg(*PICTURE, *X264, "-bf", 2, path)
    for segment in read_stamps(probe(path), MediaConfig()).segments(1, 0.3):
        with pytest.raises(NoSegmentsError, match="not decoded by itself"):
            frames(path, segment)


def test_times_that_jump_are_not_cut(ffmpeg: Callable[..., None], tmp_path: Path) -> None:
    parts = []
    for number, offset in enumerate((50, 0)):
        part = tmp_path / f"{number}.ts"
        ffmpeg(*PICTURE, *X264, "-output_ts_offset", offset, part)
        parts.append(part.read_bytes())
    path = tmp_path / "jumps.ts"
    path.write_bytes(b"".join(parts))
    with pytest.raises(NoSegmentsError):
        read_stamps(probe(path), MediaConfig())


def test_frames_that_do_not_come_as_counted_are_noticed(
    ffmpeg: Callable[..., None], tmp_path: Path
) -> None:
    path, other = tmp_path / "a.mp4", tmp_path / "b.mp4"
    ffmpeg(*PICTURE, *X264, path)
    segment = read_stamps(probe(path), MediaConfig()).segments(1.5, 0.5)[1]
    # The same header, other times within.
    ffmpeg(*PICTURE, *X264, "-vf", "setpts=PTS*1.1", "-fps_mode", "vfr", other)
    with pytest.raises(NoSegmentsError, match="not decoded by itself"):
        frames(other, segment)
    short = tmp_path / "c.mp4"
    ffmpeg(*PICTURE[:-1], 40, *X264, short)
    with pytest.raises(NoSegmentsError, match="ends before"):
        frames(short, segment)
