import fcntl
import json
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
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from avaffect.challenge.text import read_annotations
from avaffect.files.table import read_table
from avaffect.models.zoo import ZOO
from avaffect.networks.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from avaffect.recipes.library import parse_recipe
from avaffect.store.subject import SubjectFeatures


def test_video_becomes_challenge_files(run, clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = run("predict", clip, "-o", out)
    assert done.code == 0
    row = done.out.splitlines()[1]
    assert row.split() == ["face.mp4", "12", "12", "face", "ok", "(5", "files", "in", f"{out})"]
    assert "not trained on Aff-Wild2" in done.err
    assert sorted(str(path.relative_to(out)) for path in out.rglob("*.*")) == [
        "AU_Detection_Challenge/face.txt",
        "EXPR_Classification_Challenge/face.txt",
        "VA_Estimation_Challenge/face.txt",
        "records/face.json",
        "report.html",
        "summary.csv",
        "tables/face.csv",
        "tables/face.parquet",
    ]
    assert done.err.splitlines()[-3:] == [
        f"tables: {out / 'tables'} (parquet and CSV)",
        f"summary: {out / 'summary.csv'}",
        f"report: {out / 'report.html'}",
    ]
    assert len(read_annotations(out / "VA_Estimation_Challenge/face.txt", "va")) == 12


def test_tables_alone(run, clip: Path, tmp_path: Path) -> None:
    for outcome in ("2 files in", "already done"):
        done = run(
            "predict", clip, "-o", tmp_path, "--format", "csv", "--edition", "abaw11",
            "--no-report",
        )  # fmt: skip
        assert (done.code, outcome in done.out) == (0, True)
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*")) == [
        "records/face.json",
        "tables/face.csv",
        "tables/face.parquet",
    ]
    names, *rows = (tmp_path / "tables/face.csv").read_text().splitlines()
    assert names.split(",") == list(read_table(tmp_path / "tables/face.parquet")[0])
    assert [row.split(",")[0] for row in rows] == [str(at) for at in range(1, 13)]
    # Another format is made anew; what is there of the first stays.
    assert run("predict", clip, "-o", tmp_path).code == 0
    assert (tmp_path / "VA_Estimation_Challenge/face.txt").is_file()
    assert (tmp_path / "tables/face.csv").is_file()
    assert run("predict", clip, "-o", tmp_path, "--format", "csv").code == 0


def test_report_and_summary_follow_what_is_predicted(run, clip: Path, tmp_path: Path) -> None:
    first, out = shutil.copyfile(clip, tmp_path / "first.mp4"), tmp_path / "out"
    assert run("predict", first, "-o", out).code == 0
    kept = (out / "report.html").stat().st_mtime_ns
    done = run("predict", first, "-o", out)
    assert f"report: {out / 'report.html'}" in done.err
    assert (out / "report.html").stat().st_mtime_ns == kept
    # Of several videos there is a page each. A file of the user's own is no reason to fail.
    (out / "summary.csv").write_text("mine")
    with first.open("ab") as file:
        file.write(bytes(8))
    second = first.rename(tmp_path / "second.mp4")
    done = run("predict", second, "-o", out, "--decimal", "comma")
    assert done.code == 0
    assert "no summary was written" in done.err
    assert (out / "summary.csv").read_text() == "mine"
    assert sorted(page.name for page in (out / "reports").iterdir()) == [
        "first.mp4.html",
        "second.mp4.html",
    ]


def test_csv_is_written_as_it_is_wanted_and_nothing_predicted_for_it(
    run, clip: Path, tmp_path: Path
) -> None:
    parquet, text = tmp_path / "tables/face.parquet", tmp_path / "tables/face.csv"
    done = run("predict", clip, "-o", tmp_path, "--no-csv")
    assert (done.code, text.exists()) == (0, False)
    assert f"tables: {tmp_path / 'tables'} (parquet)" in done.err.splitlines()
    before = parquet.stat().st_mtime_ns
    for options in ((), ("--decimal", "comma"), ("--decimal", "point"), ()):
        done = run("predict", clip, "-o", tmp_path, *options)
        assert "already done" in done.out
        assert text.read_text().startswith("\ufeffframe;time" if "comma" in options else "frame,")
    text.unlink()
    assert "already done" in run("predict", clip, "-o", tmp_path).out
    assert text.is_file()
    assert parquet.stat().st_mtime_ns == before
    # Predicted anew without it, what is left would be of another prediction.
    run("predict", clip, "-o", tmp_path, "--no-csv", "--smooth", "off")
    assert not text.exists()
    text.write_text("mine")
    done = run("predict", clip, "-o", tmp_path, "--smooth", "off")
    assert (done.code, "face.csv" in done.error, text.read_text()) == (2, True, "mine")
    done = run("predict", clip, "-o", tmp_path, "--no-csv", "--format", "csv")
    assert (done.code, "leave one of the two out" in done.error) == (2, True)


def test_again_is_already_done(run, clip: Path, tmp_path: Path, files) -> None:
    run("predict", clip, "-o", tmp_path)
    before = files(tmp_path)
    done = run("predict", clip, "-o", tmp_path)
    assert (done.code, "ok (already done)" in done.out) == (0, True)
    assert files(tmp_path) == before
    done = run("predict", clip, "-o", tmp_path, "--overwrite")
    assert "ok (5 files in" in done.out
    assert files(tmp_path) == before


def test_a_net_that_is_excluded_by_its_licence(
    run, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ZOO, "fer", replace(ZOO["fer"], licence="CC BY-NC 4.0"))
    fer = ("predict", clip, "-o", tmp_path / "out", "--frame-model", "fer")
    done = run(*fer, "--no-nc")
    assert (done.code, "'fer' is for non-commercial use (CC BY-NC 4.0)" in done.error) == (2, True)
    assert not (tmp_path / "out").exists()
    assert run(*fer).code == 0


def test_without_non_commercial_nets_the_face_alone_is_judged(
    run, clip: Path, tmp_path: Path
) -> None:
    done = run("predict", clip, "-o", tmp_path / "out", "--no-nc")
    assert done.code == 0
    assert "note: the nets for research were left out" in done.err
    columns, about = read_table(tmp_path / "out/tables/face.parquet")
    assert about["model"] == "starter-2"
    assert columns["present"].all()
    assert not columns["heard"].any()
    record = json.loads((tmp_path / "out/records/face.json").read_text())
    assert record["models"].keys() == {
        "blazeface-back", "blazeface-full", "face-landmarker"
    }  # fmt: skip
    # What is left still sees something: expressions by rules over the action units.
    assert np.isfinite(columns["valence"]).all()


def test_not_on_a_terminal_lines_are_plain(run, clip: Path, tmp_path: Path) -> None:
    done = run("predict", clip, "-o", tmp_path, "-t", "va")
    assert "device:" in done.err
    assert not set("\r\x1b") & set(done.err)
    assert "frames/s" not in done.err


def test_quiet_prints_nothing(run, clip: Path, tmp_path: Path) -> None:
    for _ in range(2):
        done = run("predict", clip, "-o", tmp_path, "-q", "-t", "va,au")
        assert (done.code, done.out, done.err) == (0, "", "")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "AU_Detection_Challenge", "VA_Estimation_Challenge", "records", "report.html",
        "summary.csv", "tables",
    ]  # fmt: skip


def test_preprocess_then_predict_without_naming_anything(
    run, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("preprocess", clip).code == 0
    done = run("predict", "--task", "va")
    assert done.code == 0
    assert (tmp_path / "avaffect_out/VA_Estimation_Challenge/face.txt").is_file()
    from_folder = read_table(tmp_path / "avaffect_out/tables/face.parquet")[0]
    assert run("predict", clip, "--task", "va", "-o", "straight").code == 0
    straight = read_table(tmp_path / "straight/tables/face.parquet")[0]
    assert from_folder.keys() == straight.keys()
    assert all((from_folder[name] == straight[name]).all() for name in straight)


def test_folder_that_was_made_for_another_model(run, clip: Path, tmp_path: Path) -> None:
    made, out = tmp_path / "made", tmp_path / "out"
    assert run("preprocess", clip, "-o", made, "--encoder", "fer", "--no-audio").code == 0
    done = run("predict", made, "-o", out)
    assert done.code == 1
    assert done.error == (
        "avaffect: the features of 'face' lack starter-2-face, needed by starter-2: "
        "preprocess again with --encoder starter-2-face"
    )
    assert len(done.err.splitlines()) == 2  # the device, and this
    assert not out.exists()
    assert run("predict", made, "-o", out, "--frame-model", "fer").code == 0
    # What the line says is enough.
    again = ("preprocess", clip, "-o", made, "--encoder", "starter-2-face", "--no-audio")
    assert run(*again).code == 0
    assert run("predict", made, "-o", tmp_path / "new").code == 0


def test_no_face_is_one_line_and_files_all_the_same(run, faceless: Path, tmp_path: Path) -> None:
    silent = "'nobody.mp4' has no sound; its audio features are marked missing"
    for notices in ([silent], []):  # the second time it is already done
        done = run("predict", faceless, "-o", tmp_path)
        assert done.code == 1
        assert done.error == (
            "avaffect: no face was found in any of the 8 frames of 'nobody.mp4': whole pictures, "
            "smaller ones (for close-ups) and parts of them (for small faces) were looked at, and "
            "all rows are marked missing; if there are faces, try --detector centerface"
        )
        device, *lines = done.err.splitlines()
        assert device.startswith("device: ")
        assert lines == [*notices, done.error]
        assert done.out == ""
    assert (tmp_path / "VA_Estimation_Challenge/nobody.txt").read_text() == (
        "valence,arousal\n" + 8 * "-5,-5\n"
    )
    assert (read_annotations(tmp_path / "AU_Detection_Challenge/nobody.txt", "au") == -1).all()


def test_a_video_on_its_side_gets_the_turn_that_helps(
    run, clip: Path, ffmpeg, tmp_path: Path
) -> None:
    side = tmp_path / "side.mp4"
    ffmpeg("-i", clip, "-vf", "transpose=clock", "-an", side)
    for _ in range(2):  # the second time it is already done
        done = run("predict", side, "-o", tmp_path / "out")
        assert (done.code, done.out.splitlines()[1].split()[1:3]) == (0, ["12", "12"])
        assert "faces are not upright: --rotate 270;" in done.table
    made = run("preprocess", side, "-o", tmp_path / "made", "--no-audio")
    assert "faces are not upright: --rotate 270" in made.table
    done = run("predict", side, "-o", tmp_path / "out", "--rotate", "270")
    assert (done.code, "not upright" in done.out) == (0, False)


def test_the_notes_of_the_model_are_told_once(
    run, faceless: Path, clip: Path, tmp_path: Path
) -> None:
    assert "note: " in run("predict", clip, "-o", tmp_path / "out", "-t", "va").err
    assert "note: " not in run("predict", clip, faceless, "-o", tmp_path / "out", "-t", "va").err
    assert "note: " in run("predict", clip, "-o", tmp_path / "other", "-t", "va").err


def test_a_video_upside_down_gets_the_turn_that_helps(
    run, clip: Path, ffmpeg, tmp_path: Path
) -> None:
    turned = tmp_path / "turned.mp4"
    ffmpeg("-i", clip, "-vf", "hflip,vflip", "-an", turned)
    done = run("predict", turned, "-o", tmp_path / "out")
    assert "--rotate 180" in done.out + done.err
    done = run("predict", turned, "-o", tmp_path / "out", "--rotate", "180")
    assert (done.code, "--rotate" in done.out) == (0, False)


def test_rows_without_a_face_stay_empty_and_are_told(
    run, ffmpeg, clip: Path, tmp_path: Path
) -> None:
    grey = "drawbox=color=gray:t=fill:enable='gte(n,8)'"
    video = tmp_path / "leaves.mp4"
    ffmpeg("-stream_loop", 1, "-i", clip, "-vf", grey, "-an", "-crf", "16", video)
    for outcome in ("5 files in", "already done"):
        done = run("predict", video, "-o", tmp_path / "out", "--clock", "media")
        assert done.code == 0
        assert f"few faces (16 of 24 rows without a face; {outcome}" in done.table
    columns, about = read_table(tmp_path / "out/tables/leaves.parquet")
    gone = ~columns["present"]
    assert gone.sum() == 16
    for name in ("valence", "p_Fear", "AU12", "AU12_p", "AU12_intensity", "box_left", "yaw"):
        assert (np.isnan(columns[name]) == gone).all()
    assert [value is None for value in columns["expression"]] == gone.tolist()
    assert (columns["filled"] == gone).all()
    assert (about["missing"], about["clock"]) == ("linear", "media")
    record = json.loads((tmp_path / "out/records/leaves.json").read_text())
    assert record["media"] == about["media"]
    assert record["media"]["first_time_s"] == columns["time"][0]
    assert record["faces"] == {"leaves": 8}
    text = read_annotations(tmp_path / "out/VA_Estimation_Challenge/leaves.txt", "va")
    assert (text[gone] == text[7]).all()


def test_a_wrong_flag_is_undone(run, clip: Path, ffmpeg, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.mp4"
    ffmpeg("-display_rotation", "90", "-i", clip, "-c", "copy", "-an", wrong)
    done = run("predict", wrong, "-o", tmp_path / "out")
    assert "faces are not upright: --rotate 0;" in done.table
    assert run("predict", wrong, "-o", tmp_path / "out", "--rotate", "0").code == 0


def test_a_rate_that_had_to_be_assumed_is_told(
    run, faceless: Path, ffmpeg, tmp_path: Path
) -> None:
    bare = tmp_path / "bare.mjpeg"
    ffmpeg("-i", faceless, "-an", "-c:v", "mjpeg", bare)
    assert "warning: 'bare.mjpeg' does not say" in run("predict", bare, "-o", tmp_path / "a").err
    given = run("predict", bare, "-o", tmp_path / "b", "--fps", "10")
    assert "does not say" not in given.err
    assert read_table(tmp_path / "b/tables/bare.parquet")[0]["time"][1] == 0.1


def test_edition_missing_and_format_arrive(
    run, faceless: Path, clip: Path, tmp_path: Path
) -> None:
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


def test_features_full_keeps_them(
    run, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("avaffect.predicting.settings.EMBEDDING", "fer")
    assert run("predict", clip, "-o", tmp_path, "--features", "full").code == 0
    names = SubjectFeatures.open(tmp_path / "features/face").names
    assert set(names) == {"audio", "face_pose", "fer", "has_sound", "starter-2-face", "voice"}
    encoders = ("--encoder", "fer", "--encoder", "starter-2-face")
    done = run("preprocess", clip, "-o", tmp_path, *encoders)
    assert "ok (audio, crops in" in done.out  # the wav file; the features are there


@pytest.fixture
def model(tmp_path: Path):
    """Makes the run of a network with random weights, for valence alone."""

    def make(modality="audio", features="audio", width=168, **facts):
        branch = {"modality": modality, "features": [features], "layers": [{"kind": "gru"}]}
        tasks = {"va": {"terms": {"ccc": 1}}}
        tree = {"name": "mine", "branches": {"b": branch}, "tasks": tasks}
        targets = {"va": ("valence",)}
        checkpoint = Checkpoint(parse_recipe(tree, ""), targets, {"b": width}, **facts)
        torch.manual_seed(0)
        save_checkpoint(tmp_path / "model/best", checkpoint, checkpoint.build())
        return tmp_path / "model"

    return make


@pytest.fixture
def wav(tmp_path: Path):
    path = tmp_path / "voice.wav"
    soundfile.write(path, 0.1 * np.random.default_rng(0).normal(size=8000), 16_000)
    return path


def test_a_checkpoint_hears_a_sound_file(run, model, wav, tmp_path: Path) -> None:
    place, out = model(), tmp_path / "out"
    done = run("predict", wav, "--checkpoint", place, "-o", out)
    assert done.code == 0, done.err
    assert done.out.splitlines()[1].split()[:5] == ["voice.wav", "13", "0", "voice", "ok"]
    assert "never validated" in done.err
    assert sorted(str(path.relative_to(out)) for path in out.rglob("*.*")) == [
        "VA_Estimation_Challenge/voice.txt", "records/voice.json", "report.html", "summary.csv",
        "tables/voice.csv", "tables/voice.parquet",
    ]  # fmt: skip
    rows = read_annotations(out / "VA_Estimation_Challenge/voice.txt", "va")
    assert (rows[:, 1] == -5).all()
    assert (np.abs(rows[:, 0]) <= 1).all()
    columns, about = read_table(out / "tables/voice.parquet")
    assert about["model"] == "mine"
    assert (columns["heard"].all(), columns["present"].any()) == (True, False)
    again = run("predict", wav, "--checkpoint", place / "best", "-o", out)
    assert (again.code, "ok (already done)" in again.out) == (0, True)
    # Other weights in the same folder are another model.
    with torch.no_grad():
        checkpoint, network = load_checkpoint(place)
        next(network.parameters()).add_(0.5)
        save_checkpoint(place / "best", checkpoint, network)
    other = run("predict", wav, "--checkpoint", place, "-o", out)
    assert (other.code, "already done" in other.out) == (0, False)
    assert (read_annotations(out / "VA_Estimation_Challenge/voice.txt", "va") != rows).any()


def test_a_checkpoint_hears_a_video_without_a_face(
    run, model, clip: Path, faceless: Path, tmp_path: Path
) -> None:
    # The face is there but not looked at, only listened to.
    assert run("predict", clip, "--checkpoint", model(), "-o", tmp_path / "out").code == 0
    columns, _ = read_table(tmp_path / "out/tables/face.parquet")
    assert (len(columns["frame"]), columns["heard"].all()) == (12, True)
    # Without a sound there is nothing to go by.
    done = run("predict", faceless, "--checkpoint", model(), "-o", tmp_path / "silent")
    assert (done.code, "no face was found" in done.error) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["-t", "au"], 2, "does not predict au: it predicts va"),
        (["--checkpoint", "nowhere"], 2, "there is no checkpoint 'nowhere'"),
        (["--checkpoint", "model.pt"], 1, "run any code when it is opened"),
        (["--checkpoint", "table"], 1, "features of your own ('table')"),
    ],
)
def test_checkpoints_that_cannot_be_used(
    arguments,
    code: int,
    says: str,
    run,
    model,
    wav,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.pt").write_bytes(b"x")
    model("video", "table", 3).rename("table")
    place = model()
    done = run("predict", wav, "--checkpoint", place, *arguments)
    assert (done.code, says in done.error) == (code, True), done.err
    assert not (tmp_path / "avaffect_out").exists()


def test_the_default_model_listens_to_a_sound_file(run, sample, ffmpeg, tmp_path: Path) -> None:
    spoken, out = tmp_path / "spoken.wav", tmp_path / "out"
    ffmpeg("-i", sample("one_person.mp4"), "-vn", "-t", 2, spoken)
    done = run("predict", spoken, "-o", out)
    assert done.code == 0, done.err
    assert done.out.splitlines()[1].split()[:5] == ["spoken.wav", "50", "0", "spoken", "ok"]
    columns, about = read_table(out / "tables/spoken.parquet")
    assert about["model"] == "starter-2"
    assert columns["heard"].any() and not columns["present"].any()
    assert np.isfinite(columns["valence"][columns["heard"]]).all()
    assert (read_annotations(out / "AU_Detection_Challenge/spoken.txt", "au") == -1).all()
    # From what preprocess makes of it the same.
    assert run("preprocess", spoken, "-o", tmp_path / "made").code == 0
    assert run("predict", tmp_path / "made", "-o", tmp_path / "from_made").code == 0
    again = read_table(tmp_path / "from_made/tables/spoken.parquet")[0]
    for name in columns:
        np.testing.assert_array_equal(again[name], columns[name])


def test_file_names_of_all_kinds(
    run, faceless: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["with space.mp4", "qu'o\"te.mp4", "-dash.mp4", "Frühling 春.mp4", "a;b&c$d.mp4"]
    monkeypatch.chdir(tmp_path)
    for name in names:
        shutil.copy(faceless, tmp_path / name)
    done = run("predict", "-o", "out", "-t", "va", "--", *names)
    assert done.code == 1  # nobody has a face
    assert done.err.count("no face was found") == len(names)
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


def test_bar_on_a_terminal_and_ctrl_c(
    run, sample, ffmpeg, clip: Path, tmp_path: Path, files
) -> None:
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
