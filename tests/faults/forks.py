"""Runs of `avaffect` with a fault planted, each in a fork of a process that has imported all.

A fork costs milliseconds where a start costs seconds of imports, and so many kills cost minutes.
The process that forks is this file, run as a program: it takes orders as lines of JSON. It is in
a mount namespace of its own where the system lets it, so that a small disk that it mounts is
nobody else's and goes when it ends. Linux alone.

What is counted in a run are its *steps*: each file below a folder that is opened for writing,
renamed, removed or made, and each sync, as Python's audit hooks tell them. A fault comes before
the n-th of them.
"""

from __future__ import annotations

import ctypes
import errno
import importlib
import json
import os
import pkgutil
import resource
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

_STEPS = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link"}
_CHANGES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_NEW_MOUNTS, _PRIVATE, _RECURSIVE, _DETACH = 0x20000, 1 << 18, 1 << 14, 2
_REMOUNT = 32
# Where a name goes no space is needed.
_FULL, _REMOVALS = ("ENOSPC", "EDQUOT"), ("os.remove", "os.rmdir")
# A run that takes longer hangs.
_LIMIT_S = 300.0


@dataclass(frozen=True)
class Fault:
    """What goes wrong in a run; nothing without arguments.

    Attributes:
        step: before which step, counted from 0.
        what: ``kill``; the name of an errno, which the step raises; ``memory`` for a MemoryError;
            ``gone`` for the removal of ``target``; ``file`` for a file in its place; ``clock``
            for a jump of the clock by ``jump_s``.
        lasting: all steps after it fail too.
        reading: count files that are opened for reading instead.
        within: only steps on paths that hold this text count.
        after_s: kill after so many seconds.
        bytes: kill as soon as a file grows beyond so many bytes, in mid-write.
        file_bytes: no file may grow beyond so many; the write fails.
        memory_bytes: more memory than at the start, that the run may take.
        target: a folder, see ``what``.
        jump_s: seconds.
    """

    step: int | None = None
    what: str = "kill"
    lasting: bool = False
    reading: bool = False
    within: str = ""
    after_s: float | None = None
    bytes: int | None = None
    file_bytes: int | None = None
    memory_bytes: int | None = None
    target: str = ""
    jump_s: float = 0.0


@dataclass(frozen=True)
class Run:
    """What became of a run.

    Attributes:
        code: exit code; below 0 the signal that killed it.
        out, err: what it printed.
        steps: how many there were, and the last of them.
        seconds: how long it took.
    """

    code: int
    out: str
    err: str
    steps: int
    last: str
    seconds: float

    @property
    def killed(self) -> bool:
        """Whether the fault, and nothing else, ended it."""
        return self.code in (-signal.SIGKILL, -signal.SIGXFSZ)

    @property
    def said(self) -> list[str]:
        """The lines of failure."""
        return [line for line in self.err.splitlines() if line.startswith("avaffect: ")]


class Forks:
    """The process that forks; a context manager."""

    def __enter__(self) -> Forks:
        here = Path(__file__).resolve()
        paths = [str(here.parents[1]), os.environ.get("PYTHONPATH", "")]
        # No threads before a fork; the weights that there are, and nothing from outside.
        settings = {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, str(here)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **settings, "TF_CPP_MIN_LOG_LEVEL": "3"},
            start_new_session=True,
        )
        self.mounts: bool = self._answer()["mounts"]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def run(
        self,
        words: Sequence[object],
        folder: Path,
        fault: Fault | None = None,
        settings: Mapping[str, str] | None = None,
        stdout: str = "",
    ) -> Run:
        """Run ``avaffect`` with these words in ``folder``, below which steps are counted.

        Args:
            words: arguments.
            folder: where.
            fault: what goes wrong.
            settings: environment variables.
            stdout: where to print to, such as ``/dev/full``; ``closed`` for a pipe that nobody
                reads; empty for :attr:`Run.out`.
        """
        order = {
            "words": [str(word) for word in words],
            "folder": str(folder),
            "fault": asdict(fault or Fault()),
            "settings": dict(settings or {}),
            "stdout": stdout,
        }
        return Run(**self._ask(order))

    def mount(self, place: Path, size: str, more: bool = False) -> None:
        """Put a disk of ``size`` at ``place``, or give the one there that size.

        Args:
            place: a folder; what is in it is seen at :meth:`seen`.
            size: options of a tmpfs, such as ``size=64k`` or ``nr_inodes=20``.
            more: change the one that is there.
        """
        done = self._ask({"mount": str(place), "size": size, "more": more})
        if done["error"]:
            raise OSError(done["error"], os.strerror(done["error"]), str(place))

    def unmount(self, place: Path) -> None:
        """Take the disk away."""
        self._ask({"unmount": str(place)})

    def seen(self, place: Path) -> Path:
        """``place`` as the runs see it, disks mounted there and all."""
        return Path(f"/proc/{self._process.pid}/root{place}")

    def _ask(self, order: Mapping[str, Any]) -> Any:
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the process that forks has ended")
        return json.loads(line)


class Steps:
    """Counts the steps of this process and lets the fault come at the right one."""

    def __init__(self, folder: str, fault: Fault, note: Callable[[int, str], None]) -> None:
        self._folder, self._fault, self._note = folder, fault, note
        self.count = 0
        self._busy = False

    def hook(self, event: str, args: tuple[Any, ...]) -> None:
        """The audit hook."""
        if self._busy:
            return
        if event == "open":
            path, flags = args[0], args[2]
            changes = bool((flags or 0) & _CHANGES)
            if isinstance(path, int) or changes is self._fault.reading:
                return
        elif event not in _STEPS or self._fault.reading:
            return
        else:
            path = args[0]
        self._busy = True
        try:
            whole = str(Path.cwd() / os.fsdecode(path))
            if whole.startswith(self._folder) and self._fault.within in whole:
                self.step(event, whole)
        finally:
            self._busy = False

    def step(self, event: str, path: str) -> None:
        """One step is about to be done."""
        at, self.count = self.count, self.count + 1
        self._note(self.count, f"{event} {path.removeprefix(self._folder)}")
        fault = self._fault
        if fault.what in _FULL and event in _REMOVALS:
            return
        if fault.step is None or not (at == fault.step or (fault.lasting and at > fault.step)):
            return
        if fault.what == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(60)
        elif fault.what in ("gone", "file"):
            shutil.rmtree(fault.target, ignore_errors=True)
            if fault.what == "file":
                Path(fault.target).write_text("somebody's", encoding="utf-8")
        elif fault.what == "clock":
            now = time.time
            time.time = lambda: now() + fault.jump_s
        elif fault.what == "memory":
            raise MemoryError
        else:
            number = getattr(errno, fault.what)
            raise OSError(number, os.strerror(number), path)


def _child(order: Mapping[str, Any], files: Sequence[str]) -> None:
    """What the fork does: become `avaffect`."""
    os.setsid()
    for number, file in zip((1, 2), files, strict=False):
        if number == 1 and order["stdout"] == "closed":
            read, write = os.pipe()
            os.close(read)
            os.dup2(write, 1)
            continue
        file = order["stdout"] if number == 1 and order["stdout"] else file
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(handle, number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(order["folder"])
    os.environ.update(order["settings"])
    fault = Fault(**order["fault"])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    progress = os.open(files[2], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)

    def note(count: int, text: str) -> None:
        os.pwrite(progress, f"{count} {text}\n".encode()[:500].ljust(500), 0)

    steps = Steps(f"{order['folder'].rstrip('/')}/", fault, note)
    # What a sync is for shows only when the power fails, and each takes milliseconds.
    os.fsync = lambda fd: steps.step("fsync", str(Path(f"/proc/self/fd/{fd}").readlink()))
    os.sync = lambda: steps.step("sync", "")
    if fault.bytes is not None or fault.file_bytes is not None:
        if fault.bytes is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        most = fault.bytes if fault.bytes is not None else fault.file_bytes
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    if fault.memory_bytes is not None:
        pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0])
        most = pages * os.sysconf("SC_PAGE_SIZE") + fault.memory_bytes
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    sys.addaudithook(steps.hook)
    sys.argv = ["avaffect", *order["words"]]
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    from avaffect.cli.main import main

    main()


def _run(order: Mapping[str, Any]) -> dict[str, Any]:
    scratch = Path(_scratch)
    files = [str(scratch / name) for name in ("out", "err", "steps")]
    for file in files:
        Path(file).write_bytes(b"")
    begun = time.monotonic()
    child = os.fork()
    if not child:
        code = 70
        try:
            _child(order, files)
        except SystemExit as ended:
            code = int(ended.code or 0)
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            with suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)
    after = order["fault"]["after_s"]
    watched = os.pidfd_open(child)
    if not select.select([watched], [], [], _LIMIT_S if after is None else after)[0]:
        os.kill(child, signal.SIGKILL)
    os.close(watched)
    _, status = os.waitpid(child, 0)
    noted = Path(files[2]).read_bytes().decode(errors="replace").strip()
    count, _, last = noted.partition(" ")
    return {
        "code": os.waitstatus_to_exitcode(status),
        "out": Path(files[0]).read_text(encoding="utf-8", errors="replace"),
        "err": Path(files[1]).read_text(encoding="utf-8", errors="replace"),
        "steps": int(count or 0),
        "last": last,
        "seconds": time.monotonic() - begun,
    }


def _own_mounts(libc: Any) -> bool:
    """Whether this process now has mounts of its own."""
    if libc.unshare(_NEW_MOUNTS):
        return False
    return not libc.mount(b"none", b"/", None, _PRIVATE | _RECURSIVE, None)


def _import_all() -> None:
    import avaffect
    import avaffect.cli

    for package in (avaffect, avaffect.cli):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                with suppress(ImportError):
                    importlib.import_module(module.name)
    for name in ("ai_edge_litert.interpreter", "av", "cv2", "matplotlib.figure", "onnxruntime",
                 "pyarrow.parquet", "safetensors.torch", "torch",
                 "matplotlib.backends.backend_agg", "jinja2", "pydantic", "yaml"):  # fmt: skip
        with suppress(ImportError):
            importlib.import_module(name)


def serve() -> None:
    """Take orders until there are no more."""
    libc = ctypes.CDLL(None, use_errno=True)
    mounts = _own_mounts(libc)
    _import_all()
    answer = {"mounts": mounts}
    print(json.dumps(answer), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        if "mount" in order:
            flags = _REMOUNT if order["more"] else 0
            place, size = order["mount"].encode(), order["size"].encode()
            failed = libc.mount(b"tmpfs", place, b"tmpfs", flags, size)
            done = {"error": ctypes.get_errno() if failed else 0}
        elif "unmount" in order:
            done = {"error": libc.umount2(order["unmount"].encode(), _DETACH)}
        else:
            done = _run(order)
        print(json.dumps(done), flush=True)


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory(prefix="avaffect-faults-") as _scratch:
        serve()
