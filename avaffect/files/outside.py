"""What came from outside: read within bounds, and whatever is wrong with it becomes one line.

Every reader of a file that avaffect has not just written itself works in a block of `reading`.
Parsers raise nearly anything on nearly anything (RecursionError on deep nesting, KeyError and
TypeError on a record of other types, OverflowError on a number without end ...), so that no list
of exceptions would be long enough: what is raised within the block is the file's fault. What takes
text and no file raises a `UsageError`, which the block puts the file's name to.

A reader states its bounds in its docstring; those that several share are here. None of them is
near what a camera, a study or the challenge makes.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

from avaffect.errors import (
    AvaffectError,
    FormatError,
    InputNotFoundError,
    UsageError,
    explained,
)

MOST_ROWS = 6_000_000
"""Rows of a table, frames of a subject: more than a day at 60 frames a second."""
MOST_SUBJECTS = 100_000
"""Subjects of a list, files of a zip or of a data set."""
MOST_COLUMNS = 20_000
"""Columns of a table; the largest set of sound features has 6,373."""
LONGEST_LINE = 4096
"""Bytes of a line of a label file; a row of the challenge has at most some hundred."""
MOST_RECORD_BYTES = 8 << 20
"""Bytes of a JSON record: some ten thousand clips. Parsed, they take thirty times as much."""
MOST_YAML_BYTES = 1 << 18
MOST_YAML_NODES = 20_000
"""Values of a YAML file, those that aliases repeat counted each time."""
MOST_VALUES_BYTES = 1 << 30
"""Bytes of the values of a table, unless the file itself has a sixteenth of that."""
_LONGEST_NUMBER = 400
_HINT = "check the file, or make it again"


@contextmanager
def reading(
    path: Path | str,
    kind: type[AvaffectError] = FormatError,
    what: str = "is damaged",
    hint: str = _HINT,
    *,
    missing: AvaffectError | None = None,
) -> Iterator[None]:
    """A block in which the content of ``path`` is read: only an `AvaffectError` leaves it.

    Args:
        path: the file, for the message.
        kind: the class of error to raise.
        what: what is wrong with the file, behind its name: ``"is damaged"``.
        hint: what to do about it.
        missing: what to raise if it is not there; None for an `InputNotFoundError`.

    Raises:
        InputNotFoundError: there is no such file.
        kind: it may not be read, does not fit into memory, or holds something else. A
            `UsageError` within the block (a value that the file gave) becomes one too; every
            other `AvaffectError` goes through.
    """
    try:
        yield
    except UsageError as error:
        if isinstance(error, InputNotFoundError):
            raise
        raise kind(f"'{path}' {what} ({error.problem})", hint) from error
    except AvaffectError:
        raise
    except (FileNotFoundError, NotADirectoryError) as error:
        if missing is None:
            missing = InputNotFoundError(f"there is no file '{path}'", "check the path")
        raise missing from error
    except Exception as error:
        if (ours := explained(error, path, kind)) is not None:
            raise ours from error
        reason = _reason(error)
        raise kind(f"'{path}' {what}" + (f" ({reason})" if reason else ""), hint) from error


def real_path(path: Path) -> Path:
    """``path`` absolute and without symbolic links, as far as they lead anywhere.

    Unlike ``Path.resolve``, which raises RuntimeError for a link that leads to itself.
    """
    return Path(os.path.realpath(path))


def read_bytes(path: Path | str, most: int = MOST_RECORD_BYTES) -> bytes:
    """All bytes of a file, in a block of `reading`.

    Raises:
        UsageError: it has more than ``most``.
        OSError: it cannot be read.
    """
    with Path(path).open("rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise UsageError(f"it has more than {most:,} bytes")
    return data


def read_end(path: Path | str, most: int) -> bytes:
    """The last bytes of a file, at most ``most``.

    Raises:
        OSError: it cannot be read.
    """
    with Path(path).open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - most))
        return file.read(most)


def read_json(
    path: Path | str,
    shape: Any = dict,
    kind: type[AvaffectError] = FormatError,
    what: str = "is damaged or not written by avaffect",
    hint: str = _HINT,
    *,
    missing: AvaffectError | None = None,
) -> Any:
    """A record that ``files.atomic.write_json`` has written, or what somebody made of it.

    Bounds: `MOST_RECORD_BYTES`; numbers are finite and have at most 400 digits.

    Args:
        path: the file.
        shape: what it must look like, see `fits`.
        kind, what, hint, missing: as for `reading`.

    Raises:
        InputNotFoundError, kind: as `reading`.
    """
    with reading(path, kind, what, hint, missing=missing):
        found = parse_json(read_bytes(path))
        if not fits(found, shape):
            raise kind(f"'{path}' {what}", hint)
        return found


def read_kept(path: Path | str, shape: Any = dict) -> Any:
    """A record of avaffect's own that is made anew where it is missing or damaged: None then.

    Bounds: as `read_json`.

    Raises:
        FormatError: it is there and may not be read.
    """
    try:
        return read_json(path, shape)
    except InputNotFoundError:
        return None
    except FormatError as error:
        if isinstance(error.__cause__, OSError | MemoryError):
            raise
        return None


def parse_json(text: str | bytes) -> Any:
    """JSON as it is defined: without NaN, infinities and numbers that are none of ours.

    Raises:
        ValueError, RecursionError: it is something else.
    """
    return json.loads(text, parse_float=_finite, parse_int=_whole, parse_constant=_no_number)


def fits(value: Any, shape: Any) -> bool:
    """Whether a value out of JSON looks like ``shape``.

    Args:
        value: the value.
        shape: a type (``float`` takes whole numbers too, and ``int`` no bool), a tuple of
            alternatives, ``[shape]`` for a list of such values, ``{str: shape}`` for a mapping of
            such values, or ``{"key": shape}`` for a mapping with these keys and any others; one
            that ends in ``?`` may be missing.

    >>> fits({"a": [1, 2], "b": None}, {"a": [int], "c?": str})
    True
    """
    if isinstance(shape, tuple):
        return any(fits(value, each) for each in shape)
    if isinstance(shape, list):
        return isinstance(value, list) and all(fits(item, shape[0]) for item in value)
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return False
        if str in shape:
            return all(fits(item, shape[str]) for item in value.values())
        return all(
            fits(value[name], part) if (name := key.removesuffix("?")) in value else name != key
            for key, part in shape.items()
        )
    if shape is None or value is None:
        return shape is value
    if isinstance(value, bool) and shape is not bool:
        return bool(shape is object)
    return isinstance(value, (int, float) if shape is float else shape)


def parse_yaml(text: str | bytes) -> Any:
    """YAML of plain values.

    Bounds: `MOST_YAML_BYTES`, `MOST_YAML_NODES` with aliases followed; no alias in itself.

    Raises:
        UsageError: it is too large.
        yaml.YAMLError, ValueError, RecursionError: it is no YAML, or a value that is none.
    """
    import yaml

    if len(text) > MOST_YAML_BYTES:
        raise UsageError(f"there are more than {MOST_YAML_BYTES:,} bytes of YAML")
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        if _nodes(node, {}) > MOST_YAML_NODES:
            raise UsageError(f"there are more than {MOST_YAML_NODES:,} values of YAML")
        return loader.construct_document(node)
    finally:
        loader.dispose()


def read_yaml(path: Path | str) -> Any:
    """What is in a YAML file of a user's.

    Bounds: as `parse_yaml`.

    Raises:
        InputNotFoundError: there is no such file.
        FormatError: it is no YAML, or too large.
    """
    with reading(path, FormatError, "cannot be read", "mend the file"):
        return parse_yaml(read_bytes(path, MOST_YAML_BYTES + 1))


def lines(file: BinaryIO, longest: int = LONGEST_LINE) -> Iterator[bytes]:
    """The lines of a file with their ends, none of which is ever in memory if it is too long.

    Raises:
        UsageError: a line has more than ``longest`` bytes, or there are more than `MOST_ROWS`.
    """
    count = 0
    while line := file.readline(longest + 1):
        if len(line) > longest:
            raise UsageError(f"a line is longer than {longest:,} bytes")
        count += 1
        if count > MOST_ROWS:
            raise UsageError(f"there are more than {MOST_ROWS:,} lines")
        yield line


def require_rows(rows: int, row_bytes: int = 0, file_bytes: int = 0) -> None:
    """Raise UsageError for a table that would take far more memory than its file is large.

    Args:
        rows: that it has, or claims to have: at most `MOST_ROWS`.
        row_bytes: bytes of a row when it is read: at most `MOST_VALUES_BYTES` in all, or 16
            times the file.
        file_bytes: of the file.
    """
    if not 0 <= rows <= MOST_ROWS:
        raise UsageError(f"it claims {rows:,} rows, at most {MOST_ROWS:,} are read")
    if rows * row_bytes > max(MOST_VALUES_BYTES, 16 * file_bytes):
        raise UsageError(
            f"it claims {rows * row_bytes / 1e9:,.1f} GB of values; what is that large should be "
            ".npy, which is read in slices"
        )


def _finite(text: str) -> float:
    value = float(text) if len(text) <= _LONGEST_NUMBER else math.inf
    return value if math.isfinite(value) else _no_number(text)


def _whole(text: str) -> int:
    return int(text) if len(text) <= _LONGEST_NUMBER else _no_number(text)


def _no_number(text: str) -> Any:
    raise UsageError(f"'{text[:20]}' is no number")


def _nodes(node: Any, known: dict[int, int]) -> int:
    """How many values a YAML node stands for; UsageError if it holds itself."""
    if known.setdefault(id(node), 0) == -1:
        raise UsageError("a YAML alias stands in what it names")
    if not known[id(node)]:
        known[id(node)] = -1
        parts = node.value if isinstance(node.value, list) else []
        below = chain.from_iterable(part if isinstance(part, tuple) else (part,) for part in parts)
        known[id(node)] = 1 + sum(_nodes(child, known) for child in below)
    return known[id(node)]


def _reason(error: Exception) -> str:
    """In a few words, what a parser found; empty where its words are of no use to a user."""
    from pydantic import ValidationError

    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, ValidationError):
        fault = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in fault["loc"])
        known = fault["type"] != "extra_forbidden"
        return f"{where[:60]}: {fault['msg']}" if known else f"there is no field '{where[:60]}'"
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8 text"
    if isinstance(error, KeyError):
        return f"there is no {error}"
    if isinstance(error, TypeError | AttributeError | LookupError | AssertionError):
        return ""
    text = " ".join(str(error).split())
    return text if len(text) <= 160 else f"{text[:157]}..."
