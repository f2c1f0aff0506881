from __future__ import annotations

from avaffect.cli import jobs
from avaffect.engines import cluster
from avaffect.engines.item import Item, Split
from avaffect.engines.planner import LOSSES, PAUSE_S, TRIES, Attempt, Ended, Planner
from avaffect.errors import AvaffectError, MediaError

WRONG = MediaError("it is no video", "convert it")
DEAD = AvaffectError("its process ended")


class Clock:
    """Stands still until it is told."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def planner(*sizes: int, tries: int = TRIES, clock: Clock | None = None) -> Planner[str]:
    items = [Item(f"{number}.mp4", "out", size) for number, size in enumerate(sizes)]
    return Planner(items, tries, clock or Clock())


def begin(plan: Planner[str]) -> Attempt:
    attempt = plan.next()
    assert attempt is not None
    return attempt


def test_options_have_the_defaults_of_the_engines() -> None:
    assert (jobs.TRIES, jobs.CPUS) == (TRIES, cluster.CPUS)


def test_the_largest_come_first_and_outcomes_lie_by_input() -> None:
    plan = planner(1, 9, 9, 5)
    order = []
    while (attempt := plan.next()) is not None:
        order.append(attempt.input)
        plan.ended(attempt.number, Ended(f"done {attempt.input}"))
    assert order == [1, 2, 3, 0]
    assert plan.done
    assert [plan.outcomes[at].result for at in range(4)] == [f"done {at}" for at in range(4)]


def test_what_the_input_is_to_blame_for_is_not_done_again() -> None:
    plan = planner(1)
    outcome = plan.ended(begin(plan).number, Ended(error=WRONG))
    assert outcome is not None
    assert (outcome.error, outcome.attempts, outcome.retried) == (WRONG, 1, ())
    assert plan.done


def test_a_dead_process_costs_an_attempt_and_comes_behind_all_others() -> None:
    plan = planner(9, 1)
    assert plan.ended(begin(plan).number, Ended(error=DEAD, again="died")) is None
    order = []
    while (attempt := plan.next()) is not None:
        order.append(attempt.input)
        ended = Ended(error=DEAD, again="died") if attempt.input == 0 else Ended("fine")
        plan.ended(attempt.number, ended)
    assert order == [1, 0, 0]
    assert plan.outcomes[0].error is DEAD
    assert plan.outcomes[0].attempts == TRIES
    assert plan.outcomes[0].retried == (str(DEAD),) * (TRIES - 1)
    assert plan.outcomes[1].result == "fine"


def test_lost_machines_do_not_count_as_attempts_that_died() -> None:
    plan = planner(1, tries=1)
    for _ in range(LOSSES - 1):
        assert plan.ended(begin(plan).number, Ended(error=DEAD, again="lost")) is None
    outcome = plan.ended(begin(plan).number, Ended("at last"))
    assert outcome is not None
    assert (outcome.result, outcome.attempts) == ("at last", LOSSES)


def test_but_not_for_ever() -> None:
    plan = planner(1)
    for _ in range(LOSSES):
        plan.ended(begin(plan).number, Ended(error=DEAD, again="lost"))
    assert plan.outcomes[0].error is DEAD


def test_what_another_process_holds_waits_while_the_others_go_on() -> None:
    clock = Clock()
    plan = planner(9, 1, clock=clock)
    plan.ended(begin(plan).number, Ended(error=DEAD, again="busy"))
    assert begin(plan).input == 1
    assert plan.next() is None
    assert plan.rests
    clock.now = PAUSE_S
    assert begin(plan).input == 0


def test_segments_are_items_and_then_the_input_comes_again() -> None:
    plan = planner(10, 3)
    plan.ended(begin(plan).number, Ended(Split(2)))
    first, second = begin(plan), begin(plan)
    parts = [(each.item.segment, each.item.segments, each.item.size) for each in (first, second)]
    assert parts == [(0, 2, 5), (1, 2, 5)]
    plan.ended(second.number, Ended("a part"))
    other = begin(plan)
    assert other.input == 1
    assert plan.ended(first.number, Ended("a part")) is None
    last = begin(plan)
    assert (last.input, last.item.segment, last.item.segments) == (0, None, 2)
    outcome = plan.ended(last.number, Ended("whole"))
    assert outcome is not None
    assert (outcome.result, outcome.item.segments) == ("whole", 0)
    assert not plan.done


def test_a_poison_segment_fails_its_input_alone() -> None:
    plan = planner(10, 3, tries=2)
    plan.ended(begin(plan).number, Ended(Split(3)))
    while (attempt := plan.next()) is not None:
        poison = attempt.item.segment == 1
        plan.ended(attempt.number, Ended(error=DEAD, again="died") if poison else Ended("fine"))
    error = plan.outcomes[0].error
    assert str(error) == "segment 2 of 3: its process ended"
    assert plan.outcomes[1].result == "fine"
    assert plan.done
