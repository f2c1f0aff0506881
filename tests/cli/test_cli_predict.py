import fcntl
import os
import pty
import re
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time

from avaffect.files.challenge import read_annotations
from avaffect.files.table import read_table


def test_video_becomes_challenge_files(run, clip, tmp_path):
    out = tmp_path / "out"
    done = run("predict", clip, "-o", out)
    assert done.code == 0
    row = done.out.splitlines()[1]
    assert row.split() == ["face.mp4", "12", "12", "face", "ok", "(4", "files", "in", f"{out})"]
    assert "not trained on Aff-Wild2" in done.err
    assert sorted(str(path.relative_to(out)) for path in out.rglob("*.*")) == [
        "AU_Detection_Challenge/face.txt",
        "EXPR_Classification_Challenge/face.txt",
        "VA_Estimation_Challenge/face.txt",
        "records/face.json",
        "tables/face.parquet",
    ]
    assert len(read_annotations(out / "VA_Estimation_Challenge/face.txt", "va")) == 12


def test_again_is_already_done(run, clip, tmp_path, files):
    run("predict", clip, "-o", tmp_path)
    before = files(tmp_path)
    done = run("predict", clip, "-o", tmp_path)
    assert (done.code, "ok (already done)" in done.out) == (0, True)
    assert files(tmp_path) == before
    done = run("predict", clip, "-o", tmp_path, "--overwrite")
    assert "ok (4 files in" in done.out
    assert files(tmp_path) == before


def test_not_on_a_terminal_lines_are_plain(run, clip, tmp_path):
    done = run("predict", clip, "-o", tmp_path, "-t", "va")
    assert "device:" in done.err
    assert not set("\r\x1b%") & set(done.err)


def test_quiet_prints_nothing(run, clip, tmp_path):
    for _ in range(2):
        done = run("predict", clip, "-o", tmp_path, "-q", "-t", "va,au")
        assert (done.code, done.out, done.err) == (0, "", "")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "AU_Detection_Challenge", "VA_Estimation_Challenge", "records", "tables"
    ]  # fmt: skip


def test_preprocess_then_predict_without_naming_anything(run, clip, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("preprocess", clip, "--encoder", "fer", "--no-audio").code == 0
    done = run("predict", "--task", "va")
    assert done.code == 0
    assert (tmp_path / "avaffect_out/VA_Estimation_Challenge/face.txt").is_file()
    from_folder = read_table(tmp_path / "avaffect_out/tables/face.parquet")[0]
    assert run("predict", clip, "--task", "va", "-o", "straight").code == 0
    straight = read_table(tmp_path / "straight/tables/face.parquet")[0]
    assert from_folder.keys() == straight.keys()
    assert all((from_folder[name] == straight[name]).all() for name in straight)


def test_no_face_is_one_line_and_files_all_the_same(run, faceless, tmp_path):
    for _ in range(2):  # the second time it is already done
        done = run("predict", faceless, "-o", tmp_path)
        assert done.code == 1
        assert done.error == (
            "avaffect: no face was found in any of the 8 frames of 'nobody.mp4': all its rows "
            "are marked missing; --detector centerface finds smaller faces"
        )
        assert len(done.err.splitlines()) == 2  # the device, and this
        assert done.out == ""
    assert (tmp_path / "VA_Estimation_Challenge/nobody.txt").read_text() == (
        "valence,arousal\n" + 8 * "-5,-5\n"
    )
    assert (read_annotations(tmp_path / "AU_Detection_Challenge/nobody.txt", "au") == -1).all()


def test_edition_missing_and_format_arrive(run, faceless, clip, tmp_path):
    arguments = ["-t", "expr", "--missing", "invalid", "--format", "single", "--edition", "abaw8"]
    assert run("predict", faceless, clip, "-o", tmp_path, *arguments).code == 1
    folder = tmp_path / "EXPR_Classification_Challenge"
    rows = (folder / "predictions.txt").read_text().splitlines()
    assert rows[0].startswith("image_location,Neutral")
    assert rows[1:9] == [f"nobody/{frame:05d}.jpg,-1" for frame in range(1, 9)]
    assert [row.split(",")[0] for row in rows[9:]] == [
        f"face/{frame:05d}.jpg" for frame in range(1, 13)
    ]
    assert [path.name for path in folder.iterdir()] == ["predictions.txt"]


def test_features_full_keeps_them(run, clip, tmp_path, monkeypatch):
    monkeypatch.setattr("avaffect.pipeline.predict.EMBEDDING", "fer")
    assert run("predict", clip, "-o", tmp_path, "--features", "full").code == 0
    assert (tmp_path / "features/face/arrays.safetensors").is_file()
    done = run("preprocess", clip, "-o", tmp_path, "--encoder", "fer")
    assert "ok (audio, crops in" in done.out  # the wav file; the features are there


def test_file_names_of_all_kinds(run, faceless, tmp_path, monkeypatch):
    names = ["with space.mp4", "qu'o\"te.mp4", "-dash.mp4", "Frühling 春.mp4", "a;b&c$d.mp4"]
    monkeypatch.chdir(tmp_path)
    for name in names:
        shutil.copy(faceless, tmp_path / name)
    done = run("predict", "-o", "out", "-t", "va", "--", *names)
    assert done.code == 1  # nobody has a face
    assert done.out.count("no face was found") == len(names)
    assert {path.stem for path in (tmp_path / "out/VA_Estimation_Challenge").iterdir()} == {
        name.removesuffix(".mp4") for name in names
    }


def read_until(master, pattern, seconds=60):
    """What a program shows on its terminal, up to ``pattern``."""
    text, end = "", time.monotonic() + seconds
    while not re.search(pattern, text):
        assert time.monotonic() < end, text
        try:
            text += os.read(master, 1 << 16).decode(errors="replace")
        except BlockingIOError:
            time.sleep(0.02)
    return text


def test_bar_on_a_terminal_and_ctrl_c(run, sample, ffmpeg, clip, tmp_path, files):
    long = tmp_path / "long.mp4"
    ffmpeg("-stream_loop", "20", "-i", sample("one_person.mp4"), "-c", "copy", "-an", long)
    out = tmp_path / "out"
    run("predict", clip, "-o", out, "-q")
    before = files(out)
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    os.set_blocking(master, False)
    # A shell that runs tests in the background has them ignore Ctrl-C, and so their children.
    start = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from avaffect.cli.main import main; main()"
    )
    program = subprocess.Popen(
        [sys.executable, "-c", start, "predict", str(long), "-o", str(out)],
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    try:
        bar = read_until(master, r"faces: +\d+%.*frames/s")
        assert re.search(r"\d+/4200 \[\d\d:\d\d<", bar)
        program.send_signal(signal.SIGINT)
        last = read_until(master, "goes on from there")
        assert program.wait(60) == 130
    finally:
        program.kill()
        program.wait()
        os.close(master)
    assert last.count("avaffect:") == 1
    assert "Traceback" not in bar + last
    after = files(out)
    assert {path: data for path, data in after.items() if ".predict-work" not in path} == before
    assert len(after) > len(before)
    assert not [path for path in after if ".tmp" in path]
