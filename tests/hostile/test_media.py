"""Films, sounds and pictures that were changed: read, or refused in one line; `fuzz` goes on."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from hostile.corpus import kept
from hostile.media import KINDS, mutated, outcomes, seed

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no limits of memory")
EACH = 2


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A valid file of each kind that this PyAV can write."""
    folder = tmp_path_factory.mktemp("films")
    return {name: path for name in KINDS if (path := seed(name, folder))}


def test_a_valid_film_of_each_is_read(films: dict[str, Path]) -> None:
    assert len(films) > 10
    found = {outcome.path.name: outcome.kind for outcome in outcomes([*films.values()])}
    assert found == dict.fromkeys(films, "read")


def test_changed_ones_are_read_or_refused(films: dict[str, Path], tmp_path: Path) -> None:
    paths = []
    for name, film in films.items():
        for number in range(EACH):
            paths.append(tmp_path / f"{number}-{name}")
            chance = random.Random(f"{name} {number}")
            paths[-1].write_bytes(mutated(film.read_bytes(), chance))
    for ending in sorted({Path(name).suffix for name in KINDS}):
        for once in kept(f"media{ending}"):
            paths.append(tmp_path / f"{once.name}{ending}")
            paths[-1].write_bytes(once.read_bytes())
    found = list(outcomes(paths))
    assert [outcome for outcome in found if outcome.kind == "fault"] == []
    assert {outcome.kind for outcome in found} == {"read", "refused"}
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in paths}


def test_untrusted_ones_too(films: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(mutated(films["a.mp4"].read_bytes(), random.Random(1)))
    (found,) = outcomes([path], untrusted=True)
    assert found.kind in ("read", "refused")
