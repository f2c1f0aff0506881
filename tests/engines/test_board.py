from __future__ import annotations

from avaffect.engines.board import Board
from avaffect.engines.item import Item
from avaffect.engines.planner import Attempt
from avaffect.progress import Event, Notice, Progress


def test_bytes_and_segments_weigh_and_no_retry_goes_back() -> None:
    events: list[Event] = []
    items = [Item("long.mp4", size=90), Item("short.mp4", size=10)]
    board = Board(items, events.append)
    halves = [Attempt(at, Item("long.mp4", size=45, segment=at, segments=2), 0) for at in (0, 1)]
    board.hear(halves[0], Progress("faces", 50, 100))
    board.hear(halves[1], Progress("faces", 100, 100))
    board.hear(halves[0], Progress("faces", 10, 100))
    board.hear(halves[0], Progress("weights", 1, 1, "bytes"))
    board.hear(Attempt(3, Item("long.mp4", size=90, segments=2), 0), Progress("faces", 9, 10))
    board.end(1)
    board.end(0)
    board.finish()
    bars = [event for event in events if isinstance(event, Progress)]
    assert [bar.done for bar in bars] == [22, 67, 67, 90, 100, 100, 100]
    assert [bar.finished for bar in bars] == [False] * 6 + [True]


def test_notices_name_their_input_and_those_of_the_job_come_once() -> None:
    events: list[Event] = []
    board = Board([Item("x/a.mp4")], events.append)
    attempt = Attempt(1, Item("x/a.mp4"), 0)
    for text in ("it is dark", "'a.mp4' is damaged"):
        board.hear(attempt, Notice(text))
    for _ in range(2):
        board.hear(None, Notice("licence of x: MIT"))
    texts = [event.text for event in events if isinstance(event, Notice)]
    assert texts == ["a.mp4: it is dark", "'a.mp4' is damaged", "licence of x: MIT"]
