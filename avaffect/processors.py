"""How many processor cores this process may use."""

from __future__ import annotations

import os


def cores() -> int:
    """At least 1. What a scheduler or ``taskset`` allows, where the system tells (Linux)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
