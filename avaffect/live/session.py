"""``Session``: frames and sound in as they come, predictions out with a stated delay."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avaffect.arrays import ArrayRecord
from avaffect.config import PredictConfig
from avaffect.errors import UsageError, boundary
from avaffect.faces.encoders import encoder_spec
from avaffect.faces.face_pose import SIZE as FACE_POSE_SIZE
from avaffect.faces.holding import Holding
from avaffect.faces.search import Search
from avaffect.faces.track import Tracker
from avaffect.files.npy import ArraySpec
from avaffect.labels import EXPRESSIONS
from avaffect.live.history import History, Span
from avaffect.live.listening import Listener
from avaffect.media.frames import Frame
from avaffect.media.given import as_image, as_time
from avaffect.models.device import choose_device
from avaffect.predicting.settings import chosen_config, require_made
from avaffect.predictions.eyes import with_eyes
from avaffect.predictions.prediction import Prediction
from avaffect.predictions.smooth import Smoothing, apply, parse_smoothing
from avaffect.predictors.build import build_predictor
from avaffect.preprocessing.face_reader import FaceReader, ReadFace
from avaffect.preprocessing.nets import Nets
from avaffect.progress import EventCallback, ignore_events
from avaffect.recipes.pictures import FACE_PICTURES
from avaffect.tasks.registry import TASKS

MOST_DELAY_S = 10.0
# Times that differ by less are the same.
TOLERANCE_S = 1e-9
# Beyond what smoothing reaches, lips and hands are judged by what is around a frame.
_AROUND_S = 1.0
# Who was not seen for so long is forgotten; the tracker may know the face and its number still.
_GONE_S = 60.0
_MOST_GONE = 32


@dataclass(frozen=True, eq=False, repr=False)
class FramePrediction(ArrayRecord):
    """What is predicted of one person in one frame.

    Attributes:
        time: seconds, as the frame was given.
        frame: its number, from 0.
        track: the person's number, from 1; who comes back within a while keeps it.
        seen: in how many frames the person was seen so far.
        prediction: a `Prediction` of one row, with all that a table has (``columns()``).
    """

    time: float
    frame: int
    track: int
    seen: int
    prediction: Prediction

    @property
    def va(self) -> NDArray[np.float32] | None:
        """float32 [2], valence and arousal, -1..1; None if the model does not predict it."""
        return self._values("va")

    @property
    def expr(self) -> NDArray[np.float32] | None:
        """float32 [8], probabilities in the order of ``EXPRESSIONS``; None likewise."""
        return self._values("expr")

    @property
    def au(self) -> NDArray[np.float32] | None:
        """float32 [12], scores in 0..1 in the order of ``ACTION_UNITS``; None likewise."""
        return self._values("au")

    @property
    def expression(self) -> str | None:
        """The likeliest expression; None where there is no value."""
        if self.expr is None:
            return None
        at = int(self.prediction.expression_ids()[0])
        return EXPRESSIONS[at] if at >= 0 else None

    @property
    def confidence(self) -> float:
        """The face's quality, 0..1."""
        return float(self.prediction.confidence[0])

    @property
    def box(self) -> NDArray[np.float32]:
        """float32 [4], left, top, right, bottom in pixels."""
        geometry = self.prediction.geometry
        assert geometry is not None  # noqa: S101  (a history always has one)
        return geometry[0, :4]

    @property
    def heard(self) -> bool:
        """Whether the voice counted."""
        return bool(self.prediction.heard[0])

    def __repr__(self) -> str:
        va = "" if self.va is None else f", valence {self.va[0]:+.2f}, arousal {self.va[1]:+.2f}"
        word = "" if self.expression is None else f", {self.expression}"
        return f"FramePrediction({self.time:.3f} s, person {self.track}{word}{va})"

    def _values(self, task: str) -> NDArray[np.float32] | None:
        values = self.prediction.values.get(task)
        return None if values is None else values[0]


class Session:
    """Predicts frames and sound as they come; nothing of the future is used.

    The result for a frame is what `predict` would say of all that was seen up to ``delay``
    seconds after it, read at this frame: the neutral face is that of the time so far, and
    smoothing reaches ``delay`` seconds ahead at the most. docs/howto/live.md says how far that
    agrees with `predict`. Memory does not grow: a person's past is kept for five minutes. A
    session is for one thread at a time.

    >>> with Session(task="va", delay=0.25) as session:  # doctest: +SKIP
    ...     for image, time in camera:
    ...         for person in session.push(image, time):
    ...             print(person.time, person.track, person.va)

    Args:
        task: as `predict` takes it.
        model: likewise.
        checkpoint: likewise. A trained network sees its last window of frames anew at each frame
            (``window`` of its recipe): also the state of a recurrent one is made of that window,
            as in its training, and not carried on.
        smooth: likewise.
        delay: how many seconds of what follows a frame are waited for, 0 to 10. At a quarter of a
            second the smoothing of the built-in models is whole.
        config: likewise.
        device: likewise.
        on_event: progress of fetching the nets, and notices.

    Attributes:
        delay: see above: the result for a frame comes with the first frame that is so much later.
        tasks: what is predicted.
        notes: what a reader of the predictions must know.

    Raises:
        UsageError: as `predict`; a model that looks at pictures or at features of your own.
        ModelError: weights are not to be had or damaged.
    """

    @boundary()
    def __init__(
        self,
        task: str | Sequence[str] = "all",
        *,
        model: str | None = None,
        checkpoint: Path | str | None = None,
        smooth: str | None = None,
        delay: float = 0.0,
        config: PredictConfig | None = None,
        device: str = "auto",
        on_event: EventCallback = ignore_events,
    ) -> None:
        number = isinstance(delay, int | float) and math.isfinite(delay)
        if not number or not 0 <= delay <= MOST_DELAY_S:
            raise UsageError(f"a delay of {delay!r} s cannot be used", "give 0 to 10 seconds")
        self.delay = float(delay)
        chosen = chosen_config(
            task, model=model, checkpoint=checkpoint, smooth=smooth, config=config
        )
        device = choose_device(device).name
        self._predictor = build_predictor(chosen, device)
        require_made(self._predictor)
        self._predictor.require_settings(chosen.analysis.to_dict())
        if FACE_PICTURES in self._predictor.needs:
            raise UsageError(
                f"'{self._predictor.name}' looks at pictures, which is not done live",
                "predict a file, or train on features (`avaffect recipes` lists some)",
            )
        self.tasks = tuple(task for task in chosen.tasks if task in self._predictor.tasks)
        self.notes = self._predictor.notes
        self._smoothing = parse_smoothing(chosen.smooth, self._predictor.smooth)
        self._window: int | None = getattr(self._predictor, "window", None)
        self._span = Span(
            self.delay + self._reach() + _AROUND_S,
            self._window or 1,
            old=self._window is None,
        )
        analysis = chosen.analysis
        nets = Nets.load(analysis, device, on_event)
        self._nets, self._read = nets, FaceReader(nets.encoders, nets.shapes)
        self._holding = Holding(nets.landmarker, analysis.faces.looks)
        search = Search(nets.detector, nets.second, analysis.faces.detect_every)
        self._tracker = Tracker(nets.detector, self._holding, analysis.faces, search)
        self._listener = Listener(analysis, on_event)
        self._arrays = {"face_pose": ArraySpec((FACE_POSE_SIZE,), "float32")}
        for name in analysis.encoders:
            spec = encoder_spec(name)
            self._arrays[name] = ArraySpec((spec.size,), spec.dtype)
        self._arrays |= self._listener.specs
        self._people: dict[int, History] = {}
        self._last: dict[int, ReadFace] = {}
        # Frames whose results wait: number and time of each.
        self._waiting: deque[tuple[int, float]] = deque()
        self._first: float | None = None
        self._time: float | None = None
        self._count = 0
        self._closed = False

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @boundary()
    def push(self, frame: NDArray[np.uint8], time: float) -> list[FramePrediction]:
        """Add a frame.

        Args:
            frame: uint8 [H, W, 3], RGB, upright; it is not kept.
            time: seconds on any clock, later than that of the frame before.

        Returns:
            what is ready now, by time and track: those who are seen in frames of at least
            ``delay`` seconds before. Often none while the delay has not passed.

        Raises:
            UsageError: another shape or kind of array, a time that is no later, or it is closed.
        """
        self._require_open()
        image, time = as_image(frame), as_time(time, self._time)
        step = 1 / 25 if self._time is None else time - self._time
        if self._first is None:
            self._first = time
        self._time = time
        seen = self._look(Frame(self._count, time - self._first, image))
        sound = self._listener.rows(time, step) if self._listener.specs else {}
        for track in seen.keys() - self._people.keys():
            self._people[track] = History(track, self._arrays, self._span)
        for track, person in self._people.items():
            person.append(time, seen.get(track), sound)
        self._forget(time)
        self._waiting.append((self._count, time))
        self._count += 1
        return self._ready(time - self.delay)

    @boundary()
    def push_sound(
        self, samples: NDArray[np.floating[Any]], rate: float, time: float | None = None
    ) -> None:
        """Add sound, which the results of later frames heed; give it before the frames it is of.

        Args:
            samples: float [n] or [channels, n], about -1..1, at most a minute.
            rate: hertz, 1,000 to 384,000.
            time: seconds of the first sample, on the frames' clock; None follows on the sound
                before. The first sound begins with the first frame, or at 0 without one.

        Raises:
            UsageError: another shape or kind, a rate beyond these, or it is closed.
        """
        self._require_open()
        if time is None:
            end = self._listener.end
            time = end if end is not None else (self._first or 0.0)
        self._listener.push(samples, rate, as_time(time, None))

    @boundary()
    def flush(self) -> list[FramePrediction]:
        """What still waits for its delay; the session goes on."""
        return self._ready(math.inf)

    def close(self) -> None:
        """Let go of everything; what waits is lost, see `flush`."""
        self._closed = True
        self._people.clear()
        self._waiting.clear()

    def _reach(self) -> float:
        """Seconds that smoothing looks back at the most."""
        tasks = [self._smoothing.of(task) for task in TASKS]
        return max((each.seconds for each in tasks if isinstance(each, Smoothing)), default=0.0)

    def _require_open(self) -> None:
        if self._closed:
            raise UsageError("the session is closed", "make a new one")

    def _look(self, frame: Frame) -> dict[int, ReadFace]:
        """The faces of a frame by track; one that is held is as it was when it was looked at."""
        self._holding.begin(frame.time)
        found = self._tracker.update(frame)
        held = self._holding.held(found) & self._last.keys()
        fresh = [each for each in found if each.track not in held]
        read = self._read([(frame, self._nets.refined(frame, each.face)) for each in fresh])
        faces = {each.track: face for each, face in zip(fresh, read, strict=True)}
        faces |= {track: self._last[track] for track in held}
        self._last = faces
        return faces

    def _forget(self, time: float) -> None:
        """Let go of people who are gone for long, or of the longest gone if they are many."""
        gone = [person for person in self._people.values() if person.track not in self._last]
        gone.sort(key=lambda person: -person.last_seen)
        for number, person in enumerate(gone):
            if time - person.last_seen > _GONE_S or number >= _MOST_GONE:
                del self._people[person.track]

    def _ready(self, until: float) -> list[FramePrediction]:
        """The results of frames that waited, up to a time."""
        due = []
        while self._waiting and self._waiting[0][1] <= until + TOLERANCE_S:
            due.append(self._waiting.popleft())
        if not due:
            return []
        found: list[FramePrediction] = []
        for person in self._people.values():
            if person.last_seen >= due[0][1]:
                found += self._results(person, due)
        return sorted(found, key=lambda each: (each.frame, each.track))

    def _results(self, person: History, due: list[tuple[int, float]]) -> list[FramePrediction]:
        """Those of one person, by all that is known now."""
        times, present = person.times, person.present
        places = [
            (number, time, at)
            for number, time in due
            if (at := int(np.searchsorted(times, time))) < len(times)
            and times[at] == time
            and present[at]
        ]
        if not places:
            return []
        raw = self._predictor.predict(person, self.tasks)
        whole = with_eyes(apply(raw, self._smoothing), person)
        after: NDArray[np.int64] = np.cumsum(present[::-1])[::-1] - present
        return [
            FramePrediction(time, number, person.track, person.count - int(after[at]),
                            row_of(whole, at))
            for number, time, at in places
        ]  # fmt: skip


def row_of(prediction: Prediction, at: int) -> Prediction:
    """One row of a prediction, as a prediction."""
    here = slice(at, at + 1)
    parts: dict[str, Any] = {
        name: None if (array := getattr(prediction, name)) is None else array[here]
        for name in ("times", "present", "confidence", "au_intensity", "filled", "heard",
                     "va_interval", "geometry", "eyes", "speaking")
    }  # fmt: skip
    # By name, as `replace` hands over the old ones too.
    parts |= {task: array[here] for task, array in prediction.values.items()}
    return replace(prediction, **parts)
