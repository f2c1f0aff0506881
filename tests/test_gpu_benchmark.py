"""The benchmark for GPUs, its way on the CPU; and the benchmark of the loader."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def patch() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AVAFFECT_OFFLINE", "1")  # as the script itself sets it
        patch.syspath_prepend(str(BENCHMARKS))
        yield patch


@pytest.fixture(scope="module")
def gpu(patch: pytest.MonkeyPatch) -> ModuleType:
    return import_module("gpu")


@pytest.fixture(scope="module")
def nets(gpu: ModuleType) -> ModuleType:
    return import_module("gpu_nets")


@pytest.fixture(scope="module")
def recipes(gpu: ModuleType) -> ModuleType:
    return import_module("gpu_recipes")


@pytest.mark.parametrize("name", ["machine", "voices", "loop", "full_memory"])
def test_parts_pass_on_the_cpu(
    name: str, gpu: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert gpu.main([name, "--device", "cpu"]) == 0
    *rows, time, last = capsys.readouterr().out.splitlines()
    assert last == "all right"
    assert rows and all(row.startswith(name) and row.endswith("ok") for row in rows)
    assert time.startswith(name) and time.endswith(" s")


def test_nets_are_compared_and_timed(nets: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """The two smallest, and a detector of which only the anchors count that see a face."""
    few = {name: nets.CASES[name] for name in ("blendshapes", "starter-1-face")}
    monkeypatch.setattr(nets, "CASES", few)
    monkeypatch.setattr(nets, "_embedding", lambda device: nets.Check("embedding", ""))
    found = {check.what: check for check in nets.nets(CPU)}
    assert [*found] == [
        "blendshapes, float32", "starter-1-face, float32", "starter-1-face, float16", "embedding"
    ]  # fmt: skip
    assert all(check.ok for check in found.values())
    assert found["blendshapes, float32"].figure == "0.0e+00 apart"
    assert found["starter-1-face, float16"].figure != "0.0e+00 apart"
    timed = list(nets.speed(CPU))
    assert [check.what for check in timed] == [f"{name}, 1 at a time" for name in few]
    assert all("faces/s" in check.figure and "roofline" in check.figure for check in timed)


def test_only_anchors_that_see_a_face_are_compared(nets: ModuleType) -> None:
    case = nets.CASES["blazeface-back"]
    scores = torch.tensor([[[1.0], [-3.0]]])
    boxes = torch.zeros(1, 2, 16)
    assert case.apart((boxes, scores), (boxes + 0.25, scores)) == 0.25
    away = boxes.clone()
    away[0, 1] = 9
    assert case.apart((boxes, scores), (away, scores)) == 0
    assert case.apart((boxes, -scores - 5), (boxes, -scores - 5)) == float("inf")


def test_the_portrait_shows_a_face_to_each_detector(nets: ModuleType) -> None:
    """Otherwise their comparison says nothing."""
    case = nets.CASES["blazeface-back"]
    outputs = nets.GraphNet(case.graph())(case.given(1))
    assert case.apart(outputs, outputs) == 0


def test_work_is_counted(nets: ModuleType) -> None:
    a, b = torch.ones(4, 8), torch.ones(8, 2)
    with nets.FlopCounterMode(display=False) as counter, nets.Traffic() as traffic:
        _ = (a @ b).T
    assert counter.get_total_flops() == 2 * 4 * 8 * 2
    assert traffic.moved == a.nbytes + b.nbytes + 4 * 4 * 2  # turning it moves nothing


def test_a_pass_is_compared(
    nets: ModuleType, gap_clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nets, "CLIP", gap_clip)
    rate, points = nets.passes(CPU)
    assert rate.what == "one video, cpu" and rate.figure.endswith("frames/s")
    assert points.ok and points.figure == "0.00 pixels apart"


def test_recurrent_gradients(recipes: ModuleType) -> None:
    assert all(check.ok for check in recipes.recurrent(CPU))


def test_a_step_of_recipes_that_read_features(
    recipes: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those with backbones are stepped in tests of their own; here it is the batch that counts."""
    few = ("abaw1-av-gru", "abaw3-va-stage2", "table-gru")
    monkeypatch.setattr(recipes, "recipe_names", lambda: few)
    assert all(check.ok for check in recipes.networks(CPU))
    for name in few:
        losses, finite = recipes.steps(recipes.reduced(name), CPU, None)
        assert finite and losses[1] != losses[0]
    recipe = recipes.reduced("abaw2-two-stream")
    batch = recipes.a_batch(recipe)
    assert batch.inputs["spatial"] is batch.inputs["temporal"]
    assert batch.inputs["spatial"].shape == (3, 4 + 12, 32, 32, 3)


@pytest.mark.parametrize("raised", [False, True])
def test_what_fails_is_told_and_the_others_go_on(
    raised: bool,
    gpu: ModuleType,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def wrong(name: str, device: Any) -> Iterator[Any]:
        if raised and name == "loop":
            raise RuntimeError("an error of CUDA")
        yield import_module("gpu_checks").Check("a figure", "1", ok=name != "loop")

    monkeypatch.setattr(gpu, "checks", wrong)
    assert gpu.main(["loop", "machine", "--device", "cpu"]) == 1
    shown = capsys.readouterr().out
    assert "FAILED" in shown and ("an error of CUDA" in shown) is raised
    assert "machine      a figure" in shown
    assert shown.splitlines()[-1] == "1 failed, 0 left out"


def test_parts_of_which_something_is_missing_are_left_out(
    gpu: ModuleType,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AVAFFECT_CACHE", str(tmp_path))
    assert gpu.main(["speed", "--device", "cpu"]) == 0
    first, last = capsys.readouterr().out.splitlines()
    left = "blazeface-full, face-landmarker, centerface"
    assert first == f"speed        left out, not here: {left}"
    assert last == "0 failed, 1 left out"


def test_what_it_needs_is_listed_by_part(
    gpu: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert gpu.main(["--needs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines if line[0] != " "] == [*gpu.PARTS]
    assert any("blazeface-back.tflite  315,332 bytes" in line for line in lines)


def test_an_unknown_part_is_refused(gpu: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        gpu.main(["network"])
    assert left.value.code == 2
    assert "no part is called 'network'" in capsys.readouterr().err


def test_the_loader_is_measured() -> None:
    bench = runpy.run_path(str(BENCHMARKS / "loader.py"))
    found = bench["measure"](20, 4, [0])
    assert list(found) == ["listed each time", "0 workers"]
    assert all(rate > 0 for rate in found.values())
