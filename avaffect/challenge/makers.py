"""What made predictions: models, hashes and settings, out of the records that lie with them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from avaffect.challenge.places import files_in
from avaffect.config import fingerprint
from avaffect.errors import AvaffectError
from avaffect.files.names import JOINED, RECORDS
from avaffect.files.outside import read_json

_SHAPE = {"model": str}
_KEPT = ("model", "smoothing", "missing", "models", "versions")
# Of the configuration of `predict`: where the model lies, its weights, what is done after it.
_OF_CONFIGURATION = ("checkpoint", "weights", "postprocess", "frame_model", "analysis")
_CHECKPOINT = "checkpoint.json"
_ALSO = {"recipe": dict, "epoch": int, "sha256": str}
# Of an ensemble: its models with their hashes, and how they are joined.
_OF_ENSEMBLE = ("name", "voters", "rule", "weights", "stack", "tuned")
_ENSEMBLE = {"version": object, "voters": dict}
_DEPTH = 3


def makers_of(predictions: Path, depth: int = _DEPTH) -> list[dict[str, Any]]:
    """What made the predictions in a folder, each different maker once.

    Args:
        predictions: a folder that ``predict`` or ``blend`` wrote; of anything else nothing is
            known.
        depth: how many blends of blends are followed.

    Returns:
        JSON-able: model, weights' hashes, settings, versions and how many ``sources`` it made;
        with a checkpoint that is still there its ``recipe``, with an ensemble the ``ensemble``:
        its models' hashes (``voters``) and how they are joined; of a blend ``of``, by folder its
        own makers. Empty if there are no records.
    """
    found: dict[str, dict[str, Any]] = {}
    for place, path in files_in(predictions / RECORDS):
        if place.suffix != ".json":
            continue
        with suppress(AvaffectError):  # what is damaged says nothing
            maker = _maker(read_json(path, _SHAPE), depth)
            key = json.dumps(maker, sort_keys=True)
            found.setdefault(key, {**maker, "sources": 0})["sources"] += 1
    return list(found.values())


def _maker(record: Mapping[str, Any], depth: int) -> dict[str, Any]:
    maker = {name: record[name] for name in _KEPT if name in record}
    configuration = record.get("configuration")
    if isinstance(configuration, dict):
        maker |= {name: configuration[name] for name in _OF_CONFIGURATION if name in configuration}
    checkpoint, weights = maker.get("checkpoint"), maker.get("weights")
    if isinstance(checkpoint, str):
        with suppress(AvaffectError):  # it was moved, or is an ensemble
            facts = read_json(Path(checkpoint) / _CHECKPOINT, _ALSO)
            if facts["sha256"] == weights:
                maker |= {"recipe": facts["recipe"], "epoch": facts["epoch"]}
        with suppress(AvaffectError):
            joined = read_json(Path(checkpoint) / JOINED, _ENSEMBLE)
            del joined["version"]
            if fingerprint(joined) == weights:
                kept = {name: joined[name] for name in _OF_ENSEMBLE if name in joined}
                maker["ensemble"] = kept
    blend = record.get("blend")
    if isinstance(blend, dict):
        maker["blend"] = {name: value for name, value in blend.items() if name != "inputs"}
        folders = _folders(blend.get("inputs"))
        if depth:
            maker["of"] = {folder: makers_of(Path(folder), depth - 1) for folder in folders}
    return maker


def _folders(inputs: Any) -> list[str]:
    """The folders of a blend's inputs, each once."""
    found: dict[str, None] = {}
    for each in inputs if isinstance(inputs, list) else ():
        if isinstance(each, dict) and isinstance(each.get("folder"), str):
            found[each["folder"]] = None
        elif isinstance(each, dict) and isinstance(each.get("table"), str):
            # Tables lie in `tables/` of their folder, below folders of their own perhaps.
            parents = Path(each["table"]).parents
            folder = next((place for place in parents if (place / RECORDS).is_dir()), None)
            if folder is not None:
                found[str(folder)] = None
    return list(found)
