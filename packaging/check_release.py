"""Build what goes to the package index into dist/, and try it outside the checkout.

    python packaging/check_release.py [--tag vX.Y.Z] [--packages FOLDER]

Both distributions are built afresh, and the wheel is the one that is built out of the source
distribution. The wheel is installed into an environment of its own and used in an empty folder.
With --packages FOLDER (the site-packages of an environment that has avaffect's dependencies), that
needs no network; else pip fetches them.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import time
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
VIDEO = ROOT / "sample_media/one_person.mp4"
# Beside the package itself, what is needed to make it again and to know what it is.
IN_SOURCE = {"setup.cfg", "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "PKG-INFO"}
# The index takes 100 MB; a user waits for every one of them.
MOST_BYTES = 20 << 20


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--tag", help="the tag that is released, which must be the version's")
    parser.add_argument("--packages", type=Path, help="where the dependencies are installed")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wheel, source = build(folder)
        check_names(wheel, source, arguments.tag)
        check_wheel(wheel)
        check_source(source)
        try_wheel(wheel, folder, arguments.packages)


def run(*command: object, cwd: Path = ROOT, path: Path | None = None) -> str:
    """What a command prints, in an environment without a trace of this checkout's."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_"))}
    if path is not None:
        environment["PYTHONPATH"] = str(path)
    done = subprocess.run(
        [*map(str, command)], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def python_of(environment: Path) -> Path:
    return environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def build(folder: Path) -> tuple[Path, Path]:
    """The wheel and the source distribution, in dist/."""
    tools = folder / "tools"
    venv.create(tools, with_pip=True)
    run(python_of(tools), "-m", "pip", "install", "--quiet", "build", "twine")
    dist = ROOT / "dist"
    for old in dist.glob("avaffect-*"):
        old.unlink()
    run(python_of(tools), "-m", "build", "--outdir", dist, ROOT)
    (wheel,), (source,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
    print(run(python_of(tools), "-m", "twine", "check", "--strict", wheel, source).strip())
    return wheel, source


def check_names(wheel: Path, source: Path, tag: str | None) -> None:
    """Wheel, source distribution, tag and CITATION.cff have the version of avaffect/version.py."""
    version = re.findall(r'__version__ = "(.+)"', (ROOT / "avaffect/version.py").read_text())[0]
    cited = re.findall(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text("utf-8"), re.M)
    require([version] == cited, f"CITATION.cff says {cited}, not {version}")
    require(tag in (None, f"v{version}"), f"the tag is {tag}, the version {version}")
    require(wheel.name == f"avaffect-{version}-py3-none-any.whl", wheel.name)
    require(source.name == f"avaffect-{version}.tar.gz", source.name)


def check_wheel(wheel: Path) -> None:
    """The wheel holds every file of the package in git, and nothing else."""
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    wanted = {name for name in map(installed_as, run("git", "ls-files").splitlines()) if name}
    require(held == wanted, f"missing {wanted - held}, too many {held - wanted}")
    size = wheel.stat().st_size
    require(size < MOST_BYTES, f"{size / 1e6:.1f} MB")
    print(f"{wheel.name}: {size / 1e6:.1f} MB, {len(held)} files")


def installed_as(name: str) -> str | None:
    """Where a file of the checkout is installed; None if it is not."""
    if name.startswith("avaffect/"):
        return name
    if name.startswith("cli/"):
        return f"avaffect/{name}"
    card = re.fullmatch(r"docs/models/([\w.-]+\.md|__init__\.py)", name)
    return f"avaffect/models/cards/{card[1]}" if card else None


def check_source(source: Path) -> None:
    """The source distribution has what it needs, and no tests, of which it would have a part."""
    with tarfile.open(source) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    require(names >= IN_SOURCE, f"missing {IN_SOURCE - names}")
    foreign = [name for name in names if name.startswith(("tests", "sample_media", ".venv"))]
    require(not foreign, f"too many {foreign[:5]}")
    print(f"{source.name}: {source.stat().st_size / 1e6:.1f} MB, {len(names)} files")


def try_wheel(wheel: Path, folder: Path, packages: Path | None) -> None:
    """Install the wheel, and predict a sample in an empty folder."""
    begun = time.monotonic()
    environment, place = folder / "fresh", folder / "empty"
    place.mkdir()
    venv.create(environment, with_pip=True)
    python = python_of(environment)
    offline = ("--no-index", "--no-deps") if packages else ()
    run(python, "-m", "pip", "install", "--quiet", "--no-compile", *offline, wheel)
    megabytes = sum(p.stat().st_size for p in environment.rglob("*") if p.is_file()) / 1e6
    print(f"installed in {time.monotonic() - begun:.0f} s, {megabytes:.0f} MB")
    home = run(python, "-c", "import avaffect; print(avaffect.__file__)", cwd=place).strip()
    require(Path(home).is_relative_to(environment), f"avaffect is that of {home}")
    # The installed program: its folder comes before PYTHONPATH's packages only if it is not there.
    avaffect = python.with_name("avaffect.exe" if os.name == "nt" else "avaffect")
    for words in (
        ("--help",),
        ("--version",),
        ("models", "list"),
        ("models", "card"),
        ("recipes", "list"),
        ("predict", VIDEO, "--task", "all", "-o", "out", "--quiet"),
    ):
        run(avaffect, *words, cwd=place, path=packages)
    made = sorted(path.name for path in (place / "out").iterdir())
    require("report.html" in made, str(made))
    print(f"predicted a sample outside the checkout: {', '.join(made)}")


def require(right: bool, problem: str) -> None:
    if not right:
        sys.exit(f"not ready to be released: {problem}")


if __name__ == "__main__":
    main()
