"""Made-up predictions, with a video or without."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixtures.facts import about_of
from fixtures.tables import columns_of

from avaffect.config import MediaConfig
from avaffect.drawing.subjects import Table
from avaffect.files.table import write_table


@pytest.fixture
def made() -> Callable[..., Table]:
    """A table in memory: 25 frames a second, nothing seen in the rows ``unseen``."""

    def make(rows: int = 50, unseen: Any = (), subject: str = "anna", **columns: Any) -> Table:
        times = np.arange(rows) / 25
        found = columns_of(times, unseen=unseen) | columns
        return Table(subject, found, MediaConfig())

    return make


@pytest.fixture(scope="session")
def write() -> Callable[..., Path]:
    """Writes ``tables/NAME.parquet`` in a folder, and returns the folder."""

    def make(
        folder: Path,
        name: str,
        rows: int = 50,
        subject: str | None = None,
        rate: float = 25,
        seed: int = 0,
        unseen: Any = (),
        about: dict[str, Any] | None = None,
    ) -> Path:
        columns = columns_of(np.arange(rows) / rate, unseen=unseen, seed=seed)
        facts = about if about is not None else about_of(subject or name)
        write_table(folder / "tables" / f"{name}.parquet", columns, facts)
        return folder

    return make
