"""Videos and made-up tables of them, without any net."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from avaffect.files.hashing import file_sha256
from avaffect.files.table import write_table
from avaffect.labels import ACTION_UNITS, EXPRESSIONS
from avaffect.media.frames import FrameReader

POINTS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")


def columns_of(times: np.ndarray, unseen: Any = (), box=(20.0, 20.0, 60.0, 70.0), seed: int = 0):
    """A table's columns: a still face, values that change; nothing in the rows ``unseen``."""
    rng = np.random.default_rng(seed)
    n = len(times)
    seen = np.ones(n, bool)
    seen[list(unseen)] = False
    made: dict[str, Any] = {"frame": np.arange(1, n + 1), "time": times, "present": seen}
    values: dict[str, Any] = {"confidence": np.ones(n)}
    for at, name in enumerate(("valence", "arousal")):
        curve = 0.8 * np.sin(times * (1 + at) + seed)
        values |= {name: curve, f"{name}_low": curve - 0.2, f"{name}_high": curve + 0.2}
    shares = rng.dirichlet(np.ones(8), n)
    values |= {f"p_{name}": shares[:, at] for at, name in enumerate(EXPRESSIONS)}
    for name in ACTION_UNITS:
        values[f"{name}_p"] = rng.random(n)
        values[name] = (values[f"{name}_p"] >= 0.5).astype(float)
    for name, value in zip(("left", "top", "right", "bottom"), box, strict=True):
        values[f"box_{name}"] = np.full(n, value)
    for at, point in enumerate(POINTS):
        values |= {f"{point}_x": np.full(n, 30.0 + 4 * at), f"{point}_y": np.full(n, 40.0)}
    for name, value in values.items():
        made[name] = np.where(seen, value, np.nan).astype(np.float32)
    return made


@pytest.fixture
def tables(tmp_path: Path) -> Callable[..., Path]:
    """Writes ``predictions/tables/NAME.parquet`` of a video and returns the folder."""

    def make(video: Path, *names: str, rows: int | None = None, media: Any = None, **how: Any):
        with FrameReader(video) as reader:
            times = np.array([frame.time for frame in reader])[:rows]
        about = {
            "video": {"name": video.name, "sha256": file_sha256(video)},
            "configuration": {"analysis": {"media": media or {}}},
        }
        for seed, name in enumerate(names or (video.stem,)):
            path = tmp_path / "predictions/tables" / f"{name}.parquet"
            write_table(path, columns_of(times, seed=seed, **how), about | {"subject": name})
        return tmp_path / "predictions"

    return make
