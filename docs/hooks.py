"""What the site has beyond its pages: those of the repository, and links that leave ``docs/``.

Read by MkDocs, see ``mkdocs.yml``. On the site a page of the repository lies below ``about/``, at
its own path; a link to any other file of the repository becomes plain text, since the site has no
such file.
"""

from __future__ import annotations

import ast
import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
# The pages of the repository that the site has too.
PAGES = (
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "benchmarks/README.md",
    "starter_training/README.md",
    "sample_media/README.md",
)
ABOUT = "about"
# What the theme could load from other hosts: diagrams and facts of a repository, which no page
# has, and a stand-in for browsers of 2019.
_FOREIGN = re.compile(rb"https://(unpkg\.com|api\.github\.com|gitlab\.com)[^\"'`$]*")
_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)\s:#]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of the repository."""
    for name in PAGES:
        text = (ROOT / name).read_text("utf-8")
        files.append(File.generated(config, f"{ABOUT}/{name}", content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links lead to where their files are on the site."""
    here = to_repository(page.file.src_uri)
    if here == "docs/api.md":
        markdown += unsorted(markdown)

    def moved(found: re.Match[str]) -> str:
        text, target, anchor = found[1], found[2], found[3] or ""
        there = to_site(posixpath.normpath(posixpath.join(posixpath.dirname(here), target)))
        if there is None:
            return text
        start = posixpath.dirname(page.file.src_uri) or "."
        return f"[{text}]({posixpath.relpath(there, start)}{anchor})"

    return _LINK.sub(moved, markdown)


def on_post_build(config: MkDocsConfig) -> None:
    """Let no script of the site load anything from another host."""
    for path in Path(config.site_dir).rglob("*.js"):
        path.write_bytes(_FOREIGN.sub(b"", path.read_bytes()))


def unsorted(markdown: str) -> str:
    """The public names that no section of the page of the API has yet."""
    tree = ast.parse((ROOT / "avaffect/__init__.py").read_text("utf-8"))
    (names,) = (
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    )
    blocks = [f"::: avaffect.{name}" for name in names if not name.startswith("_")]
    missing = [block for block in blocks if f"{block}\n" not in markdown]
    return "\n\n".join(("\n## More", *missing)) if missing else ""


def to_repository(uri: str) -> str:
    """Where the source of a page of the site lies in the repository."""
    return uri.removeprefix(f"{ABOUT}/") if uri.startswith(f"{ABOUT}/") else f"docs/{uri}"


def to_site(path: str) -> str | None:
    """Where a file of the repository lies on the site; None for one that is not there."""
    if path in PAGES:
        return f"{ABOUT}/{path}"
    return path.removeprefix("docs/") if path.startswith("docs/") else None
