"""Settings of ensembles of earlier versions are read as they would be written now."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from avaffect.ensemble.settings import _filled
from avaffect.recipes.ensemble_recipe import load_ensemble
from avaffect.training.data import DataConfig


def test_data_of_earlier_versions() -> None:
    """Which knew neither further folders of features nor public sets."""
    now: dict[str, Any] = asdict(DataConfig("prepared", root="Aff-Wild2"))
    recipe = load_ensemble("av-gru-folds").to_dict()
    then = {name: value for name, value in now.items() if name not in ("sets", "further")}
    found = _filled({"recipe": recipe, "data": then})
    assert found["data"] == {**now, "sets": [], "further": [], "columns": ()}
