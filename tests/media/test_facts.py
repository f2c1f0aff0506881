from pathlib import Path

import numpy as np
import pytest

from avaffect.config import MediaConfig
from avaffect.media.facts import sound_facts, video_facts
from avaffect.media.frames import FrameReader
from avaffect.media.probe import probe


def late(sample, ffmpeg, path: Path, *more) -> Path:
    """30 frames of a second whose first one is at 1.5 s on the file's clock, sound at 0."""
    video = ("-itsoffset", "1.5", "-i", sample("one_person.mp4"))
    sound = ("-f", "lavfi", "-i", "sine=duration=3")
    ffmpeg(*video, *sound, "-map", "0:v", "-map", "1:a", "-frames:v", "30", *more, path)
    return path


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.mov"])
def test_first_frame_rate_duration_and_size(sample, ffmpeg, tmp_path: Path, name: str) -> None:
    path = late(sample, ffmpeg, tmp_path / name, "-vf", "fps=20,scale=160:120", "-crf", "30")
    with FrameReader(path) as reader:
        times = np.array([frame.time for frame in reader])
        facts = video_facts(reader.info, times, reader.report.first_time_s)
    assert facts.first_time_s == pytest.approx(1.5, abs=0.051)
    assert facts.first_time_s == probe(path).video.first_time_s
    assert facts.fps == pytest.approx(20, abs=0.1)
    assert facts.duration_s == pytest.approx(1.5, abs=0.01)
    assert (facts.width, facts.height) == (160, 120)
    assert facts.header_duration_s >= 3
    assert facts.start_s == 0


def test_one_frame_has_no_rate(sample) -> None:
    info = probe(sample("one_person.mp4"))
    facts = video_facts(info, np.zeros(1), 0.25)
    assert (facts.fps, facts.first_time_s) == (None, 0.25)
    assert facts.duration_s == pytest.approx(1 / info.video.fps)


def test_sound_has_a_first_sample_and_no_picture(ffmpeg, tmp_path: Path) -> None:
    path = tmp_path / "late.mka"
    ffmpeg("-f", "lavfi", "-i", "sine=duration=1", "-output_ts_offset", "2", path)
    facts = sound_facts(path, MediaConfig(), 25.0, 1.0)
    assert facts.first_time_s == pytest.approx(2, abs=0.03)
    assert (facts.fps, facts.duration_s, facts.width) == (25, 1, None)
    assert facts.start_s == facts.first_time_s


def test_a_broadcast_stream_begins_anywhere(sample, ffmpeg, tmp_path: Path) -> None:
    path = late(sample, ffmpeg, tmp_path / "a.ts", "-vf", "scale=160:120")
    info = probe(path)
    facts = video_facts(info, np.arange(30) / 25, info.video.first_time_s)
    assert facts.start_s > 1  # the sound's
    assert facts.first_time_s - facts.start_s == pytest.approx(1.5, abs=0.08)
