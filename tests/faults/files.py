"""What lies in a folder, and whether it is what it should be."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

# Hidden things are unfinished work, see `files.temporaries`.
_HIDDEN = re.compile(r"(^|/)\.")
# What says how long something took.
_TIMES = {"seconds", "waiting"}


def content(folder: Path, hidden: bool = True) -> dict[str, bytes]:
    """All files and folders below a folder, without what tells of times.

    Args:
        folder: which.
        hidden: those too whose name, or folder's, begins with a dot.
    """
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not hidden and _HIDDEN.search(name):
            continue
        found[f"{name}/" if path.is_dir() else name] = b"" if path.is_dir() else _timeless(path)
    return found


def differences(found: Mapping[str, bytes], wanted: Mapping[str, bytes]) -> list[str]:
    """In words, which files are other than they should be."""
    said = []
    for name in sorted({*found, *wanted}):
        if name not in wanted:
            said.append(f"{name} is left over")
        elif name not in found:
            said.append(f"{name} is missing")
        elif found[name] != wanted[name]:
            said.append(f"{name} is another")
    return said


def broken(folder: Path, whole: Mapping[str, bytes], before: Mapping[str, bytes]) -> list[str]:
    """Files under their final names that are neither those of before or of the end, nor whole."""
    said = []
    for name, data in content(folder).items():
        if (
            _HIDDEN.search(name)
            or name.endswith("/")
            or data in (whole.get(name), before.get(name))
        ):
            continue
        try:
            _READERS.get(Path(name).suffix, _no_reader)(folder / name)
        except Exception as error:
            said.append(f"{name} is half-written ({type(error).__name__}: {error})")
    return said


def _timeless(path: Path) -> bytes:
    data = path.read_bytes()
    if path.suffix == ".log":
        return b""
    if path.name == "log.jsonl":
        rows = [json.loads(line) for line in data.splitlines()]
        kept = [{k: v for k, v in row.items() if k not in _TIMES} for row in rows]
        return json.dumps(kept).encode()
    if path.name == "state.pt":
        return _state(path)
    return data


def _state(path: Path) -> bytes:
    """The state of a training as text, without times."""
    import torch

    def plain(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return [str(value.dtype), value.tolist()]
        if isinstance(value, dict):
            return {str(k): plain(v) for k, v in value.items() if k not in _TIMES}
        return [plain(each) for each in value] if isinstance(value, list | tuple) else str(value)

    return json.dumps(plain(torch.load(path, weights_only=True))).encode()


def _no_reader(path: Path) -> None:
    raise ValueError("it is not that of the end")


def _json(path: Path) -> None:
    json.loads(path.read_text(encoding="utf-8"))


def _parquet(path: Path) -> None:
    import pyarrow.parquet as pq

    pq.read_table(path)


def _npy(path: Path) -> None:
    import numpy as np

    np.load(path)


def _lines(path: Path) -> None:
    if not (path.read_bytes() or b"\n").endswith(b"\n"):
        raise ValueError("no line end")


def _zip(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        if archive.testzip():
            raise ValueError("damaged")


def _safetensors(path: Path) -> None:
    from safetensors.numpy import load_file

    load_file(path)


def _html(path: Path) -> None:
    if not path.read_text(encoding="utf-8").rstrip().endswith("</html>"):
        raise ValueError("no end")


_READERS: dict[str, Callable[[Path], None]] = {
    ".json": _json,
    ".parquet": _parquet,
    ".npy": _npy,
    ".jsonl": _lines,
    ".html": _html,
    ".pt": lambda path: _state(path),
    ".zip": _zip,
    ".safetensors": _safetensors,
    ".sha256": _lines,
}
