"""Who speaks: how often `avaffect.predictions.speaking` is right, on clips with one speaker each.

Cases are put together from clips that `avaffect preprocess` has made features of, so that what is
measured is what `predict` computes:

- ``alone``: a face and its own sound;
- ``listener``: the speaker, and another one who rests;
- ``both``: two faces whose lips move, and the sound of one: the hardest, lips in step must tell;
- ``turns``: first one speaks, then the other; who is not speaking rests;
- ``away``: two faces that rest, and the sound of a third person;
- ``dubbed``: two faces whose lips move, and the sound of a third person.

Constants are fitted with ``--tune`` on the first half of the speakers (sorted by name); figures
are of the other half. Speakers are few, so the intervals of shares of cases are too narrow.

    avaffect preprocess grid/*.mpg -o prepared
    python benchmarks/speaking.py prepared --sounds ravdess_speech/ --tune
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avaffect.predictions import speaking
from avaffect.predictions.speaking import Lips, Weights, compare, fitted, lips_of, shares
from avaffect.sound.loudness import Loudness
from avaffect.sound.speech import detect_speech
from avaffect.store.prepared import Prepared, prepared_in

Floats = NDArray[np.float64]
# Frames at the beginning of a clip, before its speaker begins.
REST = 9
OFF = -1
SPEECH = 0.5


@dataclass(frozen=True, eq=False)
class Take:
    """A clip of one speaker: lips [N], probability of speech [N], times [N], and its sound."""

    name: str
    lips: Floats
    speech: Floats
    times: Floats
    sound: Loudness

    @property
    def rest(self) -> Floats:
        """Its lips at rest, there and back again for as long."""
        there = np.concatenate([np.arange(REST), np.arange(REST)[::-1]])
        return self.lips[np.resize(there, len(self.lips))]


@dataclass(frozen=True, eq=False)
class Case:
    """Lips of people, a sound, and who speaks in each frame: a place in ``lips``, or ``OFF``."""

    kind: str
    lips: tuple[Floats, ...]
    sound: Take
    speaker: NDArray[np.int64]

    @classmethod
    def of(cls, kind: str, lips: tuple[Floats, ...], sound: Take, speaker: int) -> Case:
        """One speaker all through."""
        return cls(kind, lips, sound, np.full(len(sound.times), speaker))

    @property
    def spoken(self) -> NDArray[np.bool_]:
        """bool [N], where somebody speaks."""
        return self.sound.speech > SPEECH

    def compared(self, half_s: float) -> list[Lips]:
        """The people's lips beside the sound."""
        level, times = self.sound.sound.at(self.sound.times), self.sound.times
        return [compare(each, level, times, half_s) for each in self.lips]


def take_of(folder: Path, every: int = 1) -> Take:
    """A preprocessed clip."""
    prepared = Prepared(folder)
    (subject,) = prepared.subjects()
    times = np.asarray(subject.times)[::every]
    voice = subject.array("voice")[::every, -1].astype(np.float64)
    sound = Loudness.of(prepared.wav)
    return Take(folder.name, lips_of(subject)[::every], voice, times, sound)


def sound_of(path: Path, clock: Take) -> Take:
    """A sound file on the clock of a clip."""
    at = clock.times
    speech = detect_speech(path).mean(at - 0.1, at + 0.1)
    return Take(path.stem, clock.lips, speech, at, Loudness.of(path))


def after(first: Take, second: Take) -> Take:
    """One clip behind the other."""
    begin = float(first.times[-1] + np.median(np.diff(first.times)))
    # 2.5 ms each, see `Loudness`.
    cut = min(round(begin * 400), len(first.sound.energy) - 1)
    energy = first.sound.energy[: cut + 1]
    energy = np.pad(energy, (0, round(begin * 400) - cut), mode="edge")
    return Take(
        f"{first.name}, {second.name}",
        np.concatenate([first.lips, second.lips]),
        np.concatenate([first.speech, second.speech]),
        np.concatenate([first.times, second.times + begin]),
        Loudness(np.concatenate([energy, second.sound.energy[1:] + energy[-1]]), None),
    )


def cases(takes: Sequence[Take], sounds: Sequence[Take]) -> Iterator[Case]:
    """All that a group of speakers gives."""
    for at, own in enumerate(takes):
        yield Case.of("alone", (own.lips,), own, 0)
        for beside in (*takes[:at], *takes[at + 1 :]):
            yield Case.of("listener", (own.lips, beside.rest), own, 0)
            yield Case.of("both", (own.lips, beside.lips), own, 0)
            ours = np.concatenate([own.lips, own.rest])
            theirs = np.concatenate([beside.rest, beside.lips])
            turns = np.repeat([0, 1], [len(own.times), len(beside.times)])
            yield Case("turns", (ours, theirs), after(own, beside), turns)
            third = takes[(at + 2) % len(takes)]
            for sound in (*sounds, third) if third not in (own, beside) else sounds:
                yield Case.of("away", (own.rest, beside.rest), sound, OFF)
                yield Case.of("dubbed", (own.lips, beside.lips), sound, OFF)


KINDS = ("alone", "listener", "both", "turns", "away", "dubbed")


def fit(found: Sequence[Case], half_s: float) -> tuple[Weights, float]:
    """The constants by which who speaks is likeliest, each kind counting alike; and the loss."""
    from scipy.optimize import minimize

    made = [(case, case.compared(half_s), case.spoken) for case in found]
    frames = {kind: sum(on.sum() for case, _, on in made if case.kind == kind) for kind in KINDS}

    def loss(values: Floats) -> float:
        lost = 0.0
        for case, people, on in made:
            right = named(shares(people, Weights(*values)))[case.speaker, np.arange(len(on))]
            lost -= np.log(np.maximum(right[on], 1e-6)).sum() / frames[case.kind]
        return lost / len(KINDS) + 1e-3 * float((values**2).sum())

    best = minimize(loss, np.array([-2.0, 2.0, 3.0]), method="Nelder-Mead")
    return Weights(*(float(value) for value in best.x)), float(best.fun)


def named(share: Floats) -> Floats:
    """float64 [people + 1, N], with somebody off screen as the last one."""
    known = np.nan_to_num(share)
    return np.concatenate([known, 1 - known.sum(axis=0, keepdims=True)])


def wilson(right: float, count: float) -> tuple[float, float]:
    """A 95 % interval of a share."""
    z, p = 1.96, right / count
    middle = (p + z * z / (2 * count)) / (1 + z * z / count)
    half = z * np.sqrt(p * (1 - p) / count + z * z / (4 * count**2)) / (1 + z * z / count)
    return max(0.0, middle - half), min(1.0, middle + half)


def score(found: Sequence[Case], weights: Weights) -> None:
    """Print a line a kind: cases and frames in which the right one is named; F1 of frames."""
    for kind in KINDS:
        right, clips, hits, frames, true, claimed = 0, 0, 0, 0, 0, 0
        shifts: list[float] = []
        mine = [case for case in found if case.kind == kind and case.spoken.any()]
        for case in mine:
            on, truth = case.spoken, case.speaker
            sound = case.sound
            share, late = fitted(case.lips, sound.sound, sound.speech, sound.times, weights)
            shifts.append(late)
            every = named(share)
            for who in np.unique(truth):
                clips += 1
                right += int(every[:, on & (truth == who)].mean(axis=1).argmax()) == who % len(
                    every
                )
            frames += int(on.sum())
            hits += int((every.argmax(axis=0) == truth % len(every))[on].sum())
            said = np.nan_to_num(share) * case.sound.speech >= 0.5
            claimed += int(said.sum())
            true += int((said & on & (np.arange(len(share))[:, None] == truth)).sum())
        low, high = wilson(right, clips)
        text = f"{kind:9} cases {right}/{clips} {right / clips:.2f} [{low:.2f}, {high:.2f}]"
        text += f"  frames {hits / frames:.2f} of {frames}"
        away = (mine[0].speaker == OFF).all()
        text += f"  named a face {claimed / frames:.2f}" if away else ""
        text += "" if away else f"  F1 {2 * true / (claimed + frames):.2f}"
        print(text, f" late {np.mean(shifts):.2f} ({np.std(shifts):.2f}) s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("prepared", type=Path, help="folders of preprocess, a speaker each")
    parser.add_argument("--sounds", type=Path, help="sound files of other people, by folder")
    parser.add_argument("--each", type=int, default=1, help="sounds of each folder")
    parser.add_argument("--tune", action="store_true", help="fit the constants on the first half")
    parser.add_argument("--every", type=int, default=1, help="take every so many frames only")
    given = parser.parse_args()
    takes = [take_of(folder, given.every) for folder in prepared_in(given.prepared)]
    takes = [take for take in takes if np.isfinite(take.lips).all()]
    half = len(takes) // 2
    sounds: list[Take] = []
    if given.sounds:
        for folder in sorted(path for path in given.sounds.iterdir() if path.is_dir()):
            files = sorted(folder.glob("*.ogg")) + sorted(folder.glob("*.wav"))
            sounds += [sound_of(path, takes[0]) for path in files[:: len(files) // given.each]]
    middle = len(sounds) // 2
    first = [*cases(takes[:half], sounds[:middle])]
    second = [*cases(takes[half:], sounds[middle:])]
    weights = speaking.WEIGHTS
    if given.tune:
        for half_s in (0.5, 0.75, 1.0, 1.25):
            print(half_s, *fit(first, half_s))
        weights = fit(first, speaking.HALF_S)[0]
    print("tuned on:", ", ".join(take.name for take in takes[:half]))
    score(first, weights)
    print("not tuned on:", ", ".join(take.name for take in takes[half:]))
    score(second, weights)


if __name__ == "__main__":
    main()
