"""One reader, fuzzed in this process; see `fuzz`.

Atheris changes the file itself, led by coverage of avaffect's own code, and in turn makes the
draws by which hypothesis chooses among `mutations`.
"""

from __future__ import annotations

import os
import random
import tempfile
import time
import traceback
from pathlib import Path

import atheris
from hostile.corpus import keep, kept
from hostile.mutations import changed
from hostile.readers import Reader
from hostile.watch import watched
from hypothesis import HealthCheck, given, settings

# Seconds that a single file may take; MB that all may.
LATE_S = 60
MEMORY_MB = 3000


def fuzz_reader(reader: Reader, seconds: float, start: int) -> None:
    """Fuzz until the time is over, then end this process: with 1 if something was found."""
    place = tempfile.TemporaryDirectory()
    path, data = reader.made_in(Path(place.name) / "made")
    tried = 0
    until = time.monotonic() + seconds

    def read(content: bytes) -> None:
        nonlocal tried
        tried += 1
        path.write_bytes(content)
        try:
            with watched(reader.root(path)):
                reader.read(path)
        except BaseException:
            traceback.print_exc()
            print(f"kept as {keep(reader.name, content)}", flush=True)
            done(1)

    @settings(database=None, suppress_health_check=list(HealthCheck), deadline=None)
    @given(changed(data, path.name))
    def by_structure(content: bytes) -> None:
        read(content)

    drawn = by_structure.hypothesis.fuzz_one_input  # type: ignore[attr-defined]
    chance = random.Random(start)
    calls = [0]

    def once(content: bytes) -> None:
        if time.monotonic() > until:
            done(0)
        calls[0] += 1
        if calls[0] % 2:
            read(content)
        else:
            drawn(content + chance.randbytes(400))

    def done(code: int) -> None:
        print(f"{reader.name:45} {tried} files tried", flush=True)
        place.cleanup()
        os._exit(code)

    corpus = Path(place.name) / "corpus"
    corpus.mkdir()
    for number, content in enumerate([data, *(each.read_bytes() for each in kept(reader.name))]):
        (corpus / str(number)).write_bytes(content)
    limits = [f"-rss_limit_mb={MEMORY_MB}", f"-timeout={LATE_S}", f"-seed={start or 1}"]
    quiet = ["-verbosity=0", f"-artifact_prefix={place.name}/", "-max_len=100000"]
    atheris.Setup(["fuzz", *limits, *quiet, str(corpus)], once)
    atheris.Fuzz()
