"""Output folders to view."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fixtures.facts import about_of

from avaffect.files.table import write_table


def columns(rows: int, valence: float) -> dict[str, np.ndarray]:
    """Of a face in every frame."""
    times = np.arange(rows) / 25
    box = {"box_left": 100.0, "box_top": 100.0, "box_right": 250.0, "box_bottom": 250.0}
    values = {"valence": valence, "arousal": 0.0, "confidence": 0.9} | box
    found = {name: np.full(rows, value, np.float32) for name, value in values.items()}
    present = np.ones(rows, bool)
    return {"frame": np.arange(1, rows + 1), "time": times, "present": present} | found


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes the table of a subject into an output folder, and returns the folder."""

    def make(name: str, video: Path | None = None, rows: int = 50, valence: float = 0.5) -> Path:
        about = about_of(name, video)
        if video is None:
            about["video"] = {"name": f"{name}.mp4", "sha256": name}
        write_table(tmp_path / f"out/tables/{name}.parquet", columns(rows, valence), about)
        return tmp_path / "out"

    return make
