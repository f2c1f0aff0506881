"""What smoothing costs and gives, and whether the frame rate matters.

    python benchmarks/smoothing.py sample_media [more clips] [--no-rates] [--crf 18]

1. Steadiness against blur. The clips of ``truth.json`` are predicted once, without smoothing; each
   smoothing is then applied to that. The voice is left out: the truth is about faces. A still
   picture under noise shows what is left of the noise. Prints the rule and what it chooses.
2. One clip again at 12.5, 25 and 50 frames a second, with voice and default smoothing, beside the
   original: the differences at the times that they share. 25 is encoded again only, so that it
   shows what the encoding alone does.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avaffect.config import PredictConfig
from avaffect.media.ffmpeg import ffmpeg_binary, file_url
from avaffect.predicting.run import predict
from avaffect.predicting.settings import with_features
from avaffect.predictions.prediction import ACTION_UNITS, EXPRESSIONS, TASKS, Prediction
from avaffect.predictions.smooth import SMOOTHERS, apply, parse_smoothing
from avaffect.predictors.starter.starter1 import FACE_NET, Starter1
from avaffect.preprocessing.run import NetsLoader, preprocess
from avaffect.store.prepared import Prepared

Values = NDArray[Any]
Event = dict[str, Any]

SECONDS = (0.2, 0.3, 0.5, 0.7, 1, 1.5, 2)
CANDIDATES = ("off", *(f"{kind}:{width:g}" for kind in SMOOTHERS for width in SECONDS))
# How much must be left of events that last so many seconds from the first movement to the last.
# Expressions last half a second and more (Ekman, Emotions Revealed, 2003): even the shortest must
# show. With the first condition alone a median of 1 s would win, which keeps what lasts longer
# than half its width and wipes out what does not.
MIN_RESPONSE = {1.0: 0.95, 0.5: 0.75}
MAX_LAG_S = 0.02
MAX_FEWER_RIGHT = 0.02
RATES = (12.5, 25, 50)
RATES_CLIP = "one_person.mp4"
CONFIG = with_features(PredictConfig(frame_model=FACE_NET, missing="invalid"))
_LEFT = " and ".join(f"{part:.0%} of an event of {s:g} s" for s, part in MIN_RESPONSE.items())
RULE = (
    f"the steadiest on the still picture that keeps at least {_LEFT}, lags at most "
    f"{MAX_LAG_S * 1000:.0f} ms, and has at most {MAX_FEWER_RIGHT:.0%} fewer frames right"
)


@dataclass(frozen=True)
class Known:
    """One subject's prediction without smoothing, and what it does."""

    raw: Prediction
    events: Sequence[Event]

    @property
    def calm(self) -> Values:
        """bool [N], frames in which nothing happens."""
        calm = np.ones(len(self.raw), bool)
        for event in self.events:
            calm &= (self.raw.times < event["start"]) | (self.raw.times > event["end"])
        return calm

    def apex(self, event: Event) -> Values:
        """bool [N], frames in which the event is full."""
        times = self.raw.times
        return (times >= event["apex_start"]) & (times <= event["apex_end"])


@dataclass(frozen=True)
class Figures:
    """What one smoothing does; per task where it is a dict.

    Attributes:
        calm: change from frame to frame, root mean square a second, while nothing happens.
        still: likewise on the still picture under noise.
        response: of each length of MIN_RESPONSE, how much of an event's change at its apex is
            left, 0..1.
        rise: seconds from 10 to 90 % of an event, the median.
        lag: seconds that events come late, the mean over rise and fall.
        right: parts of the frames that are right: units at the apex, units at rest, Happiness at
            the apex of a smile, and events with a valence beyond all of rest.
    """

    calm: dict[str, float]
    still: dict[str, float]
    response: dict[float, dict[str, float]]
    rise: float
    lag: float
    right: tuple[float, float, float, float]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("samples", type=Path, help="a folder of clips with a truth.json")
    parser.add_argument("more", type=Path, nargs="*", help="clips whose steadiness to show too")
    parser.add_argument("--no-rates", action="store_true", help="leave out the frame rates")
    parser.add_argument("--crf", type=int, default=18, help="x264's, 0 is lossless")
    options = parser.parse_args()

    truth = json.loads((options.samples / "truth.json").read_text("utf-8"))["clips"]
    with tempfile.TemporaryDirectory(prefix="avaffect-benchmark-") as folder:
        work = Work(Path(folder))
        known = [
            Known(raw, [event for event in clip["events"] if event["subject"] == raw.subject])
            for clip in truth
            if clip["events"]
            for raw in work.faces(options.samples / clip["file"])
        ]
        (still,) = work.faces(work.still(options.samples / RATES_CLIP))
        smoothing(known, still)
        for clip in options.more:
            for raw in work.faces(clip):
                steadiness_of(f"{clip.name}, {raw.subject}", raw)
        if not options.no_rates:
            rates(work, options.samples / RATES_CLIP, options.crf)


class Work:
    """Makes clips and predicts them, each once, in a folder."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._nets = NetsLoader(CONFIG.analysis, "cpu")

    def folder(self, clip: Path) -> Path:
        """The features of ``clip``."""
        out = self._root / f"{clip.stem}-features"
        if not out.exists():
            preprocess(clip, out, CONFIG.analysis, nets=self._nets)
        return out

    def faces(self, clip: Path) -> list[Prediction]:
        """One a subject, of its face alone and without smoothing."""
        model = Starter1(voice=False)
        return [
            model.predict(subject, TASKS) for subject in Prepared(self.folder(clip)).subjects()
        ]

    def prediction(self, clip: Path) -> Prediction:
        """The only subject's, as avaffect gives it."""
        (one,) = predict(self.folder(clip), config=CONFIG).predictions
        return one

    def voice(self, clip: Path) -> Values:
        """float32 [N, 9], the voice's opinion."""
        return Prepared(self.folder(clip)).subjects()[0].array("voice")

    def still(self, clip: Path, seconds: float = 4) -> Path:
        """The first frame of ``clip`` again and again under noise, as JPEG pictures."""
        noise = "trim=end_frame=1,loop=-1:1,setpts=N/25/TB,noise=alls=8:allf=t:all_seed=1"
        return self._encode(
            clip, "still.mov", "-vf", noise, "-an", "-t", seconds, "-c:v", "mjpeg", "-q:v", 4
        )

    def at_rate(self, clip: Path, rate: float, crf: int) -> Path:
        """``clip`` encoded again with frames left out or repeated; its sound as it was."""
        video = ("-vf", f"fps={rate:g}", "-c:v", "libx264", "-crf", crf, "-pix_fmt", "yuv420p")
        return self._encode(clip, f"{rate:g}-fps.mp4", *video, "-c:a", "copy")

    def _encode(self, clip: Path, name: str, *how: object) -> Path:
        target = self._root / name
        command = [ffmpeg_binary(), "-y", "-v", "error", "-i", file_url(clip), *map(str, how)]
        done = subprocess.run([*command, file_url(target)], capture_output=True, check=False)
        if done.returncode:
            sys.exit(f"ffmpeg cannot make '{target}': {done.stderr.decode()[-500:]}")
        return target


def smoothing(known: Sequence[Known], still: Prediction) -> None:
    """Print what each candidate does, and which is chosen."""
    found = {candidate: figures(known, still, candidate) for candidate in CANDIDATES}
    off = found["off"]
    print("without smoothing, RMS change a second:")
    for name, values in (("at rest", off.calm), ("still picture under noise", off.still)):
        print(f"  {name}: " + ", ".join(f"{task} {value:.3f}" for task, value in values.items()))
    ramps = [event["apex_start"] - event["start"] for one in known for event in one.events]
    print(f"the events rise from nothing to all within {1000 * np.median(ramps):.0f} ms (median)")
    print(
        "\nsteadiness as a ratio to that (lower is steadier); what is left of events; frames right"
    )
    groups = ["at rest", "still", *(f"left of {length:g} s" for length in MIN_RESPONSE)]
    print(f"| smoothing | {' | '.join(f'{group}: va expr au' for group in groups)} "
          "| 10-90 % ms | lag ms | right: apex rest happy valence |")  # fmt: skip
    print("|---" * (len(groups) + 4) + "|")
    for candidate, one in found.items():
        parts = [ratios(one.calm, off.calm), ratios(one.still, off.still), *one.response.values()]
        cells = [" ".join(f"{part[task]:.2f}" for task in TASKS) for part in parts]
        cells += [f"{1000 * one.rise:.0f}", f"{1000 * one.lag:+.0f}"]
        cells += [" ".join(f"{part:.3f}" for part in one.right)]
        print(f"| {candidate} | {' | '.join(cells)} |")
    print(f"\nthe rule: {RULE}")
    print(f"for all tasks at once: {choice(found, TASKS)}")
    for task in TASKS:
        print(f"for {task} alone: {choice(found, (task,))}")


def figures(known: Sequence[Known], still: Prediction, candidate: str) -> Figures:
    """Of one smoothing."""
    smoothed = [apply(one.raw, parse_smoothing(candidate)) for one in known]
    movements = [movement(*pair) for pair in edges(known, smoothed)]
    noise = apply(still, parse_smoothing(candidate))
    return Figures(
        steadiness([(one, subject.calm) for subject, one in zip(known, smoothed, strict=True)]),
        steadiness([(noise, np.ones(len(noise), bool))]),
        {length: response(known, candidate, length) for length in MIN_RESPONSE},
        float(np.median([rise for rise, _ in movements])),
        float(np.mean([lag for _, lag in movements])),
        right(known, smoothed),
    )


def ratios(values: dict[str, float], to: dict[str, float]) -> dict[str, float]:
    """Each task's figure over that of ``to``."""
    return {task: values[task] / to[task] for task in TASKS}


def choice(found: dict[str, Figures], tasks: Sequence[str]) -> str:
    """The candidate that RULE chooses, by the figures of ``tasks``."""
    off = found["off"]
    fit = [
        candidate
        for candidate, one in found.items()
        if all(
            one.response[length][task] >= least
            for length, least in MIN_RESPONSE.items()
            for task in tasks
        )
        and abs(one.lag - off.lag) <= MAX_LAG_S
        and all(
            mine >= its - MAX_FEWER_RIGHT for mine, its in zip(one.right, off.right, strict=True)
        )
    ]
    return min(
        fit, key=lambda name: sum(ratios(found[name].still, off.still)[task] for task in tasks)
    )


def steadiness(parts: Sequence[tuple[Prediction, Values]]) -> dict[str, float]:
    """Root mean square change a second of each task, between neighbours that both count."""
    out = {}
    for task in TASKS:
        squares = []
        for prediction, counts in parts:
            change = np.diff(getattr(prediction, task), axis=0)
            speed = change / np.diff(prediction.times)[:, None]
            squares.append(speed[counts[1:] & counts[:-1] & ~np.isnan(speed).any(axis=1)].ravel())
        out[task] = float(np.sqrt(np.mean(np.square(np.concatenate(squares)))))
    return out


def steadiness_of(title: str, raw: Prediction) -> None:
    """Print how steady a clip of unknown motion is under some smoothings."""
    everywhere = np.ones(len(raw), bool)
    off = steadiness([(raw, everywhere)])
    for candidate in (f"gaussian:{width:g}" for width in SECONDS):
        one = steadiness([(apply(raw, parse_smoothing(candidate)), everywhere)])
        cells = ", ".join(f"{task} {ratio:.2f}" for task, ratio in ratios(one, off).items())
        print(f"{title}, {candidate}: {cells} of the change without")


def signals(event: Event) -> Iterator[tuple[str, str, float]]:
    """What an event changes: the task, the column's name, and +1 or -1."""
    for sign, names in ((1.0, event["raises"]), (-1.0, event["lowers"])):
        for name in names:
            yield ("va" if name == "valence" else "au"), name, sign
    if event["expression"] == "smile":
        yield "expr", "Happiness", 1.0


def column(prediction: Prediction, name: str) -> Values:
    """float32 [N] of valence, an expression's probability or a unit's intensity."""
    if name == "valence":
        return prediction.va[:, 0]
    if name in EXPRESSIONS:
        return prediction.expr[:, EXPRESSIONS.index(name)]
    return prediction.au_intensity[:, ACTION_UNITS.index(name)]


def response(known: Sequence[Known], candidate: str, length: float) -> dict[str, float]:
    """How much of the change at the apex is left of events that last ``length`` seconds.

    The clip is played faster or slower for that. All events' change over all events' change
    without smoothing, from what there is at rest without smoothing.
    """
    left, whole = dict.fromkeys(TASKS, 0.0), dict.fromkeys(TASKS, 0.0)
    for one in known:
        for event in one.events:
            speed = length / (event["end"] - event["start"])
            played = replace(one.raw, times=one.raw.times * speed)
            smoothed = apply(played, parse_smoothing(candidate))
            apex = one.apex(event)
            for task, name, sign in signals(event):
                rest = column(one.raw, name)[one.calm].mean()
                whole[task] += sign * (column(one.raw, name)[apex].mean() - rest)
                left[task] += sign * (column(smoothed, name)[apex].mean() - rest)
    return {task: left[task] / whole[task] for task in TASKS}


def edges(
    known: Sequence[Known], smoothed: Sequence[Prediction]
) -> Iterator[tuple[Event, Values, Values]]:
    """Each event with the times and the course of a unit that it raises, 0 at rest, 1 at apex."""
    for one, prediction in zip(known, smoothed, strict=True):
        for event in one.events:
            for name in event["raises"]:
                if name != "valence":
                    curve = column(prediction, name)
                    rest, full = column(one.raw, name)[one.calm].mean(), curve[one.apex(event)]
                    yield event, one.raw.times, (curve - rest) / (full.mean() - rest)


def movement(event: Event, times: Values, course: Values) -> tuple[float, float]:
    """Seconds from 10 to 90 % of the rise, and how late half is reached and left, on average."""
    middle = (event["apex_start"] + event["apex_end"]) / 2
    before, after = times <= middle, times >= middle
    # Backwards from the apex, so that an earlier event does not count.
    up = [crossing(times[before][::-1], course[before][::-1], part) for part in (0.1, 0.5, 0.9)]
    down = crossing(times[after], course[after], 0.5)
    late = up[1] - (event["start"] + event["apex_start"]) / 2
    late += down - (event["apex_end"] + event["end"]) / 2
    return up[2] - up[0], late / 2


def crossing(times: Values, course: Values, level: float) -> float:
    """When ``course`` first falls below ``level``, between two frames in proportion."""
    below = np.flatnonzero(course < level)
    # A unit may still be active where the clip ends.
    at = max(int(below[0]), 1) if len(below) else len(course) - 1
    low, high = course[at], course[at - 1]
    part = np.clip((high - level) / (high - low), 0, 1) if high > low else 1.0
    return float(times[at - 1] + part * (times[at] - times[at - 1]))


def right(
    known: Sequence[Known], smoothed: Sequence[Prediction]
) -> tuple[float, float, float, float]:
    """See :class:`Figures`."""
    full, rest, happy, beyond = [], [], [], []
    for one, prediction in zip(known, smoothed, strict=True):
        units, valence = prediction.au_presence(), prediction.va[:, 0]
        for event in one.events:
            apex, raised = one.apex(event), [n for n in event["raises"] if n[:2] == "AU"]
            columns = [ACTION_UNITS.index(name) for name in raised]
            full.append(units[apex][:, columns].ravel() == 1)
            rest.append(units[one.calm][:, columns].ravel() == 0)
            if event["expression"] == "smile":
                happy.append(prediction.expression_ids()[apex] == EXPRESSIONS.index("Happiness"))
            if "valence" in event["raises"]:
                beyond.append([valence[apex].min() > valence[one.calm].max()])
            if "valence" in event["lowers"]:
                beyond.append([valence[apex].max() < valence[one.calm].min()])
    a, b, c, d = (float(np.concatenate(part).mean()) for part in (full, rest, happy, beyond))
    return a, b, c, d


def rates(work: Work, clip: Path, crf: int) -> None:
    """Print how far predictions at other frame rates are apart."""
    print(f"\n{clip.name} at other frame rates, x264 at crf {crf}, {Starter1.smooth}")
    print("absolute differences at shared times: the 95 % quantile and the largest")
    print("| frames a second | va | expr | au | voice | units the same | voice heard alike |")
    print("|---" * 7 + "|")
    clips = {rate: work.at_rate(clip, rate, crf) for rate in RATES}
    pairs = [(f"{rate:g} beside the original", path, clip) for rate, path in clips.items()]
    pairs += [(f"{rate:g} beside 25", clips[rate], clips[25]) for rate in RATES if rate != 25]
    for title, one, other in pairs:
        a, b = work.prediction(one), work.prediction(other)
        mine, its = shared(a.times, b.times)
        cells = [spread(getattr(a, task)[mine] - getattr(b, task)[its]) for task in TASKS]
        heard, other_heard = work.voice(one)[mine], work.voice(other)[its]
        cells += [spread(heard - other_heard)]
        cells += [f"{(a.au_presence()[mine] == b.au_presence()[its]).mean():.2%}"]
        cells += [f"{(np.isnan(heard) == np.isnan(other_heard)).mean():.2%}"]
        print(f"| {title}, {len(mine)} frames | {' | '.join(cells)} |")


def shared(one: Values, other: Values) -> tuple[Values, Values]:
    """The rows of two clips whose times are the same to 2 ms."""
    nearest = np.abs(one[:, None] - other).argmin(axis=1)
    mine = np.flatnonzero(np.abs(one - other[nearest]) < 2e-3)
    return mine, nearest[mine]


def spread(difference: Values) -> str:
    """The 95 % quantile and the largest of absolute differences, NaN left out."""
    known = np.abs(difference[~np.isnan(difference)])
    return f"{np.quantile(known, 0.95):.3f} {known.max():.3f}"


if __name__ == "__main__":
    main()
