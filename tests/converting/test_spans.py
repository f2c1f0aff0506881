"""Tiers: when an expression, a smile, a unit or a gap begins and ends."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from fixtures.recordings import HOSTILE, rows_of

from avaffect.converting.spans import Span, printable, tiers_of

NAN = float("nan")


def tiers(*arguments, **changes) -> dict[str, tuple[Span, ...]]:
    return {tier.kind: tier.spans for tier in tiers_of(rows_of(*arguments, **changes))}


def test_a_span_ends_where_the_next_frame_begins(tmp_path: Path) -> None:
    found = tiers(
        tmp_path,
        times=[0, 0.1, 0.3, 0.4, 0.7],
        unseen=[2],
        expression=np.array(["Fear", "Fear", None, "Fear", "Anger"], object),
        AU12=[NAN, 1, NAN, 1, 1],
        AU4=[0, 0, NAN, 0, 0],
    )
    assert found["expression"] == (
        Span(0, 0.3, "Fear"), Span(0.4, 0.7, "Fear"), Span(0.7, 0.85, "Anger"),
    )  # fmt: skip
    assert found["smile"] == (Span(0.1, 0.3, "smile"), Span(0.4, 0.85, "smile"))
    assert found["AU12"] == (Span(0.1, 0.3, "AU12"), Span(0.4, 0.85, "AU12"))
    assert found["AU4"] == ()
    assert found["gaps"] == (Span(0.3, 0.4, "no face"),)


def test_nothing_lasts_over_a_pause_of_the_file(tmp_path: Path) -> None:
    found = tiers(tmp_path, times=[0, 0.5, 10, 10.5], expression=np.full(4, "Fear", object))
    assert found["expression"] == (Span(0, 1.5, "Fear"), Span(10, 11, "Fear"))
    assert found["gaps"] == (Span(1.5, 10, "no frames"),)


def test_what_lies_before_the_files_zero_is_cut_off(tmp_path: Path) -> None:
    early = {"media": {"first_time_s": -0.15}}
    said = np.array(["Fear", "Anger", "Anger"], object)
    found = tiers(tmp_path, times=[0, 0.1, 0.2], expression=said, about=early)
    ((span),) = found["expression"]
    assert (span.start, span.text) == (0, "Anger")
    assert abs(span.end - 0.15) < 1e-9


def test_long_tables_are_read_in_parts(tmp_path: Path) -> None:
    smiling = np.arange(20_000) // 9_999 % 2
    found = tiers(tmp_path, times=np.arange(20_000) / 100, AU12=smiling)
    assert found["smile"] == (Span(99.99, 199.98, "smile"),)


def test_who_speaks_is_a_tier(tmp_path: Path) -> None:
    found = tiers(tmp_path, times=[0, 0.1, 0.2, 0.3], speaking=[0.2, 0.5, 0.9, NAN])
    assert found["speaking"] == (Span(0.1, 0.3, "speaking"),)


def test_columns_that_are_not_there_have_no_tier(tmp_path: Path) -> None:
    names = {tier.kind for tier in tiers_of(rows_of(tmp_path))}
    assert {"expression", "smile", "AU45", "gaps"} < names
    rows = rows_of(tmp_path)
    few = replace(rows, names=("frame", "time", "present"))
    assert [tier.kind for tier in tiers_of(few)] == ["gaps"]


def test_texts_are_one_printable_line() -> None:
    assert printable("a\x00\n\u2028b\ud800") == "a   b"
    assert printable("\n") == "?"
    assert printable(HOSTILE) == HOSTILE
    assert len(printable("x" * 5000)) == 200
