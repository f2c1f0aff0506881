"""What a cluster's policy costs where nodes are lost, videos are poison and lengths have a tail.

    python benchmarks/stragglers.py [--seeds 5] [--hours 2000] [--nodes 4] ...

A simulation in plain Python; nothing is predicted. Videos' lengths are log-normal (many short
ones, a few of a day). Workers do one task at a time, a whole video or a segment of one. Nodes are
lost at random moments with all that runs on them, and replaced after some minutes; some nodes are
slow; any attempt may fail for a moment's reason; a poison video fails at every attempt. A task
that failed ``tries`` times takes its video with it, as in `engines.planner`: attempts that ended
with their node are counted apart. `Wasted` is CPU time that no result came
of: attempts that failed, what was done of videos that were lost, the start of each task and the
warm-up of each segment.
"""

from __future__ import annotations

import argparse
import heapq
import random
from dataclasses import dataclass, field, replace
from statistics import fmean


@dataclass(frozen=True)
class World:
    """What happens, whatever the policy. Times in hours.

    Attributes:
        hours: of video in all.
        median, sigma: of the log-normal lengths, the median in hours; at most ``longest``.
        nodes, workers: machines, and tasks at once on each.
        speed: hours of video that a worker does in an hour.
        life: mean time to the loss of a node; ``back``: until another one is there.
        slow: share of nodes at half speed.
        poison: share of videos that always fail, somewhere in them.
        flaky: chance of an attempt to fail once.
        start: of each task; ``warmup``: of each segment but a video's first, in hours of video.
    """

    hours: float = 2000.0
    median: float = 1 / 6
    sigma: float = 1.3
    longest: float = 24.0
    nodes: int = 4
    workers: int = 16
    speed: float = 4.0
    life: float = 12.0
    back: float = 1 / 12
    slow: float = 0.1
    poison: float = 0.005
    flaky: float = 0.01
    start: float = 5 / 3600
    warmup: float = 10 / 3600


@dataclass(frozen=True)
class Policy:
    """What is chosen.

    Attributes:
        tries: attempts at a task, at most.
        losses: attempts that end with their node, at most, which are no tries; 0: they are.
        minutes: of a segment; 0: whole videos.
        longest_first: the order.
    """

    tries: int = 3
    losses: int = 10
    minutes: float = 30.0
    longest_first: bool = True


@dataclass(frozen=True)
class Outcome:
    """What came of it: hours to the end, CPU hours spent and wasted, videos lost for nothing."""

    makespan: float
    spent: float
    wasted: float
    lost: float
    poison_hours: float


@dataclass
class _Task:
    video: int
    work: float  # hours of a worker
    useful: float
    breaks: float | None  # the part of it at which poison strikes
    attempts: int = 0
    losses: int = 0


@dataclass
class _Worker:
    node: int
    task: _Task | None = None
    since: float = 0.0
    turn: int = 0


@dataclass
class _Run:
    world: World
    policy: Policy
    chance: random.Random
    now: float = 0.0
    spent: float = 0.0
    gained: float = 0.0
    poison_spent: float = 0.0
    waiting: list[tuple[float, int, _Task]] = field(default_factory=list)
    events: list[tuple[float, int, str, int, int]] = field(default_factory=list)
    gone: set[int] = field(default_factory=set)
    count: int = 0

    def put(self, task: _Task) -> None:
        self.count += 1
        order = -task.work if self.policy.longest_first else 0.0
        heapq.heappush(self.waiting, (order, self.count, task))

    def at(self, when: float, what: str, whom: int, turn: int = 0) -> None:
        self.count += 1
        heapq.heappush(self.events, (when, self.count, what, whom, turn))


def lengths(world: World, chance: random.Random) -> list[float]:
    """Hours of each video, together ``world.hours`` or a little more."""
    found: list[float] = []
    total = 0.0
    while total < world.hours:
        hours = world.median * chance.lognormvariate(0, world.sigma)
        found.append(min(max(hours, 1 / 360), world.longest))
        total += found[-1]
    return found


def tasks_of(
    videos: list[float], poison: dict[int, float], world: World, policy: Policy
) -> list[_Task]:
    """Whole videos, or segments of those that are longer than one.

    Args:
        videos: hours of each.
        poison: of the poison ones, the part at which they fail.
    """
    found = []
    for video, hours in enumerate(videos):
        piece = policy.minutes / 60 or hours
        count = max(1, -(-hours // piece))
        for part in range(int(count)):
            size = min(piece, hours - part * piece)
            warmup = world.warmup if part else 0.0
            strike = poison.get(video)
            inside = None
            if strike is not None and part * piece <= strike * hours < part * piece + size:
                inside = (strike * hours - part * piece) / size
            useful = size / world.speed
            work = useful + warmup / world.speed + world.start
            found.append(_Task(video, work, useful, inside))
    return found


def simulate(world: World, policy: Policy, seed: int) -> Outcome:
    """One run; the same world (videos, poison) for each policy of a seed."""
    chance = random.Random(seed)  # noqa: S311 - a simulation
    videos = lengths(world, chance)
    poison = {at: chance.random() for at in range(len(videos)) if chance.random() < world.poison}
    run = _Run(world, policy, chance)
    by_video: dict[int, list[_Task]] = {}
    for task in tasks_of(videos, poison, world, policy):
        by_video.setdefault(task.video, []).append(task)
        run.put(task)
    left = sum(map(len, by_video.values()))
    rates = [0.5 if chance.random() < world.slow else 1.0 for _ in range(world.nodes)]
    up = [True] * world.nodes
    workers = [_Worker(node) for node in range(world.nodes) for _ in range(world.workers)]
    for node in range(world.nodes):
        run.at(chance.expovariate(1 / world.life), "down", node)

    def give() -> int:
        """Start what can be started; how many tasks were dropped with a lost video."""
        dropped = 0
        for number, worker in enumerate(workers):
            while worker.task is None and up[worker.node] and run.waiting:
                task = heapq.heappop(run.waiting)[2]
                if task.video in run.gone:
                    dropped += 1
                    continue
                worker.task, worker.since = task, run.now
                worker.turn += 1
                part = 1.0 if task.breaks is None else task.breaks
                if chance.random() < world.flaky:
                    part = min(part, chance.random())
                ends = run.now + part * task.work / rates[worker.node]
                run.at(ends, "end" if part == 1.0 else "fails", number, worker.turn)
        return dropped

    def fail(worker: _Worker, lost: bool = False) -> int:
        """The attempt of a worker came to nothing; 1 if the task is given up."""
        task, worker.task = worker.task, None
        assert task is not None
        hours = run.now - worker.since
        run.spent += hours
        run.poison_spent += hours if task.video in poison else 0.0
        if lost and policy.losses:
            task.losses += 1
        else:
            task.attempts += 1
        if task.attempts < policy.tries and task.losses < max(policy.losses, policy.tries):
            run.put(task)
            return 0
        run.gone.add(task.video)
        return 1

    left -= give()
    while left:
        run.now, _, what, whom, turn = heapq.heappop(run.events)
        if what == "down":
            up[whom] = False
            for worker in workers:
                if worker.node == whom and worker.task is not None:
                    left -= fail(worker, lost=True)
            run.at(run.now + world.back, "up", whom)
        elif what == "up":
            up[whom] = True
            run.at(run.now + chance.expovariate(1 / world.life), "down", whom)
        elif turn == workers[whom].turn and (task := workers[whom].task) is not None:
            if what == "fails":
                left -= fail(workers[whom])
            else:
                run.spent += run.now - workers[whom].since
                workers[whom].task = None
                left -= 1
        left -= give()
    useful = sum(
        task.useful for video, parts in by_video.items() if video not in run.gone for task in parts
    )
    lost = len(run.gone - poison.keys())
    return Outcome(run.now, run.spent, run.spent - useful, lost, run.poison_spent)


POLICIES = {
    "chosen: 3 tries, 30 minutes, longest first": Policy(),
    "1 try": Policy(tries=1),
    "2 tries": Policy(tries=2),
    "10 tries": Policy(tries=10),
    "lost nodes count as tries": Policy(losses=0),
    "1 try, lost nodes count": Policy(tries=1, losses=0),
    "as they come": Policy(longest_first=False),
    "whole videos": Policy(minutes=0),
    "whole videos, as they come": Policy(minutes=0, longest_first=False),
    "segments of 2 minutes": Policy(minutes=2),
    "segments of 10 minutes": Policy(minutes=10),
    "segments of 2 hours": Policy(minutes=120),
}


def table(world: World, seeds: int) -> list[tuple[str, float, float, float, float, float]]:
    """For each policy the means over seeds: makespan, its worst, wasted, lost, poison's hours."""
    rows = []
    for name, policy in POLICIES.items():
        runs = [simulate(world, policy, seed) for seed in range(seeds)]
        rows.append(
            (
                name,
                fmean(run.makespan for run in runs),
                max(run.makespan for run in runs),
                fmean(run.wasted for run in runs),
                fmean(run.lost for run in runs),
                fmean(run.poison_hours for run in runs),
            )
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--seeds", type=int, default=5)
    kinds = {name: type(getattr(World(), name)) for name in World.__dataclass_fields__}
    for name, kind in kinds.items():
        parser.add_argument(f"--{name}", type=kind, default=getattr(World(), name))
    given = vars(parser.parse_args())
    world = replace(World(), **{name: given[name] for name in kinds})
    ideal = world.hours / world.speed / (world.nodes * world.workers)
    print(f"Without any trouble: {ideal:.1f} h. Means of {given['seeds']} seeds, from 0.\n")
    print("| policy | makespan, worst (h) | wasted CPU h | good videos lost | on poison (h) |")
    print("|---|---|---|---|---|")
    for name, mean, worst, wasted, lost, poison in table(world, given["seeds"]):
        print(f"| {name} | {mean:.1f}, {worst:.1f} | {wasted:.0f} | {lost:.1f} | {poison:.1f} |")


if __name__ == "__main__":
    main()
