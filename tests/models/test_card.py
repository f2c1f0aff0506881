"""Model cards are installed with avaffect."""

import pytest

from avaffect.errors import UnknownNameError
from avaffect.models.card import card, cards
from avaffect.predictors.build import PREDICTORS


def test_every_built_in_predictor_has_a_card() -> None:
    assert set(PREDICTORS) <= set(cards())
    assert list(cards()) == sorted(cards())


@pytest.mark.parametrize("name", PREDICTORS)
def test_a_card_is_the_text_about_its_model(name) -> None:
    text = card(name)
    assert text.startswith("# ")
    assert name in text.splitlines()[0]
    assert "Aff-Wild2" in text


@pytest.mark.parametrize("name", ["starter-9", "../design", "__init__", "starter-1.md", ""])
def test_no_other_file_passes_for_a_card(name: str) -> None:
    with pytest.raises(UnknownNameError, match="no model card is called"):
        card(name)
