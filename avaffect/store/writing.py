"""Writing a subject into the feature store, and changing what is stored."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from avaffect.errors import UsageError
from avaffect.files.atomic import atomic_path, write_json
from avaffect.files.tensors import Array, ArraySpec, TensorWriter
from avaffect.store.provenance import STORE_VERSION
from avaffect.store.subject import FACES, SpooledSubject, StoredSubject, table_hash


def write_subject(
    folder: Path,
    subject: SpooledSubject,
    provenance: Mapping[str, Any],
    keys: Mapping[str, str],
) -> None:
    """Write a subject into ``folder``, in place of what was stored there.

    Args:
        folder: the subject's folder.
        subject: the subject.
        provenance: see ``store.provenance``.
        keys: the key of each of the subject's arrays, and of ``faces``.

    Raises:
        UsageError: keys that are not exactly the arrays and ``faces``.
        OutputError: the disk does not take it; an earlier store stays.
    """
    import pyarrow.parquet as pq

    if keys.keys() != {FACES, *subject.names}:
        raise UsageError(f"keys {sorted(keys)}, expected {sorted({FACES, *subject.names})}")
    with atomic_path(folder / "frames.parquet") as path:
        table = subject.arrow_table()
        pq.write_table(table.replace_schema_metadata({"faces": keys[FACES]}), path)
        _write_arrays(
            folder,
            subject.name,
            subject.frames,
            subject.specs,
            subject.chunks(),
            provenance,
            keys,
            table_hash(path),
        )


def replace_arrays(
    folder: Path,
    specs: Mapping[str, ArraySpec],
    chunks: Iterable[Mapping[str, Array]],
    provenance: Mapping[str, Any],
    keys: Mapping[str, str],
) -> None:
    """Add or replace arrays of a stored subject; the others are copied.

    Args:
        folder: the subject's folder.
        specs: the new arrays.
        chunks: for consecutive frames, [n, *shape] of each new array by name.
        provenance: see ``store.provenance``, as it is after the change.
        keys: the key of each new array.

    Raises:
        FeatureError: there is no whole store in ``folder``.
        UsageError: not as many rows as frames, or not a key for each array.
        OutputError: the disk does not take it; the earlier store stays.
    """
    if keys.keys() != specs.keys():
        raise UsageError(f"keys {sorted(keys)}, expected {sorted(specs)}")
    old = StoredSubject(folder)
    kept = {name: spec for name, spec in old.specs.items() if name not in specs}

    def everything() -> Iterator[Mapping[str, Array]]:
        at = 0
        for chunk in chunks:
            start, at = at, at + len(chunk[next(iter(specs))])
            yield {**chunk, **{name: old.array(name, start, at) for name in kept}}

    _write_arrays(
        folder,
        old.name,
        old.frames,
        {**kept, **specs},
        everything(),
        provenance,
        {**old.keys, **keys},
        old.provenance.get("hashes", {}).get("frames"),
    )


def replace_configuration(folder: Path, **settings: Any) -> None:
    """Change settings in a stored subject's provenance; its arrays stay.

    Raises:
        FeatureError: there is no whole store in ``folder``.
        OutputError: the disk does not take it.
    """
    old = StoredSubject(folder).provenance
    configuration = {**old["configuration"], **settings}
    write_json(folder / "provenance.json", {**old, "configuration": configuration})


def _write_arrays(
    folder: Path,
    name: str,
    frames: int,
    specs: Mapping[str, ArraySpec],
    chunks: Iterable[Mapping[str, Array]],
    provenance: Mapping[str, Any],
    keys: Mapping[str, str],
    frames_hash: str | None,
) -> None:
    """Write the arrays, then the provenance, both with the keys in them."""
    with atomic_path(folder / "arrays.safetensors") as path:
        with TensorWriter(path, frames, specs, {"keys": json.dumps(dict(keys))}) as writer:
            for chunk in chunks:
                for array in specs:
                    writer.write(array, chunk[array])
        header = {"version": STORE_VERSION, "subject": name, "frames": frames, "keys": dict(keys)}
        hashes = {"arrays": writer.hashes()} | ({"frames": frames_hash} if frames_hash else {})
        write_json(folder / "provenance.json", {**header, "hashes": hashes, **provenance})
