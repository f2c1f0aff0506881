"""The command that predicts with a model which has just been made."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from avaffect.networks.checkpoint import Checkpoint


def predict_command(
    place: Path | str, needs: Collection[str], backbones: Collection[str] = (), *, video: str
) -> str:
    """What to type, by what the model reads: videos, preprocessed folders, tables of one's own.

    Args:
        place: the model's folder.
        needs: arrays that it reads.
        backbones: those of them that `avaffect features` put into the store.
        video: what a model that reads nothing else is given, ``VIDEO`` or ``SOUND``.
    """
    from avaffect.store.adding import RESERVED

    own = [name for name in needs if name not in (*RESERVED, *backbones)]
    stored = [name for name in needs if name not in own]
    source = video if not own else "PREPARED" if stored else ""
    if any(name in backbones for name in needs):
        source = "PREPARED"
    one = own == ["table"]
    tables = ["--features FOLDER" if one else f"--features {name}=FOLDER" for name in own]
    return " ".join(
        part for part in ("avaffect predict", source, f"--checkpoint {place}", *tables) if part
    )


def in_store(checkpoint: Checkpoint) -> set[str]:
    """The arrays of a model that `avaffect features` put into the store: not read from tables."""
    from avaffect.predicting.own_clips import own_tables
    from avaffect.store.provenance import trained_backbones

    return set(trained_backbones(checkpoint.features)) - set(own_tables(checkpoint))


def ensemble_command(place: Path | str) -> str:
    """That of an ensemble's folder."""
    from avaffect.networks.checkpoint import read_checkpoint
    from avaffect.predictors.facts import ensemble_facts
    from avaffect.predictors.joined import Joined

    models = [path for some in Joined.load(Path(place)).members.values() for path in some]
    backbones = {name for path in models for name in in_store(read_checkpoint(Path(place) / path))}
    needs = ensemble_facts(Path(place)).needs
    sound = set(needs) <= {"audio", "has_sound", "voice"}
    return predict_command(place, needs, backbones, video="SOUND" if sound else "VIDEO")
