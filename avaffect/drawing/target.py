"""The one file that a drawing is written to."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from avaffect.errors import UsageError
from avaffect.files.ours import holds, require_own_file


def require_target(out: Path, endings: Collection[str], mark: str, overwrite: bool) -> None:
    """Refuse a file that cannot or may not be written.

    Args:
        out: the file.
        endings: those that can be written, in small letters.
        mark: what each of our files of the kind says near its ends.
        overwrite: replace one of ours.

    Raises:
        ForeignFileError: a file is there that is none of ours.
        UsageError: another ending; or one of ours is there and shall stay.
    """
    if out.suffix.lower() not in endings:
        raise UsageError(
            f"'{out}' has an ending that cannot be written", f"choose one of {', '.join(endings)}"
        )
    require_own_file(out, holds(mark.encode()))
    if not overwrite and out.is_file() and out.stat().st_size:
        raise UsageError(
            f"'{out}' is there already", "choose another name, or replace it with overwrite=True"
        )
