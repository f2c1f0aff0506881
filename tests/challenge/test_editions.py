import pytest

from avaffect.challenge.editions import (
    DEFAULT_EDITION,
    EDITIONS,
    check_choice,
    edition_named,
)
from avaffect.errors import UnknownNameError, UsageError
from avaffect.labels import ACTION_UNITS, EXPRESSIONS


def test_headers_are_the_challenges() -> None:
    new, old = edition_named("abaw5"), edition_named("abaw1")
    assert new.header("va") == old.header("va") == "valence,arousal"
    assert new.header("expr") == "Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other"
    assert old.header("expr") == "Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise"
    assert new.header("au") == "AU1,AU2,AU4,AU6,AU7,AU10,AU12,AU15,AU23,AU24,AU25,AU26"
    assert old.header("au") == "AU1,AU2,AU4,AU6,AU12,AU15,AU20,AU25"
    assert (new.columns("va"), new.columns("expr"), new.columns("au")) == (2, 1, 12)
    assert len(EXPRESSIONS) == 8
    assert len(ACTION_UNITS) == 12


def test_folders_by_edition() -> None:
    assert edition_named("abaw2").folders["expr"] == "EXPR_Set"
    assert edition_named("abaw3").folders["expr"] == "EXPR_Classification_Challenge"
    assert "single" in EDITIONS[DEFAULT_EDITION].formats


@pytest.mark.parametrize(
    ("edition", "form", "tasks"),
    [
        ("abaw1", "files", ("va", "expr")),
        ("abaw2", "files", ("au",)),
        ("abaw10", "single", ("va", "expr", "au")),
        ("abaw7", "mtl", ("va", "expr", "au")),
    ],
)
def test_possible_choices_pass(edition: str, form: str, tasks: tuple[str, ...]) -> None:
    check_choice(edition, form, tasks)


@pytest.mark.parametrize(
    ("edition", "form", "tasks", "message"),
    [
        ("abaw1", "files", ("au",), "AU20"),
        ("abaw1", "single", ("va",), 'form="files"'),
        ("abaw7", "files", ("va",), 'form="mtl"'),
        ("abaw7", "mtl", ("va",), 'task="all"'),
        ("abaw5", "mtl", ("va", "expr", "au"), "abaw3, abaw4, abaw7, abaw11"),
    ],
)
def test_impossible_choices_say_what_to_do(
    edition: str, form: str, tasks: tuple[str, ...], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        check_choice(edition, form, tasks)


@pytest.mark.parametrize(
    ("edition", "form", "tasks"),
    [("abaw99", "files", ("va",)), ("abaw5", "csv", ("va",)), ("abaw5", "files", ("pose",))],
)
def test_unknown_names(edition: str, form: str, tasks: tuple[str, ...]) -> None:
    with pytest.raises(UnknownNameError):
        check_choice(edition, form, tasks)
