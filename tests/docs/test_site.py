"""The site is built without a warning, has the public names, and loads nothing from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from fixtures.pages import ROOT

import avaffect

LOADED = {"img": "src", "script": "src", "iframe": "src", "source": "src", "link": "href",
          "video": "src", "object": "data"}  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
    pytest.importorskip("mkdocstrings", reason="the extra [docs] is not installed")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=quiet, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


class Loads(HTMLParser):
    """Collects the addresses that a browser loads by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in LOADED and given.get("rel") != "canonical":
            self.found.append(given.get(LOADED[tag]) or "")


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    for path in site.rglob("*.html"):
        page = Loads()
        page.feed(path.read_text("utf-8"))
        assert page.found
        outside = [one for one in page.found if re.match(r"(\w+:)?//", one)]
        assert outside == [], path
    for path in site.rglob("*.css"):
        outside = re.findall(r"(?:url\(|@import )[\"']?(?:https?:)?//", path.read_text("utf-8"))
        assert outside == [], path
    for path in site.rglob("*.js"):
        assert not re.search(r"https://(unpkg|cdn|fonts|api|gitlab)\.", path.read_text("utf-8")), (
            path
        )


def test_the_api_has_every_public_name(site: Path) -> None:
    page = (site / "api.html").read_text("utf-8")
    for name in avaffect.__all__:
        assert name == "__version__" or f'id="avaffect.{name}"' in page, name
    # Examples are code, and Sphinx' marks are gone.
    assert "<blockquote>" not in page
    assert ":func:" not in page and ":class:" not in page and "+SKIP" not in page


def test_links_to_the_repository_lead_to_its_pages(site: Path) -> None:
    page = (site / "contributing.html").read_text("utf-8")
    assert 'href="about/CONTRIBUTING.html"' in page
    assert (site / "about/CONTRIBUTING.html").is_file()
    assert (site / "about/benchmarks/index.html").is_file()
    assert not list(site.rglob("*.py"))
