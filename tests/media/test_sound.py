"""Sound on the picture's clock: sample 0 is the first frame, every click is where it was made."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import soundfile

from avaffect.config import MediaConfig
from avaffect.errors import InputNotFoundError, MediaError, OutputError
from avaffect.media.frames import FrameReader
from avaffect.media.probe import DEFAULTS, first_frame_time
from avaffect.media.sound import (
    MIN_GAP_S,
    SHORT_GAP_S,
    SoundInfo,
    extract_sound,
    read_blocks,
)
from avaffect.progress import Notice, Progress

CLICKS = [0.4, 0.9, 1.7]
VIDEO = ["-c:v", "libx264", "-preset", "ultrafast"]


def film(make, name, coding, *, rate=44100, channels=1, delay=0.0, cut=(), seconds=2.0):
    """A 2 s film with clicks at CLICKS + delay on the container's clock."""
    make.clicks("clicks.wav", CLICKS, seconds, rate, channels)
    picture = ["-f", "lavfi", "-i", "testsrc2=s=160x120:r=25:d=2"]
    sound = ["-itsoffset", str(delay), "-i", "clicks.wav"]
    make.ffmpeg(*picture, *sound, *VIDEO, *coding, *cut, name)
    return make.folder / name


def extract(path, config=DEFAULTS, **options):
    info = extract_sound(
        path, config, path.with_suffix(".wav"), first_time_s=first_frame_time(path), **options
    )
    samples, rate = soundfile.read(path.with_suffix(".wav"), dtype="float32")
    assert rate == info.sample_rate == 16_000
    assert samples.ndim == 1
    assert len(samples) == info.samples == round(info.duration_s * 16_000)
    return samples, info


def click_error(samples, time):
    """Seconds between ``time`` and the centre of the click that should be there."""
    first = max(0, round((time - 0.1) * 16_000))
    power = samples[first : round((time + 0.1) * 16_000)].astype(float) ** 2
    assert power.sum() > 1, f"no click at {time} s"
    return (first + (power * np.arange(len(power))).sum() / power.sum()) / 16_000 - time


def check_clicks(samples, times, within=0.0005):
    for time in times:
        assert abs(click_error(samples, time)) < within


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 96000])
@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "aac"), ("a.mkv", "flac")])
def test_clicks_stay_in_place_at_every_rate(make, rate: int, name: str, codec: str) -> None:
    """In MP4 the encoder's priming samples come before time 0 and must not shift the sound."""
    samples, info = extract(film(make, name, ["-c:a", codec], rate=rate, channels=2))
    check_clicks(samples, CLICKS)
    assert (info.start_s, info.errors) == (0, 0)
    assert info.end_s == pytest.approx(2, abs=0.03)


@pytest.mark.parametrize("channels", [1, 2, 6])
def test_channels_are_mixed_down(make, channels: int) -> None:
    samples, _ = extract(film(make, "c.mkv", ["-c:a", "pcm_s16le"], channels=channels))
    check_clicks(samples, CLICKS)
    assert 0.3 < np.abs(samples).max() <= 1


@pytest.mark.parametrize(
    ("name", "codec"),
    [("d.mp4", "aac"), ("d.mkv", "flac"), ("d.ts", "mp2"), ("d.mov", "pcm_s16le")],
)
def test_sound_that_begins_later_is_preceded_by_silence(make, name: str, codec: str) -> None:
    path = film(make, name, ["-c:a", codec], delay=0.6)
    samples, info = extract(path)
    picture_starts = 0 if name != "d.ts" else first_frame_time(path) - 1.4
    check_clicks(samples, [click + 0.6 - picture_starts for click in CLICKS])
    assert info.start_s == pytest.approx(0.6 - picture_starts, abs=0.03)
    assert np.abs(samples[: round((info.start_s - 0.01) * 16_000)]).max() == 0


@pytest.mark.parametrize(("name", "codec"), [("e.mkv", "flac"), ("e.mp4", "aac"), ("e.ts", "aac")])
def test_sound_that_begins_earlier_is_cut(make, name: str, codec: str) -> None:
    """MKV and TS then start the picture late, MP4 drops the sound by an edit list."""
    path = film(make, name, ["-c:a", codec], delay=-0.5)
    samples, info = extract(path)
    check_clicks(samples, [click - 0.5 for click in CLICKS[1:]])
    assert info.start_s == 0
    assert info.end_s == pytest.approx(1.5, abs=0.06)


def test_a_transport_stream_whose_clock_starts_late(make) -> None:
    path = film(make, "f.ts", ["-c:a", "aac", "-output_ts_offset", "1000"])
    assert first_frame_time(path) > 1001
    samples, _ = extract(path)
    check_clicks(samples, CLICKS)


@pytest.mark.parametrize("seconds", [1.2, 3.1])
def test_sound_shorter_or_longer_than_the_picture(make, seconds: float) -> None:
    path = film(make, "g.mkv", ["-c:a", "flac"], seconds=seconds)
    _, info = extract(path)
    assert info.end_s == info.duration_s == pytest.approx(seconds, abs=1e-3)
    assert info.errors == 0


def test_a_hole_in_the_sound_is_filled_with_silence(make) -> None:
    drop = ["-bsf:a", "noise=drop='between(n,25,50)'"]
    samples, info = extract(film(make, "h.mkv", ["-c:a", "aac", *drop]))
    check_clicks(samples, [CLICKS[0], CLICKS[2]])
    assert np.abs(samples[round(0.7 * 16_000) : round(1.1 * 16_000)]).max() == 0
    assert info.end_s > 1.9


def test_rate_and_channels_may_change_in_mid_stream(make) -> None:
    first = film(make, "i1.ts", ["-c:a", "aac"], rate=44100, channels=2)
    second = film(make, "i2.ts", ["-c:a", "aac", "-output_ts_offset", "2"], rate=48000, channels=6)
    both = make.folder / "i.ts"
    both.write_bytes(first.read_bytes() + second.read_bytes())
    samples, info = extract(both)
    check_clicks(samples, CLICKS)
    assert abs(click_error(samples, 2 + CLICKS[2]) - click_error(samples, 2 + CLICKS[0])) < 0.0005
    assert abs(click_error(samples, 2 + CLICKS[0])) < 0.05
    assert info.end_s == pytest.approx(4, abs=0.06)


def test_two_recordings_in_one_file(make) -> None:
    """Their clocks start anew: picture and sound of the second go on after those of the first."""
    part = film(make, "part.mpg", ["-c:a", "mp2"])
    both = make.folder / "both.mpg"
    both.write_bytes(part.read_bytes() * 2)
    samples, _ = extract(both)
    times = [frame.time for frame in FrameReader(both)]
    assert len(times) == 100
    lead = click_error(samples, CLICKS[0])
    check_clicks(samples, [times[50] + click + lead for click in CLICKS], within=0.06)


@pytest.mark.parametrize("name", ["j.mka", "j.ogg", "j.m4a", "j.mp3", "j.wav"])
def test_without_a_picture_it_begins_with_the_sound(make, name: str) -> None:
    make.clicks("clicks.wav", CLICKS, 2.0, 44100, 2)
    delay = ["-itsoffset", "3"] if name == "j.mka" else []
    make.ffmpeg(*delay, "-i", "clicks.wav", name)
    out = make.folder / "out.wav"
    info = extract_sound(make.folder / name, DEFAULTS, out, first_time_s=None)
    samples, _ = soundfile.read(out, dtype="float32")
    check_clicks(samples, CLICKS, within=0.03 if name == "j.mp3" else 0.001)
    assert info.start_s == 0
    assert info.end_s == pytest.approx(2, abs=0.06)


def test_no_sound(make) -> None:
    path = make.test_card("mute.mp4", *VIDEO)
    out = make.folder / "mute.wav"
    assert extract_sound(path, MediaConfig(), out, first_time_s=0) is None
    assert not out.exists()


def test_the_chosen_sound(make) -> None:
    make.clicks("one.wav", [0.3], 1, 16000, 1)
    make.clicks("two.wav", [0.7], 1, 16000, 1)
    sounds = ["-i", "one.wav", "-i", "two.wav", "-c:a", "flac"]
    path = make.test_card("two.mkv", *sounds, "-map", "0", "-map", "1", "-map", "2", *VIDEO)
    check_clicks(extract(path)[0], [0.3])
    check_clicks(extract(path, MediaConfig(audio_stream=1))[0], [0.7])


def test_damaged_sound_is_used_as_far_as_it_goes_and_told(make) -> None:
    film(make, "damaged.mkv", ["-c:a", "aac"])
    make.ffmpeg("-i", "damaged.mkv", "-c", "copy", "-bsf:a", "noise=amount=40", "noisy.mkv")
    events = []
    _, info = extract(make.folder / "noisy.mkv", on_event=events.append)
    assert info.errors > 0
    assert info.end_s > 1
    notices = [event for event in events if isinstance(event, Notice)]
    assert [notice.warning for notice in notices] == [True]
    assert "damaged" in notices[0].text


def test_truncated_sound(make) -> None:
    path = film(make, "cut.ts", ["-c:a", "aac"])
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    samples, info = extract(path)
    assert 0.3 < info.end_s < 2
    check_clicks(samples, CLICKS[:1])


def test_a_stream_without_any_sound_that_decodes_is_empty(make) -> None:
    film(make, "dead.mkv", ["-c:a", "aac"])
    make.ffmpeg("-i", "dead.mkv", "-c", "copy", "-bsf:a", "noise=drop='gte(n,0)'", "none.mkv")
    samples, info = extract(make.folder / "none.mkv")
    assert (info.samples, info.start_s, info.end_s) == (0, 0, 0)
    assert not len(samples)


def test_progress_is_told(make) -> None:
    events = []
    extract(film(make, "p.mkv", ["-c:a", "flac"]), on_event=events.append)
    assert [event.done for event in events if isinstance(event, Progress)] == [1, 2, 2]
    assert events[-1].finished


def test_odd_names_and_an_overwritten_output(make, monkeypatch: pytest.MonkeyPatch) -> None:
    path = film(make, "a.mp4", ["-c:a", "aac"]).rename(make.folder / '-i it\'s "é" %03d.mp4')
    out = make.folder / "- out.wav"
    out.write_text("old")
    extract_sound(path, MediaConfig(), out, first_time_s=0)
    check_clicks(soundfile.read(out)[0], CLICKS)
    assert not [name for name in make.folder.iterdir() if "tmp" in name.name]


def test_errors(make) -> None:
    with pytest.raises(InputNotFoundError):
        extract_sound(make.folder / "no.mp4", MediaConfig(), make.folder / "o.wav", first_time_s=0)
    path = film(make, "a.mkv", ["-c:a", "flac"])
    (make.folder / "file").touch()
    with pytest.raises(OutputError):
        extract_sound(path, MediaConfig(), make.folder / "file" / "o.wav", first_time_s=0)


def test_a_full_disk(make, monkeypatch: pytest.MonkeyPatch) -> None:
    path = film(make, "a.mkv", ["-c:a", "flac"])
    out = make.folder / "full.wav"
    monkeypatch.setattr("avaffect.media.sound.wave.open", lambda name, mode: open_full(mode))
    with pytest.raises(OutputError, match="disk is full"):
        extract_sound(path, MediaConfig(), out, first_time_s=0)
    assert not out.exists()


def open_full(mode):
    import wave

    return wave.Wave_write(open("/dev/full", mode, buffering=0))  # noqa: PTH123


def test_blocks(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    samples = np.linspace(-0.9, 0.9, 40_000, dtype=np.float32)
    soundfile.write(path, samples, 16_000, subtype="FLOAT")
    blocks = list(read_blocks(path, 1.0))
    assert [len(block) for block in blocks] == [16_000, 16_000, 8_000]
    assert {block.dtype for block in blocks} == {np.dtype("float32")}
    assert np.array_equal(np.concatenate(blocks), samples)


def test_blocks_of_what_is_no_mono_sound(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "two.wav", np.zeros((10, 2)), 16_000)
    (tmp_path / "text.wav").write_text("no sound")
    for name in ("two.wav", "text.wav", "none.wav"):
        with pytest.raises(MediaError):
            list(read_blocks(tmp_path / name, 1.0))


def test_the_smallest_gap_is_shorter_than_any_usual_packet() -> None:
    assert MIN_GAP_S < 960 / 48_000


def with_gaps(make, name, *gaps, seconds=2.0):
    """Clicks, in whose timestamps ``gaps`` (from when, seconds) are."""
    make.clicks("clicks.wav", CLICKS, seconds, 16_000, 1)
    stamps = "PTS" + "".join(f"+if(gte(T\\,{at})\\,{gap}/TB\\,0)" for at, gap in gaps)
    make.ffmpeg("-i", "clicks.wav", "-af", f"asetpts='{stamps}'", "-c:a", "pcm_s16le", name)
    return make.folder / name


@pytest.mark.parametrize("name", ["gap.mkv", "gap.nut"])
def test_a_gap_of_hours_is_not_in_the_file(make, name: str) -> None:
    path = with_gaps(make, name, (0.6, 3 * 3600))
    out = make.folder / "out.wav"
    info = extract_sound(path, DEFAULTS, out, first_time_s=0)
    samples, _ = soundfile.read(out)
    assert info.duration_s == pytest.approx(2 + SHORT_GAP_S, abs=0.1)
    assert info.end_s == pytest.approx(2 + 3 * 3600, abs=0.1)
    ((at, left),) = info.cuts
    assert 0.5 < at - SHORT_GAP_S / 2 < 0.9
    assert left == pytest.approx(3 * 3600 - SHORT_GAP_S, abs=0.01)
    later = [click + 3 * 3600 for click in CLICKS[1:]]
    check_clicks(samples, info.in_wav(np.array([CLICKS[0], *later])))


def test_many_gaps_cost_a_few_seconds_each(make) -> None:
    gaps = [(round(0.1 * i, 1), 700) for i in range(1, 20)]
    info = extract_sound(
        with_gaps(make, "many.mkv", *gaps), DEFAULTS, make.folder / "out.wav", first_time_s=0
    )
    assert 5 < len(info.cuts) <= 19
    assert info.duration_s < 3 + len(info.cuts) * SHORT_GAP_S
    assert info.end_s > 4000


def test_sound_that_begins_hours_after_the_picture(make) -> None:
    path = film(make, "late.mkv", ["-c:a", "flac"], delay=7200)
    samples, info = extract(path)
    assert info.start_s == pytest.approx(7200, abs=0.01)
    assert info.duration_s == pytest.approx(SHORT_GAP_S + 2, abs=0.05)
    check_clicks(samples, info.in_wav(np.array(CLICKS) + 7200))


def test_a_pause_of_minutes_is_in_the_file(make) -> None:
    path = with_gaps(make, "pause.mkv", (0.6, 300))
    info = extract_sound(path, DEFAULTS, make.folder / "out.wav", first_time_s=0)
    assert info.cuts == ()
    assert info.duration_s == info.end_s == pytest.approx(302, abs=0.1)


def test_moments_in_the_file_and_in_the_wav() -> None:
    info = SoundInfo(0, 16_000, 0, 0, 0, 0, cuts=((10.0, 100.0), (120.0, 50.0)))
    times = np.array([-1.0, 0, 9.5, 10, 60, 110, 111, 120, 150, 170, 171, 1000])
    placed = [-1, 0, 9.5, 10, 10, 10, 11, 20, 20, 20, 21, 850]
    assert info.in_wav(times) == pytest.approx(placed)
    assert info.in_wav(times[:2]) == pytest.approx(placed[:2])
    assert info.in_wav(np.zeros(0)).shape == (0,)
    assert SoundInfo.from_record(json.loads(json.dumps(asdict(info)))) == info
    whole = SoundInfo(0, 16_000, 0, 0, 0, 0)
    assert whole.in_wav(times) is times
    old = {name: value for name, value in asdict(whole).items() if name not in ("cuts", "mix")}
    assert SoundInfo.from_record(old) == whole
