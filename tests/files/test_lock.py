import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from avaffect.errors import BusyError
from avaffect.files.lock import alone, alone_in

HOLDER = """
import sys, time
from pathlib import Path
from avaffect.files.lock import alone_in
with alone_in(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path: Path):
    """Another process that is at work in the folder `busy`."""
    command = [sys.executable, "-c", HOLDER, tmp_path / "busy"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_process_is_refused_and_told_where(tmp_path: Path, holder) -> None:
    with pytest.raises(BusyError, match=f"working on '{tmp_path / 'busy'}'"):
        alone_in(tmp_path / "busy").__enter__()
    with alone_in(tmp_path / "other"):
        pass


def test_a_killed_process_locks_nothing(tmp_path: Path, holder) -> None:
    holder.kill()
    holder.wait()
    assert (tmp_path / "busy/.lock").exists()  # what it left
    with alone_in(tmp_path / "busy"):
        pass


def test_a_second_block_of_the_same_process_is_refused(tmp_path: Path) -> None:
    with alone_in(tmp_path), pytest.raises(BusyError), alone_in(tmp_path):
        pass
    with alone_in(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_waiting(tmp_path: Path) -> None:
    entered = []
    inside = threading.Event()
    go = threading.Event()

    def first():
        with alone(tmp_path / "x.lock", tmp_path):
            inside.set()
            go.wait(60)
            entered.append("first")

    thread = threading.Thread(target=first)
    thread.start()
    inside.wait(60)
    timer = threading.Timer(0.2, go.set)
    timer.start()
    with alone(tmp_path / "x.lock", tmp_path, wait=60):
        entered.append("second")
    thread.join()
    assert entered == ["first", "second"]


def test_no_two_are_inside_at_once(tmp_path: Path) -> None:
    """Also though each removes the lock's file and its folder."""
    inside, most = 0, 0
    guard = threading.Lock()

    def work():
        nonlocal inside, most
        for _ in range(20):
            with alone(tmp_path / "work/x.lock", tmp_path, wait=60):
                with guard:
                    inside += 1
                    most = max(most, inside)
                with guard:
                    inside -= 1
            with suppress(OSError):
                (tmp_path / "work").rmdir()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
