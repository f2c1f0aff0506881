"""The smoke test for GPUs, its way on the CPU; and the benchmark of the loader."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def smoke() -> dict[str, Any]:
    return runpy.run_path(str(BENCHMARKS / "smoke_gpu.py"))


@pytest.mark.parametrize("name", ["machine", "voices", "loop", "memory"])
def test_checks_pass_on_the_cpu(
    name: str, smoke: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert smoke["main"](["--device", "cpu", "--only", name]) == 0
    *rows, last = capsys.readouterr().out.splitlines()
    assert last == "all right"
    assert rows and all(row.startswith(name) and row.endswith("ok") for row in rows)


def test_recurrent_gradients(smoke: dict[str, Any]) -> None:
    assert all(check.ok for check in smoke["recurrent"](smoke["torch"].device("cpu")))


def test_a_step_of_recipes_that_read_features(smoke: dict[str, Any]) -> None:
    """Those with backbones are stepped in tests of their own; here it is the batch that counts."""
    for name in ("abaw1-av-gru", "abaw3-va-stage2"):
        losses, finite = smoke["steps"](smoke["reduced"](name), smoke["torch"].device("cpu"), None)
        assert finite and losses[1] != losses[0]
    recipe = smoke["reduced"]("abaw2-two-stream")
    batch = smoke["a_batch"](recipe)
    assert batch.inputs["spatial"] is batch.inputs["temporal"]
    assert batch.inputs["spatial"].shape == (3, 4 + 12, 32, 32, 3)


def test_what_fails_is_told(
    smoke: dict[str, Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = [smoke["Check"]("a figure", "1", ok=False)]
    monkeypatch.setitem(smoke["CHECKS"], "memory", lambda device: wrong)
    assert smoke["main"](["--device", "cpu", "--only", "memory"]) == 1
    assert "FAILED" in capsys.readouterr().out


def test_the_loader_is_measured() -> None:
    bench = runpy.run_path(str(BENCHMARKS / "loader.py"))
    found = bench["measure"](20, 4, [0])
    assert list(found) == ["listed each time", "0 workers"]
    assert all(rate > 0 for rate in found.values())
