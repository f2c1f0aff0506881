import fcntl
import os
import pty
import select
import struct
import sys
import termios
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from avaffect.cli import terminal as printing
from avaffect.cli.terminal import Reporter, Row, duration, lacking, printable, run_all
from avaffect.errors import NotMediaError, UsageError
from avaffect.progress import Notice, Progress

_MARK = "\x1f"
SOURCES = [Path("a.mp4"), Path("b.mp4"), Path("c.mp4")]


@contextmanager
def terminal(monkeypatch):
    """stderr is a terminal of 100 columns; yields a function that gives what was shown."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    os.set_blocking(master, False)
    with os.fdopen(slave, "w") as screen, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", screen)

        def shown():
            # The system hands on what was written piece by piece: wait for a mark behind it.
            screen.write(_MARK)
            screen.flush()
            text = b""
            while not text.endswith(_MARK.encode()):
                assert select.select([master], [], [], 30)[0], text
                text += os.read(master, 1 << 16)
            return text.decode().removesuffix(_MARK)

        yield shown
    os.close(master)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch):
    """The time in seconds, to be set."""
    now = [time.monotonic()]
    monkeypatch.setattr(printing.time, "monotonic", lambda: now[0])
    return now


def test_bar_on_a_terminal_shows_speed_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    with terminal(monkeypatch) as shown, Reporter() as reporter:
        for done in range(0, 100, 10):
            reporter(Progress("faces", done, 100))
        reporter._bar.refresh()
        reporter.say("device: CPU")
        reporter(Progress("faces", 100, 100, finished=True))
        text = shown()
    assert "faces:  90%" in text
    assert "90/100" in text
    assert "frames/s" in text
    assert "<" in text  # elapsed<remaining
    assert "device: CPU" in text
    # What is left on the line at the end is wiped.
    assert text.replace("\r", "\n").splitlines()[-1].strip() == ""


def test_frames_of_an_earlier_run_do_not_count_as_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    with terminal(monkeypatch) as shown, Reporter() as reporter:
        reporter(Progress("faces", 500, 1000))
        assert reporter._bar.initial == 500
        assert reporter._bar.n == 500
        assert "50%" in shown()


def test_plain_lines_now_and_then_elsewhere(clock, capsys: pytest.CaptureFixture[str]) -> None:
    with Reporter() as reporter:
        for done in range(10, 110, 10):
            clock[0] += 4
            reporter(Progress("faces", done, 100))
        reporter(Progress("faces", 100, 100, finished=True))
        reporter(Notice("half of it is missing", warning=True))
    assert capsys.readouterr().err.splitlines() == [
        "faces: 30 of 100 frames",
        "faces: 60 of 100 frames, about 16 s left",
        "faces: 90 of 100 frames, about 4 s left",
        "warning: half of it is missing",
    ]


def test_quiet_shows_nothing(
    clock, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with terminal(monkeypatch) as shown, Reporter(quiet=True) as reporter:
        clock[0] += 1000
        reporter(Progress("faces", 10, 100))
        reporter(Notice("careful", warning=True))
        assert run_all(SOURCES[:1], ok, reporter, at_end=lambda: reporter.say("note")) == 0
        print("end", file=sys.stderr)
        assert shown() == "end\r\n"
    assert capsys.readouterr().out == ""


def ok(source):
    return Row.done(source, 100, 90, ["x"], "fine")


def outcome_of(outcomes, capsys, **options):
    """Run with an outcome for each source: an error to raise, or None."""

    def work(source):
        error = outcomes[SOURCES.index(source)]
        if error is not None:
            raise error
        return ok(source)

    with Reporter(**options) as reporter:
        code = run_all(SOURCES[: len(outcomes)], work, reporter)
    return (code, *capsys.readouterr())


BAD, WRONG = NotMediaError("no video", "get one"), UsageError("wrong")


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        ([None], 0),
        ([None, None], 0),
        ([BAD], 1),
        ([WRONG], 2),
        ([None, WRONG], 2),
        ([None, BAD, BAD], 1),
        ([WRONG, WRONG], 2),
        ([WRONG, BAD], 1),
        ([RuntimeError("bug"), None], 1),
    ],
)
def test_exit_code(outcomes, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome_of(outcomes, capsys)[0] == code


def test_others_go_on_and_the_table_says_what_failed(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, err = outcome_of([None, RuntimeError("a bug"), None], capsys)
    head, first, second, third = out.splitlines()
    assert head.split() == ["input", "frames", "with", "face", "subjects", "outcome"]
    assert first.split() == ["a.mp4", "100", "90", "x", "ok", "(fine)"]
    assert second.split() == ["b.mp4", "-", "-", "-", "failed"]
    assert third.startswith("c.mp4")
    assert err.splitlines() == [
        "[1/3] a.mp4",
        "[2/3] b.mp4",
        "[3/3] c.mp4",
        "b.mp4: unexpected RuntimeError: a bug: run again with --debug for the traceback, and "
        "report it",
        "avaffect: 1 of 3 inputs failed (1 failed); 2 done",
    ]


def test_one_failure_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome_of([BAD], capsys) == (1, "", "avaffect: no video: get one\n")
    assert outcome_of([BAD], capsys, quiet=True) == (1, "", "avaffect: no video: get one\n")


def test_quiet_names_each_failure(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, err = outcome_of([None, BAD], capsys, quiet=True)
    assert out == ""
    assert err == (
        "b.mp4: no video: get one\navaffect: 1 of 2 inputs failed (1 unreadable); 1 done\n"
    )


def test_without_a_face_counts_as_failed() -> None:
    row = Row.done(Path("x/v.mp4"), 50, 0, ["v"], "4 files")
    assert (row.exit_code, row.outcome) == (1, "no face")
    assert "no face was found in any of the 50 frames of 'v.mp4'" in row.error
    assert "--detector centerface" in row.error


def test_the_closing_words_tell_failures_apart(capsys: pytest.CaptureFixture[str]) -> None:
    def work(source):
        return Row.done(source, 5, 0, ["x"], "4 files") if source.stem == "a" else fail(source)

    def fail(source):
        raise NotMediaError("no video", "get one") if source.stem == "b" else RuntimeError("bug")

    run_all([*SOURCES[:3], SOURCES[0]], work, Reporter())
    assert capsys.readouterr().err.splitlines()[-1] == (
        "avaffect: 4 of 4 inputs failed (2 without a face, 1 unreadable, 1 failed); 0 done"
    )


@pytest.mark.parametrize("columns", [80, 72, 400])
def test_the_table_fits_the_terminal(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    long = Path("a_very_long_name_of_a_recording_of_participant_07_session_1.mp4")
    rows = Row.done(
        long, 123456, 3, [f"{long.stem}_left", f"{long.stem}_right"], "4 files in out",
        faces_of={"left": 3, "right": 7},
    )  # fmt: skip
    run_all([long, SOURCES[0]], lambda source: rows, Reporter())
    out = capsys.readouterr().out
    widest = max(map(len, out.splitlines()))
    assert widest <= columns
    assert ("…" in out) == (columns < 200) and (
        "few faces (123453 of 123456" in " ".join(out.split())
    )


def test_what_follows_a_success_does_not_follow_a_failure(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for outcome, expected in ((BAD, []), (None, ["note"])):
        notes = []

        def work(source, outcome=outcome):
            if outcome:
                raise outcome
            return ok(source)

        run_all(SOURCES[:1], work, Reporter(), at_end=lambda notes=notes: notes.append("note"))
        assert notes == expected


def test_names_cannot_move_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    hostile = Path("a\x1b[2J\nb\udcff.mp4")
    run_all([hostile, hostile], ok, Reporter())
    printed = capsys.readouterr()
    assert "\x1b" not in printed.out + printed.err
    assert len(printed.out.splitlines()) == 3
    assert printable("Frühling 春.mp4") == "Frühling 春.mp4"


@pytest.mark.parametrize(
    ("faces", "voices", "sound", "verdict", "reason"),
    [
        ({"v": 169}, 0, False, "ok", ""),
        ({}, 0, False, "ok", ""),
        ({"v": 168}, 0, False, "ok", "1 of 169 rows without a face"),
        ({"v": 72}, 0, False, "few faces", "97 of 169 rows without a face"),
        ({"v": 72}, 90, False, "few faces",
         "97 of 169 rows without a face, a voice in 90 of them"),
        ({"l": 160, "r": 169}, 0, False, "ok", "9 of 169 rows without a face of l"),
        ({"l": 160, "r": 3}, 0, False, "few faces",
         "9 of 169 rows without a face of l, 166 of 169 rows without a face of r"),
        ({"v": 0}, 169, True, "ok", ""),
        ({"v": 0}, 150, True, "ok", "19 of 169 rows without a voice"),
        ({"v": 0}, 9, True, "little speech", "160 of 169 rows without a voice"),
    ],
)  # fmt: skip
def test_rows_without_a_face_are_told(
    faces, voices: int, sound: bool, verdict: str, reason: str
) -> None:
    assert lacking(169, faces, voices, sound) == (verdict, reason)
    found = max(faces.values(), default=0)
    row = Row.done(Path("v.mp4"), 169, found, list(faces), "4 files", valued=found + voices or 1,
                   faces_of=faces, only_sound=sound)  # fmt: skip
    assert row.exit_code == 0
    if len(faces) == 1:
        assert row.outcome == f"{verdict} ({reason}{'; ' if reason else ''}4 files)"


def test_what_an_earlier_run_did_does_not_shorten_the_time_left(
    clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with Reporter() as reporter:
        reporter(Progress("training", 100, 125, "epochs"))
        clock[0] += 600
        reporter(Progress("training", 105, 125, "epochs"))
    assert "105 of 125 epochs, about 40 min left" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (89, "89 s"), (90, "2 min"), (3600, "60 min"), (5400, "1.5 h"), (32400, "9 h")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
