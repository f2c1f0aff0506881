"""Processes that are killed, and two at once: the files are those of a run that nobody disturbed.

`make faults` does the same to all commands that write, at many moments.
"""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fixtures.hidden import script_without

COMMAND = ("preprocess", "--encoder", "starter-2-face", "--no-voice")
# NumPy makes the same features of sound, and the import of librosa takes longer than all else.
PROGRAM = script_without("from avaffect.cli.main import main\nmain()\n", ["librosa"])


@pytest.fixture(scope="module")
def film(sample, ffmpeg, tmp_path_factory: pytest.TempPathFactory):
    """100 frames of a face, with sound."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    small = ["-vf", "scale=200:200", "-frames:v", 100, "-t", 4, "-crf", "16"]
    ffmpeg("-stream_loop", 3, "-i", sample("one_person.mp4"), *small, path)
    return path


def start(film, out):
    program = [sys.executable, "-c", PROGRAM, COMMAND[0], film, "-o", out, *COMMAND[1:]]
    return subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def content(root):
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def whole(film, tmp_path_factory: pytest.TempPathFactory):
    out = tmp_path_factory.mktemp("whole")
    with start(film, out) as process:
        assert process.wait() == 0, process.stderr.read()
    return content(out)


def saved(out):
    try:
        return json.loads((out / ".work/checkpoint.json").read_text())["frames"]
    except FileNotFoundError:
        return 0


def test_three_kills_and_the_same_files(film, whole, tmp_path: Path) -> None:
    out, codes = tmp_path / "out", []
    for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGHUP):
        with start(film, out) as process:
            assert process.stderr.readline().startswith("device: ")
            # In mid-video, or wherever it is when that is over.
            while not (out / ".work/times.f8").exists() and process.poll() is None:
                time.sleep(0.005)
            process.send_signal(number)
            printed = process.communicate()[1]
        codes.append(process.returncode)
        if process.returncode > 0:
            assert "Traceback" not in printed
            frames = saved(out)
            word = f"saved up to frame {frames}," if frames else "interrupted; "
            assert word in printed
    assert set(codes) <= {143, -signal.SIGKILL, 129, 0}
    with start(film, out) as process:
        assert process.wait() == 0, process.stderr.read()
    assert content(out) == whole


def test_two_at_once(film, whole, tmp_path: Path) -> None:
    with start(film, tmp_path) as first, start(film, tmp_path) as second:
        ends = [(process.communicate()[1], process.returncode) for process in (first, second)]
    for printed, code in ends:
        assert code == 0 or (code == 1 and f"working on '{tmp_path}'" in printed)
    assert 0 in [code for _, code in ends]
    assert content(tmp_path) == whole
