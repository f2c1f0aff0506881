"""Workflows, issue forms and hooks: what GitHub and pre-commit would refuse, or run unsafely."""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
FORMS = [
    path
    for path in sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml"))
    if path.name != "config.yml"
]
SYSTEMS = {"ubuntu", "macos", "windows"}


def load(path: Path) -> dict[Any, Any]:
    found = yaml.safe_load(path.read_text("utf-8"))
    assert isinstance(found, dict)
    return found


def jobs() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in WORKFLOWS:
        for name, job in load(path)["jobs"].items():
            yield f"{path.stem}.{name}", job


def versions() -> set[str]:
    """The versions of Python that setup.cfg names."""
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg", encoding="utf-8")
    return set(re.findall(r"Python :: (3\.\d+)", settings["metadata"]["classifiers"]))


def test_they_are_there() -> None:
    assert {path.stem for path in WORKFLOWS} == {"test", "newest", "release"}
    assert {path.stem for path in FORMS} == {"fault", "result", "wish"}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_may_do_little_and_not_for_long(path: Path) -> None:
    workflow = load(path)
    # YAML 1.1 reads the key `on` as true.
    assert {"name", True, "permissions", "concurrency", "jobs"} <= workflow.keys()
    assert workflow["permissions"] == {"contents": "read"}
    assert "group" in workflow["concurrency"]
    assert "pull_request_target" not in workflow[True]
    for name, job in workflow["jobs"].items():
        assert {"runs-on", "timeout-minutes", "steps"} <= job.keys(), name
        assert job["timeout-minutes"] <= 90, name
        needed = job.get("needs", [])
        needed = [needed] if isinstance(needed, str) else needed
        assert set(needed) <= workflow["jobs"].keys(), name


def test_only_what_publishes_may_write() -> None:
    may = {name: job["permissions"] for name, job in jobs() if "permissions" in job}
    assert may == {"release.publish": {"id-token": "write"}}
    publish = dict(jobs())["release.publish"]
    assert publish["environment"] == "pypi"
    # What has the right to publish runs nothing of the checkout's.
    assert all("run" not in step for step in publish["steps"])


@pytest.mark.parametrize(("name", "job"), [*jobs()], ids=lambda value: str(value)[:20])
def test_steps(name: str, job: dict[str, Any]) -> None:
    for step in job["steps"]:
        assert ("uses" in step) != ("run" in step), step
        if "uses" in step:
            assert re.fullmatch(r"[\w.-]+/[\w.-]+@v\d+(\.\d+){0,2}", step["uses"]), step
            if step["uses"].startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False
        else:
            # Text that strangers write (titles, names of branches) never becomes a command.
            allowed = {"github.workspace", "runner.temp"}
            assert set(re.findall(r"\${{\s*([\w.-]+)", step["run"])) <= allowed, step
            for target in re.findall(r"\bmake ([\w-]+)", step["run"]):
                makefile = (ROOT / "Makefile").read_text("utf-8")
                assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
            for script in re.findall(r"\bpython (\S+\.py)", step["run"]):
                assert (ROOT / script).is_file(), script


def test_all_systems_and_versions_are_tested() -> None:
    tested = dict(jobs())
    for name in ("test.core", "test.all"):
        matrix = tested[name]["strategy"]["matrix"]
        assert set(matrix["python"]) == versions() == {"3.11", "3.12", "3.13"}
        assert {system.partition("-")[0] for system in matrix["os"]} == SYSTEMS
        assert tested[name]["strategy"]["fail-fast"] is False


def test_once_a_week_with_the_newest() -> None:
    (when,) = load(ROOT / ".github/workflows/newest.yml")[True]["schedule"]
    minute, hour, day, month, weekday = when["cron"].split()
    assert minute.isdigit() and hour.isdigit() and weekday.isdigit()
    assert (day, month) == ("*", "*")
    steps = str(dict(jobs())["newest.newest"]["steps"])
    assert "--upgrade-strategy eager" in steps
    assert "constraints.txt" not in steps


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_forms_are_such_as_github_takes(path: Path) -> None:
    form = load(path)
    assert {"name", "description", "body"} <= form.keys()
    ids = []
    for part in form["body"]:
        assert part["type"] in {"markdown", "textarea", "input", "dropdown", "checkboxes"}
        if part["type"] == "markdown":
            assert part["attributes"].keys() == {"value"}
        else:
            assert part["attributes"]["label"]
            ids.append(part["id"])
    assert ids
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[\w-]+", each) for each in ids)


def test_security_has_its_page() -> None:
    assert load(ROOT / ".github/ISSUE_TEMPLATE/config.yml")["blank_issues_enabled"] is False
    text = (ROOT / ".github/SECURITY.md").read_text("utf-8")
    assert "Report a vulnerability" in text
    for target in re.findall(r"\]\((\.\./[^)#]+)", text):
        assert (ROOT / ".github" / target).resolve().is_file(), target


def test_hooks_are_of_the_versions_that_the_tests_use() -> None:
    hooks = load(ROOT / ".pre-commit-config.yaml")["repos"]
    pins = (ROOT / "constraints.txt").read_text("utf-8")
    ruff = next(each for each in hooks if each["repo"].endswith("ruff-pre-commit"))
    assert f"ruff=={ruff['rev'].removeprefix('v')}\n" in pins
    assert [hook["id"] for hook in ruff["hooks"]] == ["ruff-check", "ruff-format"]
    for each in hooks:
        assert each["repo"] == "local" or re.fullmatch(r"v\d+\.\d+\.\d+", each["rev"])
