"""One video's page, and the index of several: HTML that needs nothing beside it."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np

from avaffect.drawing.subjects import Table
from avaffect.drawing.words import plain
from avaffect.labels import ACTION_UNITS, EXPRESSIONS
from avaffect.reporting import cautions as words
from avaffect.reporting.cautions import Caution, seconds, share
from avaffect.reporting.series import Cells, bits, cells_for, pack_table, packed, shorts
from avaffect.reporting.summary import Figures, Summary
from avaffect.tasks.registry import AU, EXPR, VA
from avaffect.version import __version__

if TYPE_CHECKING:
    from jinja2 import Environment

    from avaffect.reporting.said import Line
    from avaffect.reporting.truth import Truth

MARK = "avaffect report"
_LONGEST = 80
_SHOWN_CLASSES = 3
_PANELS = {
    words.VALENCE: ("Valence", "how unpleasant (−1) or pleasant (1) the expression looks"),
    words.AROUSAL: ("Arousal", "how calm (−1) or excited (1) it looks"),
    words.EXPRESSION: ("Expression", "probability of each of eight expressions"),
    words.UNITS: (
        "Action units",
        "movements of parts of the face; the darker, the higher the score",
    ),
    words.QUALITY: ("Face and voice", "where values come from, and how well the face can be seen"),
}
_PANEL_OF = {EXPR.name: words.EXPRESSION, AU.name: words.UNITS}
_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}
_STATIC = {
    "mark": MARK,
    "version": __version__,
    "classes": EXPRESSIONS,
    "made_of": "",
    "live": False,
}


@dataclass(frozen=True, eq=False, repr=False)
class Person:
    """What the page needs of a person.

    Attributes:
        table: the person's.
        summary: of it.
        cautions: of it.
        faces: JPEGs as base64.
        truth: the annotations, if there are any.
    """

    table: Table
    summary: Summary
    cautions: Sequence[Caution]
    faces: Sequence[str] = ()
    truth: Truth | None = None


@dataclass(frozen=True)
class Film:
    """How the video comes into the page.

    Attributes:
        source: its address, percent-encoded; empty if it is embedded, or not shown.
        embedded: its bytes as base64.
        kind: its MIME type.
        why_not: why it is not shown, in words; empty if it is.
    """

    source: str = ""
    embedded: str = ""
    kind: str = ""
    why_not: str = ""


def page_of(
    people: Sequence[Person],
    about: Mapping[str, Any],
    film: Film,
    index: str = "",
    made_of: str = "",
    lines: Sequence[Line] = (),
) -> str:
    """The page of a video.

    Args:
        people: who is shown.
        about: the metadata of their tables.
        film: the video.
        index: address of the page that lists all videos; empty without one.
        made_of: fingerprint of all that it is made of, to be found in it again.
        lines: what is said, see `said.said_lines`.
    """
    title = title_of(about, people[0].table.subject)
    media = _dict(about.get("media"))
    interval = any(np.isfinite(each.table.numbers("valence_low")).any() for each in people)
    panels, lacking = _panels([each.table for each in people])
    # How to leave out nets is for whoever predicts; the licence itself is a caution.
    notes = [_sentence(note) for note in _texts(about.get("notes")) if "=" not in note]
    everyone = words.cautions_of_page(about, len(people))
    return _render(
        "page.html",
        title=title,
        index=index,
        made_of=made_of,
        facts=_facts(people, about),
        cautions=everyone,
        people=[_person(at, each) for at, each in enumerate(people)],
        panels=panels,
        lacking=lacking,
        interval=interval,
        truth=any(each.truth for each in people),
        said=bool(lines),
        playable=not film.why_not,
        why_not=film.why_not,
        source=film.source,
        embedded=film.embedded,
        kind=film.kind,
        rows=[row_of(each.summary) for each in people],
        has_gaps=any(each.summary.gaps for each in people),
        linked=False,
        notes=notes,
        explained=interval and not any("interval" in note for note in notes),
        provenance=_provenance(about),
        data=_script_json(
            {
                "people": [_packed(each, len(people)) for each in people],
                "classes": EXPRESSIONS,
                "units": ACTION_UNITS,
                "said": lines,
                "offset": _number(media.get("first_time_s")) - _number(media.get("start_s")),
                "size": [_number(media.get("width")) or 1, _number(media.get("height")) or 1],
            }
        ),
        scripts=("uPlot.iife.min.js", "data.js", "charts.js", "page.js"),
    )


def index_of(
    title: str,
    rows: Sequence[Mapping[str, Any]],
    has_gaps: bool,
    running: Sequence[str] | None = None,
) -> str:
    """The page that lists all videos.

    Args:
        title: of the folder.
        rows: of `row_of`, with ``video``, and its ``link``.
        has_gaps: whether somebody is not seen for a while.
        running: of a page that keeps itself up to date (`avaffect.viewing`): what is being
            predicted, a line each; None for a page that stays as it is.
    """
    videos = len({row["video"] for row in rows})
    live = running is not None
    return _render(
        "index.html",
        live=live,
        running=[plain(line, 200) for line in running or ()],
        title=plain(title, _LONGEST),
        facts=[f"{videos} videos", f"{len(rows)} people"],
        cautions=(),
        rows=rows,
        has_gaps=has_gaps,
        linked=True,
        scripts=("data.js", "page.js", *(("live.js",) if live else ())),
    )


def run_page_of(**values: Any) -> str:
    """The page of a run, see `reporting.run_report`; ``values`` are those of ``run.html``."""
    return _render("run.html", scripts=("data.js", "page.js"), **values)


def row_of(summary: Summary) -> dict[str, Any]:
    """A person's row of the summary table, in words."""
    return {
        "name": plain(summary.subject, _LONGEST),
        "share": share(summary.seen_share),
        "gap": seconds(summary.longest_gap_s) if summary.gaps else "none",
        "whole": _figures(summary.whole),
        "seen": _figures(summary.seen),
    }


def title_of(about: Mapping[str, Any], otherwise: str) -> str:
    """The video's name as it is shown."""
    return plain(str(_dict(about.get("video")).get("name") or otherwise), _LONGEST)


def _figures(figures: Figures) -> dict[str, Any]:
    known = {name: value for name, value in figures.expressions.items() if value}
    bars, left = [], 0.0
    for at, name in enumerate(EXPRESSIONS):
        width = 100 * known.get(name, 0.0)
        if width > 0:
            bars.append({"at": at, "x": f"{left:.3f}", "width": f"{width:.3f}"})
        left += width
    ranked = sorted(known, key=lambda name: -known[name])
    listed = [f"{name} {share(known[name])}" for name in ranked]
    more = len(listed) - _SHOWN_CLASSES
    text = ", ".join(listed[:_SHOWN_CLASSES]) + (f", {more} more" if more > 0 else "")
    smiles = "–"
    if figures.smiles is not None and figures.smile_share is not None:
        smiles = f"{figures.smiles}, {share(figures.smile_share)}"
    return {
        "valence": _mean(figures.valence_mean, figures.valence_sd),
        "arousal": _mean(figures.arousal_mean, figures.arousal_sd),
        "smiles": smiles,
        "bars": bars,
        "words": text,
    }


def _mean(mean: float | None, sd: float | None) -> str:
    if mean is None or sd is None:
        return "–"
    return f"{mean:.2f} ({sd:.2f})".replace("-0.00", "0.00").replace("-", "−")


def _person(at: int, person: Person) -> dict[str, Any]:
    by_panel: dict[str, list[Caution]] = {key: [] for key in _PANELS}
    for caution in person.cautions:
        by_panel[words.QUALITY if caution.panel == words.SPEECH else caution.panel].append(caution)
    return {
        "at": at,
        "name": plain(person.table.subject),
        "seen": share(person.summary.seen_share),
        "faces": list(person.faces),
        "cautions": by_panel,
        "scores": _scores(person.truth),
    }


def _scores(truth: Truth | None) -> dict[str, list[str]]:
    shown: dict[str, list[str]] = {key: [] for key in _PANELS}
    if truth is None:
        return shown
    for task, scores in truth.scores.items():
        for name, value in scores.items():
            # CCC valence stands beside valence, F1 of classes and units beside these.
            panel = name.split()[-1] if task == VA.name else _PANEL_OF[task]
            text = f"{name} {value:.2f}".replace("-", "−")
            more = "" if name.startswith("F1 ") else f" over {truth.frames[task]:,} frames"
            shown[panel].append(text + more)
    return shown


def _packed(person: Person, people: int) -> dict[str, Any]:
    cells = cells_for(len(person.table.times), people)
    found = pack_table(person.table, cells)
    if person.truth is not None:
        found |= _packed_truth(person.truth, cells)
    return found


def _packed_truth(truth: Truth, cells: Cells) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if VA.name in truth.labels:
        values = np.where(truth.labels[VA.name] < -1, np.nan, truth.labels[VA.name])
        means = cells.mean(values)
        found |= {f"{name}_truth": shorts(means[:, at]) for at, name in enumerate(VA.targets)}
    if EXPR.name in truth.labels:
        found["class_truth"] = packed(cells.middle(truth.labels[EXPR.name]).astype(np.uint8))
    if AU.name in truth.labels:
        found["units_truth"] = packed(bits(cells.middle(truth.labels[AU.name]) == 1))
    return found


def _panels(tables: Sequence[Table]) -> tuple[list[dict[str, str]], list[str]]:
    """The panels to show, and the names of those that no table has a column for."""
    needs = {words.VALENCE: "valence", words.AROUSAL: "arousal", words.EXPRESSION: "p_Neutral",
             words.UNITS: "AU1_p"}  # fmt: skip
    shown, lacking = [], []
    for key, (title, text) in _PANELS.items():
        if key in needs and not any(needs[key] in table.columns for table in tables):
            lacking.append(title.lower())
        else:
            shown.append({"key": key, "title": title, "about": text})
    return shown, lacking


def _facts(people: Sequence[Person], about: Mapping[str, Any]) -> list[str]:
    summary = people[0].summary
    media = _dict(about.get("media"))
    count = len(people)
    facts = [seconds(summary.duration_s), f"{summary.frames:,} frames"]
    if rate := _number(media.get("fps")):
        facts.append(f"{rate:.4g} a second")
    if media.get("width"):
        facts.append(f"{_number(media['width']):.0f} × {_number(media.get('height')):.0f} pixels")
    facts.append(f"{count} {'person' if count == 1 else 'people'}")
    facts.append(f"model {plain(str(about.get('model', 'not known')), 40)}")
    return facts


def _provenance(about: Mapping[str, Any]) -> list[tuple[str, str]]:
    video, settings = _dict(about.get("video")), _dict(about.get("configuration"))
    analysis = _dict(settings.get("analysis"))
    faces = _dict(analysis.get("faces"))
    versions, nets = _dict(about.get("versions")), _dict(about.get("models"))
    rows = [
        ("Video", str(video.get("name", "not known"))),
        ("Its SHA-256", str(video.get("sha256", "not known"))),
        ("Model", str(about.get("model", "not known"))),
        ("Nets", ", ".join(f"{name} ({str(digest)[:12]}…)" for name, digest in nets.items())),
        ("Smoothing", str(about.get("smoothing", "not known"))),
        ("Face detector", str(faces.get("detector", "not known"))),
        ("Voice", str(analysis.get("voice") or ("not used" if analysis else "not known"))),
        ("Computed on", str(about.get("device", "not known"))),
        ("avaffect", str(versions.get("avaffect", "not known"))),
        ("Libraries", ", ".join(f"{k} {v}" for k, v in versions.items() if k != "avaffect")),
    ]
    return [(name, plain(value, 600)) for name, value in rows if value]


def _sentence(text: str) -> str:
    text = plain(text, 400)
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def _script_json(value: Any) -> str:
    """JSON that nothing in a script element can end or break.

    >>> _script_json("</script>")
    '"\\\\u003c/script\\\\u003e"'
    """
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    # What is not ASCII, such as U+2028, is escaped by `dumps`.
    for letter, escaped in _ESCAPES.items():
        text = text.replace(letter, escaped)
    return text


def _render(template: str, scripts: Sequence[str], data: str = "", **values: Any) -> str:
    from markupsafe import Markup

    style = _asset("uPlot.min.css") + _asset("report.css")
    parts = "\n".join(map(_asset, scripts))
    script = f'"use strict";\n(() => {{\n{parts}\n}})();'
    asks = "'self'" if values.get("live") else "'none'"
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; "
        f"connect-src {asks}; "
        "img-src data:; media-src 'self' file: blob:; base-uri 'none'; form-action 'none'"
    )
    return (
        _environment()
        .get_template(template)
        .render(
            **{**_STATIC, **values},
            policy=policy,
            # Ours, and JSON that is escaped for scripts.
            style=Markup(style),  # noqa: S704
            script=Markup(script),  # noqa: S704
            data=Markup(data),  # noqa: S704
        )
    )


@cache
def _environment() -> Environment:
    from jinja2 import DictLoader, Environment, StrictUndefined

    names = ("base.html", "page.html", "index.html", "summary.html", "run.html")
    return Environment(
        loader=DictLoader({name: _asset(name) for name in names}),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _asset(name: str) -> str:
    return resources.files("avaffect.reporting").joinpath("assets", name).read_text("utf-8")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def _texts(value: Any) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else []


def _dict(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and np.isfinite(value) else 0.0
