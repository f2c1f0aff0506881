"""Each thing that a reader must know, and that it is not said without reason."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from avaffect.drawing.subjects import Table
from avaffect.reporting.cautions import cautions_of, cautions_of_page
from avaffect.reporting.summary import summarise

OTHER = {"model": "own", "sound": {"samples": 1}, "configuration": {"analysis": {"voice": "v"}}}


def said(table: Table, about: dict[str, Any]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for caution in cautions_of(table, summarise(table), about):
        found.setdefault(caution.panel, []).append(caution.text)
    return found


def plain(made: Callable[..., Table], rows: int = 50, **columns: Any) -> Table:
    face = {"box_bottom": np.full(rows, 200.0), "yaw": np.zeros(rows)}
    heard = {"heard": np.ones(rows, bool)}
    return made(rows, **(face | heard | columns))


def test_nothing_is_said_of_what_is_right(made: Callable[..., Table]) -> None:
    assert said(plain(made), OTHER) == {}
    assert cautions_of_page({"model": "own", "people": {"seen": 1}}, 1) == []


def test_small_and_turned_faces(made: Callable[..., Table]) -> None:
    half = np.arange(50) < 25
    table = plain(made, box_bottom=np.where(half, 30.0, 200.0), yaw=np.where(half, -50.0, 0))
    found = said(table, OTHER)
    assert "small in 50 %" in found["quality"][0]
    assert "turned by more than 40 degrees in 50 %" in found["expression"][0]
    # What is unknown is neither small nor turned.
    unknown = np.full(50, np.nan)
    assert said(plain(made, box_bottom=unknown, yaw=unknown), OTHER) == {}


def test_gaps_and_nobody(made: Callable[..., Table]) -> None:
    face = {"box_bottom": np.full(100, 200.0), "yaw": np.zeros(100)}
    gone = made(100, unseen=range(20, 75), heard=np.zeros(100, bool), **face)
    assert "not seen in 55 %" in said(gone, OTHER)["valence"][0]
    assert "longest gap is 2.2 s" in said(gone, OTHER)["valence"][0]
    nobody = made(10, unseen=range(10), heard=np.ones(10, bool))
    assert "the voice's alone" in said(nobody, OTHER)["valence"][0]


@pytest.mark.parametrize(
    ("about", "text"),
    [
        (OTHER, "No speech was heard"),
        (OTHER | {"sound": None}, "has no sound"),
        (OTHER | {"configuration": {}}, "did not listen"),
    ],
)
def test_no_speech(about: dict[str, Any], text: str, made: Callable[..., Table]) -> None:
    assert text in said(plain(made, heard=np.zeros(50, bool)), about)["speech"][0]


def test_the_built_in_models_have_their_weaknesses(made: Callable[..., Table]) -> None:
    found = said(plain(made), OTHER | {"model": "starter-2"})
    assert "AU15, AU23 and AU24 mean little" in found["units"][0]
    assert "about −0.3" in found["arousal"][0]


def test_hidden_units_are_named(made: Callable[..., Table]) -> None:
    hidden = np.where(np.arange(50) < 10, np.nan, 0.2)
    assert said(plain(made, AU25_p=hidden), OTHER)["units"][0].endswith("face: AU25.")


def test_of_the_page() -> None:
    about = {
        "models": {"starter-2-face": "ab", "no such net": "cd"},
        "people": {"seen": 4, "limits": {"crowded_s": 1.0, "small_s": 2.0}},
        "damage": {"decoding_errors": 3},
        "known": {"trained": ["anna"]},
    }
    texts = " ".join(caution.text for caution in cautions_of_page(about, 1))
    assert "non-commercial use only: so say the licences of the nets starter-2-face" in texts
    assert "3 more people" in texts and "damaged" in texts and "trained" in texts
    assert "more faces than were followed" in texts and "too small" in texts


@pytest.mark.parametrize(
    "about", [{}, {"notes": 3, "models": 3, "people": [], "known": "x", "damage": None}]
)
def test_metadata_of_any_shape(about: dict[str, Any], made: Callable[..., Table]) -> None:
    table = made(5)
    assert cautions_of_page(about, 1) == []
    assert cautions_of(table, summarise(table), about) is not None
