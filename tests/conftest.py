"""What many tests share: the sample clips, their truth, and a tool to make media."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fixtures.gpus import as_on_gpu  # noqa: F401
from fixtures.standins import standins  # noqa: F401
from fixtures.stores import s3, s3_server  # noqa: F401
from fixtures.trained import dataset, fit, recipe, weights  # noqa: F401
from fixtures.videos import (  # noqa: F401
    gap_clip,
    heard,
    interrupt_at,
    looking,
    nets,
    no_nets,
    samples,
    tracked,
    whole,
)
from hypothesis import settings

# Threads that wait for each other cost more than they save, beside a second worker all the more.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# No test fails for being slow: the machine may be busy.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

SAMPLES = Path(__file__).parents[1] / "sample_media"
# Folders of tests that are not about lines of avaffect: what only they reach counts as untested,
# and counting makes Python half as slow again.
UNCOUNTED = ("docs", "faults", "hostile", "starter_training")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parts[len(Path(__file__).parent.parts)] in UNCOUNTED:
            item.add_marker(pytest.mark.no_cover)


@pytest.fixture(scope="session", autouse=True)
def no_wait_for_the_disk() -> Iterator[None]:
    """What a sync is for shows only when the power fails, and each takes milliseconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: None)
        yield


@pytest.fixture(scope="session")
def sample() -> Callable[[str], Path]:
    """The path of a sample clip by its file name."""
    return lambda name: SAMPLES / name


@pytest.fixture(scope="session")
def truth() -> dict[str, dict[str, Any]]:
    """What happens when, by the clips' file names."""
    clips = json.loads((SAMPLES / "truth.json").read_text("utf-8"))["clips"]
    return {clip["file"]: clip for clip in clips}


@pytest.fixture(scope="session")
def ffmpeg() -> Callable[..., None]:
    """Runs ffmpeg with the arguments given; raises if it fails."""
    from avaffect.media.ffmpeg import ffmpeg_binary

    def run(*arguments: object) -> None:
        command = [ffmpeg_binary(), "-hide_banner", "-v", "error", "-y", *map(str, arguments)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)

    return run


@pytest.fixture
def half_precision() -> Callable[[str], Any]:
    """Gives torch's type for ``bf16`` or ``fp16``; skips where this CPU cannot compute in it."""
    from avaffect.training.precision import HALVES, cpu_computes_in

    def find(name: str) -> Any:
        if not cpu_computes_in(HALVES[name]):
            pytest.skip(f"this processor cannot compute in {name}")
        return HALVES[name]

    return find


@pytest.fixture
def voice_net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Puts a voice net with random weights into the zoo and returns its name.

    ``seed`` chooses the weights; ``settings`` replaces some of those in the file.
    """
    import numpy as np
    import onnx
    from onnx import helper, numpy_helper

    from avaffect.models import cache
    from avaffect.models.zoo import ZOO, Check, ModelFile, PackagedSource
    from avaffect.sound import voice

    place = cache.place
    made: dict[str, Path] = {}
    monkeypatch.setattr(cache, "place", lambda model: made.get(model.name) or place(model))
    says = {
        "rate_hz": 50,
        "window_s": 3.0,
        "hop_s": 0.5,
        "classes": ["Neutral", "Neutral", "Happiness", "Sadness", "Anger", "Fear", "Disgust",
                    "Surprise"],
        "temperature": 1.5,
    }  # fmt: skip

    def make(
        name: str = voice.DEFAULT_VOICE,
        seed: int = 0,
        licence: str = "CC BY-NC-SA 4.0",
        **settings: Any,
    ) -> str:
        values = np.random.default_rng(seed).normal(0, 0.01, (168, 8)).astype(np.float32)
        value = helper.make_tensor_value_info
        graph = helper.make_graph(
            [
                helper.make_node("ReduceMean", ["features"], ["mean"], axes=[1], keepdims=0),
                helper.make_node("MatMul", ["mean", "weights"], ["logits"]),
            ],
            "voice",
            [value("features", onnx.TensorProto.FLOAT, ["B", "T", 168])],
            [value("logits", onnx.TensorProto.FLOAT, ["B", 8])],
            [numpy_helper.from_array(values, "weights")],
        )
        net = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        helper.set_model_props(net, {k: json.dumps(v) for k, v in (says | settings).items()})
        path = tmp_path / f"{name}-{seed}.onnx"
        onnx.save(net, path)
        made[name] = path
        content = path.read_bytes()
        check = Check(hashlib.sha256(content).hexdigest())
        sources = (PackagedSource(f"shipped/{name}.onnx"),)
        model = ModelFile(name, path.name, len(content), check, licence, "a test", sources)
        monkeypatch.setitem(ZOO, name, model)
        return name

    return make
