"""Names as they are drawn."""

import pytest

from avaffect.drawing.words import LONGEST, plain, tile


@pytest.mark.parametrize("name", ["a" * 300, "a\nb\tc\0", "\u202eabc", "映画" * 40, ""])
def test_names_are_one_short_line(name: str) -> None:
    shown = plain(name)
    assert len(shown) <= LONGEST
    assert shown.isprintable()


def test_letters_have_tiles_of_one_height() -> None:
    heights = {tile(text, 14).shape[0] for text in ("", "a", "Äg|", "Ж", "映")}
    assert len(heights) == 1
    assert tile("Ä", 14).max() > 200
    assert tile("", 14).max() == 0
    assert tile("+0.12", 14).shape[1] == tile("+0.98", 14).shape[1]
