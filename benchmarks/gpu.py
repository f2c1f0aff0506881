"""Does avaffect compute on this GPU what it computes on the CPU, and how fast?

    python benchmarks/gpu.py [PART ...] [--device cuda] [--needs]

A line a check: what was looked at, a figure, ok or FAILED; exit code 1 if one failed. Parts whose
packages or weights are not here are left out, and said so; `--needs` lists them. Nothing is
downloaded. With `--device cpu` it goes the same way without a GPU, as the tests do. All parts take
about ten minutes on a GPU.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Before torch: deterministic products of matrices on CUDA want it.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
os.environ["AVAFFECT_OFFLINE"] = "1"
# Its neighbours, however it was started.
sys.path.insert(0, str(Path(__file__).parent))

from avaffect.errors import AvaffectError
from avaffect.extras import is_installed
from avaffect.models.cache import place
from avaffect.models.zoo import find_model

TORCH = ("torch", "filelock", "platformdirs")
READERS = (*TORCH, "onnx", "flatbuffers", "ai_edge_litert")
RECIPES = (*TORCH, "pydantic", "annotated_types", "yaml", "safetensors", "pyarrow")
DETECTORS = ("blazeface-full", "blazeface-back")
WEIGHTS = (*DETECTORS, "face-landmarker", "starter-2-face", "starter-1-face", "centerface")


@dataclass(frozen=True)
class Part:
    """Some checks.

    Attributes:
        module: where the function of the part's name is.
        packages: what must be installed, as it is imported.
        weights: names of the zoo.
    """

    module: str
    packages: tuple[str, ...]
    weights: tuple[str, ...] = ()

    def missing(self) -> list[str]:
        """What of it is not here."""
        lacking = [name for name in self.packages if not is_installed(name)]
        return lacking + [name for name in self.weights if not place(find_model(name)).is_file()]


PARTS = {
    "machine": Part("gpu_checks", RECIPES),
    "nets": Part("gpu_nets", READERS, (*WEIGHTS, "efficientnet-lite0")),
    "speed": Part("gpu_nets", READERS, WEIGHTS),
    "passes": Part(
        "gpu_nets",
        (*READERS, "onnxruntime", "av", "cv2", "pydantic", "pyarrow"),
        (*DETECTORS, "face-landmarker", "starter-2-face"),
    ),
    "recurrent": Part("gpu_recipes", RECIPES),
    "voices": Part("gpu_recipes", (*RECIPES, "torchaudio")),
    "networks": Part("gpu_recipes", (*RECIPES, "torchvision")),
    "recipes": Part("gpu_recipes", (*RECIPES, "torchvision")),
    "loop": Part("gpu_recipes", RECIPES),
    "full_memory": Part("gpu_recipes", RECIPES),
    "train_steps": Part("gpu_recipes", (*RECIPES, "torchvision")),
}
"""By name, in the order in which they run."""


def needs() -> Iterator[str]:
    """What each part needs, a line each."""
    for name, part in PARTS.items():
        yield f"{name}: packages {', '.join(part.packages)}"
        for model in map(find_model, part.weights):
            file = place(model)
            here = f"{file.stat().st_size:,} bytes" if file.is_file() else "NOT HERE"
            yield f"    {file}  {here}"


def checks(name: str, device: Any) -> Iterator[Any]:
    """The checks of a part."""
    part = PARTS[name]
    return iter(getattr(importlib.import_module(part.module), name)(device))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", help=f"some of: {', '.join(PARTS)}")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--needs", action="store_true", help="list packages and files, and end")
    given = parser.parse_args(arguments)
    if unknown := [name for name in given.parts if name not in PARTS]:
        parser.error(f"no part is called '{unknown[0]}': choose some of {', '.join(PARTS)}")
    if given.needs:
        print(*needs(), sep="\n")
        return 0
    import torch

    from avaffect.models.device import choose_device

    try:
        device = torch.device(choose_device(given.device).name)
    except AvaffectError as error:
        print(error)
        return 2
    failed = left_out = 0
    for name in given.parts or PARTS:
        if missing := PARTS[name].missing():
            left_out += 1
            print(f"{name:12} left out, not here: {', '.join(missing)}")
            continue
        began = time.perf_counter()
        try:
            for check in checks(name, device):
                failed += not check.ok
                said = "ok" if check.ok else "FAILED"
                print(f"{name:12} {check.what:48} {check.figure}  {said}", flush=True)
        except Exception:  # the others are still worth their time
            failed += 1
            print(f"{name:12} FAILED", traceback.format_exc(), sep="\n", flush=True)
        print(f"{name:12} {time.perf_counter() - began:.0f} s")
    print(f"{failed} failed, {left_out} left out" if failed or left_out else "all right")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
