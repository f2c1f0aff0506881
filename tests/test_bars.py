"""Bars: what the library tells, shown."""

from __future__ import annotations

import pytest

from avaffect import Bars, Notice, Progress


def test_stages_and_notices_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    bars = Bars()
    bars(Progress("faces", 10, None))
    bars(Progress("faces", 20, 40))
    assert bars._bar.n == 20
    assert bars._bar.total == 40
    bars(Notice("careful", warning=True))
    bars(Progress("faces", 40, 40, finished=True))
    assert bars._bar is None
    bars(Progress("voice", 1, 2, "windows"))
    bars(Progress("voice", 2, 2, "windows", finished=True))
    said = capsys.readouterr().err
    assert "warning: careful" in said
    assert "40/40" in said
    assert "voice" in said
