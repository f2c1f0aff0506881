"""`make fuzz`: all readers for as long as you like, each in a process of its own.

Readers of files are led by coverage (atheris) from their valid file and what the corpus keeps,
and by `mutations`; films by seeds, in processes with limits. What is found is kept in `corpus/`,
where `test_readers.py` reads it ever after.

    python -m hostile.fuzz --seconds 600 [NAME ...]
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import atheris
from hostile.corpus import keep
from hostile.media import KINDS, mutated, outcomes, seed

with atheris.instrument_imports(include=["avaffect"], enable_loader_override=False):
    from hostile.fuzz_reader import fuzz_reader
    from hostile.readers import READERS

# Files of films that one process reads.
_AT_ONCE = 40
# Of the time, if all is fuzzed.
_FILMS = 0.3


def main() -> int:
    """Fuzz all readers or those that are named; 1 if something was found."""
    parser = argparse.ArgumentParser(description="Fuzz every reader of outside data.")
    parser.add_argument("--seconds", type=float, default=600, help="for all of them together")
    parser.add_argument("--seed", type=int, default=None, help="of chance; a new one by default")
    parser.add_argument("--untrusted", action="store_true", help="films as --untrusted reads them")
    parser.add_argument("names", nargs="*", help="of readers, or 'media'; all by default")
    given = parser.parse_args()
    start = random.SystemRandom().randrange(2**31) if given.seed is None else given.seed
    print(f"seed {start}", flush=True)
    readers = [each for each in READERS if not given.names or each.name in given.names]
    films = not given.names or "media" in given.names
    seconds = given.seconds * (_FILMS if readers else 1.0) * films
    share = (given.seconds - seconds) / max(len(readers), 1)
    found = 0
    # All was imported and prepared for atheris once.
    context = multiprocessing.get_context("fork")
    for reader in readers:
        process = context.Process(target=fuzz_reader, args=(reader, share, start))
        process.start()
        process.join()
        found += process.exitcode != 0
    if films:
        found += fuzz_media(seconds, start, given.untrusted)
    return int(bool(found))


def fuzz_media(seconds: float, start: int, untrusted: bool) -> int:
    """Change films by seed until the time is over; how many faults there were."""
    until, number, faults = time.monotonic() + seconds, start, 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        films = {kind: path.read_bytes() for kind in KINDS if (path := seed(kind, folder))}
        counts: Counter[str] = Counter()
        while time.monotonic() < until:
            paths = []
            for kind in (*films,) * (1 + _AT_ONCE // len(films)):
                paths.append(folder / f"{number}{Path(kind).suffix}")
                paths[-1].write_bytes(mutated(films[kind], random.Random(number)))
                number += 1
            for outcome in outcomes(paths, untrusted):
                counts[outcome.kind] += 1
                if outcome.kind == "fault":
                    faults += 1
                    place = keep(f"media{outcome.path.suffix}", outcome.path.read_bytes())
                    print(f"{outcome.path.name}: {outcome.words}\n  kept as {place}", flush=True)
            for path in paths:
                path.unlink()
        print(f"{'media':45} {sum(counts.values())} files: {dict(counts)}", flush=True)
    return faults


if __name__ == "__main__":
    sys.exit(main())
