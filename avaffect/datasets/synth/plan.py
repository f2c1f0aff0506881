"""The plan of an artificial set: who plays in which video, and what is odd about it.

Frame rates, surplus rows, invalid frames, classes, names and pairs are as often as in the true
set, as far as public counts tell (the frame rates of 624 videos, the EXPR rows of 317 tracks).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avaffect.datasets.synth.face import Person, random_person
from avaffect.datasets.synth.film import Film, Role
from avaffect.datasets.synth.script import (
    Labels,
    expression_events,
    random_actions,
    random_speech,
    spread,
)
from avaffect.datasets.synth.voice import SynthVoice, random_voice
from avaffect.errors import UsageError
from avaffect.tasks.registry import AU, EXPR, TASKS, VA

SHORTEST_SECONDS, LONGEST_SECONDS = 2.0, 600.0
# From this many videos on there are a pair, a silent one and one that shows nobody for a while.
QUIRKY_VIDEOS = 6

# Frame rates and how many of 624 videos have them; a tuple is a range.
_FPS: tuple[tuple[Fraction | tuple[float, float], int], ...] = (
    (Fraction(30), 316),
    (Fraction(30000, 1001), 103),
    (Fraction(25), 15),
    (Fraction(24000, 1001), 15),
    (Fraction(24), 5),
    (Fraction(15, 2), 6),
    ((13.5, 20.0), 19),
    ((20.0, 29.5), 145),
)
# Rows beyond the decoded frames and how many of 317 files have so many.
_SURPLUS = ((0, 94), (1, 208), (2, 9), (-1, 6))
_PAIRS = 5 / 312  # videos with two annotated persons
_BARE_NAMES = 135 / 624  # videos called `12`, not `12-30-1920x1080`
# The spread of the log of the durations; .93 in the true set, which is large enough for that.
_DURATION_SPREAD = 0.6
# Largest share of a track's frames that is invalid; shares are even from 0 on. EXPR: quartiles
# .20, .40 and .63 in the true set.
INVALID_SHARE = {VA.name: 0.04, EXPR.name: 0.87, AU.name: 0.04}
_INVALID_SECONDS = 1.5
_SIZES = ((192, 192), (208, 176), (176, 208), (224, 168))
_PAIR_SIZE = (320, 176)


@dataclass(frozen=True, eq=False)
class Take:
    """A film, its split, and what its annotations have beyond their frames.

    Attributes:
        film: the video.
        split: ``train`` or ``val``.
        people: for each role, which person plays it.
        surplus: for each role, rows beyond the frames, -1 to 2.
        invalid: for each role, by task, the share of frames that is invalid.
        seed: of where the invalid spans lie.
    """

    film: Film
    split: str
    people: tuple[int, ...]
    surplus: tuple[int, ...]
    invalid: tuple[dict[str, float], ...]
    seed: int

    def annotations(self, place: int) -> dict[str, NDArray[Any]]:
        """The rows of a role's files, by task, coded as in `challenge.text.labels_of`."""
        labels = self.film.labels(self.film.roles[place])
        visible = self.film.has_face
        rng = np.random.default_rng([self.seed, place])
        rows = np.clip(
            np.arange(self.film.frames + self.surplus[place]), None, self.film.frames - 1
        )
        found: dict[str, NDArray[Any]] = {}
        for task in INVALID_SHARE:
            values = _coded(labels, task)
            share = self.invalid[place][task]
            values[_spans(rng, len(values), share, float(self.film.fps))] = TASKS[task].invalid
            if task != VA.name:
                values[~visible] = TASKS[task].invalid
            found[task] = values[rows]
        return found

    def about(self) -> dict[str, Any]:
        """The film's entry in synthetic.json."""
        film = self.film
        return {
            "file": f"videos/{film.name}.mp4",
            "split": self.split,
            "frames": film.frames,
            "fps": float(film.fps),
            "size": list(film.size),
            "subjects": {
                role.subject: {"person": person, "rows": film.frames + surplus}
                for role, person, surplus in zip(
                    film.roles, self.people, self.surplus, strict=True
                )
            },
            "sound": film.voice is not None,
            "faceless_seconds": list(film.faceless) if film.faceless else None,
        }


def plan(*, videos: int, seconds: float, seed: int) -> tuple[Take, ...]:
    """The plan of `synthesise`, before anything is drawn.

    Raises:
        UsageError: a number out of range.
    """
    if videos < 1:
        raise UsageError(f"{videos} videos cannot be made", "ask for at least 1")
    if not SHORTEST_SECONDS <= seconds <= LONGEST_SECONDS:
        raise UsageError(
            f"videos of {seconds:g} seconds cannot be made",
            f"ask for {SHORTEST_SECONDS:g} to {LONGEST_SECONDS:g}",
        )
    if seed < 0:
        raise UsageError(f"{seed} is no seed", "take a whole number from 0 on")
    rng = np.random.default_rng(seed)
    splits = ["train"] * (videos - round(videos / 3)) + ["val"] * round(videos / 3)
    pairs, silent, faceless = _quirks(videos)
    rates = _frame_rates(rng, videos)
    durations = _durations(rng, splits, seconds)
    numbers = 1 + rng.permutation(max(600, videos))[:videos]
    bare = spread(rng, videos, (1 - _BARE_NAMES, _BARE_NAMES)).astype(bool)
    subjects = videos + len(pairs)
    surplus = iter([_SURPLUS[i][0] for i in spread(rng, subjects, [n for _, n in _SURPLUS])])
    shares = iter(_invalid_shares(rng, subjects))
    events = expression_events(rng)
    cast = _Cast(rng, splits)

    takes = []
    for i, split in enumerate(splits):
        size = _PAIR_SIZE if i in pairs else _SIZES[rng.integers(len(_SIZES))]
        name = str(numbers[i])
        if not bare[i]:
            name += f"-{int(rates[i])}-{size[0]}x{size[1]}"
        sides = ("_left", "_right") if i in pairs else ("",)
        people = cast.choose(split, len(sides))
        frames = max(2, round(durations[i] * rates[i]))
        length = float(frames / rates[i])
        gap = round(min(3.0, 0.3 * length), 2)
        start = round(rng.uniform(0.1, 0.5) * length, 2)
        film = Film(
            name=name,
            fps=rates[i],
            frames=frames,
            size=size,
            scale=round(rng.uniform(0.85, 1.0), 3),
            roles=tuple(
                Role(name + side, cast.people[person], random_actions(rng, length, events))
                for side, person in zip(sides, people, strict=True)
            ),
            voice=None if i in silent else cast.voices[people[0]],
            speech=random_speech(rng, length),
            faceless=(start, start + gap) if i in faceless else None,
            seed=int(rng.integers(2**31)),
        )
        takes.append(
            Take(
                film=film,
                split=split,
                people=people,
                surplus=tuple(next(surplus) for _ in sides),
                invalid=tuple(next(shares) for _ in sides),
                seed=int(rng.integers(2**31)),
            )
        )
    return tuple(takes)


class _Cast:
    """The persons and voices of a set, chosen in turn, those of each split among themselves."""

    def __init__(self, rng: np.random.Generator, splits: list[str]) -> None:
        self._turns: dict[str, Iterator[int]] = {}
        self.people: list[Person] = []
        self.voices: list[SynthVoice] = []
        for split in dict.fromkeys(splits):
            first, count = len(self.people), math.ceil(0.7 * splits.count(split))
            self.people += [random_person(rng) for _ in range(count)]
            self.voices += [random_voice(rng) for _ in range(count)]
            self._turns[split] = itertools.cycle(range(first, first + count))

    def choose(self, split: str, count: int) -> tuple[int, ...]:
        return tuple(itertools.islice(self._turns[split], count))


def _quirks(videos: int) -> tuple[set[int], set[int], set[int]]:
    """Which videos show two persons, have no sound, and show nobody for a while."""
    if videos < QUIRKY_VIDEOS:
        return set(), set(), set()
    pairs = max(1, round(_PAIRS * videos))
    return set(range(pairs)), {pairs}, {pairs + 1}


def _frame_rates(rng: np.random.Generator, videos: int) -> list[Fraction]:
    rates = []
    for kind in spread(rng, videos, [count for _, count in _FPS]):
        rate = _FPS[kind][0]
        if isinstance(rate, tuple):
            rate = Fraction(int(rng.uniform(*rate) * 1000), 1000)
        rates.append(rate)
    return rates


def _durations(rng: np.random.Generator, splits: list[str], seconds: float) -> NDArray[np.float64]:
    """Log-normal with the asked mean (unless the shortest had to be made longer).

    Quantiles, not draws, so that each split gets its share of short and long videos.
    """
    lengths = []
    for split in dict.fromkeys(splits):
        count = splits.count(split)
        quantiles = (rng.permutation(count) + 0.5) / count
        lengths += [math.exp(_DURATION_SPREAD * NormalDist().inv_cdf(q)) for q in quantiles]
    return np.maximum(np.array(lengths) * seconds / np.mean(lengths), SHORTEST_SECONDS)


def _invalid_shares(rng: np.random.Generator, subjects: int) -> list[dict[str, float]]:
    """By subject and task, the share of frames to mark; even over the set."""
    columns = {
        task: largest * (rng.permutation(subjects) + 0.5) / subjects
        for task, largest in INVALID_SHARE.items()
    }
    return [{task: float(columns[task][i]) for task in INVALID_SHARE} for i in range(subjects)]


def _spans(rng: np.random.Generator, frames: int, share: float, fps: float) -> NDArray[np.bool_]:
    """bool [frames], True in spans of a second or two that together are a share of all."""
    marked = round(share * frames)
    spans = math.ceil(marked / (_INVALID_SECONDS * fps))
    mask = np.zeros(frames, bool)
    if spans:
        lengths = rng.multinomial(marked, np.full(spans, 1 / spans))
        gaps = rng.multinomial(frames - marked, np.full(spans + 1, 1 / (spans + 1)))
        starts = np.cumsum(gaps[:-1]) + np.cumsum(lengths) - lengths
        for start, length in zip(starts, lengths, strict=True):
            mask[start : start + length] = True
    return mask


def _coded(labels: Labels, task: str) -> NDArray[Any]:
    # True labels have three decimals.
    return np.round(labels.va, 3) if task == VA.name else getattr(labels, task).copy()
