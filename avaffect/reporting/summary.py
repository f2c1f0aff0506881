"""A person's table in a few numbers: how much was seen, means, shares, smiles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avaffect.drawing.subjects import Table
from avaffect.files.csv_text import DECIMALS, Decimal, write_csv
from avaffect.labels import EXPRESSIONS
from avaffect.predictions.durations import durations

# Shorter ones are flickers of a score at its threshold.
SHORTEST_SMILE_S = 0.2
SMILE = "AU12"
# The probability from which on somebody probably speaks.
SPEAKS = 0.5

Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Figures:
    """Means and shares over a part of the frames, each weighted by its time.

    None stands for what is not known: the model does not predict it, or no frame has it.

    Attributes:
        time_s: the length of the part in seconds.
        valence_mean, valence_sd, arousal_mean, arousal_sd: over the frames that have a value, in
            [-1, 1]; SD is that of the frames about their mean.
        expressions: by class, the share of the part's time in which it is the likeliest, 0..1.
        smile_share: share of the part's time in which AU12 is active, 0..1.
        smiles: how often AU12 is active for 0.2 seconds or more.
    """

    time_s: float
    valence_mean: float | None
    valence_sd: float | None
    arousal_mean: float | None
    arousal_sd: float | None
    expressions: Mapping[str, float | None]
    smile_share: float | None
    smiles: int | None


@dataclass(frozen=True)
class Summary:
    """One person in a few numbers.

    Attributes:
        subject: the name.
        frames: rows of the table.
        frames_seen: those in which the person's face is seen.
        duration_s: seconds, all frames.
        seen_share: share of the time in which the face is seen, 0..1.
        heard_share: share of the time in which the voice had a say, 0..1.
        gaps: how often the face is not seen for a while, be it for one frame.
        longest_gap_s: the longest of these times in seconds; 0 without any.
        whole: the whole video, gaps and all. Its length is 100 % of each share, so that
            expressions do not sum to 1 where there are gaps. Means take every frame with a value,
            also where the voice alone speaks. A gap ends a smile.
        seen: without gaps. The time in which the face is seen is 100 %. Means take these frames
            alone. A smile goes on over a gap.
        speaking_share: share of the time in which the person probably speaks, 0..1; None if no
            frame says so.
    """

    subject: str
    frames: int
    frames_seen: int
    duration_s: float
    seen_share: float
    heard_share: float
    gaps: int
    longest_gap_s: float
    whole: Figures
    seen: Figures
    speaking_share: float | None = None


def summarise(table: Table) -> Summary:
    """The summary of a table.

    Each frame stands for the time until the next one, at most a second; the last one for as long
    as the median one. So videos with an uneven frame rate are averaged over time.
    """
    weights = durations(table.times)
    everything = np.ones(len(weights), bool)
    present = flags(table, "present", everything)
    heard = flags(table, "heard", ~everything)
    total = float(weights.sum())
    gaps = [float(weights[start:end].sum()) for start, end in runs(~present)]
    return Summary(
        subject=table.subject,
        frames=len(weights),
        frames_seen=int(present.sum()),
        duration_s=total,
        seen_share=float(weights[present].sum()) / total,
        heard_share=float(weights[heard].sum()) / total,
        gaps=len(gaps),
        longest_gap_s=max(gaps, default=0.0),
        whole=_figures(table, weights, everything),
        seen=_figures(table, weights, present),
        speaking_share=_speaking_share(table, weights),
    )


def write_summary(
    tables: Iterable[Table], path: Path | str, *, decimal: Decimal = DECIMALS[0]
) -> None:
    """Write ``summary.csv``, a row a person.

    Columns: those of `Summary`, then those of `Figures` of the whole video, and again with
    ``_seen`` behind them of the frames with a face. An unknown value is an empty cell.

    Args:
        tables: one a person; each is used when its turn comes.
        path: the file.
        decimal: ``point`` or ``comma``, see `files.csv_text.write_csv`.

    Raises:
        UnknownNameError: other decimals.
        OutputError: the file cannot be written.
    """
    write_summaries(map(summarise, tables), path, decimal=decimal)


def write_summaries(
    summaries: Iterable[Summary], path: Path | str, *, decimal: Decimal = DECIMALS[0]
) -> None:
    """As `write_summary`, of tables that are summarised already."""
    rows = [cells_of(summary) for summary in summaries]
    columns = {name: _column([row[name] for row in rows]) for name in (rows[0] if rows else ())}
    write_csv(Path(path), columns, decimal)


def cells_of(summary: Summary) -> dict[str, str | float | None]:
    """The row of `write_summary`, by column."""
    row: dict[str, str | float | None] = {
        "subject": summary.subject,
        "frames": summary.frames,
        "frames_seen": summary.frames_seen,
        "duration_s": summary.duration_s,
        "seen_share": summary.seen_share,
        "heard_share": summary.heard_share,
        "speaking_share": summary.speaking_share,
        "gaps": summary.gaps,
        "longest_gap_s": summary.longest_gap_s,
    }
    for figures, suffix in ((summary.whole, ""), (summary.seen, "_seen")):
        for name in ("valence_mean", "valence_sd", "arousal_mean", "arousal_sd"):
            row[f"{name}{suffix}"] = getattr(figures, name)
        row |= {f"{name}_share{suffix}": share for name, share in figures.expressions.items()}
        row |= {f"smile_share{suffix}": figures.smile_share, f"smiles{suffix}": figures.smiles}
    return row


def flags(table: Table, name: str, otherwise: Flags) -> Flags:
    """bool [N], a column of the table, or ``otherwise`` where it has none such."""
    column = table.columns.get(name)
    return otherwise if column is None else np.asarray(column).astype(bool)


def runs(active: Flags) -> list[tuple[int, int]]:
    """Start and end (behind the last) of each stretch of True.

    >>> runs(np.array([True, False, True, True]))
    [(0, 1), (2, 4)]
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], active, [False]]).astype(np.int8)))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]


def _speaking_share(table: Table, weights: Floats) -> float | None:
    speaking = table.numbers("speaking")[:, 0]
    known = np.isfinite(speaking)
    return float(weights[speaking >= SPEAKS].sum() / weights.sum()) if known.any() else None


def _figures(table: Table, weights: Floats, part: Flags) -> Figures:
    time = float(weights[part].sum())
    valence = _mean_sd(table.numbers("valence")[part, 0], weights[part])
    arousal = _mean_sd(table.numbers("arousal")[part, 0], weights[part])
    likeliest = table.likeliest()[part]
    classified = bool((likeliest >= 0).any())
    smile = table.numbers(SMILE)[part, 0]
    weight = weights[part]
    smiling = smile == 1
    has_smiles = bool(np.isfinite(smile).any())
    lengths = [float(weight[start:end].sum()) for start, end in runs(smiling)]
    smiles = sum(length >= SHORTEST_SMILE_S - 1e-9 for length in lengths)
    return Figures(
        time_s=time,
        valence_mean=valence[0],
        valence_sd=valence[1],
        arousal_mean=arousal[0],
        arousal_sd=arousal[1],
        expressions={
            name: float(weight[likeliest == at].sum()) / time if classified else None
            for at, name in enumerate(EXPRESSIONS)
        },
        smile_share=float(weight[smiling].sum()) / time if has_smiles else None,
        smiles=smiles if has_smiles else None,
    )


def _mean_sd(values: NDArray[np.float32], weights: Floats) -> tuple[float | None, float | None]:
    known = np.isfinite(values)
    if not known.any():
        return None, None
    found, share = values[known].astype(np.float64), weights[known] / weights[known].sum()
    mean = float((found * share).sum())
    return mean, float(np.sqrt((share * (found - mean) ** 2).sum()))


def _column(cells: Sequence[str | float | None]) -> NDArray[np.object_] | Floats:
    """Text as it is; numbers with six digits, NaN where unknown."""
    if any(isinstance(cell, str) for cell in cells):
        return np.array(cells, object)
    return np.array([np.nan if cell is None else float(f"{cell:.6g}") for cell in cells])
