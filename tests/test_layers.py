"""Who may import whom: docs/design.md says it, this test holds everyone to it."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.no_cover


def read_layers(text: str) -> dict[str, int]:
    """Name of each folder or module and its place in the numbered list of the design page."""
    section = text.split("## Who may import whom")[1].split("\n## ")[0]
    layers = {}
    for number, line in re.findall(r"^(\d+)\. (.+)$", section, re.MULTILINE):
        # What follows a bracket or a colon explains and names no further member.
        for name in re.findall(r"`(\w+)`", re.split(r"[(:]", line)[0]):
            layers[name] = int(number)
    return layers


def module_name(path: Path, root: Path) -> str:
    """The dotted name a file is installed under; `cli/` is installed as `avaffect.cli`."""
    parts = path.relative_to(root).with_suffix("").parts
    if parts[0] == "cli":
        parts = ("avaffect", *parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path, root: Path) -> list[tuple[int, str]]:
    """(line, dotted name) of all imports of a file, also those inside functions."""
    package = path.parent
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                folder = package
                for _ in range(node.level - 1):
                    folder = folder.parent
                base = ".".join(filter(None, (module_name(folder / "__init__.py", root), base)))
            # `from avaffect import files` names a folder only in its second half.
            found += [(node.lineno, f"{base}.{alias.name}") for alias in node.names]
    return found


def violations(root: Path, layers: dict[str, int]) -> list[str]:
    """One line for each import from below, and for each member that the list forgets."""
    problems = []
    for path in sorted([*root.glob("avaffect/**/*.py"), *root.glob("cli/**/*.py")]):
        parts = module_name(path, root).split(".")
        if parts in (["avaffect"], ["avaffect", "__main__"]):
            continue  # the package itself offers names of every layer
        own = parts[1]
        if own not in layers:
            problems.append(f"{path.relative_to(root)}: '{own}' is not in docs/design.md's list")
            continue
        for line, name in imported(path, root):
            target = name.split(".")
            if target[0] == "cli":
                target = ["avaffect", *target]
            if target[0] != "avaffect" or len(target) < 2 or target[1] == own:
                continue
            # What the package itself offers, such as `predict`, comes from the commands' folders.
            other = layers.get(target[1], layers["cli"] - 1)
            if other > layers[own] or (other == layers[own] and own not in FOUNDATION):
                problems.append(f"{path.relative_to(root)}:{line}: {own} imports {name}")
    return problems


def circles(root: Path) -> list[list[str]]:
    """Groups of modules that import each other, be it by way of others; lazy imports count too."""
    files = [*root.glob("avaffect/**/*.py"), *root.glob("cli/**/*.py")]
    modules = {module_name(path, root): path for path in files}
    edges = {}
    for name, path in modules.items():
        targets = {target for _, target in imported(path, root)}
        # `from a.b import c` names the module a.b, or a.b.c.
        either = {*targets, *(target.rpartition(".")[0] for target in targets)}
        edges[name] = sorted((either & modules.keys()) - {name, "avaffect"})
    reached = {name: reachable(name, edges) for name in edges}
    groups = {
        tuple(sorted({name, *(other for other in reached[name] if name in reached[other])}))
        for name in edges
        if name in reached[name]
    }
    return sorted(list(group) for group in groups)


def reachable(start: str, edges: dict[str, list[str]]) -> set[str]:
    """What can be come to from ``start`` by one step or more."""
    found: set[str] = set()
    ahead = list(edges[start])
    while ahead:
        name = ahead.pop()
        if name not in found:
            found.add(name)
            ahead += edges[name]
    return found


# The modules of the first line are single files that may know each other.
FOUNDATION = ("extras", "errors", "progress", "bars", "checked", "config", "version", "labels",
              "arrays", "moments", "interrupts", "processors")  # fmt: skip


def test_design_lists_every_folder() -> None:
    layers = read_layers((ROOT / "docs/design.md").read_text(encoding="utf-8"))
    folders = {path.parent.name for path in ROOT.glob("avaffect/*/__init__.py")}
    assert folders | {"cli", *FOUNDATION} == set(layers)
    assert layers["errors"] < layers["files"] < layers["challenge"] == layers["models"]
    assert layers["faces"] < layers["store"] < layers["predictions"] < layers["predicting"]


def test_nobody_imports_from_below() -> None:
    layers = read_layers((ROOT / "docs/design.md").read_text(encoding="utf-8"))
    assert violations(ROOT, layers) == []


def test_no_two_files_import_each_other() -> None:
    assert circles(ROOT) == []


def test_planted_circle_is_found(tmp_path: Path) -> None:
    (tmp_path / "avaffect/media").mkdir(parents=True)
    for name, source in {
        "a": "from avaffect.media.b import f",
        "b": "def f():\n    from avaffect.media import c",
        "c": "import avaffect.media.a",
        "d": "from avaffect.media.a import g",
    }.items():
        (tmp_path / f"avaffect/media/{name}.py").write_text(source)
    assert circles(tmp_path) == [[f"avaffect.media.{name}" for name in "abc"]]


@pytest.mark.parametrize(
    ("file", "source", "blamed"),
    [
        ("avaffect/media/frames.py", "from avaffect.faces.face import Face", "media imports"),
        (
            "avaffect/media/frames.py",
            "import avaffect.preprocessing.video_pass as a",
            "media imports",
        ),
        ("avaffect/media/frames.py", "from avaffect import store", "media imports"),
        ("avaffect/media/frames.py", "from ..store import keys", "media imports"),
        ("avaffect/media/frames.py", "def f():\n    from cli import main", "media imports"),
        ("avaffect/ensemble/x.py", "from avaffect.cli.main import main", "ensemble imports"),
        ("avaffect/errors.py", "import avaffect.files.atomic", "errors imports"),
        ("avaffect/extra/new.py", "", "'extra' is not in"),
        ("avaffect/media/frames.py", "from avaffect import nowhere", "media imports"),
    ],
)
def test_planted_violation_is_found(tmp_path: Path, file: str, source: str, blamed: str) -> None:
    layers = read_layers((ROOT / "docs/design.md").read_text(encoding="utf-8"))
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text(source)
    (problem,) = violations(tmp_path, layers)
    assert blamed in problem
    assert file in problem


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("avaffect/media/frames.py", "import av\nfrom avaffect.files.atomic import write_json"),
        ("avaffect/media/frames.py", "from .probe import probe\nfrom avaffect import errors"),
        ("cli/main.py", "from avaffect import predict"),
        ("cli/main.py", "def f():\n    from avaffect.predicting import run"),
        ("avaffect/config.py", "from avaffect.errors import UsageError"),
        ("avaffect/__init__.py", "from avaffect.predicting import run"),
    ],
)
def test_allowed_imports_pass(tmp_path: Path, file: str, source: str) -> None:
    layers = read_layers((ROOT / "docs/design.md").read_text(encoding="utf-8"))
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text(source)
    assert violations(tmp_path, layers) == []
