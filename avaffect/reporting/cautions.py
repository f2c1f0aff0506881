"""What a reader of a curve must bear in mind, in plain words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from avaffect.drawing.subjects import Table
from avaffect.labels import ACTION_UNITS
from avaffect.models.zoo import ZOO
from avaffect.reporting.summary import Summary, flags

# Which part of the page a caution stands beside.
VALENCE, AROUSAL, EXPRESSION, UNITS = "valence", "arousal", "expression", "units"
QUALITY, SPEECH, PAGE = "quality", "speech", "page"

# Below it `confidence` falls; from it on models err much more, see docs/reading.md.
SMALL_FACE, TURNED = 64.0, 40.0
# A rarer thing is not worth a word.
_OFTEN = 0.1
_LONG_GAP_S = 2.0
# See docs/models/starter-1.md and starter-2.md.
_REST = {"starter-1": "−0.4", "starter-2": "−0.3"}
_UNTRUSTED = ("AU15", "AU23", "AU24")
_BUILT_IN = "starter-"


@dataclass(frozen=True)
class Caution:
    """A sentence beside a curve.

    Attributes:
        panel: where it stands: one of the names above.
        text: the sentence.
        grave: the curve must not be used without it.
    """

    panel: str
    text: str
    grave: bool = False


def cautions_of(table: Table, summary: Summary, about: Mapping[str, Any]) -> list[Caution]:
    """What must be known of one person's curves."""
    return [
        *_of_face(table, summary),
        *_of_rest(table, about),
        *_of_speech(table, summary, about),
        *_of_units(table, about),
    ]


def cautions_of_page(about: Mapping[str, Any], people: int) -> list[Caution]:
    """What must be known of all curves of a video."""
    return [*_of_model(about), *_of_video(about, people)]


def seconds(value: float) -> str:
    """A duration in words.

    >>> seconds(0.44), seconds(75), seconds(3600)
    ('0.4 s', '1 min 15 s', '1 h 0 min')
    """
    if value < 59.5:
        return f"{value:.1f} s" if value < 9.95 else f"{value:.0f} s"
    whole = round(value)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def share(value: float) -> str:
    """A share in words, in which little is not nothing and most is not all.

    >>> share(0.004), share(0.25), share(0.999), share(1.0)
    ('less than 1 %', '25 %', 'more than 99 %', '100 %')
    """
    if 0 < value < 0.01:
        return "less than 1 %"
    if 0.99 < value < 1:
        return "more than 99 %"
    return f"{value * 100:.0f} %"


def _of_face(table: Table, summary: Summary) -> Iterator[Caution]:
    missing = 1 - summary.seen_share
    if not summary.frames_seen:
        heard = summary.heard_share > 0
        text = "The face is not seen in any frame." + (
            " All values are the voice's alone." if heard else " There are no values to show."
        )
        yield Caution(VALENCE, text, True)
        return
    if missing > _OFTEN or summary.longest_gap_s > _LONG_GAP_S:
        text = (
            f"The face is not seen in {share(missing)} of the time; the longest gap is "
            f"{seconds(summary.longest_gap_s)}. Gaps are seldom chance: people turn away just "
            "when something happens."
        )
        yield Caution(VALENCE, text, missing > 0.5)
    seen = flags(table, "present", np.ones(summary.frames, bool))
    height = table.numbers("box_bottom")[seen, 0] - table.numbers("box_top")[seen, 0]
    small = _often(height < SMALL_FACE, height)
    if small > _OFTEN:
        text = (
            f"The face is small in {share(small)} of the frames that show it (less than "
            f"{SMALL_FACE:.0f} pixels high). Little can be read from it."
        )
        yield Caution(QUALITY, text, small > 0.5)
    yaw = table.numbers("yaw")[seen, 0]
    turned = _often(np.abs(yaw) > TURNED, yaw)
    if turned > _OFTEN:
        text = (
            f"The head is turned by more than {TURNED:.0f} degrees in {share(turned)} of the "
            "frames that show it. Turned faces are judged badly: leave such frames out."
        )
        yield Caution(EXPRESSION, text, turned > 0.5)


def _of_rest(table: Table, about: Mapping[str, Any]) -> Iterator[Caution]:
    model = _model(about)
    if model in _REST and np.isfinite(table.numbers("arousal")).any():
        text = f"A face at rest has an arousal of about {_REST[model]} with this model, not 0."
        yield Caution(AROUSAL, text)


def _of_speech(table: Table, summary: Summary, about: Mapping[str, Any]) -> Iterator[Caution]:
    analysis = _dict(_dict(about.get("configuration")).get("analysis"))
    listens = bool(analysis.get("voice") or analysis.get("audio"))
    if "heard" not in table.columns:
        yield Caution(SPEECH, "The table does not say whether a voice was heard.")
    elif not summary.heard_share:
        sound = _dict(about.get("sound"))
        if not listens:
            text = "The model did not listen: the values are the face's alone."
        elif not sound:
            text = "The video has no sound: the values are the face's alone."
        else:
            text = "No speech was heard: the values are the face's alone."
        yield Caution(SPEECH, text)
    else:
        unseen = 1 - summary.seen_share
        if unseen > 0:
            text = "Where the voice is heard and no face is seen, values are the voice's alone."
            yield Caution(SPEECH, text)


def _of_units(table: Table, about: Mapping[str, Any]) -> Iterator[Caution]:
    scores = table.numbers(*(f"{name}_p" for name in ACTION_UNITS))
    if not np.isfinite(scores).any():
        return
    if _model(about).startswith(_BUILT_IN):
        text = (
            f"{', '.join(_UNTRUSTED[:-1])} and {_UNTRUSTED[-1]} mean little with this model: do "
            "not report them. The scores are no probabilities."
        )
        yield Caution(UNITS, text, True)
    seen = flags(table, "present", np.ones(len(scores), bool))
    hidden = ~np.isfinite(scores[seen])
    often = [
        name for name, part in zip(ACTION_UNITS, hidden.mean(axis=0), strict=True) if part > _OFTEN
    ] if seen.any() else []  # fmt: skip
    if often:
        text = f"Hidden in more than a tenth of the frames that show the face: {', '.join(often)}."
        yield Caution(UNITS, text)


def _of_model(about: Mapping[str, Any]) -> Iterator[Caution]:
    used = [name for name in _dict(about.get("models")) if name in ZOO and ZOO[name].noncommercial]
    if used:
        text = (
            "For research and non-commercial use only: so say the licences of the nets "
            f"{' and '.join(sorted(used))}."
        )
        yield Caution(PAGE, text)
    if any(_dict(about.get("known")).values()):
        text = "The model was trained, tuned or validated on a clip of this name."
        yield Caution(PAGE, text, True)


def _of_video(about: Mapping[str, Any], people: int) -> Iterator[Caution]:
    damage = _dict(about.get("damage"))
    if damage.get("decoding_errors"):
        yield Caution(PAGE, "The video is damaged: some pictures may be wrong or missing.", True)
    more = _number(_dict(about.get("people")).get("seen")) - people
    if more > 0:
        who = "One more person is" if more == 1 else f"{more:.0f} more people are"
        yield Caution(PAGE, f"{who} seen in the video and not in this report.")
    limits = _dict(_dict(about.get("people")).get("limits"))
    if limits.get("crowded_s") is not None:
        yield Caution(PAGE, "At times the video shows more faces than were followed.")
    if limits.get("small_s") is not None:
        yield Caution(PAGE, "Some faces were too small to be followed.")


def _often(flags_: Any, known_by: Any) -> float:
    known = np.isfinite(known_by)
    return float(flags_[known].mean()) if known.any() else 0.0


def _model(about: Mapping[str, Any]) -> str:
    return str(about.get("model", ""))


def _dict(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
