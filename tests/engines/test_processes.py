from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from avaffect.engines.item import Item, Split
from avaffect.engines.processes import in_processes
from avaffect.errors import UnknownNameError
from avaffect.progress import Event, EventCallback, Notice, Progress


class Stand:
    """Does what an input's name says."""

    @contextmanager
    def __call__(self, on_event: EventCallback) -> Iterator[Callable[[Item], str | Split]]:
        on_event(Notice("weights are fetched"))

        def work(item: Item) -> str | Split:
            name = Path(item.source).stem
            try:
                on_event(Progress("faces", 1, 2))
                while name == "endless":
                    time.sleep(0.02)
            except KeyboardInterrupt as error:
                raise KeyboardInterrupt("saved up to frame 3") from error
            if name == "wrong":
                raise UnknownNameError("model", "x", ["y"])
            if name == "dies":
                os._exit(7)
            if name == "thirsty":
                raise MemoryError
            if name == "long":
                if item.segment is None:
                    return Split(2) if not item.segments else "joined"
                Path(item.out, str(item.segment)).touch()
            on_event(Notice("a doubt"))
            return f"ok by {os.getpid()}"

        yield work


class Broken:
    """Cannot begin."""

    @contextmanager
    def __call__(self, on_event: EventCallback) -> Iterator[Callable[[Item], str]]:
        raise UnknownNameError("model", "x", ["y"])
        yield


def items(*names: str, out: Path | str = "") -> list[Item]:
    return [Item(f"{name}.mp4", str(out)) for name in names]


def test_outcomes_come_in_the_order_of_the_inputs(tmp_path: Path) -> None:
    events: list[Event] = []
    given = items("a", "wrong", "b", "dies", "thirsty", "long", "d", out=tmp_path)
    found = in_processes(given, Stand(), 2, tries=2, on_event=events.append)
    assert [each.item for each in found] == given
    errors = {each.item.name: each for each in found if each.error is not None}
    assert errors.keys() == {"wrong.mp4", "dies.mp4", "thirsty.mp4"}
    assert isinstance(errors["wrong.mp4"].error, UnknownNameError)
    assert errors["wrong.mp4"].attempts == 1
    assert "ended with code 7" in str(errors["dies.mp4"].error)
    assert "not enough memory" in str(errors["thirsty.mp4"].error)
    assert [errors[name].attempts for name in ("dies.mp4", "thirsty.mp4")] == [2, 2]
    assert found[5].result == "joined"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "1"]
    assert f"ok by {os.getpid()}" not in {each.result for each in found}
    assert events.count(Notice("a.mp4: a doubt")) == 1
    assert events.count(Notice("weights are fetched")) == 1
    bars = [event for event in events if isinstance(event, Progress)]
    assert [bar.done for bar in bars] == sorted(bar.done for bar in bars)
    assert (bars[-1].done, bars[-1].total, bars[-1].finished) == (100, 100, True)


def test_a_job_that_cannot_begin_says_why() -> None:
    (found,) = in_processes(items("a"), Broken(), 1)
    assert str(found.error) == "no model is called 'x': choose one of y"
    assert found.attempts == 1


def test_one_ctrl_c_ends_all_when_they_have_saved() -> None:
    heard: list[Event] = []

    def press(event: Event) -> None:
        heard.append(event)
        if sum(isinstance(each, Progress) for each in heard) == 2:
            raise KeyboardInterrupt

    given = [Item(f"{folder}/endless.mp4") for folder in "xyz"]
    with pytest.raises(KeyboardInterrupt) as stopped:
        in_processes(given, Stand(), 2, on_event=press)
    assert str(stopped.value) == "saved up to frame 3; saved up to frame 3"
