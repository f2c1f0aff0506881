"""Where the folders that ``preprocess`` writes lie, however deep."""

from __future__ import annotations

import os
from pathlib import Path

RECORD = "preprocess.json"
# What such a folder has in it; no other one lies there.
_INSIDE = {"cropped_aligned", "features"}
_MOST_FOLDERS = 50_000


def prepared_in(root: Path) -> list[Path]:
    """The folders with a record of ``preprocess`` in ``root``, sorted; hidden ones are left out.

    Looks at some 50,000 folders at most.
    """
    found = []
    for count, (parent, folders, names) in enumerate(os.walk(root)):
        inside = _INSIDE if RECORD in names else set()
        folders[:] = [one for one in folders if one not in inside and not one.startswith(".")]
        if inside and Path(parent) != root:
            found.append(Path(parent))
        if count > _MOST_FOLDERS:
            break
    return sorted(found)
