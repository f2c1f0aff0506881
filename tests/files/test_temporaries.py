import os
import subprocess
import sys

import pytest

from avaffect.files import temporaries
from avaffect.files.atomic import atomic_path, write_text
from avaffect.files.temporaries import remove_abandoned

WRITER = """
import sys, time
from avaffect.files.atomic import atomic_path
with atomic_path(sys.argv[1]) as path:
    path.write_text("half")
    print("open", flush=True)
    time.sleep(600)
"""


@pytest.fixture(autouse=True)
def nothing_looked_at(monkeypatch):
    monkeypatch.setattr(temporaries, "_looked", set())


def hidden(folder):
    return sorted(one.name for one in folder.iterdir() if ".tmp" in one.name)


def test_what_a_killed_process_left_goes_and_what_one_writes_stays(tmp_path):
    command = [sys.executable, "-c", WRITER, tmp_path / "a.txt"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "open\n"
        remove_abandoned(tmp_path)
        assert len(hidden(tmp_path)) == 1
        process.kill()
    temporaries._looked.clear()
    write_text(tmp_path / "b.txt", "b")
    assert [one.name for one in tmp_path.iterdir()] == ["b.txt"]


def test_only_names_of_ours_go(tmp_path):
    names = [".a.txt.123-0123abcd.tmp.txt", ".b.json.9-0123abcd.tmp", ".a.tmp", "c.1-00000000.tmp"]
    for name in names:
        (tmp_path / name).write_text("x")
    (tmp_path / ".d.1-00000000.tmp").mkdir()
    write_text(tmp_path / "new", "n")
    assert hidden(tmp_path) == [".a.tmp", ".d.1-00000000.tmp", "c.1-00000000.tmp"]


def test_two_at_once_leave_each_other_alone(tmp_path):
    with atomic_path(tmp_path / "a.txt") as first:
        first.write_text("first")
        temporaries._looked.clear()
        with atomic_path(tmp_path / "a.txt") as second:
            second.write_text("second")
    assert (tmp_path / "a.txt").read_text() == "first"


def test_a_files_mode_is_the_users(tmp_path):
    before = os.umask(0o002)
    try:
        write_text(tmp_path / "a.txt", "a")
    finally:
        os.umask(before)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o664
