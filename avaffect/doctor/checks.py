"""Whether all that avaffect needs is here and works: Python, packages, ffmpeg, weights, disk.

Nothing but Python's own modules is imported here: this must work where anything else is broken.
What may break is tried in a process of its own. Nothing is fetched, and no host is reached.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from avaffect.extras import EXTRAS, version_of

State = Literal["ok", "note", "fault"]

# Packages whose modules have another name.
_MODULES = {
    "ffmpeg-python": "ffmpeg",
    "opencv-python": "cv2",
    "opencv-python-headless": "cv2",
    "pillow": "PIL",
    "pyyaml": "yaml",
}
_OLDEST = (3, 11)
_PATIENCE_S = 300.0
_GIGABYTE = 1e9
_LITTLE_GB, _TOO_LITTLE_GB = 5.0, 0.5
_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)\s*(\[[^]]*\])?\s*([^;]*)")
_EXTRA = re.compile(r"""extra\s*==\s*['"]([^'"]+)""")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        what: what, in a word or two.
        state: ``ok``; ``note``, which may matter to some; ``fault``, which something will fail of.
        found: how it is.
        advice: what to do about it; empty where nothing is to be done.
    """

    what: str
    state: State
    found: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Requirement:
    """A package that avaffect asks for.

    Attributes:
        name: the package's.
        versions: which will do, such as ``>=14.1,<20``.
        extra: the extra that it belongs to; empty for what everybody needs.
    """

    name: str
    versions: str
    extra: str


def check(on_finding: Callable[[Finding], None] = lambda _: None) -> tuple[Finding, ...]:
    """Look at everything; half a minute, most of it the imports and the self-test.

    Args:
        on_finding: called with each finding as soon as it is made.

    Returns:
        all of them, in a fixed order. Whatever is broken becomes one, nothing is raised.
    """
    found: list[Finding] = []
    for name, look in CHECKS.items():
        try:
            for finding in look():
                found.append(finding)
                on_finding(finding)
        except Exception as error:  # the doctor does not fall ill
            text = f"{type(error).__name__}: {' '.join(str(error).split())}"
            failed = Finding(name, "fault", f"could not be looked at ({text})", _REINSTALL)
            found.append(failed)
            on_finding(failed)
    return tuple(found)


_REINSTALL = "install avaffect again, into a new environment"


def check_python() -> Iterator[Finding]:
    """Python and avaffect itself."""
    version = platform.python_version()
    if sys.version_info[:2] < _OLDEST:
        wanted = ".".join(map(str, _OLDEST))
        yield Finding("python", "fault", version, f"use Python {wanted} or newer")
    else:
        yield Finding("python", "ok", f"{version}, {sys.executable}")
    try:
        yield Finding("avaffect", "ok", f"{metadata.version('avaffect')}, {_package_folder()}")
    except metadata.PackageNotFoundError:
        yield Finding("avaffect", "fault", "is here but was not installed", "run `pip install .`")


def check_packages() -> Iterator[Finding]:
    """What avaffect requires: whether it is there, in a version that will do, and can be used."""
    wanted = requirements()
    needed = [each for each in wanted if not each.extra]
    modules = {each.name: _module(each.name) for each in needed}
    problems = imported(tuple(modules.values()))
    for each in needed:
        version = version_of(each.name)
        problem = problems[modules[each.name]]
        install = f"run `pip install '{each.name}{each.versions}'`"
        if version is None:
            yield Finding(each.name, "fault", "is not installed", install)
        elif not fits(version, each.versions):
            yield Finding(each.name, "fault", f"{version}, wanted is {each.versions}", install)
        elif problem:
            # A twin that lies over it may want libGL, which not every machine has.
            again = f"let pip uninstall {each.name} and install it again"
            yield Finding(each.name, "fault", f"{version} cannot be used ({problem})", again)
        else:
            yield Finding(each.name, "ok", version)
    for extra in sorted({each.extra for each in wanted} - {""}):
        lacking = [e.name for e in wanted if e.extra == extra and version_of(e.name) is None]
        if lacking and extra in EXTRAS:
            found = f"lacks {', '.join(lacking)}: what needs it is {EXTRAS[extra].purpose}"
            advice = f"run `pip install 'avaffect[{extra}]'` if you want it"
            yield Finding(f"extra {extra}", "note", found.rstrip(","), advice)
        elif lacking:
            found, advice = f"lacks {', '.join(lacking)}", f"run `pip install 'avaffect[{extra}]'`"
            yield Finding(f"extra {extra}", "note", found, f"{advice} if you want it")
        else:
            yield Finding(f"extra {extra}", "ok", "all installed")


def check_ffmpeg() -> Iterator[Finding]:
    """The program that reads sound where the user names one; PyAV does without."""
    from avaffect.media.ffmpeg import ffmpeg_binary, own_program

    if not own_program():
        yield Finding("ffmpeg", "ok", "none is needed: PyAV brings FFmpeg's libraries")
        return
    advice = "let IMAGEIO_FFMPEG_EXE name an ffmpeg that runs, or unset it"
    try:
        binary = ffmpeg_binary()
        done = subprocess.run([binary, "-version"], capture_output=True, timeout=30, check=True)
    except Exception as error:  # none, or one that does not run
        yield Finding("ffmpeg", "fault", " ".join(str(error).split()), advice)
        return
    first = done.stdout.decode(errors="replace").partition("\n")[0]
    yield Finding("ffmpeg", "ok", f"{' '.join(first.split()[:3])}, {binary}")


def check_cuda() -> Iterator[Finding]:
    """The GPU, if there is one."""
    from avaffect.models.device import has_nvidia_driver

    if not has_nvidia_driver():
        yield Finding("cuda", "ok", "no NVIDIA driver: nets run on the processor")
        return
    code = (
        "import sys; from avaffect.models.device import choose_device; "
        "sys.stdout.write(choose_device('cuda').description)"
    )
    done = _run([sys.executable, "-c", code])
    if done.returncode == 0:
        yield Finding("cuda", "ok", done.stdout)
        return
    why = (done.stderr.strip().splitlines() or ["torch ended"])[-1]
    yield Finding("cuda", "note", why, "nets run on the processor; install torch for your driver")


def check_weights() -> Iterator[Finding]:
    """The weights of the nets: there, and what they should be."""
    from avaffect.models import cache
    from avaffect.models.fetch import is_offline
    from avaffect.models.zoo import DEFAULT_MODELS, ZOO

    for name, model in ZOO.items():
        state, problem = cache.state(model)
        what = f"weights {name}"
        if state is cache.CacheState.DAMAGED:
            advice = f"run `avaffect models fetch {name}`" if not model.packaged else _REINSTALL
            yield Finding(what, "fault", f"'{cache.place(model)}' {problem}", advice)
        elif state is not cache.CacheState.ABSENT:
            yield Finding(what, "ok", f"{state.value}, {model.check} verified")
        elif name in DEFAULT_MODELS:
            found = f"not in '{cache.cache_folder()}' yet, fetched when first used"
            advice = "run `avaffect models fetch` while there is a network"
            yield Finding(what, "fault" if is_offline() else "note", found, advice)


def check_disk() -> Iterator[Finding]:
    """Room, where things are written."""
    from avaffect.models.cache import cache_folder

    places: dict[str, Path] = {
        "here": Path.cwd(),
        "cache": cache_folder(),
        "temporary": Path(tempfile.gettempdir()),
    }
    for name, folder in places.items():
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        free = shutil.disk_usage(folder).free / _GIGABYTE
        found = f"{free:.1f} GB free in '{folder}'"
        what = f"disk {name}"
        if not os.access(folder, os.W_OK):
            advice = "write results elsewhere; AVAFFECT_CACHE names another folder for weights"
            yield Finding(what, "note", f"{found}, which you may not write to", advice)
        elif free < _LITTLE_GB:
            state: State = "fault" if free < _TOO_LITTLE_GB else "note"
            yield Finding(what, state, found, "free some space: a long video takes a few GB")
        else:
            yield Finding(what, "ok", found)


def check_selftest() -> Iterator[Finding]:
    """A drawn clip of one second, predicted."""
    from avaffect.models import cache
    from avaffect.models.zoo import find_model

    needed = ("blazeface-full", "face-landmarker", "silero-vad", "starter-2-face")
    absent = [n for n in needed if cache.state(find_model(n))[0] is cache.CacheState.ABSENT]
    if absent:
        found = f"left out: {', '.join(absent)} is not here yet"
        yield Finding("self-test", "note", found, "run `avaffect models fetch`, then this again")
        return
    done = _run([sys.executable, "-m", "avaffect.doctor.selftest"])
    word, _, text = (done.stdout.strip().splitlines() or [""])[-1].partition(" ")
    if word == "ok":
        yield Finding("self-test", "ok", text)
        return
    why = text or (done.stderr.strip().splitlines() or [f"ended with {done.returncode}"])[-1]
    yield Finding("self-test", "fault", why, "mend the faults above first; else report it")


CHECKS: dict[str, Callable[[], Iterator[Finding]]] = {
    "python": check_python,
    "packages": check_packages,
    "ffmpeg": check_ffmpeg,
    "cuda": check_cuda,
    "weights": check_weights,
    "disk": check_disk,
    "self-test": check_selftest,
}


def requirements() -> list[Requirement]:
    """What the installed avaffect asks for, in its order."""
    found = []
    for line in metadata.requires("avaffect") or ():
        extra = _EXTRA.search(line)
        # An extra that stands for several others asks for avaffect itself.
        if (named := _REQUIREMENT.match(line)) is not None and named[1].lower() != "avaffect":
            versions = named[3].replace(" ", "").strip("()")
            found.append(Requirement(named[1].lower(), versions, extra[1] if extra else ""))
    return found


def fits(version: str, wanted: str) -> bool:
    """Whether ``version`` is one of ``wanted``, such as ``>=14.1,<20``; what is odd fits."""
    have = _numbers(version)
    for part in filter(None, wanted.split(",")):
        sign = re.match(r"(>=|<=|==|!=|<|>)(.*)", part)
        if sign is None:
            continue
        want = _numbers(sign[2])
        length = max(len(have), len(want))
        left, right = (each + (0,) * (length - len(each)) for each in (have, want))
        if not {
            ">=": left >= right, "<=": left <= right, "==": left == right,
            "!=": left != right, "<": left < right, ">": left > right,
        }[sign[1]]:  # fmt: skip
            return False
    return True


def imported(modules: Sequence[str]) -> dict[str, str]:
    """By module, why it cannot be imported; empty where it can."""
    problems = dict.fromkeys(modules, "")
    left = list(modules)
    while left:
        done = _run([sys.executable, "-m", "avaffect.doctor.imports", *left])
        trying = ""
        for line in done.stdout.splitlines():
            try:
                fact = json.loads(line)
            except ValueError:  # a package that prints
                continue
            if not isinstance(fact, dict):
                continue
            trying = fact.get("trying", trying)
            if fact.get("tried") in left:
                problems[fact["tried"]] = fact["problem"]
                left.remove(fact["tried"])
                trying = ""
        if left:
            # It took the process along; the others are tried without it.
            broken = trying or left[0]
            problems[broken] = f"its import ended Python with {done.returncode}"
            left.remove(broken)
    return problems


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run it without a network, as far as avaffect is asked for one."""
    environment = {**os.environ, "AVAFFECT_OFFLINE": "1", "PYTHONIOENCODING": "utf-8"}
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE_S,
            env=environment,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, -1, "", f"no end within {_PATIENCE_S:.0f} s")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.partition("+")[0]))


def _module(package: str) -> str:
    return _MODULES.get(package, package.replace("-", "_"))


def _package_folder() -> Path:
    return Path(__file__).parents[1]
