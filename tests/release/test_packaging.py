"""What is built of a checkout: distributions, images, a recipe; the licences of what they need.

Building takes minutes and the network: `make release-check` does it. Here is what can be known
without.
"""

from __future__ import annotations

import configparser
import re
import runpy
import subprocess
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from avaffect.version import __version__

ROOT = Path(__file__).parents[2]
IMAGES = sorted((ROOT / "packaging/docker").glob("*.Dockerfile"))
# What conda-forge calls them.
CONDA = {"opencv-python-headless": "py-opencv", "soundfile": "pysoundfile"}
# It has none of these.
NOT_IN_CONDA = {"ai-edge-litert"}


def setup() -> configparser.ConfigParser:
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg", encoding="utf-8")
    return settings


def requirements(text: str) -> list[Requirement]:
    return [Requirement(line) for line in text.split("\n") if line.strip()]


def core() -> list[Requirement]:
    return requirements(setup()["options"]["install_requires"])


@pytest.fixture(scope="module")
def release() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "packaging/check_release.py"))


def test_every_file_of_the_package_is_installed(release: dict[str, Any]) -> None:
    """One that no pattern of setup.cfg names would be missing in the wheel, and only there."""
    done = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip("not a git checkout")
    patterns = {
        f"{package.replace('.', '/')}/{pattern}"
        for package, listed in setup()["options.package_data"].items()
        for pattern in listed.split()
    }
    installed = [name for name in map(release["installed_as"], done.stdout.splitlines()) if name]
    assert len(installed) > 300
    others = [name for name in installed if not name.endswith(".py")]
    assert "avaffect/models/cards/starter-2.md" in others
    assert [name for name in others if not any(fnmatch(name, each) for each in patterns)] == []


@pytest.mark.parametrize(
    ("name", "installed"),
    [
        ("avaffect/py.typed", "avaffect/py.typed"),
        ("cli/main.py", "avaffect/cli/main.py"),
        ("docs/models/starter-2.md", "avaffect/models/cards/starter-2.md"),
        ("docs/models/starter-1-video.png", None),
        ("docs/install.md", None),
        ("tests/conftest.py", None),
    ],
)
def test_where_files_go(release: dict[str, Any], name: str, installed: str | None) -> None:
    assert release["installed_as"](name) == installed


def test_the_version_stands_in_one_place() -> None:
    assert setup()["metadata"]["version"] == "attr: avaffect.version.__version__"
    for path in [*ROOT.glob("packaging/**/*"), *ROOT.glob(".github/**/*"), ROOT / "setup.cfg"]:
        if path.is_file() and "__pycache__" not in path.parts:
            assert f'"{__version__}"' not in path.read_text("utf-8"), path
    # The recipe reads it.
    recipe = (ROOT / "packaging/conda/meta.yaml").read_text("utf-8")
    found = re.search(r'load_file="([^"]+)", regex_pattern=\'([^\']+)\'', recipe)
    assert found is not None
    source = (ROOT / "packaging/conda" / found[1]).resolve().read_text("utf-8")
    read = re.search(found[2], source)
    assert read is not None
    assert read[1] == __version__


def test_upper_bounds_have_a_reason() -> None:
    """What is not broken yet is not excluded: the weekly workflow tells when it breaks."""
    assert [each.name for each in core() if "<" in str(each.specifier)] == []
    bounded = {
        each.name
        for text in setup()["options.extras_require"].values()
        for each in requirements(text)
        if "<" in str(each.specifier)
    }
    assert bounded == {"mkdocs"}
    assert "mkdocs 2 has no plugins" in (ROOT / "setup.cfg").read_text("utf-8")


def test_the_oldest_versions_are_those_of_setup() -> None:
    lines = runpy.run_path(str(ROOT / "packaging/oldest.py"))["oldest"]()
    assert [Requirement(line).name for line in lines] == [each.name for each in core()]
    assert "numpy == 1.26.*" in lines
    assert "av == 14.1.*" in lines


def test_conda_needs_what_setup_needs() -> None:
    text = (ROOT / "packaging/conda/meta.yaml").read_text("utf-8")
    plain = "\n".join(line for line in text.split("\n") if not line.startswith("{%"))
    recipe = yaml.safe_load(re.sub(r"{{.*?}}", "x", plain))
    wanted = {
        f"{CONDA.get(each.name, canonicalize_name(each.name))} {each.specifier}"
        for each in core()
        if each.name not in NOT_IN_CONDA
    }
    assert set(recipe["requirements"]["run"]) == wanted | {"python >=3.11"}
    for name in NOT_IN_CONDA:
        assert name in text


@pytest.mark.parametrize("path", IMAGES, ids=lambda path: path.stem)
def test_images_keep_hadolint_s_rules(path: Path) -> None:
    text = path.read_text("utf-8").replace("\\\n", " ")
    steps = [line.split(maxsplit=1) for line in text.split("\n") if line and line[0] != "#"]
    bases = [words.split()[0] for step, words in steps if step == "FROM"]
    # DL3006, DL3007: a tag, and not the newest.
    assert all(re.fullmatch(r"[\w./-]+:\d[\w.-]+", base) for base in bases), bases
    last = steps[[step for step, _ in steps].index("FROM", 1) :]
    # DL3002: the last user is not root. DL3025: lists, no shell.
    assert [words for step, words in last if step == "USER"] == ["avaffect"]
    assert [words[0] for step, words in last if step in ("ENTRYPOINT", "CMD")] == ["[", "["]
    # DL3020, DL3004; DL3000: absolute folders.
    assert not {"ADD", "MAINTAINER"} & {step for step, _ in steps}
    assert "sudo" not in text
    assert all(words.startswith("/") for step, words in steps if step == "WORKDIR")
    for step, words in steps:
        if step == "RUN" and "pip install" in words:
            assert "--no-cache-dir" in words, words  # DL3042
            assert "--constraint constraints.txt" in words, words  # DL3013
    # Where pip and the sources are is not what is shipped.
    assert not any(step == "RUN" and "pip" in words for step, words in last)


def test_images_get_what_they_build_from() -> None:
    lines = (ROOT / ".dockerignore").read_text("utf-8").split("\n")
    assert "*" in lines
    taken = {line[1:] for line in lines if line.startswith("!")}
    assert taken >= {"avaffect", "cli", "docs/models", "setup.cfg", "pyproject.toml", "README.md"}
    assert all((ROOT / name).exists() for name in taken)


def test_the_licence_of_everything_needed_is_told() -> None:
    page = (ROOT / "docs/licences.md").read_text("utf-8")
    told = set(re.findall(r"^\| ([\w.-]+) \|", page, re.MULTILINE))
    script = runpy.run_path(str(ROOT / "packaging/licences.py"))
    extras = setup()["options.extras_require"]
    named = [
        *core(),
        *(each for extra in script["EXTRAS"] for each in requirements(extras[extra])),
    ]
    assert {str(canonicalize_name(each.name)) for each in named} <= told
    everything = next(iter(requirements(extras["all"])))
    assert everything.extras == set(script["EXTRAS"])
    assert "not stated" not in page
    for word in ("x264 and x265", "a GPL build", "proprietary"):
        assert word in page


def test_licences_are_read_from_metadata() -> None:
    script = runpy.run_path(str(ROOT / "packaging/licences.py"))
    rows = script["rows"]()
    assert any(row.startswith("| pydantic |") and "| MIT | always |" in row for row in rows)
    page = "# A\n\n## Packages\n\nMade so.\n\n| old |\n|---|\n"
    made = script["with_rows"](page)
    assert made.startswith("# A\n\n## Packages\n\nMade so.\n\n| package | version |")
    assert "| old |" not in made
    assert script["with_rows"](made) == made
