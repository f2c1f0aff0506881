"""Writing a subject into the feature store, and changing what is stored."""

from __future__ import annotations

import filecmp
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

from avaffect.config import fingerprint
from avaffect.errors import FormatError, UsageError
from avaffect.files.atomic import atomic_path, write_json
from avaffect.files.hashing import file_sha256
from avaffect.files.names import FRAMES, PROVENANCE
from avaffect.files.npy import Array, ArraySpec, write_arrays
from avaffect.files.outside import read_kept
from avaffect.store.provenance import STORE_VERSION
from avaffect.store.subject import FACES, SpooledSubject, StoredSubject, array_of


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
    with _alone_left(folder):
        arrays = _write_arrays(folder, subject.frames, subject.specs, subject.chunks(), keys)
        with atomic_path(folder / FRAMES) as path:
            table = subject.arrow_table()
            pq.write_table(table.replace_schema_metadata({"faces": keys[FACES]}), path)
            header = {
                "version": STORE_VERSION,
                "subject": subject.name,
                "frames": subject.frames,
                "frames_sha256": file_sha256(path),
            }
            # Within the block: where the disk is full, the earlier table stays with its record.
            _write_record(folder, header, arrays, keys, provenance)


def replace_arrays(
    folder: Path,
    specs: Mapping[str, ArraySpec],
    chunks: Iterable[Mapping[str, Array]],
    provenance: Mapping[str, Any],
    keys: Mapping[str, str],
    about: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Add or replace arrays of a stored subject; the files of the others are not touched.

    Args:
        folder: the subject's folder.
        specs: the new arrays.
        chunks: for consecutive frames, [n, *shape] of each new array by name.
        provenance: see ``store.provenance``, as it is after the change.
        keys: the key of each new array.
        about: by array, where it comes from; the record has it as ``about``.

    Raises:
        FeatureError: there is no whole store in ``folder``.
        UsageError: not as many rows as frames, or not a key for each array.
        OutputError: the disk does not take it; the earlier store stays.
    """
    if keys.keys() != specs.keys():
        raise UsageError(f"keys {sorted(keys)}, expected {sorted(specs)}")
    old = StoredSubject(folder)
    with _alone_left(folder):
        arrays = _write_arrays(folder, old.frames, specs, chunks, keys)
        for name, facts in (about or {}).items():
            arrays[name] |= {"about": dict(facts)} if facts else {}
        arrays, keys = old.provenance["arrays"] | arrays, old.keys | dict(keys)
        _write_record(folder, old.provenance, arrays, keys, provenance)


def replace_configuration(folder: Path, **settings: Any) -> None:
    """Change settings in a stored subject's provenance; its arrays stay.

    Raises:
        FeatureError: there is no whole store in ``folder``.
        OutputError: the disk does not take it.
    """
    old = StoredSubject(folder).provenance
    configuration = {**old["configuration"], **settings}
    write_json(folder / PROVENANCE, {**old, "configuration": configuration})


def _write_arrays(
    folder: Path,
    frames: int,
    specs: Mapping[str, ArraySpec],
    chunks: Iterable[Mapping[str, Array]],
    keys: Mapping[str, str],
) -> dict[str, Any]:
    """Write arrays under names that are not in use; what the record says of each.

    One that is what was there keeps its file, so that a run that is made again, since it was
    killed before it could say that it is done, leaves what one run leaves.
    """
    files = {name: _free_name(folder, name, keys[name]) for name in specs}
    hashes = write_arrays({name: folder / files[name] for name in files}, frames, specs, chunks)
    old: dict[str, Any] = {}
    with suppress(FormatError):
        old = _recorded(folder)
    for name in files:
        known = old.get(name, {})
        if known.get("hashes") == hashes[name] and _same(folder, files[name], known["file"]):
            files[name] = known["file"]
    return {name: {"file": files[name], "hashes": hashes[name]} for name in files}


def _same(folder: Path, new: str, old: str) -> bool:
    """Whether the file ``old`` is there and whole: it may have been damaged since."""
    with suppress(OSError):
        return filecmp.cmp(folder / new, folder / old, shallow=False)
    return False


def _write_record(
    folder: Path,
    header: Mapping[str, Any],
    arrays: Mapping[str, Any],
    keys: Mapping[str, str],
    provenance: Mapping[str, Any],
) -> None:
    kept = {name: header[name] for name in _HEADER}
    record = {**kept, "keys": dict(keys), "arrays": dict(arrays), **provenance}
    write_json(folder / PROVENANCE, record)


# What stays where arrays are replaced.
_HEADER = ("version", "subject", "frames", "frames_sha256")


def _free_name(folder: Path, array: str, key: str) -> str:
    """What a new file of an array is called: another one than that which the record names."""
    names = (f"{array}-{fingerprint([array, key, turn])}.npy" for turn in count())
    name = next(name for name in names if not (folder / name).exists())
    if array_of(name) != array:
        raise UsageError(f"an array cannot be called '{array}'")
    return name


def _recorded(folder: Path) -> dict[str, Any]:
    """What the record says of each array; nothing without one.

    Raises:
        FormatError: it may not be read.
    """
    record = read_kept(folder / PROVENANCE, {"arrays": {str: {"file": str}}})
    return {} if record is None else dict(record["arrays"])


@contextmanager
def _alone_left(folder: Path) -> Iterator[None]:
    """A block before and behind which the folder holds no array but those that count."""
    _remove_others(folder)
    try:
        yield
    finally:
        _remove_others(folder)


def _remove_others(folder: Path) -> None:
    """Remove the arrays that the record does not name: replaced, or left by a run cut off."""
    with suppress(OSError, FormatError):
        named = {entry["file"] for entry in _recorded(folder).values()}
        for path in folder.iterdir():
            # The second is that of an earlier version.
            ours = array_of(path.name) is not None or path.name == "arrays.safetensors"
            if ours and path.name not in named:
                path.unlink()
