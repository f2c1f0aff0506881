"""``report`` of a run: a page on what was trained and how well it does on its validation clips."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from avaffect.drawing.target import require_target
from avaffect.drawing.words import plain
from avaffect.errors import AvaffectError, InputNotFoundError, boundary
from avaffect.files.atomic import write_text
from avaffect.files.names import FEATURES, REPORT, RUN
from avaffect.files.outside import read_kept
from avaffect.metrics.bootstrap import MIN_VIDEOS
from avaffect.metrics.by_video import Scored
from avaffect.predicting.validated import ValidatedClip, kind_of_groups
from avaffect.predictions.postprocess import load_postprocess
from avaffect.predictors.joined import SETTINGS, is_ensemble
from avaffect.progress import EventCallback, Progress, ignore_events
from avaffect.recipes.pictures import FACE_PICTURES
from avaffect.reporting.cautions import PAGE, Caution, share
from avaffect.reporting.footage import find_footage, look_at
from avaffect.reporting.page import MARK, Film, run_page_of
from avaffect.reporting.trained import COLOURS, TrainedRun, VideoRow
from avaffect.store.pictures import HAS_FACE, open_features
from avaffect.store.prepared import Prepared, prepared_in
from avaffect.tasks.registry import TASKS

WORST = 6
# Of a page: more videos than anybody reads.
MOST_VIDEOS = 2_000
_FACES, _SIDE, _QUALITY = 6, 104, 80
_HTML = (".html",)
_LONGEST = 80
_KNOWN = {
    "trained": "are clips that were trained on: their score is no test",
    "tuned": "are clips that smoothing and thresholds were tuned on: optimistic",
    "validated": "are clips that the best epoch was chosen on: somewhat optimistic",
}


@dataclass(frozen=True)
class RunReported:
    """A page that was written.

    Attributes:
        path: the page.
        clips: validation clips in it.
        videos: that they come from.
        pictured: of the worst clips, how many are shown with faces.
    """

    path: Path
    clips: int
    videos: int
    pictured: int


@boundary()
def report_run(
    run: Path | str,
    out: Path | str | None = None,
    *,
    videos: Sequence[Path | str] = (),
    overwrite: bool = False,
    on_event: EventCallback = ignore_events,
) -> RunReported:
    """Write a page on a run of ``train`` or ``ensemble``.

    One HTML file that needs no network: the scores with their intervals, what makes them
    optimistic, the curves of the training, a row a video, and of the worst clips predictions
    beside labels, with faces and the video where `preprocess` left them in the folder of features.
    Scores are those of the validation tables, before any smoothing.

    Args:
        run: the folder.
        out: the page; None for ``report.html`` in the folder, which is replaced.
        videos: files that the clips may come from, told by their content, or folders of them.
        overwrite: replace a page that `report` wrote before; other files are never replaced.
        on_event: progress in the worst clips.

    Raises:
        InputNotFoundError: the run has no validation tables, or a video is not there.
        ForeignFileError: a file is in the way that is no such page.
        FormatError, CheckpointError: something of the run is damaged.
        OutputError: the page cannot be written.
        UsageError: another ending; the page is there.
    """
    folder = Path(run)
    overwrite = overwrite or out is None
    page = folder / REPORT if out is None else Path(out)
    require_target(page, _HTML, MARK, overwrite)
    trained = TrainedRun.read(folder)
    rows = trained.videos()
    faces = _Faces(folder, [Path(video) for video in videos])
    worst, pictured = [], 0
    ranked = trained.worst(WORST)
    for done, clip in enumerate(ranked, 1):
        charts, strips = trained.shown(clip)
        found, film = faces.of(clip, page)
        pictured += bool(found)
        worst.append(
            {
                "name": plain(clip.name, _LONGEST),
                "error": _errors({task: trained.error_of(task, [clip]) for task in clip.labels}),
                "charts": charts,
                "strips": strips,
                "faces": found,
                "source": film.source,
            }
        )
        on_event(Progress("clips", done, len(ranked), "clips", finished=done == len(ranked)))
    scored = trained.scored()
    text = run_page_of(
        title=plain(folder.absolute().name, _LONGEST),
        facts=_facts(trained, len(rows)),
        cautions=_cautions(trained, len(rows)),
        scores=[_score_row(each) for each in scored],
        curves=trained.curves(),
        colours=_classes(trained),
        tasks=[_title(task) for task in trained.targets],
        videos=[_video_row(row, list(trained.targets)) for row in rows[:MOST_VIDEOS]],
        more=max(0, len(rows) - MOST_VIDEOS),
        worst=worst,
        tuned=_tuned(folder),
    )
    write_text(page, text)
    return RunReported(page, len(trained.clips), len(rows), pictured)


class _Faces:
    """Faces and films of clips, in the folders that a run learned from."""

    def __init__(self, run: Path, videos: Sequence[Path]) -> None:
        if (lacking := next((path for path in videos if not path.exists()), None)) is not None:
            raise InputNotFoundError(f"there is no video '{lacking}'", "check the path")
        self._videos = videos
        self._places: dict[str, Path] = {}
        settings = read_kept(run / (SETTINGS if is_ensemble(run) else RUN), {"data": dict})
        features = (settings or {}).get("data", {}).get("features")
        root = (settings or {}).get("data", {}).get("root")
        self._root = Path(root) if isinstance(root, str) else None
        if isinstance(features, str) and Path(features).is_dir():
            for place in prepared_in(Path(features)):
                for subject in (place / FEATURES).glob("*"):
                    self._places.setdefault(subject.name, place)

    def of(self, clip: ValidatedClip, page: Path) -> tuple[list[str], Film]:
        """JPEGs as base64, and the video, if these are at hand: the page is whole without."""
        place = self._places.get(clip.name)
        if place is None:
            return [], Film()
        faces: list[str] = []
        film = Film()
        with suppress(AvaffectError, OSError, cv2.error):
            faces = _pictures(place / FEATURES / clip.name)
        with suppress(AvaffectError, OSError):
            near = [place, place.parent, place.parent.parent, Path()]
            if self._root is not None:
                near += [self._root, self._root / "videos"]
            path = find_footage({"video": Prepared(place).video}, self._videos, near)
            if path is not None and not (footage := look_at(path)).why_not:
                film = Film(source=footage.link(page))
        return faces, film


def _pictures(subject: Path) -> list[str]:
    """A few of a subject's crops, spread over the time in which it is seen."""
    features = open_features(subject)
    if FACE_PICTURES not in features.specs:
        return []
    seen = np.flatnonzero(features.array(HAS_FACE))
    found = []
    for part in np.array_split(seen, min(_FACES, max(1, len(seen)))):
        if not len(part):
            continue
        at = int(part[len(part) // 2])
        picture = features.array(FACE_PICTURES, at, at + 1)[0]
        small = cv2.resize(picture, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
        done, data = cv2.imencode(".jpg", small[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
        if done:
            found.append(base64.b64encode(data.tobytes()).decode())
    return found


def _facts(trained: TrainedRun, videos: int) -> list[str]:
    networks = list(trained.networks.values())
    first = networks[0]
    facts = [f"recipe {plain(first.recipe.name, 60)}"]
    facts.append(f"{len(networks)} networks" if len(networks) > 1 else f"epoch {first.epoch}")
    learned = {name for each in networks for name in each.data.get("clips", {}).get("train", ())}
    facts.append(f"{len(learned)} clips trained on")
    of = kind_of_groups(trained.clips)
    facts.append(f"{len(trained.clips)} validation clips of {videos} {of}")
    return facts


def _cautions(trained: TrainedRun, videos: int) -> list[Caution]:
    found = []
    for way, names in trained.known().items():
        some = ", ".join(plain(name) for name in names[:3])
        more = " and others" if len(names) > 3 else ""
        text = (
            f"{len(names)} of {len(trained.clips)} validation clips {_KNOWN[way]} ({some}{more})."
        )
        found.append(Caution(PAGE, text, way == "trained"))
    if videos < MIN_VIDEOS:
        of = kind_of_groups(trained.clips)
        text = f"Scores are of {videos} {of}, too few to say how sure they are."
        found.append(Caution(PAGE, text))
    if any(network.data.get("synthetic") for network in trained.networks.values()):
        text = "The data are artificial: scores say whether the program works, and no more."
        found.append(Caution(PAGE, text, True))
    return found


def _score_row(scored: Scored) -> dict[str, Any]:
    parts = [f"{plain(name, 60)} {_number(value)}" for name, value in scored.parts.items()]
    task = scored.task
    return {
        "task": _title(task),
        "measure": TASKS[task].measure,
        "score": _number(scored.score),
        "interval": str(scored.interval),
        "parts": parts,
    }


def _video_row(row: VideoRow, tasks: Sequence[str]) -> dict[str, Any]:
    return {
        "name": plain(row.name, _LONGEST),
        "clips": row.clips,
        "frames": f"{row.frames:,}",
        "cells": [(_number(row.scores[task]), _number(row.errors[task])) for task in tasks],
    }


def _errors(errors: Mapping[str, float]) -> str:
    shown = []
    for task, value in errors.items():
        if not np.isfinite(value):
            continue
        values = TASKS[task].kind == "values"
        what = f"off by {_number(value)} on average" if values else f"wrong in {share(value)}"
        shown.append(f"{_title(task)}: {what}")
    return "; ".join(shown)


def _tuned(folder: Path) -> dict[str, Any] | None:
    """What `tune` chose, and both of its figures; None if it was not run."""
    place = next((p for p in (folder, folder / "best", folder / "last") if _has(p)), None)
    after = None if place is None else load_postprocess(place)
    if after is None:
        return None
    steps = after.chosen_on.get("steps", ())
    rows = [step for step in steps if isinstance(step, dict)] if isinstance(steps, list) else []
    return {
        "smooth": plain(after.smooth, 200),
        "units": len(after.au_thresholds),
        "steps": [
            {
                "what": plain(f"{step.get('task', '')}: {step.get('what', '')}", 60),
                "figures": [
                    _number(step.get(name))
                    for name in ("without", "optimistic", "cross_validated")
                ],
                "kept": "yes" if step.get("kept") is True else "no",
            }
            for step in rows[:20]
        ],
    }


def _has(place: Path) -> bool:
    from avaffect.predictions.postprocess import FILE

    return (place / FILE).is_file()


def _classes(trained: TrainedRun) -> list[tuple[int, str]]:
    """The colours of classes in strips, and the classes' names."""
    flat = [names for task, names in trained.targets.items() if TASKS[task].flat]
    return [(at % COLOURS, plain(name)) for names in flat for at, name in enumerate(names[:40])]


def _title(task: str) -> str:
    return str(TASKS[task].title)


def _number(value: Any) -> str:
    if not isinstance(value, int | float) or not np.isfinite(value):
        return "–"
    return f"{value:.3f}".replace("-0.000", "0.000").replace("-", "−")
