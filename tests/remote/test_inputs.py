"""What an address stands for."""

from __future__ import annotations

import pytest
from fixtures.stores import Store

from avaffect.errors import InputNotFoundError, UsageError
from avaffect.remote.address import Address
from avaffect.remote.inputs import find_files, find_prepared

NAMES = (
    "v/a.mp4",
    "v/b.MKV",
    "v/notes.txt",
    "v/.hidden.mp4",
    "v/deep/c.mp4",
    "w/s.wav",
    "p/x.jpg",
)


@pytest.fixture
def filled(s3: Store) -> Store:
    """Videos, sound and others."""
    for name in NAMES:
        s3.put(name, b"x")
    return s3


@pytest.mark.parametrize(
    ("name", "recursive", "found"),
    [
        ("v/notes.txt", False, ["v/notes.txt"]),
        ("v", False, ["v/a.mp4", "v/b.MKV"]),
        ("v/", True, ["v/a.mp4", "v/b.MKV", "v/deep/c.mp4"]),
        ("w", False, ["w/s.wav"]),
        ("v/*.mp4", False, ["v/a.mp4"]),
        ("v/**/*.mp4", False, ["v/a.mp4", "v/deep/c.mp4"]),
        ("v/?.M*", False, ["v/b.MKV"]),
    ],
)
def test_files(filled: Store, name: str, recursive: bool, found: list[str]) -> None:
    files = find_files(Address.of(filled(name)), recursive)
    assert [file.text for file in files if ".hidden" not in file.text] == [
        filled(each) for each in found
    ]


@pytest.mark.parametrize("name", ["none", "none/*.mp4", "p"])
def test_nothing(filled: Store, name: str) -> None:
    with pytest.raises(InputNotFoundError):
        find_files(Address.of(filled(name)))


def test_a_picture(filled: Store) -> None:
    with pytest.raises(UsageError, match="is a picture"):
        find_files(Address.of(filled("p/x.jpg")))


def test_prepared_folders(filled: Store) -> None:
    for name in ("out/P01/a", "out/b"):
        filled.put(f"{name}/preprocess.json", b"{}")
        filled.put(f"{name}/features/a/preprocess.json", b"{}")
    found = find_prepared(Address.of(filled("out")))
    assert [each.text for each in found] == [filled("out/P01/a"), filled("out/b")]
    assert find_prepared(Address.of(filled("out/b"))) == [Address(filled("out/b"))]
    assert find_prepared(Address.of(filled("v"))) == []
