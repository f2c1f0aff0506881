"""Links between the pages lead somewhere, also those to a heading."""

from __future__ import annotations

import configparser
import posixpath
import re
from collections.abc import Iterator
from functools import cache

import pytest
import yaml
from fixtures.pages import ROOT, pages, prose

LINK = re.compile(r"!?\[[^\]]*\]\(\s*([^)\s]+)\s*\)")
# Addresses that a page may name; none of them is loaded by a page or the site.
SCHEMES = ("https://", "http://", "mailto:")


def links(page: str) -> Iterator[str]:
    yield from LINK.findall(re.sub(r"`[^`]*`", "``", prose(page)))


def test_links_are_found() -> None:
    assert "docs/reading.md" in set(links("README.md"))


@pytest.mark.parametrize("page", pages())
def test_links_lead_somewhere(page: str) -> None:
    for link in links(page):
        if link.startswith(SCHEMES):
            continue
        path, _, anchor = link.partition("#")
        target = (
            posixpath.normpath(posixpath.join(posixpath.dirname(page), path)) if path else page
        )
        assert (ROOT / target).exists(), f"{page}: {link}"
        if anchor:
            assert anchor in anchors(target), f"{page}: {link}"


@cache
def anchors(page: str) -> frozenset[str]:
    """The anchors that GitHub and the site make of a page's headings."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.*)$", prose(page), re.M):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        slug = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        number = 0
        while (anchor := slug if not number else f"{slug}-{number}") in found:
            number += 1
        found.add(anchor)
    return frozenset(found)


def test_anchors_are_those_of_github() -> None:
    found = anchors("docs/formats.md")
    assert {"--format", "frames-without-a-value---missing"} <= found


def test_every_page_of_docs_is_in_the_navigation() -> None:
    text = (ROOT / "mkdocs.yml").read_text("utf-8")
    named = set(re.findall(r": ([\w/-]+\.md)$", text, re.M))
    mine = {page.removeprefix("docs/") for page in pages() if page.startswith("docs/")}
    assert mine == {name for name in named if not name.startswith("about/")}


def test_every_how_to_page_is_linked_from_the_start() -> None:
    linked = set(links("docs/index.md"))
    howto = {page.removeprefix("docs/") for page in pages() if page.startswith("docs/howto/")}
    assert howto <= linked


def test_the_readme_is_one_screen() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 80
    assert (ROOT / "docs/images/report.png").stat().st_size < 200_000


def test_the_citation_is_of_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    version = re.search(r'"(.+)"', (ROOT / "avaffect/version.py").read_text("utf-8").split("=")[1])
    assert version and citation["version"] == version[1]
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors", "license"} <= citation.keys()
    papers = {reference["title"] for reference in citation["references"]}
    for recipe in (ROOT / "avaffect/recipes").glob("*.yaml"):
        source = yaml.safe_load(recipe.read_text("utf-8")).get("source", "")
        title = re.search(r": (.+?) \(", source)
        if title:
            assert title[1].rstrip(".") in papers, recipe.name


def test_the_docs_extra_is_pinned() -> None:
    pinned = re.findall(r"^([\w.-]+)==", (ROOT / "constraints.txt").read_text("utf-8"), re.M)
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg", "utf-8")
    wanted = settings["options.extras_require"]["docs"].split("\n")
    assert {re.split(r"[ \[]", line)[0] for line in wanted if line} <= set(pinned)
