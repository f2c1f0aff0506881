"""Whom a tracker left out, and because of which limit."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from avaffect.config import FaceConfig
from avaffect.progress import Notice


@dataclass(slots=True)
class Limits:
    """The limits that bound while faces were followed.

    Attributes:
        crowded_s: time in seconds of the first frame in which a face was left out because
            ``max_faces`` others were followed; None if there was none.
        small_s: likewise of a face smaller than ``min_size``, while it was not followed.
        forgotten: people who were no longer kept in mind because so many others had come.
    """

    crowded_s: float | None = None
    small_s: float | None = None
    forgotten: int = 0

    def to_json(self) -> dict[str, Any]:
        """JSON-able values, the arguments of this class."""
        return asdict(self)

    def notices(self, name: str, config: FaceConfig) -> list[Notice]:
        """What a user of the results of the file ``name`` must know."""
        texts = []
        if self.crowded_s is not None:
            texts.append(
                f"'{name}' shows more than {config.max_faces} faces at once, first at "
                f"{self.crowded_s:.1f} s: the largest {config.max_faces} were followed; "
                "max_faces=N follows more"
            )
        if self.small_s is not None:
            texts.append(
                f"'{name}' shows faces of less than {config.min_size:g} pixels, first at "
                f"{self.small_s:.1f} s: they were left out, for they show too little"
            )
        if self.forgotten:
            texts.append(
                f"'{name}' shows so many people that {self.forgotten} of them were forgotten when "
                "they had gone: who of them came back counts as someone new"
            )
        return [Notice(text, warning=True) for text in texts]
