"""Files that avaffect wrote, and others, which it never touches."""

from pathlib import Path

import pytest

from avaffect.errors import ForeignFileError
from avaffect.files.ours import (
    holds,
    read_claims,
    require_ours,
    require_own_file,
    write_claims,
)


@pytest.fixture
def tree(tmp_path: Path):
    for name in ("a/b.txt", "a/c/d.txt", "e.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "empty").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("path", "ours", "refused"),
    [
        ("a/b.txt", {"a/b.txt"}, False),
        ("a/b.txt", {"a"}, False),
        ("a/c/d.txt", {"a"}, False),
        ("a/b.txt", {"b.txt", "a/b", "a/b.tx"}, True),
        ("a", {"a/b.txt"}, True),
        ("e.txt", set(), True),
        ("new.txt", set(), False),
        ("empty", set(), False),
    ],
)
def test_what_a_record_names_and_all_in_it_is_ours(path: str, ours, refused: bool, tree) -> None:
    if refused:
        with pytest.raises(ForeignFileError, match=f"'{tree / path}'"):
            require_ours(tree, [tree / "new", tree / path], ours)
    else:
        require_ours(tree, [tree / path], ours)


def test_a_link_to_nowhere_is_not_ours(tree) -> None:
    (tree / "link").symlink_to(tree / "gone")
    with pytest.raises(ForeignFileError):
        require_ours(tree, [tree / "link"], set())


@pytest.mark.parametrize("text", ["", "{}", "[1, 2]", "[" * 10_000, "\udcff"])
def test_damaged_claims_claim_nothing(text: str, tmp_path: Path) -> None:
    (tmp_path / "claims").write_text(text, errors="surrogateescape")
    assert read_claims(tmp_path / "claims") == set()


def test_claims(tmp_path: Path) -> None:
    write_claims(tmp_path / "work/claims", {"b", "a/c"})
    assert read_claims(tmp_path / "work/claims") == {"a/c", "b"}


def test_a_single_file(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    ours = holds(b'"thresholds"', b'"tuned_on"')
    require_own_file(path, ours)
    path.write_text("")
    require_own_file(path, ours)
    path.write_text('{"thresholds": 1}')
    with pytest.raises(ForeignFileError, match="choose another name"):
        require_own_file(path, ours)
    path.write_text('{"thresholds": {' + " " * 200_000 + '}, "tuned_on": ""}')
    require_own_file(path, ours)
