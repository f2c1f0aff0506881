"""Print constraints that name the oldest versions that setup.cfg allows.

python packaging/oldest.py > oldest.txt && pip install --constraint oldest.txt .
"""

from __future__ import annotations

import configparser
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def oldest(setup: Path = ROOT / "setup.cfg") -> list[str]:
    """A line ``name == X.Y.*`` for each package that ``install_requires`` names."""
    settings = configparser.ConfigParser()
    settings.read(setup, encoding="utf-8")
    lines = []
    for line in settings["options"]["install_requires"].split("\n"):
        found = re.fullmatch(r"([\w.-]+)\s*>=\s*([\d.]+).*", line.strip())
        if found:
            lines.append(f"{found[1]} == {found[2]}.*")
    return lines


if __name__ == "__main__":
    print("\n".join(oldest()))
