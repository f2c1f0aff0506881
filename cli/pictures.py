"""What ``avaffect predict`` does with single pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avaffect.cli.terminal import Reporter, print_table, say_error, tell
from avaffect.cli.words import as_options
from avaffect.progress import Notice

if TYPE_CHECKING:
    from avaffect.config import PredictConfig


def predict_pictures(
    stills: Sequence[Path],
    inputs: Sequence[str],
    config: PredictConfig,
    device: str,
    options: dict[str, Any],
    reporter: Reporter,
) -> int:
    """Judge them, print how it went, and give the exit code.

    Args:
        stills: the files.
        inputs: what the user gave.
        config: the settings.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        options: the command's.
        reporter: shows it.
    """
    from avaffect.predicting.picture_outputs import write_pictures
    from avaffect.preprocessing.names import common_folder, relative_names

    done = write_pictures(
        relative_names(stills, inputs),
        options["out"],
        config,
        folder=common_folder(stills, inputs).name,
        device=device,
        csv=options["csv"],
        decimal=options["decimal"],
        overwrite=options["overwrite"],
        on_event=reporter,
    )
    outcome = "already done" if done.again else "done"
    cells = (len(stills), done.faces, done.faceless, len(done.failed), outcome)
    print_table(
        reporter,
        ("pictures", "faces", "without a face", "unreadable", "outcome"),
        [tuple(map(str, cells))],
    )
    for text in done.failed.values():
        tell(as_options(text))
    for note in done.notes:
        reporter(Notice(f"note: {note}"))
    reporter.say_table("a row a face", done.table, options["csv"])
    if done.failed:
        say_error(f"{len(done.failed)} of {len(stills)} pictures could not be used")
    elif not done.faces:
        say_error(f"no face was found in any of the {len(stills)} pictures: all rows are empty")
    return int(bool(done.failed) or not done.faces)
