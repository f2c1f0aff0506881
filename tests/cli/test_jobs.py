import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from avaffect.cli.jobs import in_processes
from avaffect.cli.terminal import Reporter, Row
from avaffect.errors import UsageError
from avaffect.progress import Event, EventCallback, Notice, Progress


class Told(Reporter):
    """Notes all events."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.events.append(event)


class Stand:
    """Does what an input's name says."""

    @contextmanager
    def __call__(self, on_event: EventCallback) -> Iterator[Callable[[Path], Row]]:
        def work(source: Path) -> Row:
            try:
                on_event(Progress("faces", 1, 2))
                while source.stem == "endless":
                    time.sleep(0.02)
            except KeyboardInterrupt as error:
                raise KeyboardInterrupt("saved up to frame 3") from error
            if source.stem == "wrong":
                raise UsageError("it is wrong", "make it right")
            if source.stem == "dies":
                os._exit(7)
            on_event(Notice("a doubt"))
            return Row(source.name, f"ok by {os.getpid()}")

        yield work


def test_rows_come_in_the_order_of_the_inputs() -> None:
    sources = [Path(f"{name}.mp4") for name in ("a", "wrong", "b", "dies", "c", "d")]
    reporter = Told()
    rows = in_processes(sources, Stand(), 2, reporter)
    assert [row.source for row in rows] == [source.name for source in sources]
    assert [row.exit_code for row in rows] == [0, 2, 0, 1, 0, 0]
    assert rows[1].error == "it is wrong: make it right"
    assert "ended with code 7" in rows[3].error
    assert {row.outcome for row in rows}.isdisjoint({f"ok by {os.getpid()}"})
    assert reporter.events.count(Notice("a.mp4: a doubt")) == 1
    bars = [event for event in reporter.events if isinstance(event, Progress)]
    assert [bar.done for bar in bars] == sorted(bar.done for bar in bars)
    assert (bars[-1].done, bars[-1].total, bars[-1].finished) == (100, 100, True)


def test_one_ctrl_c_ends_all_when_they_have_saved() -> None:
    class Pressed(Told):
        def __call__(self, event: Event) -> None:
            super().__call__(event)
            if len(self.events) == 2:
                raise KeyboardInterrupt

    sources = [Path("x/endless.mp4"), Path("y/endless.mp4"), Path("z/endless.mp4")]
    with pytest.raises(KeyboardInterrupt) as stopped:
        in_processes(sources, Stand(), 2, Pressed())
    assert str(stopped.value) == "saved up to frame 3; saved up to frame 3"


def test_two_jobs_write_what_one_does(run, clip: Path, files, tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
        (folder / name / "clip.mp4").write_bytes(clip.read_bytes())
    ways = {}
    for jobs in (1, 2):
        out = tmp_path / f"{jobs}/out"
        options = ("--recursive", "--task", "va", "--no-nc", "--jobs", jobs)
        outcome = run("predict", folder, "-o", out, *options)
        assert outcome.code == 0, outcome.err
        ways[jobs] = (files(out), outcome.out)
    assert ways[1][0].keys() == ways[2][0].keys()
    assert ways[1][0] == ways[2][0]
    assert ways[1][1] == ways[2][1].replace("/2/out", "/1/out")


def test_a_file_for_all_inputs_is_written_by_one(run, clip: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.mp4"
    other.write_bytes(clip.read_bytes())
    given = ("--format", "single", "--task", "va", "--edition", "abaw8", "--jobs", 2)
    outcome = run("predict", clip, other, "-o", tmp_path / "out", *given)
    assert outcome.code == 2
    assert "leave out --jobs, or --format single" in outcome.error
    assert not (tmp_path / "out").exists()
