"""Clips made of the sample ones, and what the pipeline made of them, each once a session."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from avaffect.config import AnalysisConfig, PredictConfig
from avaffect.faces.track import TrackedFace, Tracker
from avaffect.features.voice import DEFAULT_VOICE
from avaffect.media.frames import Frame
from avaffect.pipeline.analyse import Nets
from avaffect.pipeline.batch import PredictBatch, Predicted
from avaffect.pipeline.choices import with_features
from avaffect.pipeline.preprocess import NetsLoader, Preprocessed, preprocess
from avaffect.progress import Event, EventCallback, Progress, ignore_events

# The deep embedding takes most of the time and is like any other encoder.
LIGHT = AnalysisConfig(encoders=("starter-1-face",))
FRAMES = 40
FACELESS = range(14, 24)


@dataclass(frozen=True)
class Batch:
    """The four sample clips, predicted into one folder."""

    root: Path
    done: dict[str, Predicted]


@pytest.fixture(scope="session")
def nets() -> NetsLoader:
    """The nets of LIGHT, loaded once."""
    return NetsLoader(LIGHT, "cpu")


@pytest.fixture(scope="session")
def gap_clip(
    sample: Callable[[str], Path],
    ffmpeg: Callable[..., None],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """40 frames at 25 a second with sound, without a face in frames 14 to 23 (from 0)."""
    path = tmp_path_factory.mktemp("clips") / "gap.mp4"
    grey = f"drawbox=color=gray:t=fill:enable='between(n,{FACELESS[0]},{FACELESS[-1]})'"
    # From 1.2 s on: the smile lies behind the gap.
    picture = ["-vf", f"scale=240:240,{grey}", "-frames:v", FRAMES, "-crf", "16"]
    ffmpeg("-ss", "1.2", "-i", sample("one_person.mp4"), *picture, "-t", FRAMES / 25, path)
    return path


@pytest.fixture(scope="session")
def whole(
    gap_clip: Path, nets: NetsLoader, tmp_path_factory: pytest.TempPathFactory
) -> Preprocessed:
    """The gap clip, preprocessed in one go, without the voice. Not to be changed: copy it."""
    return preprocess(gap_clip, tmp_path_factory.mktemp("whole"), LIGHT, nets=nets)


@pytest.fixture(scope="session")
def heard(
    whole: Preprocessed,
    gap_clip: Path,
    nets: NetsLoader,
    tmp_path_factory: pytest.TempPathFactory,
) -> Preprocessed:
    """The gap clip with all that the default model reads. Not to be changed: copy it."""
    root = shutil.copytree(whole.folder.root, tmp_path_factory.mktemp("heard") / "gap")
    return preprocess(gap_clip, root, replace(LIGHT, voice=DEFAULT_VOICE), nets=nets)


@pytest.fixture(scope="session")
def samples(
    sample: Callable[[str], Path], nets: NetsLoader, tmp_path_factory: pytest.TempPathFactory
) -> Batch:
    """The sample clips, predicted with frames without a face left invalid."""
    root = tmp_path_factory.mktemp("samples")
    config = replace(with_features(PredictConfig()), missing="invalid")
    names = ("one_person.mp4", "two_people.mp4", "vfr_rotated.mov", "no_face.mp4")
    with PredictBatch(root, config) as batch:
        return Batch(root, {name: batch(sample(name)) for name in names})


class Refusing(NetsLoader):
    """Stands for nets where none may be needed."""

    def __init__(self) -> None:
        super().__init__(LIGHT, "cpu")

    def __call__(self, on_event: EventCallback = ignore_events) -> Nets:
        raise AssertionError("nets were loaded")


@pytest.fixture
def looking(tmp_path: Path) -> Callable[..., Path]:
    """Makes the run of a network with random weights that looks at pictures, for valence.

    ``seed`` draws the weights, ``side`` is that of its pictures, ``branches`` are others of
    ``width`` features, and ``facts`` what else its checkpoint says.
    """
    import torch

    from avaffect.recipes.library import parse_recipe
    from avaffect.training.checkpoint import Checkpoint, save_checkpoint

    def make(
        name: str = "run",
        seed: int = 0,
        side: int = 112,
        branches: dict[str, Any] | None = None,
        width: int | None = None,
        **facts: Any,
    ) -> Path:
        net = {"kind": "backbone", "net": "mobilenet_v2", "size": 32, "pretrained": False}
        eye = {"features": ["faces"], "encoder": net, "layers": [{"kind": "gru", "units": [4]}]}
        tree = {
            "name": "eye",
            "branches": branches or {"eye": eye},
            "tasks": {"va": {"terms": {"ccc": 1}}},
            "window": {"length": 16},
        }
        recipe = parse_recipe(tree, "")
        widths = dict.fromkeys(recipe.roots, width or side * side * 3)
        checkpoint = Checkpoint(recipe, {"va": ("valence",)}, widths, **facts)
        torch.manual_seed(seed)
        network = checkpoint.build()
        for branch in network.branches.values():
            if branch.encoder is not None:
                # Without statistics of its maps a random net gives hardly more than zero.
                for module in branch.encoder.modules():
                    if isinstance(module, torch.nn.BatchNorm2d):
                        module.momentum = 1.0
                branch.encoder(torch.rand(1, 8, 32, 32, 3) * 255, torch.ones(1, 8, dtype=bool))
        save_checkpoint(tmp_path / name / "best", checkpoint, network)
        return tmp_path / name

    return make


@pytest.fixture
def no_nets() -> NetsLoader:
    return Refusing()


class InterruptAt:
    """An ``on_event`` that presses Ctrl-C when ``faces`` has come to a frame.

    The records are written by a thread, so it waits until the checkpoint before is on disk.
    """

    def __init__(self, work: Path, frame: int, checkpoint: int) -> None:
        self._work, self._frame, self._checkpoint = work, frame, checkpoint

    def __call__(self, event: Event) -> None:
        if isinstance(event, Progress) and event.stage == "faces" and event.done >= self._frame:
            for _ in range(1000):
                if self._saved() >= self._checkpoint:
                    break
                time.sleep(0.01)
            raise KeyboardInterrupt

    def _saved(self) -> int:
        files = list(self._work.rglob("checkpoint.json"))
        return json.loads(files[0].read_text())["frames"] if files else 0


@pytest.fixture
def interrupt_at() -> type[InterruptAt]:
    return InterruptAt


@pytest.fixture
def tracked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The indices of the frames in which faces are looked for, filled in."""
    seen: list[int] = []
    update = Tracker.update

    def counting(self: Tracker, frame: Frame) -> list[TrackedFace]:
        seen.append(frame.index)
        return update(self, frame)

    monkeypatch.setattr(Tracker, "update", counting)
    return seen
