import os
import subprocess
import sys
from pathlib import Path

import pytest

from avaffect.files import temporaries
from avaffect.files.atomic import atomic_path, write_text
from avaffect.files.temporaries import remove_abandoned, temporary_folder

WRITER = """
import sys, time
from avaffect.files.atomic import atomic_path
with atomic_path(sys.argv[1]) as path:
    path.write_text("half")
    print("open", flush=True)
    time.sleep(600)
"""


WORKER = """
import sys, time
from pathlib import Path
from avaffect.files.temporaries import temporary_folder
with temporary_folder(Path(sys.argv[1]), "work") as path:
    (path / "deep").mkdir()
    (path / "deep" / "file").write_text("half")
    print(path.name, flush=True)
    time.sleep(600)
"""


@pytest.fixture(autouse=True)
def nothing_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(temporaries, "_looked", set())


def hidden(folder):
    return sorted(path.name for path in folder.iterdir() if ".tmp" in path.name)


def test_what_a_killed_process_left_goes_and_what_one_writes_stays(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, tmp_path / "a.txt"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "open\n"
        remove_abandoned(tmp_path)
        assert len(hidden(tmp_path)) == 1
        process.kill()
    temporaries._looked.clear()
    write_text(tmp_path / "b.txt", "b")
    assert [path.name for path in tmp_path.iterdir()] == ["b.txt"]


def test_only_names_of_ours_go(tmp_path: Path) -> None:
    names = [".a.txt.123-0123abcd.tmp.txt", ".b.json.9-0123abcd.tmp", ".a.tmp", "c.1-00000000.tmp"]
    for name in names:
        (tmp_path / name).write_text("x")
    (tmp_path / ".d.1-00000000.tmp").mkdir()
    write_text(tmp_path / "new", "n")
    assert hidden(tmp_path) == [".a.tmp", "c.1-00000000.tmp"]


def test_two_at_once_leave_each_other_alone(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "a.txt") as first:
        first.write_text("first")
        temporaries._looked.clear()
        with atomic_path(tmp_path / "a.txt") as second:
            second.write_text("second")
    assert (tmp_path / "a.txt").read_text() == "first"


def test_a_files_mode_is_the_users(tmp_path: Path) -> None:
    before = os.umask(0o002)
    try:
        write_text(tmp_path / "a.txt", "a")
    finally:
        os.umask(before)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o664


def test_a_killed_process_folder_goes_and_that_of_a_live_one_stays(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WORKER, tmp_path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        name = process.stdout.readline().strip()
        with temporary_folder(tmp_path, "work") as mine:
            assert mine.is_dir()
            assert (tmp_path / name / "deep/file").read_text() == "half"
        assert not mine.exists()
        process.kill()
    with temporary_folder(tmp_path, "other"):
        assert (tmp_path / name).is_dir()
    with temporary_folder(tmp_path, "work") as mine:
        assert [path.name for path in tmp_path.iterdir()] == [mine.name]
    assert not list(tmp_path.iterdir())


def test_only_folders_of_ours_go(tmp_path: Path) -> None:
    target = tmp_path / "mine"
    target.mkdir()
    (tmp_path / ".work.1-00000000.tmp").symlink_to(target)
    names = [".work.x.tmp", "work.1-00000000.tmp", ".workshop.1-00000000.tmp", ".work"]
    for name in names:
        (tmp_path / name).mkdir()
    (tmp_path / ".work.2-00000000.tmp").mkdir()
    with temporary_folder(tmp_path, "work"):
        pass
    there = sorted(path.name for path in tmp_path.iterdir())
    assert there == sorted([*names, "mine", ".work.1-00000000.tmp"])


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="no owners")
def test_folders_of_other_users_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the folder for temporary files those of all lie."""
    theirs = tmp_path / ".work.1-00000000.tmp"
    theirs.mkdir()
    monkeypatch.setattr(os, "getuid", lambda: theirs.lstat().st_uid + 1)
    with temporary_folder(tmp_path, "work"):
        assert theirs.is_dir()
