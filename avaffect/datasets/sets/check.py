"""What is in the folder of a public set, and what is wrong with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from avaffect.datasets.sets.registry import named_data, set_named
from avaffect.datasets.sets.sample import Log, Sample
from avaffect.errors import boundary
from avaffect.labels import SPLITS
from avaffect.progress import EventCallback, Progress, ignore_events
from avaffect.tasks.registry import TASKS


@dataclass(frozen=True)
class SetPart:
    """What one split holds.

    Attributes:
        split: ``train``, ``val``, ``test``, or empty where the set has none.
        samples: pictures, clips or takes.
        rows: labelled rows: pictures, frames, or takes that have one label.
        groups: subjects, as far as they are known.
        counts: by task and target how many rows: of a class those that have it, of a unit those
            in which it is present, of a value those where it is known.
        means: by dimension, mean and standard deviation; where there is any label.
    """

    split: str
    samples: int
    rows: int
    groups: int
    counts: Mapping[str, Mapping[str, int]]
    means: Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class SetReport:
    """What was found.

    Attributes:
        name: of the set.
        root: its folder.
        parts: its splits, those that hold anything.
        left_out: by reason, how many samples were not taken.
        faults: what is wrong, with file and line; training stops at the first of these.
    """

    name: str
    root: str
    parts: tuple[SetPart, ...]
    left_out: Mapping[str, int]
    faults: tuple[str, ...]

    @property
    def ready(self) -> bool:
        """Whether training can start."""
        return not self.faults and any(part.split != "test" for part in self.parts)


@boundary()
def check_set(text: str, on_event: EventCallback = ignore_events) -> SetReport:
    """Read all labels of ``NAME=DIR``; no picture, video or sound is decoded.

    Raises:
        UnknownNameError: there is no such set.
        InputNotFoundError, FormatError: nothing of its layout is there, or there are too many
            faults to go on.
    """
    name, root = named_data(text)
    log = Log(strict=False)
    tallies: dict[str, _Tally] = {}
    for number, sample in enumerate(set_named(name).read(Path(root), log), start=1):
        tallies.setdefault(sample.split, _Tally()).add(sample)
        if number % 1000 == 0:
            on_event(Progress("samples", number, None, "samples"))
    order = ("", *SPLITS)
    return SetReport(
        name,
        root,
        tuple(tallies[split].part(split) for split in order if split in tallies),
        dict(log.left_out),
        tuple(log.faults),
    )


@dataclass
class _Tally:
    """Running counts of a split."""

    samples: int = 0
    rows: int = 0
    groups: set[str] = field(default_factory=set)
    counts: dict[str, Counter[str]] = field(default_factory=dict)
    sums: dict[str, list[float]] = field(default_factory=dict)

    def add(self, sample: Sample) -> None:
        self.samples += 1
        self.rows += max(len(labels) for labels in sample.labels.values())
        self.groups.add(sample.group)
        for task, labels in sample.labels.items():
            ours = TASKS[task]
            counts = self.counts.setdefault(task, Counter(dict.fromkeys(ours.targets, 0)))
            for at, target in enumerate(ours.targets):
                if ours.flat:
                    counts[target] += int((labels == at).sum())
                elif ours.dtype == "int8":
                    counts[target] += int((labels[:, at] == 1).sum())
                else:
                    known = labels[:, at][~np.isnan(labels[:, at])].astype(float)
                    counts[target] += len(known)
                    sums = self.sums.setdefault(target, [0.0, 0.0])
                    sums[0] += float(known.sum())
                    sums[1] += float((known**2).sum())

    def part(self, split: str) -> SetPart:
        means = {}
        for target, (total, squares) in self.sums.items():
            if count := next(c[target] for c in self.counts.values() if target in c):
                mean = total / count
                means[target] = (mean, max(0.0, squares / count - mean**2) ** 0.5)
        counts = {task: dict(found) for task, found in self.counts.items()}
        return SetPart(split, self.samples, self.rows, len(self.groups), counts, means)
