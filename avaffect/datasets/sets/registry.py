"""All public sets that can be read, by name."""

from __future__ import annotations

import re
from pathlib import Path

from avaffect.datasets.sets.afewva import AFEWVA
from avaffect.datasets.sets.affectnet import AFFECTNET
from avaffect.datasets.sets.bp4d import BP4D
from avaffect.datasets.sets.cremad import CREMAD
from avaffect.datasets.sets.disfa import DISFA
from avaffect.datasets.sets.ferplus import FERPLUS
from avaffect.datasets.sets.nemo import NEMO
from avaffect.datasets.sets.omg import OMG
from avaffect.datasets.sets.rafdb import RAFDB
from avaffect.datasets.sets.ravdess import RAVDESS
from avaffect.datasets.sets.sample import PublicSet
from avaffect.errors import UnknownNameError, UsageError

SETS: dict[str, PublicSet] = {
    each.name: each
    for each in (
        AFFECTNET,
        RAFDB,
        FERPLUS,
        AFEWVA,
        OMG,
        DISFA,
        BP4D,
        RAVDESS,
        CREMAD,
        NEMO,
    )
}
_NAMED = re.compile("([A-Za-z0-9+-]+)=(.*)", re.DOTALL)


def set_named(name: str) -> PublicSet:
    """The set of this name.

    Raises:
        UnknownNameError: there is none.
    """
    if name not in SETS:
        raise UnknownNameError("public set", name, SETS)
    return SETS[name]


def named_data(text: str) -> tuple[str, str]:
    """``NAME=DIR`` in two; of a mere ``DIR`` the name is empty.

    >>> named_data("rafdb=RAF-DB/"), named_data("Aff-Wild2/")
    (('rafdb', 'RAF-DB/'), ('', 'Aff-Wild2/'))

    Raises:
        UnknownNameError: there is no set of that name, nor a folder called ``text``.
        UsageError: no folder is named.
    """
    match = _NAMED.fullmatch(text)
    if match is None or (match[1] not in SETS and Path(text).is_dir()):
        return "", text
    set_named(match[1])
    if not match[2]:
        raise UsageError(f"'{text}' names no folder", f"write {match[1]}=DIR")
    return match[1], match[2]
