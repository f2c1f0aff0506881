"""Full disks, lost folders and the like; `make faults` lets every command meet all of them."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from itertools import cycle

import pytest
from faults.commands import Sandbox
from faults.files import content, differences
from faults.forks import Fault, Forks
from faults.trials import FAULTS, can_meet, faulty_end, meet

_QUICK = ("blend", "convert bids", "report", "submit")


@pytest.mark.parametrize(("fault", "name"), [*zip(FAULTS, cycle(_QUICK), strict=False)])
def test_a_fault_is_one_line_and_the_same_command_goes_on(
    sandboxes: Callable[[str], Sandbox], fault: str, name: str
) -> None:
    sandbox, chance = sandboxes(name), random.Random(fault)
    assert sandbox.whole
    assert can_meet(sandbox, fault)
    said, wrong = meet(sandbox, fault, chance.randrange(sandbox.steps))
    assert wrong == [], said


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("predict", "size={used}+32k"),
        ("blend", "nr_inodes={files}+8"),
        ("report", "size={used}+16k"),
        ("models import", "size={used}+64k"),
        ("render", "size={used}+4k"),
    ],
)
def test_a_small_disk_is_full(
    sandboxes: Callable[[str], Sandbox], forks: Forks, name: str, size: str
) -> None:
    """A disk of its own, which libraries in C write to as well."""
    if not forks.mounts:
        pytest.skip("mounting a small disk needs more rights")
    sandbox = sandboxes(name)
    whole = sandbox.whole
    sandbox.begin()
    there = content(sandbox.folder)
    used = sum(-(-len(data) // 4096) * 4096 for data in there.values())
    kind, _, rest = size.partition("=")
    more = rest.partition("+")[2]
    room = len(there) + int(more) if kind == "nr_inodes" else used + int(more[:-1]) * 1024
    on_disk = forks.seen(sandbox.folder)
    forks.mount(sandbox.folder, f"{kind}={room}")
    try:
        sandbox.begin(on_disk)
        full = sandbox.run()
        assert full.code == 1
        assert faulty_end(full.code, full.err) == []
        assert "the disk is full while writing" in full.said[0]
        forks.mount(sandbox.folder, "size=100m,nr_inodes=9999", more=True)
        assert sandbox.run().code == 0
        assert differences(content(on_disk), whole) == []
    finally:
        forks.unmount(sandbox.folder)


@pytest.mark.parametrize("stdout", ["/dev/full", "closed"])
def test_nobody_reads_what_is_printed(sandboxes: Callable[[str], Sandbox], stdout: str) -> None:
    """As `avaffect ... | head -1` does; the files are written all the same."""
    sandbox = sandboxes("predict")
    whole = sandbox.whole
    sandbox.begin()
    done = sandbox.run(stdout=stdout)
    assert done.code in (0, 1)
    assert "Traceback" not in done.err
    assert differences(content(sandbox.folder), whole) == []


@pytest.mark.parametrize("step", [0, 1])
def test_an_input_that_the_disk_does_not_give(
    sandboxes: Callable[[str], Sandbox], step: int
) -> None:
    sandbox = sandboxes("blend")
    assert sandbox.whole
    sandbox.begin()
    met = sandbox.run(Fault(step, "EIO", reading=True, within="predicted/tables"))
    assert met.code == 1
    assert faulty_end(met.code, met.err) == []
    assert "input/output error" in met.said[0].lower()
    assert sandbox.run().code == 0


def test_links_in_a_circle_are_one_line(sandboxes: Callable[[str], Sandbox]) -> None:
    sandbox = sandboxes("report")
    assert sandbox.whole
    sandbox.begin()
    shutil.rmtree(sandbox.out)
    sandbox.out.symlink_to(sandbox.out)
    met = sandbox.run()
    assert met.code in (1, 2)
    assert faulty_end(1, met.err) == []
    sandbox.out.unlink()


def test_memory_that_runs_out_is_one_line(sandboxes: Callable[[str], Sandbox]) -> None:
    """Of the process, wherever a library notices it."""
    sandbox = sandboxes("predict")
    whole = sandbox.whole
    sandbox.begin()
    met = sandbox.run(Fault(memory_bytes=16 << 20))
    assert met.code == 1
    assert faulty_end(met.code, met.err) == []
    assert sandbox.run().code == 0
    assert differences(content(sandbox.folder), whole) == []
