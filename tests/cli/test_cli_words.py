"""What the library calls a setting is an option at the terminal."""

from __future__ import annotations

import pytest

from avaffect.cli.words import as_options


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("pass overwrite=True", "pass --overwrite"),
        ('choose task="va" or task="expr"', "choose --task va or --task expr"),
        ("train with folds=5, or name a split=...", "train with --folds 5, or name a --split"),
        ('allow_missing=True or form="files"', "--allow-missing or --format files"),
        ('choose another out="va.zip"', "choose another -o va.zip"),
        ("run without noncommercial=False", "run without --no-nc"),
        ("run without audio=False", "run without --no-audio"),
        # What is no setting stays: recipes' own, names of files, mappings of columns.
        ("set train.clip_norm=1 or train.amp=none", "set train.clip_norm=1 or train.amp=none"),
        ("'overwrite=True.mp4' and 'a/out=1'", "'overwrite=True.mp4' and 'a/out=1'"),
        ("such as valence=rating", "such as valence=rating"),
        ("95 % (p=.05)", "95 % (p=.05)"),
    ],
)
def test_settings_become_options(said: str, shown: str) -> None:
    assert as_options(said) == shown
