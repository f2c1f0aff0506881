"""What is not installed with the core: who may import it, and what is said where it is missing."""

from __future__ import annotations

import ast
import configparser
import json
import re
import sys
from pathlib import Path

import pytest
from fixtures.hidden import OPTIONAL, core_files, module_names, run_without

import avaffect
from avaffect import errors
from avaffect.doctor import checks
from avaffect.errors import MissingPackageError, boundary, explained, need
from avaffect.extras import EXTRAS, extra_of, is_installed

ROOT = Path(__file__).parents[1]


def settings() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def modules_of(text: str) -> set[str]:
    """The modules of requirements, a line each."""
    names = re.findall(r"^([\w.-]+)", text.strip(), re.MULTILINE)
    return {checks._MODULES.get(name.lower(), name.replace("-", "_").lower()) for name in names}


def imports_at_the_top(path: Path) -> set[str]:
    """Optional packages that are imported when the module itself is."""
    found: set[str] = set()
    waiting: list[ast.AST] = list(ast.parse(path.read_text(encoding="utf-8")).body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add((node.module or "").partition(".")[0])
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting += node.orelse
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            waiting += ast.iter_child_nodes(node)
    return found & {*OPTIONAL}


def test_the_table_is_what_setup_says() -> None:
    listed = settings()["options.extras_require"]
    core = modules_of(settings()["options"]["install_requires"])
    for name, extra in EXTRAS.items():
        assert modules_of(listed[name]) - core == {*extra.modules}, name
    whole = re.findall(r"avaffect\[(.*)\]", listed["all"])[0]
    assert {part.strip() for part in whole.split(",")} == {*EXTRAS}
    assert not core & {*OPTIONAL}
    assert "avaffect[all]" in listed["dev"]


@pytest.mark.no_cover
def test_no_module_of_the_core_imports_a_package_of_an_extra() -> None:
    found = {path.name: names for path in core_files() if (names := imports_at_the_top(path))}
    assert found == {}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import torch.nn", {"torch"}),
        ("try:\n    import pandas\nexcept ImportError:\n    pass", {"pandas"}),
        ("class A:\n    from scipy import fft", {"scipy"}),
        ("if TYPE_CHECKING:\n    import torch\nelse:\n    import onnx", {"onnx"}),
        ("def f():\n    import torch", set()),
        ("import numpy\nfrom .torch import x", set()),
    ],
)
def test_a_planted_import_is_found(source: str, found: set[str], tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(source, encoding="utf-8")
    assert imports_at_the_top(tmp_path / "a.py") == found


def test_the_core_is_imported_without_them() -> None:
    code = (
        "from importlib import import_module\n"
        "for name in sys.argv[1:]: import_module(name)\n"
        f"print(sorted(set(sys.modules) & {set(OPTIONAL)!r}))"
    )
    assert run_without(code, *module_names(core_files())).strip() == "[]"


COMMANDS = {
    ("train", "--data", "nowhere"): "train",
    ("export", "nowhere"): "train",
    ("ensemble", "--data", "nowhere"): "train",
    ("plot", "nowhere", "-o", "a.png"): "plot",
    ("preprocess", "nowhere.mp4", "--engine", "ray"): "ray",
    ("render", "nowhere.mp4", "nowhere", "-o", "a.mp4"): "plot",
}


def test_each_command_says_what_it_lacks() -> None:
    code = """
import contextlib, io, json
from avaffect.cli.main import main
said = []
for given in json.loads(sys.argv[1]):
    sys.argv = ["avaffect", *given]
    with contextlib.redirect_stderr(io.StringIO()) as err, contextlib.suppress(SystemExit):
        main()
    said.append(err.getvalue())
print(json.dumps(said))
"""
    said = json.loads(run_without(code, json.dumps(list(COMMANDS))).splitlines()[-1])
    for (command, *_), extra, text in zip(COMMANDS, COMMANDS.values(), said, strict=True):
        assert text.count("\n") == 1, (command, text)
        assert "which is not installed" in text
        assert f"pip install 'avaffect[{extra}]'" in text, command


def test_the_functions_of_the_package_say_it_too() -> None:
    code = """
import avaffect
for name in ("train", "export"):
    try:
        getattr(avaffect, name)
    except avaffect.AvaffectError as error:
        print(error)
from avaffect.networks.embed import load_backbone
try:
    load_backbone("resnet50")
except avaffect.AvaffectError as error:
    print(error)
"""
    lines = run_without(code).splitlines()
    assert len(lines) == 3
    assert all("torch, which is not installed: run `pip install" in line for line in lines)


def test_a_result_as_a_data_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errors, "is_installed", lambda module: module != "pandas")
    from avaffect.predicting.run import Result

    result = Result.__new__(Result)
    with pytest.raises(MissingPackageError, match=r"avaffect\[pandas\]"):
        result.to_frame()


def test_what_is_missing_is_one_line() -> None:
    error = ModuleNotFoundError("No module named 'torch.nn'", name="torch.nn")
    ours = explained(error)
    assert isinstance(ours, MissingPackageError)
    assert (ours.module, ours.extra, ours.exit_code) == ("torch", "train", 1)
    # What is none of ours stays what it is: a fault.
    assert explained(ModuleNotFoundError("x", name="nobody_knows")) is None
    assert explained(ModuleNotFoundError("x")) is None
    with pytest.raises(MissingPackageError), boundary():
        raise error


def test_need(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errors, "is_installed", lambda module: module == "torch")
    need("train", "torch")
    with pytest.raises(MissingPackageError, match="a dance needs scipy"):
        need("plot", "scipy", purpose="a dance")
    with pytest.raises(MissingPackageError, match="drawn video needs matplotlib"):
        need("plot")


def test_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_installed("json")
    assert not is_installed("no_such_module_at_all")
    monkeypatch.setitem(sys.modules, "odd", object())
    assert is_installed("odd")
    monkeypatch.setitem(sys.modules, "odd", None)
    assert not is_installed("odd")


def test_the_extra_of_a_module() -> None:
    assert [extra_of(name) for name in ("torch.nn.functional", "pandas", "numpy", "")] == [
        "train",
        "pandas",
        None,
        None,
    ]


def test_the_package_still_has_no_such_name() -> None:
    with pytest.raises(AttributeError):
        _ = avaffect.nothing_of_that_kind
