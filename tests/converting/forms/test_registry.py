"""The forms by name."""

from __future__ import annotations

import pytest

from avaffect.converting.forms.registry import FORMS, form_named
from avaffect.converting.run import convert
from avaffect.errors import UnknownNameError


@pytest.mark.parametrize("name", FORMS)
def test_each_can_be_built_and_is_documented(name: str) -> None:
    assert callable(form_named(name).load())
    assert f"``{name}``" in str(convert.__doc__)


def test_another_name() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'eaf'"):
        form_named("eafs")
