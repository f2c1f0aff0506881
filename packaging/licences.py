"""Write docs/licences.md: the licence of every package that avaffect needs, by extra.

    .venv/bin/python packaging/licences.py

It reads the metadata of what is installed, so run it where `make setup` was.
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/licences.md"
# Extras of setup.cfg that a user installs; `all` is all of them.
EXTRAS = ("train", "features", "plot", "fan", "ray", "remote", "pandas", "view", "ffmpeg")
# What the package's own metadata say too briefly, or not at all. Read from its licence files.
KNOWN = {
    "ai-edge-litert": "Apache-2.0",
    "flatbuffers": "Apache-2.0",
    "imageio-ffmpeg": "BSD-2-Clause; the program ffmpeg in it: **GPL-3.0**",
    "av": "BSD-3-Clause; in its wheels FFmpeg (LGPL-3.0) with **x264 and x265 (GPL-2.0)**",
    "cuda-toolkit": "**proprietary** (NVIDIA)",
    "cycler": "BSD-3-Clause",
    "ffmpeg-python": "Apache-2.0",
    "kiwisolver": "BSD-3-Clause",
    "matplotlib": "matplotlib's own, after Python's (PSF)",
    "scikit-image": "BSD-3-Clause",
    "opencv-python-headless": "Apache-2.0; FFmpeg in its wheels: LGPL-2.1",
    "opencv-python": "Apache-2.0; FFmpeg: LGPL-2.1, Qt: LGPL-3.0 in its wheels",
    "soundfile": "BSD-3-Clause; libsndfile in its wheels: LGPL-2.1",
    "soxr": "LGPL-2.1-or-later",
}
HEADING = "## Packages\n"


@dataclass(frozen=True, slots=True, order=True)
class Package:
    """An installed package: its name on the index, its version, its licence in a few words."""

    name: str
    version: str
    licence: str


def needed(
    requirements: Iterable[str], extras: Iterable[str] = ()
) -> Iterator[tuple[str, frozenset[str]]]:
    """Name and extras of each requirement that holds here, and with these extras of its owner."""
    for text in requirements:
        requirement = Requirement(text)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": each}) for each in ("", *extras)):
            yield requirement.name, frozenset(requirement.extras)


def closure(wanted: Iterable[tuple[str, frozenset[str]]]) -> dict[str, Package]:
    """The wanted packages and all that they need, by name. What is not installed is left out, as
    what other systems need is; but not what `KNOWN` and constraints.txt know."""
    pins = dict(
        re.findall(r"^([\w.-]+)==(\S+)", (ROOT / "constraints.txt").read_text("utf-8"), re.M)
    )
    found: dict[str, Package] = {}
    waiting, seen = list(wanted), set()
    while waiting:
        name, extras = waiting.pop()
        key = re.sub(r"[-_.]+", "-", name).lower()
        if (key, extras) in seen:
            continue
        seen.add((key, extras))
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            if name in KNOWN and name in pins:
                found[key] = Package(key, pins[name], KNOWN[name])
            continue
        found[key] = Package(key, distribution.version, licence(key, distribution.metadata))
        waiting += needed(distribution.requires or (), extras)
    return found


def licence(name: str, facts: metadata.PackageMetadata) -> str:
    """What the metadata say: the expression, else a short text, else the classifiers."""
    if name in KNOWN:
        return KNOWN[name]
    expression = facts.get("License-Expression") or ""
    text = (facts.get("License") or "").strip()
    kinds = [
        each.rpartition(" :: ")[2]
        for each in facts.get_all("Classifier") or []
        if each.startswith("License ::") and each != "License :: OSI Approved"
    ]
    if "NVIDIA" in f"{expression} {text}":
        return "**proprietary** (NVIDIA)"
    if expression:
        return " AND ".join(dict.fromkeys(expression.split(" AND ")))
    if re.fullmatch(r"[\w.,+() -]{2,40}", text) and text != "UNKNOWN":
        return text
    return " / ".join(kinds) or "not stated"


def rows() -> list[str]:
    """The table, Markdown: each package, and which part of setup.cfg brings it."""
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg", encoding="utf-8")
    parts = {"always": settings["options"]["install_requires"]}
    parts |= {extra: settings["options.extras_require"][extra] for extra in EXTRAS}
    found: dict[str, Package] = {}
    brought: dict[str, list[str]] = {}
    for part, text in parts.items():
        for name, package in closure(
            needed(filter(None, map(str.strip, text.split("\n"))))
        ).items():
            found[name] = package
            if "always" not in brought.setdefault(name, []):
                brought[name].append(part)
    lines = [
        f"| {each.name} | {each.version} | {each.licence} | {', '.join(brought[each.name])} |"
        for each in sorted(found.values())
    ]
    return ["| package | version | licence | brought by |", "|---|---|---|---|", *lines]


def with_rows(page: str) -> str:
    """The page with the table behind `HEADING` made anew."""
    prose, heading, rest = page.partition(HEADING)
    made = rest.partition("\n|")[0].rstrip("\n")
    return f"{prose}{heading}{made}\n\n" + "\n".join(rows()) + "\n"


if __name__ == "__main__":
    PAGE.write_text(with_rows(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    print(PAGE)
