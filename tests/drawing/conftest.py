"""Videos and made-up tables of them, without any net."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixtures.tables import columns_of

from avaffect.files.hashing import file_sha256
from avaffect.files.table import write_table
from avaffect.media.frames import FrameReader


@pytest.fixture
def tables(tmp_path: Path) -> Callable[..., Path]:
    """Writes ``predictions/tables/NAME.parquet`` of a video and returns the folder."""

    def make(
        video: Path, *names: str, rows: int | None = None, media: Any = None, **how: Any
    ) -> Path:
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
