"""Faults: all counted, the first of each kind kept."""

from __future__ import annotations

import pytest

from avaffect.challenge.faults import KEPT_PER_KIND, Fault, Faults


def test_faults_are_all_counted_and_some_kept() -> None:
    faults = Faults()
    for line in range(1000):
        faults.add("range", "f", line, "too much")
    faults.add("order", "f", 1, "wrong")
    assert faults.counts == {"range": 1000, "order": 1}
    assert len(faults.kept) == KEPT_PER_KIND + 1
    with pytest.raises(ValueError, match="no fault is called"):
        Fault("f", 1, "nonsense", "")
