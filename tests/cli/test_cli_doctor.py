"""`avaffect doctor`."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from avaffect.doctor import checks
from avaffect.doctor.checks import Finding


def test_a_line_a_finding_and_an_exit_code(
    run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [Finding("python", "ok", "3.11"), Finding("x", "note", "is\x1bso", "do y")]
    monkeypatch.setattr(checks, "CHECKS", {"all": lambda: iter(made)})
    done = run("doctor")
    assert done.code == 0
    lines = done.out.splitlines()
    assert [line.split()[:2] for line in lines[:2]] == [["ok", "python"], ["note", "x"]]
    assert lines[1].endswith("is?so")
    assert lines[2].strip() == "-> do y"
    assert lines[-1] == "2 things looked at: 0 faults, 1 notes"
    made.append(Finding("z", "fault", "is broken", "mend it"))
    assert run("doctor").code == 1
    done = run("doctor", "--json")
    assert done.code == 1
    assert json.loads(done.out)[-1] == {
        "what": "z", "state": "fault", "found": "is broken", "advice": "mend it"
    }  # fmt: skip
