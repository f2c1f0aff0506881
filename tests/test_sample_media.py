"""The sample clips are what truth.json says. Only PyAV here, not avaffect's own reader."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

FOLDER = Path(__file__).parents[1] / "sample_media"
TRUTH = json.loads((FOLDER / "truth.json").read_text(encoding="utf-8"))
CLIPS = {clip["file"]: clip for clip in TRUTH["clips"]}
OUTPUTS = {"AU1", "AU2", "AU4", "AU12", "AU15", "AU25", "AU26", "valence"}

each_clip = pytest.mark.parametrize("clip", CLIPS.values(), ids=CLIPS)


def upright_frames(clip: dict[str, Any]) -> list[tuple[float, np.ndarray]]:
    """(seconds, uint8 [H, W, 3]) of every frame, turned as the rotation flag says."""
    with av.open(str(FOLDER / clip["file"])) as file:
        return [
            (frame.time, np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90)))
            for frame in file.decode(video=0)
        ]


def test_all_clips_are_in_the_truth_and_small() -> None:
    files = {p.name: p.stat().st_size for p in FOLDER.iterdir() if p.suffix in (".mp4", ".mov")}
    assert files.keys() == CLIPS.keys()
    assert {name: clip["bytes"] for name, clip in CLIPS.items()} == files
    assert sum(p.stat().st_size for p in FOLDER.iterdir() if p.is_file()) < 2_000_000


@each_clip
def test_hash(clip: dict[str, Any]) -> None:
    assert hashlib.sha256((FOLDER / clip["file"]).read_bytes()).hexdigest() == clip["sha256"]


@each_clip
def test_frames_times_and_size(clip: dict[str, Any]) -> None:
    frames = upright_frames(clip)
    assert len(frames) == clip["frames"]
    assert {picture.shape for _, picture in frames} == {(clip["height"], clip["width"], 3)}
    times = [time for time, _ in frames]
    if clip["fps"] == "vfr":
        expected = clip["frame_times"]
        steps = np.diff(expected)
        assert steps.min() >= 0.0199
        assert steps.max() <= 0.0601
        assert len(set(steps.round(3))) > 20
    else:
        expected = np.arange(clip["frames"]) / clip["fps"]
    np.testing.assert_allclose(times, expected, atol=1e-4)


@each_clip
def test_codecs_and_rotation_flag(clip: dict[str, Any]) -> None:
    with av.open(str(FOLDER / clip["file"])) as file:
        video = file.streams.video[0]
        assert (video.codec_context.name, video.codec_context.pix_fmt) == ("h264", "yuv420p")
        stored = (video.codec_context.width, video.codec_context.height)
        sound = [stream.codec_context.name for stream in file.streams.audio]
        assert next(file.decode(video=0)).rotation == clip["rotation"]
    size = (clip["width"], clip["height"])
    assert stored == (size[::-1] if abs(clip["rotation"]) == 90 else size)
    assert sound == (["aac"] if clip["sound"] else [])


@pytest.mark.parametrize("name", [name for name, clip in CLIPS.items() if clip["speech"]])
def test_speech_is_heard_where_the_truth_says(name: str) -> None:
    clip = CLIPS[name]
    with av.open(str(FOLDER / name)) as file:
        frames = list(file.decode(audio=0))
    samples = np.concatenate([frame.to_ndarray()[0] for frame in frames])
    seconds = frames[0].time + np.arange(len(samples)) / frames[0].sample_rate
    loud = seconds[np.abs(samples) > 0.02]
    phrases = [(phrase["start"], phrase["end"]) for phrase in clip["speech"]]
    inside = np.zeros(len(loud), bool)
    for start, end in phrases:
        inside |= (loud > start - 0.02) & (loud < end + 0.02)
    assert inside.all()
    assert loud[0] == pytest.approx(phrases[0][0], abs=0.02)
    assert loud[-1] == pytest.approx(phrases[-1][1], abs=0.02)
    # AAC begins and ends on blocks of 1024 samples.
    assert seconds[0] == pytest.approx(clip["sound"][0], abs=0.05)
    assert seconds[-1] == pytest.approx(clip["sound"][1], abs=0.05)


@each_clip
def test_events_are_in_order_and_within_the_clip(clip: dict[str, Any]) -> None:
    last = max(time for time, _ in upright_frames(clip))
    for subject in clip["subjects"]:
        events = [event for event in clip["events"] if event["subject"] == subject]
        assert events
        ends = 0.0
        for event in events:
            times = [event[key] for key in ("start", "apex_start", "apex_end", "end")]
            assert times == sorted(set(times))
            assert ends < times[0]
            assert times[2] < last
            ends = times[3]
            assert event["raises"]
            assert set(event["raises"] + event["lowers"]) <= OUTPUTS
    assert {event["subject"] for event in clip["events"]} == set(clip["subjects"])


def test_every_expression_is_in_the_clip_of_one_person() -> None:
    expressions = [event["expression"] for event in CLIPS["one_person.mp4"]["events"]]
    assert expressions == ["smile", "brow_raise", "open_mouth", "frown"]


def test_two_people_swap_expressions() -> None:
    shown = {
        subject: [
            (event["start"], event["expression"])
            for event in CLIPS["two_people.mp4"]["events"]
            if event["subject"] == subject
        ]
        for subject in ("two_people_left", "two_people_right")
    }
    (first, before), (second, after) = shown["two_people_left"]
    assert shown["two_people_right"] == [(first, after), (second, before)]
    assert before != after


def test_the_rotated_clip_is_upright_after_turning() -> None:
    """Dark suit below, light wall in the upper corners: as in the upright clip."""
    for name in ("one_person.mp4", "vfr_rotated.mov"):
        picture = upright_frames(CLIPS[name])[0][1].astype(float)
        height, width = picture.shape[:2]
        top = picture[: height // 8, : width // 8].mean()
        collar = picture[-height // 10 :, width // 2 - width // 10 : width // 2].mean()
        assert top > 150
        assert collar < 60


def test_the_sources_are_named() -> None:
    sources = TRUTH["sources"]
    assert sources.keys() == {"person", "coffee", "voice"}
    assert "public domain" in sources["person"]
    assert "CC0" in sources["coffee"]
