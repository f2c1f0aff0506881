"""Nothing that can be decoded is lost, and damage is told."""

import random

import av
import pytest

from avaffect.config import MediaConfig
from avaffect.errors import MediaError
from avaffect.media.decode import Damage, decoded_frames

X264 = ["-c:v", "libx264", "-g", "10"]
FILES = {
    "long_index.mp4": X264,
    "index_first.mp4": [*X264, "-movflags", "+faststart"],
    "fragments.mp4": [*X264, "-movflags", "frag_keyframe+empty_moov"],
    "packets.ts": X264,
    "a.mkv": X264,
    "b_frames.avi": ["-c:v", "mpeg4", "-bf", "2", "-g", "10"],
    "programme.mpg": ["-c:v", "mpeg2video"],
    "a.flv": ["-c:v", "flv1"],
    "a.webm": ["-c:v", "libvpx", "-deadline", "realtime"],
    "pictures.mkv": ["-c:v", "mjpeg"],
}


def count(path):
    damage = Damage()
    return sum(1 for _ in decoded_frames(path, MediaConfig(), damage)), damage


@pytest.mark.parametrize("name", FILES)
def test_whole_truncated_and_corrupted_files_give_every_frame(
    make, independent_count, name
) -> None:
    path = make.test_card(name, *FILES[name], seconds=2)
    assert count(path) == (50, Damage())
    whole = path.read_bytes()
    dice = random.Random(name)
    spoilt = []
    if name != "long_index.mp4":
        spoilt.append(whole[: len(whole) * 2 // 3])
    for holes in (1, 4):
        data = bytearray(whole)
        for _ in range(holes):
            place = dice.randrange(len(data) // 4, len(data) * 3 // 4)
            data[place : place + 60] = dice.randbytes(60)
        spoilt.append(bytes(data))
    for data in spoilt:
        path.write_bytes(data)
        frames, _ = count(path)
        assert frames == independent_count(path)
        assert 0 < frames <= 50


def test_an_unreadable_stretch_is_counted_and_decoding_goes_on(make, independent_count) -> None:
    path = make.test_card("hole.mp4", *X264, seconds=2)
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + len(data) // 3
    data[start : start + 3000] = bytes(3000)
    path.write_bytes(data)
    frames, damage = count(path)
    assert frames == independent_count(path) > 25
    assert damage.errors > 0
    assert damage.first.startswith("Invalid data")


def test_frames_that_follow_an_error_at_the_end_are_kept(
    make, independent_count, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several threads decode ahead; what they hold when the file ends must not be dropped."""
    monkeypatch.setattr("avaffect.media.decode.cores", lambda: 4)
    path = make.test_card("end.mkv", "-c:v", "libx264", "-bf", "3", seconds=2)
    with av.open(str(path)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    data = path.read_bytes()
    for start, size in places[-4:]:
        spoilt = bytearray(data)
        spoilt[start + 12 : start + size] = bytes(size - 12)
        path.write_bytes(spoilt)
        frames, damage = count(path)
        assert frames == independent_count(path) == 49
        assert damage.errors == 1


def test_a_missing_stream_is_an_error(make) -> None:
    path = make.test_card("one.mp4", *X264)
    with pytest.raises(MediaError, match="no video stream 3"):
        next(decoded_frames(path, MediaConfig(video_stream=3), Damage()))
