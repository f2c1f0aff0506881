"""What failed in a run of many inputs, as JSON in the output folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from avaffect.engines.item import Outcome
from avaffect.files.atomic import write_json
from avaffect.files.names import FAILURES
from avaffect.files.ours import holds, require_own_file
from avaffect.version import __version__

_MARK = "avaffect failures 1"


def write_failures(out: Path, outcomes: Sequence[Outcome[Any]]) -> Path | None:
    """Write ``failures.json`` into ``out``, or remove that of an earlier run if nothing failed.

    Args:
        out: the output folder.
        outcomes: of all inputs.

    Returns:
        The file; None if nothing failed.

    Raises:
        ForeignFileError: a file of this name is there that avaffect did not write.
        OutputError: the disk does not take it.
    """
    path = out / FAILURES
    require_own_file(path, holds(_MARK.encode()))
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    if not failed:
        path.unlink(missing_ok=True)
        return None
    about = {"what": _MARK, "version": __version__, "inputs": len(outcomes)}
    write_json(path, {**about, "failures": [_row(outcome) for outcome in failed]})
    return path


def _row(outcome: Outcome[Any]) -> dict[str, Any]:
    error = outcome.error
    assert error is not None  # noqa: S101
    return {
        "source": outcome.item.source,
        "kind": type(error).__name__,
        "problem": error.problem,
        "hint": error.hint,
        "attempts": outcome.attempts,
        "retried": list(outcome.retried),
    }
