"""What ``predict`` leaves behind: challenge files, a parquet a subject, a record a video."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avaffect.config import PredictConfig, fingerprint
from avaffect.errors import UsageError
from avaffect.files.atomic import write_json
from avaffect.files.challenge import subject_file_name, write_challenge
from avaffect.files.editions import DEFAULT_EDITION
from avaffect.files.table import read_table, write_table
from avaffect.pipeline.predict import Result
from avaffect.predictions.prediction import Prediction

TABLES = "tables"


@dataclass(frozen=True)
class Outputs:
    """Where and how predictions are written.

    Attributes:
        root: the output folder.
        edition: whose headers and folder names are used, see ``files.editions``.
        files: whether to write one challenge file a subject and task.
    """

    root: Path
    edition: str = DEFAULT_EDITION
    files: bool = True

    def record_path(self, source: Path) -> Path:
        """The record of one source: what was written, how, and from what."""
        return self.root / "records" / f"{source.stem}.json"

    def key(self, sha256: str, config: PredictConfig) -> str:
        """Changes whenever the written files would."""
        return fingerprint([sha256, config.to_dict(), self.edition, self.files])

    def written(self, source: Path, key: str) -> dict[str, Any] | None:
        """The record of an earlier run that did the same and whose files are all there."""
        try:
            record = json.loads(self.record_path(source).read_text("utf-8"))
            if record["key"] == key and all(
                (self.root / name).is_file() for name in record["files"]
            ):
                return dict(record)
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return None

    def read(self, record: Mapping[str, Any]) -> list[Prediction]:
        """The predictions of an earlier run, from the tables that its record names.

        Raises:
            AvaffectError: if a table is no longer what was written.
        """
        predictions = []
        for name in record["files"]:
            if name.startswith(f"{TABLES}/"):
                columns, about = read_table(self.root / name)
                predictions.append(
                    Prediction.from_columns(columns, about["subject"], about["model"])
                )
        return predictions

    def write(self, result: Result, key: str) -> list[Path]:
        """Write everything of one video; each file is whole or not there.

        Raises:
            OutputError: if a file cannot be written.
        """
        paths = []
        for prediction in result.predictions:
            if self.files:
                paths += [
                    write_challenge(prediction, task, self.root, self.edition)
                    for task in prediction.tasks
                ]
            name = subject_file_name(prediction.subject).removesuffix(".txt") + ".parquet"
            table = self.root / TABLES / name
            write_table(
                table, prediction.columns(), {"subject": prediction.subject, **result.about}
            )
            paths.append(table)
        write_json(
            self.record_path(result.source),
            {
                "key": key,
                "files": [str(path.relative_to(self.root)) for path in paths],
                "subjects": [one.subject for one in result.predictions],
                "frames": result.frames,
                "frames_with_face": result.found,
                "edition": self.edition,
                **result.about,
            },
        )
        return paths


def require_distinct(sources: Sequence[Path]) -> None:
    """Raise UsageError if two sources would write the same files."""
    seen: dict[str, Path] = {}
    for source in sources:
        if source.stem in seen:
            raise UsageError(
                f"'{seen[source.stem]}' and '{source}' would both be called '{source.stem}'",
                "rename one of them, or give them in two runs with different -o",
            )
        seen[source.stem] = source
