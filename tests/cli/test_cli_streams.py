"""What the system refuses the command: one line, the right exit code, no traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

RUN = f"exec {sys.executable} -m avaffect.cli.main"


def shell(command, **environment):
    """Exit code and what was printed of a command line."""
    done = subprocess.run(
        ["bash", "-c", command],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", **environment},
        check=False,
    )
    assert "Traceback" not in done.stderr + done.stdout
    assert "Exception ignored" not in done.stderr
    return done.returncode, done.stdout, done.stderr.splitlines()


def test_whoever_read_the_output_has_gone() -> None:
    code, out, error = shell(f"set -o pipefail; ({RUN} recipes list) | head -c 1")
    assert (len(out), error) == (1, [])
    assert code in (0, 1)  # nothing was lost on the way, or something was


@pytest.mark.parametrize(
    ("closed", "code"), [(">&-", 0), ("2>&-", 0), (">&- 2>&-", 0), (">/dev/full", 1)]
)
def test_streams_that_are_closed_or_full(closed: str, code: int) -> None:
    done, _, error = shell(f"{RUN} models list {closed}")
    assert done == code
    assert len(error) == int("full" in closed)


def test_an_error_that_cannot_be_told() -> None:
    assert shell(f"{RUN} evaluate nothing nowhere --task va 2>&-")[0] == 2
    assert shell(f"{RUN} evaluate nothing nowhere --task va 2>/dev/full")[0] == 2


@pytest.mark.parametrize("name", ["x" * 300, "$'a\\xff'/" + "y" * 300])
def test_an_output_name_that_is_too_long(name, sample, tmp_path: Path) -> None:
    code, _, error = shell(f"{RUN} predict {sample('no_face.mp4')} -o {tmp_path}/{name}")
    assert code in (1, 2)
    assert "too long" in error[-1]


def test_a_name_that_is_not_utf_8(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"a\xff.zip")).write_bytes(b"PK")
    code, out, error = shell(f"cd {tmp_path}; {RUN} submit --check --task va $'a\\xff.zip'")
    assert code == 1
    assert "no zip" in out + " ".join(error)


def test_ascii_streams(tmp_path: Path) -> None:
    (tmp_path / "ä.zip").write_bytes(b"PK")
    line = f"cd {tmp_path}; {RUN} submit --check --task va ä.zip"
    assert shell(line, PYTHONIOENCODING="ascii")[0] == 1


def test_little_memory(tmp_path: Path) -> None:
    """Python starts, but what is asked for does not fit."""
    (tmp_path / "a.csv").write_text("x\n1\n")
    code, _, error = shell(
        f"ulimit -v 400000; {RUN} predict {tmp_path} --checkpoint {tmp_path} --task va"
    )
    assert code in (1, 2)
    assert error
    assert error[-1].startswith("avaffect: ")
