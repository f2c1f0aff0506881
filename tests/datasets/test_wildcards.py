"""Columns by name and by wildcard."""

from pathlib import Path

import pytest

from avaffect.datasets.wildcards import columns_like
from avaffect.errors import UnknownNameError, UsageError

NAMES = ("frame", "AU01_r", "AU02_r", "pose_Rx", "name")
FREE = NAMES[1:4]
TABLE = Path("t.csv")


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        ((), FREE),
        (("pose_*", "AU*"), ("pose_Rx", "AU01_r", "AU02_r")),
        (("AU02_r", "AU*"), ("AU02_r", "AU01_r")),  # once, where it is named first
        (("frame",), ("frame",)),  # by its name also one that no wildcard stands for
    ],
)
def test_names_and_wildcards(patterns: tuple[str, ...], expected: tuple[str, ...]) -> None:
    assert columns_like(patterns, NAMES, FREE, TABLE, "") == expected


def test_what_stands_for_nothing_is_refused() -> None:
    with pytest.raises(UnknownNameError, match=r"no column of 't.csv' is called 'AU1_r'"):
        columns_like(("AU1_r",), NAMES, FREE, TABLE, "")
    with pytest.raises(UsageError, match="no column of numbers"):
        columns_like((), NAMES, (), TABLE, "")
