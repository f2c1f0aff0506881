"""Files that are no media are called what they are."""

from pathlib import Path

import numpy as np
import pytest

from avaffect.config import MediaConfig
from avaffect.errors import NotMediaError
from avaffect.media.container import open_container
from avaffect.media.sound import extract_sound


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("list.txt", b"a.mp4\nb.mp4\n", "text: name the files themselves, e.g. xargs"),
        ("list.csv", "file,näme\n1.mp4,x\n".encode(), "text: name the files themselves"),
        ("list.csv", "file,näme\n".encode("latin-1"), "text: name the files themselves"),
        ("x.mp4", b"not found\n", "text: copy or download it again"),
        ("x.m3u", b"#EXTM3U\na.mp4\n", "playlist"),
        ("x.m3u8", b"\xef\xbb\xbf#EXTM3U\n#EXT-X-VERSION:3\n", "playlist"),
        ("x.pls", b"[playlist]\nFile1=a.mp4\n", "playlist"),
        ("x.mp4", b"\n<!DOCTYPE html><html>", "web page: download the video itself"),
        ("x.mp4", b"version https://git-lfs.github.com/spec/v1\noid", "git lfs pull"),
        ("x.zip", b"PK\x03\x04" + bytes(100), "archive: unpack it first"),
        ("x.tar", bytes(257) + b"ustar\x0000" + bytes(300), "archive"),
        ("x.pdf", b"%PDF-1.7\n\x80\x81", "PDF"),
        ("x.sph", b"NIST_1A\nrubbish", "sph2pipe"),
        ("x.bin", bytes(range(256)) * 40, "damaged from its start"),
    ],
)
def test_what_it_is(tmp_path: Path, name: str, content, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(NotMediaError) as error:
        open_container(path)
    assert message in str(error.value)


def sphere(folder, coding, data):
    lines = ["NIST_1A", "   1024", f"sample_count -i {len(data) // 2}", "sample_rate -i 16000",
             "channel_count -i 1", "sample_byte_format -s2 01", "sample_n_bytes -i 2",
             f"sample_coding -s{len(coding)} {coding}", "end_head"]  # fmt: skip
    path = folder / f"{coding[:4]}.sph"
    path.write_bytes("\n".join([*lines, ""]).encode().ljust(1024) + data)
    return path


def test_nist_sphere_is_read(tmp_path: Path) -> None:
    tone = (8000 * np.sin(np.arange(16_000) / 10)).astype("<i2")
    out = tmp_path / "out.wav"
    path = sphere(tmp_path, "pcm", tone.tobytes())
    info = extract_sound(path, MediaConfig(), out, first_time_s=None)
    assert info.samples == pytest.approx(16_000, abs=1)
    assert np.array_equal(np.frombuffer(out.read_bytes()[44:], "<i2")[:15_000], tone[:15_000])
