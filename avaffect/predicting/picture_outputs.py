"""The output of ``predict`` for single pictures: one table, as parquet and CSV, and a record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avaffect.challenge.places import remove_empty
from avaffect.config import PredictConfig, fingerprint
from avaffect.errors import AvaffectError, UsageError, boundary
from avaffect.files.atomic import write_json
from avaffect.files.csv_text import require_decimal, write_csv
from avaffect.files.hashing import file_sha256
from avaffect.files.lock import alone
from avaffect.files.names import PICTURES
from avaffect.files.ours import read_claims, require_ours, require_written, write_claims
from avaffect.files.outside import read_kept
from avaffect.files.table import read_table, write_table
from avaffect.files.temporaries import remove_abandoned
from avaffect.predicting.records import WORK
from avaffect.predicting.still_pictures import PictureResult, for_pictures, judge_pictures
from avaffect.predictors.build import build_predictor
from avaffect.predictors.interface import require_pictures
from avaffect.preprocessing.run import NetsLoader
from avaffect.progress import EventCallback, ignore_events
from avaffect.store.keys import all_models, model_hashes
from avaffect.store.provenance import provenance

_VERSION = 1
_SHAPE = {
    "key": str,
    "files": [str],
    "folder": str,
    "pictures": int,
    "faces": int,
    "faceless": int,
    "failed": {str: str},
}


@dataclass(frozen=True)
class PicturesWritten:
    """The outcome.

    Attributes:
        table: the parquet file.
        pictures, faces, faceless: see `PictureResult`.
        failed: by name of the pictures that could not be read, why.
        notes: what a reader of the table must know; empty where it was there already.
        again: whether an earlier run had written all.
    """

    table: Path
    pictures: int
    faces: int
    faceless: int
    failed: Mapping[str, str]
    notes: tuple[str, ...]
    again: bool


@boundary()
def write_pictures(
    pictures: Mapping[Path, str],
    out: Path | str,
    config: PredictConfig,
    *,
    folder: str = "",
    device: str = "cpu",
    csv: bool = True,
    decimal: str = "point",
    overwrite: bool = False,
    on_event: EventCallback = ignore_events,
) -> PicturesWritten:
    """Judge pictures and write ``pictures.parquet``, ``pictures.csv`` and ``pictures.json``.

    The same pictures with the same settings are not judged again. What was not finished begins
    anew: a thousand pictures take a minute or so.

    Args:
        pictures: by file, its name in the table.
        out: the output folder.
        config: the settings; those of time and sound do not matter.
        folder: what the user calls them all; those of another name are not replaced unasked.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        csv: whether to write the table as CSV too.
        decimal: one of ``files.csv_text.DECIMALS``.
        overwrite: judge again, and replace those of another folder.
        on_event: progress in pictures, and notices.

    Raises:
        UsageError: a model that needs sequences, or other pictures' results in ``out``.
        ForeignFileError: a file is in the way that avaffect did not write.
        BusyError: another process is at it.
        OutputError: a file cannot be written.
    """
    out = Path(out)
    require_decimal(decimal)
    config = for_pictures(config)
    predictor = build_predictor(config, device)
    require_pictures(predictor)
    table, text, record = (out / f"{PICTURES}.{ending}" for ending in ("parquet", "csv", "json"))
    with alone(out / WORK / f"{PICTURES}.lock", out / PICTURES):
        remove_abandoned(out)
        known: dict[str, Any] = read_kept(record, _SHAPE) or {}
        ours = {*known.get("files", ()), *([record.name] if known else [])}
        claims = out / WORK / f"{PICTURES}.claims"
        ours |= read_claims(claims)
        files = [table, *([text] if csv else [])]
        require_ours(out, [*files, record], ours)
        if known and not overwrite:
            _require_same(known["folder"], table, folder, pictures.values())
        key = _key(pictures, config, predictor.fingerprint, decimal if csv else None)
        if known.get("key") == key and not overwrite and all(map(Path.is_file, files)):
            claims.unlink(missing_ok=True)  # a run may have been killed before it did so
            counts = {name: known[name] for name in ("pictures", "faces", "faceless", "failed")}
            return PicturesWritten(table, **counts, notes=(), again=True)
        nets = NetsLoader(config.analysis, device)
        result = judge_pictures(pictures, config, predictor, nets, on_event)
        write_claims(claims, ours | {path.name for path in (*files, record)})
        failed = {name: str(error) for name, error in result.failed.items()}
        about = _about(result, config) | {"folder": folder, "device": device, "failed": failed}
        write_table(table, result.columns, about)
        if csv:
            write_csv(text, result.columns, decimal)
        elif text.name in ours:
            # It would be of other pictures than the table.
            text.unlink(missing_ok=True)
        require_written(files)
        write_json(record, {"key": key, "files": [path.name for path in files], **about})
        claims.unlink(missing_ok=True)
    remove_empty(out / WORK, out)
    return PicturesWritten(
        table,
        result.pictures,
        result.faces,
        result.faceless,
        failed,
        result.notes,
        again=False,
    )


def _require_same(earlier: str, table: Path, folder: str, names: Iterable[str]) -> None:
    """Raise UsageError if the earlier results are of pictures that are not among ``names``."""
    others: set[str] = set()
    with suppress(AvaffectError, LookupError):
        others = set(read_table(table)[0]["picture"]) - set(names)
    if others or earlier != folder:
        what = f"{len(others)} other pictures" if others else "pictures"
        raise UsageError(
            f"'{table.parent}' holds the results of {what} in '{earlier}'",
            "give them all in one command, choose another output folder, or replace them with "
            "overwrite=True",
        )


def _key(
    pictures: Mapping[Path, str], config: PredictConfig, model: str, decimal: str | None
) -> str:
    """Changes with the pictures' content and names, the settings and the model."""
    hashes = []
    for path, name in pictures.items():
        try:
            hashes.append([name.encode(errors="surrogateescape").hex(), file_sha256(path)])
        except OSError as error:
            hashes.append([name.encode(errors="surrogateescape").hex(), str(error.strerror)])
    models = model_hashes(all_models(config.analysis))
    return fingerprint([_VERSION, hashes, config.to_dict(), model, models, decimal])


def _about(result: PictureResult, config: PredictConfig) -> dict[str, Any]:
    """What the record and the table say of themselves."""
    made = provenance("", "", config.to_dict(), model_hashes(all_models(config.analysis)))
    del made["video"]
    return {
        "pictures": result.pictures,
        "faces": result.faces,
        "faceless": result.faceless,
        "model": result.model,
        "notes": list(result.notes),
        **made,
    }
