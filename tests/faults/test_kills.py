"""A handful of kills; `make faults` does two hundred, over all commands that write."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from faults.commands import Sandbox
from faults.forks import Fault
from faults.kills import kill, moments


@pytest.mark.parametrize("name", ["predict", "blend", "models import", "convert bids"])
def test_a_killed_command_run_again_leaves_what_one_run_leaves(
    sandboxes: Callable[[str], Sandbox], name: str
) -> None:
    sandbox, chance = sandboxes(name), random.Random(name)
    ends = [kill(sandbox, faults) for faults in moments(sandbox, 3, chance)]
    assert sum(end.kills for end in ends) >= 2
    assert [text for end in ends for text in end.wrong] == []


# What was found by kills at all steps, each before it was mended.
@pytest.mark.parametrize(
    ("name", "within", "back"),
    [
        ("predict", ".predict-work/face-", 1),  # the record stands, the pass is left
        ("predict", ".predict-work/.writing", 0),  # a lock is left
        ("blend", "tables/", 3),  # no record yet
        ("models import", ".locks", 0),
    ],
)
def test_kills_that_were_not_survived_once(
    sandboxes: Callable[[str], Sandbox], name: str, within: str, back: int
) -> None:
    sandbox = sandboxes(name)
    assert sandbox.whole
    sandbox.begin()
    steps = sandbox.run(Fault(within=within)).steps
    end = kill(sandbox, (Fault(steps - 1 - back, within=within),))
    assert (end.kills, end.wrong) == (1, ())
