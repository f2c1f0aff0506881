"""The figures that come with avaffect's own models: JSON files beside this one."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path


@cache
def figures_fingerprint(folder: Path = Path(__file__).parent) -> str:
    """Changes whenever one of the figures does; 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.json")):
        digest.update(f"{path.name}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]
