"""The doctor finds what is broken, says what to do, and does not fall ill itself."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from avaffect.doctor import checks
from avaffect.doctor.checks import Finding, Requirement, check, fits, imported, requirements
from avaffect.models import cache
from avaffect.models.zoo import find_model


def states(findings: Iterator[Finding]) -> dict[str, str]:
    return {finding.what: finding.state for finding in findings}


def test_python_ffmpeg_cuda_and_disk_are_looked_at() -> None:
    for look in (checks.check_python, checks.check_ffmpeg, checks.check_disk):
        assert set(states(look()).values()) <= {"ok", "note"}
    assert [finding.what for finding in checks.check_cuda()] == ["cuda"]


@pytest.mark.parametrize(
    ("version", "wanted", "fit"),
    [
        ("18.1.0", ">=14.1,<20", True),
        ("14.0", ">=14.1,<20", False),
        ("20.0.1", ">=14.1,<20", False),
        ("2.11.0+cu130", ">=2.11", True),
        ("2.9", ">=2.11", False),
        ("1.0", "~=whatever", True),
        ("1", "", True),
    ],
)
def test_versions(version: str, wanted: str, fit: bool) -> None:
    assert fits(version, wanted) == fit


def test_what_is_required_is_read_from_the_package() -> None:
    found = {each.name: each for each in requirements()}
    assert found["av"].extra == ""
    assert fits("15.0", found["av"].versions)
    assert not fits("13.0", found["av"].versions)
    assert found["pytest"].extra == "dev"


def test_packages_that_are_missing_old_or_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = [
        Requirement("click", ">=8.1", ""),
        Requirement("tqdm", ">=999", ""),
        Requirement("pyarrow", "", ""),
        Requirement("not-there", ">=1", ""),
        Requirement("neither-there", "", "odd"),
    ]
    monkeypatch.setattr(checks, "requirements", lambda: wanted)
    broken = {"click": "", "tqdm": "", "pyarrow": "ImportError: libx", "not_there": "none"}
    monkeypatch.setattr(checks, "imported", lambda modules: broken)
    found = {finding.what: finding for finding in checks.check_packages()}
    assert {name: each.state for name, each in found.items()} == {
        "click": "ok", "tqdm": "fault", "pyarrow": "fault", "not-there": "fault",
        "extra odd": "note",
    }  # fmt: skip
    assert "pip install 'not-there>=1'" in found["not-there"].advice
    assert "ImportError: libx" in found["pyarrow"].found
    assert "avaffect[odd]" in found["extra odd"].advice


def test_a_package_that_takes_python_along_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "loud.py").write_text("print('hello')")
    (tmp_path / "bad.py").write_text("raise RuntimeError('no\\nway')")
    (tmp_path / "deadly.py").write_text("import os; os._exit(7)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert imported(("loud", "deadly", "bad", "json", "nowhere")) == {
        "loud": "",
        "deadly": "its import ended Python with 7",
        "bad": "RuntimeError: no way",
        "json": "",
        "nowhere": "ModuleNotFoundError: No module named 'nowhere'",
    }


def test_the_self_test_runs_in_a_process_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "numpy.py").write_text("raise ImportError('none of ours')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (finding,) = checks.check_selftest()
    assert (finding.state, finding.found) == ("fault", "ImportError: none of ours")


def test_weights_that_are_damaged_or_not_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AVAFFECT_CACHE", str(tmp_path))
    monkeypatch.setenv("AVAFFECT_OFFLINE", "")
    cache.cached_path(find_model("silero-vad")).write_bytes(b"x")
    found = {finding.what: finding for finding in checks.check_weights()}
    assert found["weights starter-2-face"].state == "ok"
    assert found["weights silero-vad"].state == "fault"
    assert "avaffect models fetch silero-vad" in found["weights silero-vad"].advice
    assert found["weights face-landmarker"].state == "note"
    # Those of other models need not be here.
    assert "weights fer" not in found
    monkeypatch.setenv("AVAFFECT_OFFLINE", "1")
    assert states(checks.check_weights())["weights face-landmarker"] == "fault"
    (finding,) = checks.check_selftest()
    assert (finding.state, "left out" in finding.found) == ("note", True)


def test_a_look_that_fails_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Iterator[Finding]:
        yield Finding("first", "ok", "there")
        raise OSError("gone\naway")

    monkeypatch.setattr(checks, "CHECKS", {"broken": broken, "python": checks.check_python})
    seen: list[Finding] = []
    found = check(seen.append)
    assert list(found) == seen
    assert [finding.state for finding in found][:3] == ["ok", "fault", "ok"]
    assert "OSError: gone away" in found[1].found


def test_it_begins_with_pythons_own_modules() -> None:
    code = (
        "import sys; import avaffect.doctor.checks; "
        "print([m for m in ('numpy', 'pydantic', 'av', 'filelock') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.strip() == "[]"
