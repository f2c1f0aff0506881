"""Exactly one Frame per decoded frame, in order, with its time; and no thread left behind."""

import threading
import time

import numpy as np
import pytest

import avaffect.media.frames as frames_module
import avaffect.media.room as room_module
from avaffect.config import MediaConfig
from avaffect.errors import MediaError, NoFramesError
from avaffect.media.frames import Frame, FrameReader


def levels_of(frames):
    """The places that the grey levels of ``Maker.levels`` tell."""
    return [round((frame.image.mean() - 20) / 10) for frame in frames]


def decode_threads():
    return [thread for thread in threading.enumerate() if thread.name == "avaffect-decode"]


def test_frames_are_numbered_timed_and_rgb(make, independent_count) -> None:
    path = make.test_card("a b'\"é%03d.mp4", "-c:v", "libx264")
    with FrameReader(path) as reader:
        frames = list(reader)
    assert [frame.index for frame in frames] == list(range(25))
    assert [frame.time for frame in frames] == pytest.approx(np.arange(25) / 25)
    assert all(frame.image.shape == (120, 160, 3) for frame in frames)
    assert all(frame.image.dtype == np.uint8 for frame in frames)
    assert all(frame.image.flags.c_contiguous for frame in frames)
    report = reader.report
    assert (report.frames, report.damaged, report.repaired_times) == (25, 0, 0)
    assert report.first_error is None


def test_b_frames_come_in_presentation_order(make) -> None:
    path = make.levels("b.mp4", 20, "-c:v", "libx264", "-bf", "3", "-x264-params", "b-adapt=0")
    assert levels_of(FrameReader(path)) == list(range(20))


def test_variable_frame_rate_keeps_each_time(make) -> None:
    rate = ["-vf", "settb=1/1000,setpts=N*N*10", "-fps_mode", "vfr", "-enc_time_base", "1/1000"]
    path = make.levels("v.mkv", 12, *rate, "-c:v", "libx264", "-bf", "2")
    frames = list(FrameReader(path))
    assert levels_of(frames) == list(range(12))
    assert [frame.time for frame in frames] == pytest.approx(np.arange(12) ** 2 * 0.01, abs=1e-3)


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_ten_bit(make, codec: str) -> None:
    quiet = ["-x265-params", "log-level=none"] if codec == "libx265" else []
    path = make.levels("t.mp4", 8, "-c:v", codec, *quiet, "-pix_fmt", "yuv420p10le")
    reader = FrameReader(path)
    assert levels_of(reader) == list(range(8))
    assert (reader.info.video.bit_depth, reader.info.video.pix_fmt) == (10, "yuv420p10le")


def test_time_starts_at_the_first_frame_wherever_the_container_starts(make) -> None:
    path = make.test_card("late.ts", "-c:v", "libx264", "-output_ts_offset", "50")
    reader = FrameReader(path)
    times = [frame.time for frame in reader]
    assert times == pytest.approx(np.arange(25) / 25, abs=1e-4)
    assert reader.report.first_time_s == reader.info.video.first_time_s > 50


def test_a_stream_without_timestamps_gets_even_ones(make) -> None:
    path = make.levels("raw.h264", 10, "-c:v", "libx264", "-bf", "2")
    reader = FrameReader(path)
    frames = list(reader)
    assert levels_of(frames) == list(range(10))
    assert np.diff([frame.time for frame in frames]) == pytest.approx(0.04, abs=0.021)
    assert (np.diff([frame.time for frame in frames]) > 0).all()


def test_two_recordings_in_one_file_go_on_after_each_other(make) -> None:
    slow = ["-vf", "settb=1/1000,setpts=N*200", "-fps_mode", "vfr"]
    part = make.levels("part.ts", 10, *slow, "-c:v", "libx264")
    both = make.folder / "both.ts"
    both.write_bytes(part.read_bytes() * 2)
    reader = FrameReader(both)
    frames = list(reader)
    assert levels_of(frames) == [*range(10), *range(10)]
    assert [frame.time for frame in frames] == pytest.approx(np.arange(20) / 5, abs=1e-3)
    assert reader.report.repaired_times == 1


def test_picture_size_and_format_may_change_in_mid_stream(make) -> None:
    coding = ["-c:v", "libx264", "-pix_fmt"]
    small = make.test_card("small.ts", *coding, "yuv420p", size="96x64", seconds=0.4)
    large = make.test_card("large.ts", *coding, "yuv422p", size="160x128", seconds=0.4)
    both = make.folder / "both.ts"
    both.write_bytes(small.read_bytes() + large.read_bytes())
    shapes = [frame.image.shape for frame in FrameReader(both)]
    assert shapes == [(64, 96, 3)] * 10 + [(128, 160, 3)] * 10


def test_interlaced_picture_size_may_change_in_mid_stream(make) -> None:
    coding = ["-vf", "interlace", "-c:v", "libx264", "-flags", "+ildct"]
    small = make.test_card("small.ts", *coding, size="96x64", seconds=0.8)
    large = make.test_card("large.ts", *coding, size="160x128", seconds=0.8)
    both = make.folder / "both.ts"
    both.write_bytes(small.read_bytes() + large.read_bytes())
    shapes = [frame.image.shape for frame in FrameReader(both)]
    assert shapes == [(64, 96, 3)] * 10 + [(128, 160, 3)] * 10


def test_pixels_are_made_square_and_the_size_stays_the_files_own(make) -> None:
    path = make.test_card("sar.mp4", "-vf", "setsar=2/1", "-c:v", "libx264")
    with FrameReader(path) as reader:
        frame = next(iter(reader))
        assert frame.image.shape == (120, 320, 3)
        assert (frame.scale.x, frame.scale.y) == (2, 1)
        video = reader.info.video
    assert (video.width, video.height, video.square_size) == (160, 120, (320, 120))
    assert video.sample_aspect == 2


def test_a_bare_stream_goes_by_its_own_rate(make) -> None:
    path = make.test_card("a.hevc", "-r", "60", "-c:v", "libx265", "-x265-params", "log-level=0")
    with FrameReader(path) as reader:
        times = [frame.time for frame in reader]
        assert times == pytest.approx(np.arange(60) / 60)
        assert reader.report.repaired_times == 0
        assert reader.info.doubts == ()


def test_a_bare_stream_without_a_rate_takes_the_one_given(make) -> None:
    path = make.test_card("a.mjpeg", "-c:v", "mjpeg")
    with FrameReader(path, MediaConfig(fps=50)) as reader:
        assert [frame.time for frame in reader] == pytest.approx(np.arange(25) / 50)
        assert reader.report.repaired_times == 0


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        *[("a.nut", "1/1000000"), ("a.mov", "1/1000000000"), ("a.mkv", "7200/1")],
        *[("a.avi", "7200/1"), ("a.mov", "7200/1")],
    ],
)
def test_absurd_rates_are_no_times(make, name, unit) -> None:
    """A thousand million frames a second would all lie within one sample of the sound."""
    paced = ["-vf", f"settb={unit},setpts=N", "-fps_mode", "passthrough", "-enc_time_base", unit]
    path = make.test_card(name, *paced, "-c:v", "ffv1")
    with FrameReader(path) as reader:
        assert [frame.time for frame in reader] == pytest.approx(np.arange(25) / 25)
        (doubt,) = reader.info.doubts
        assert "25 are assumed" in doubt
        assert reader.report.repaired_times == 0
    with FrameReader(path, MediaConfig(fps=50)) as reader:
        assert [frame.time for frame in reader] == pytest.approx(np.arange(25) / 50)


def test_a_long_pause_costs_nothing_and_stays(make) -> None:
    late = ["-vf", "setpts='if(gte(N,10),PTS+10800/TB,PTS)'", "-fps_mode", "passthrough"]
    path = make.test_card("gap.mkv", *late, "-c:v", "ffv1")
    times = [frame.time for frame in FrameReader(path)]
    assert len(times) == 25
    assert np.diff(times).max() == pytest.approx(10_800, abs=1)
    assert sorted(np.diff(times))[-2] == pytest.approx(0.04, abs=2e-3)


def test_several_streams_the_default_one_or_the_chosen_one(make) -> None:
    first = make.levels("first.mkv", 5, "-c:v", "ffv1")
    second = make.levels("second.mkv", 9, "-c:v", "ffv1")
    make.ffmpeg(
        *["-i", str(first), "-i", str(second), "-map", "0:v", "-map", "1:v", "-c", "copy"],
        *["-disposition:v:0", "0", "-disposition:v:1", "default", "both.mkv"],
    )
    path = make.folder / "both.mkv"
    default = FrameReader(path)
    assert len(list(default)) == 9
    assert default.info.video.ordinal == 1
    assert len(list(FrameReader(path, MediaConfig(video_stream=0)))) == 5


@pytest.mark.parametrize("name", ["still.jpg", "still.png", "still%03d.png"])
def test_a_still_picture_is_a_video_of_one_frame(make, name: str) -> None:
    image = np.full((40, 60, 3), (200, 100, 50), np.uint8)
    made = make.still("made" + name[-4:], image)
    path = made.rename(make.folder / name)
    frames = list(FrameReader(path))
    assert [frame.time for frame in frames] == [0]
    assert np.abs(frames[0].image.astype(int) - image).max() < 5


def test_damage_is_reported_and_the_rest_used(make) -> None:
    path = make.test_card("damaged.mp4", "-c:v", "libx264", "-g", "10", seconds=2)
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + len(data) // 3
    data[start : start + 3000] = bytes(3000)
    path.write_bytes(data)
    reader = FrameReader(path)
    frames = list(reader)
    assert [frame.index for frame in frames] == list(range(len(frames)))
    assert reader.report.frames == len(frames) > 25
    assert reader.report.damaged > 0
    assert reader.report.first_error


def test_start_leaves_out_frames_and_keeps_numbers_and_times(make) -> None:
    path = make.levels("s.mp4", 15, "-c:v", "libx264")
    whole = list(FrameReader(path))
    reader = FrameReader(path, start=11)
    rest = list(reader)
    assert [(frame.index, frame.time) for frame in rest] == [
        (frame.index, frame.time) for frame in whole[11:]
    ]
    assert levels_of(rest) == [11, 12, 13, 14]
    assert reader.report.frames == 15
    assert list(FrameReader(path, start=99)) == []


def test_every_iteration_starts_at_the_beginning(make) -> None:
    reader = FrameReader(make.levels("twice.mp4", 6, "-c:v", "libx264"))
    iterator = iter(reader)
    next(iterator)
    assert levels_of(reader) == levels_of(reader) == list(range(6))
    assert reader.report.frames == 6
    assert list(iterator) == []


def test_leaving_early_leaves_no_thread(make) -> None:
    path = make.test_card("early.mp4", "-c:v", "libx264", seconds=4)
    with FrameReader(path, prefetch=2) as reader:
        for frame in reader:
            if frame.index == 3:
                break
    assert decode_threads() == []
    iterator = iter(FrameReader(path))
    next(iterator)
    del iterator
    assert decode_threads() == []


def test_an_interrupt_in_the_consumer_leaves_no_thread(make) -> None:
    path = make.test_card("interrupt.mp4", "-c:v", "libx264", seconds=4)
    with pytest.raises(KeyboardInterrupt), FrameReader(path) as reader:
        for _ in reader:
            raise KeyboardInterrupt
    assert decode_threads() == []


def test_the_thread_runs_no_further_ahead_than_prefetch(make) -> None:
    path = make.test_card("ahead.mp4", "-c:v", "libx264", seconds=2)
    with FrameReader(path, prefetch=3) as reader:
        next(iter(reader))
        time.sleep(0.3)
        assert reader.report.frames <= 6


def test_large_pictures_shorten_the_prefetch(make, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make.test_card("large.mp4", "-c:v", "libx264")
    monkeypatch.setattr(frames_module, "MAX_PREFETCH_BYTES", 3 * 160 * 120 * 2)
    with FrameReader(path, prefetch=20) as reader:
        next(iter(reader))
        time.sleep(0.3)
        assert reader.report.frames <= 5
    assert len(list(FrameReader(path, prefetch=20))) == 25


def test_an_error_in_the_thread_reaches_the_consumer(
    make, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = FrameReader(make.test_card("error.mp4", "-c:v", "libx264"))

    def refuse(width, height, path):
        raise MediaError("too large")

    monkeypatch.setattr(room_module, "check_size", refuse)
    with pytest.raises(MediaError, match="too large"):
        list(reader)
    assert decode_threads() == []


def test_no_frame_at_all_is_an_error(make) -> None:
    path = make.test_card("none.mp4", "-c:v", "libx264", "-movflags", "+faststart")
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"mdat") + 40])
    with pytest.raises(NoFramesError, match="no frame"):
        FrameReader(path)


@pytest.mark.parametrize("arguments", [{"start": -1}, {"prefetch": 0}])
def test_impossible_arguments(arguments) -> None:
    with pytest.raises(ValueError, match="start must be"):
        FrameReader("x.mp4", **arguments)


@pytest.mark.parametrize(
    ("index", "moment", "image"),
    [
        (0, 0.0, np.zeros((4, 4, 3), np.float32)),
        (0, 0.0, np.zeros((4, 4), np.uint8)),
        (0, 0.0, np.zeros((4, 4, 4), np.uint8)),
        (0, 0.0, np.zeros((4, 8, 3), np.uint8)[:, ::2]),
        (-1, 0.0, np.zeros((4, 4, 3), np.uint8)),
        (0, -1.0, np.zeros((4, 4, 3), np.uint8)),
        (0, float("nan"), np.zeros((4, 4, 3), np.uint8)),
    ],
)
def test_a_frame_is_checked(index: int, moment, image) -> None:
    with pytest.raises(ValueError, match=r"image|impossible"):
        Frame(index, moment, image)


@pytest.mark.parametrize(
    "code",
    [
        ["-c:v", "libaom-av1", "-cpu-used", "8", "a.avif"],
        ["a.gif"],
        ["-f", "apng", "a.png"],
    ],
    ids=["avif", "gif", "apng"],
)
def test_animated_pictures_give_each_frame_with_its_time(make, code) -> None:
    path = make.test_card(code[-1], "-r", "10", "-frames:v", "10", *code[:-1])
    with FrameReader(path) as reader:
        assert [frame.time for frame in reader] == pytest.approx(np.arange(10) / 10)
        assert reader.info.doubts == ()
