"""A gap of hours in a sound: rows on both sides of it are right, and nothing grows with it."""

from pathlib import Path

import numpy as np
import pytest

from avaffect.config import AnalysisConfig, MediaConfig
from avaffect.media.source import open_source
from avaffect.preprocessing.run import preprocess
from avaffect.preprocessing.sound import SoundReader, make_wav
from avaffect.progress import Notice
from avaffect.store.prepared import Prepared
from avaffect.store.subject import SubjectFeatures

GAP_S = 3 * 3600
AT_S = 2.0
CONFIG = AnalysisConfig(encoders=(), voice="starter-2-voice")


@pytest.fixture(scope="module")
def videos(sample, ffmpeg, tmp_path_factory: pytest.TempPathFactory):
    """The same four seconds, without a gap and with one after two seconds."""
    folder = tmp_path_factory.mktemp("gaps")
    coding = ["-c:v", "libx264", "-c:a", "pcm_s16le", "-t", 4]
    ffmpeg("-i", sample("one_person.mp4"), *coding, folder / "whole.mkv")
    jump = f"PTS+if(gte(T\\,{AT_S})\\,{GAP_S}/TB\\,0)"
    late = ["-vf", f"setpts='{jump}'", "-af", f"asetnsamples=160,asetpts='{jump}'"]
    ffmpeg("-i", folder / "whole.mkv", *late, "-fps_mode", "passthrough", *coding[:-2],
           folder / "gap.mkv")  # fmt: skip
    return folder / "whole.mkv", folder / "gap.mkv"


def arrays(video, times, tmp_path):
    """What is made of the sound for frames at ``times``, the wav's bytes, and the notices."""
    events = []
    wav = tmp_path / f"{video.stem}.wav"
    sound = make_wav(open_source(video), wav, MediaConfig(), events.append)
    reader = SoundReader(wav, sound, CONFIG, ("audio", "has_sound", "voice"))
    chunks = list(reader.chunks(times))
    found = {name: np.concatenate([chunk[name] for chunk in chunks]) for name in reader.specs}
    return found, wav.stat().st_size, [event.text for event in events if isinstance(event, Notice)]


def test_rows_on_both_sides_of_a_gap(videos, tmp_path: Path) -> None:
    whole, gap = videos
    times = np.arange(100) / 25
    plain, size, _ = arrays(whole, times, tmp_path)
    beyond = np.where(times >= AT_S, times + GAP_S, times)
    found, gap_size, notices = arrays(gap, beyond, tmp_path)
    assert gap_size < size + 7 * 32_000
    assert [text for text in notices if "a long gap: 180 minutes of silence" in text]
    # Windows of a frame reach 40 ms to both sides, those of the net 1.5 s.
    near = np.abs(times - AT_S)
    off = np.abs(found["audio"] - plain["audio"]).mean(axis=1)
    assert off[times < AT_S - 0.05].max() == 0
    # Matroska rounds timestamps to milliseconds.
    assert np.median(off[times > AT_S + 0.05]) < 1
    assert found["has_sound"].all()
    assert np.abs(found["voice"] - plain["voice"])[:, -1][near > 0.5] == pytest.approx(0, abs=0.3)
    assert np.isfinite(found["voice"][:, :8]).any(axis=1)[near > 1].mean() > 0.5


def test_nothing_is_heard_within_the_gap(videos, tmp_path: Path) -> None:
    there = np.arange(0, AT_S, 0.04)
    within = np.array([60.0, 5000.0, 9000.0])
    times = np.concatenate([there, within, there + AT_S + GAP_S])
    found, _, _ = arrays(videos[1], times, tmp_path)
    silent = found["audio"][:, 40:].max(axis=1) <= -99
    asked = np.isin(times, within)
    assert silent[asked].all()
    assert silent[~asked].mean() < 0.3
    assert np.isnan(found["voice"][asked, :8]).all()
    assert found["voice"][asked, 8] == pytest.approx(0, abs=0.2)


def test_the_record_and_a_store_that_is_made_anew(videos, tmp_path: Path) -> None:
    config = AnalysisConfig(encoders=(), audio=CONFIG.audio)
    done = preprocess(videos[1], tmp_path / "out", config)
    sound = done.folder.record.to_dict()["sound"]
    ((at, left),) = sound["cuts"]
    assert at < 10
    assert left > GAP_S - 10
    first = SubjectFeatures.open(done.folder.features(done.subjects[0])).array("audio")
    (lost,) = done.folder.features(done.subjects[0]).glob("audio-*.npy")
    lost.unlink()
    again = preprocess(videos[1], tmp_path / "out", config)
    assert again.done
    second = SubjectFeatures.open(again.folder.features(done.subjects[0])).array("audio")
    assert np.array_equal(first, second)


def test_a_gap_in_sound_alone_is_closed(ffmpeg, videos, tmp_path: Path) -> None:
    """Its rows are on a regular clock, which would cost a row for every moment of the gap."""
    ffmpeg("-i", videos[1], "-vn", "-c:a", "copy", tmp_path / "gap.mka")
    events = []
    config = AnalysisConfig(voice=None)
    done = preprocess(tmp_path / "gap.mka", tmp_path / "out", config, on_event=events.append)
    assert done.sound_only
    assert done.frames == pytest.approx((4 + 6) * 25, abs=2)
    record = Prepared(tmp_path / "out").record.to_dict()["sound"]
    assert record["cuts"] == []
    assert record["closed_gaps"][0][1] == pytest.approx(GAP_S - 6, abs=0.1)
    texts = [event.text for event in events if isinstance(event, Notice)]
    assert any("moved forward" in text for text in texts)
    stored = SubjectFeatures.open(done.folder.features("gap"))
    assert stored.array("has_sound").all()
