"""starter_training/card_table.py: one table of what the other scripts found."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from fixtures.spooled import spooled

sys.path.insert(0, str(Path(__file__).parents[2] / "starter_training"))

import card_table
from card_table import cell

from avaffect.labels import EXPRESSIONS

FRAMES = 200


def voice(uar: float, plain: float) -> dict[str, object]:
    """A figures.json of two corpora left out."""
    row = {"UAR": uar, "UAR, 95 %": [0.1, 0.9], "recall": {"neutral": plain}}
    inside = {"RAVDESS, 8 labels": {"macro F1": 0.6, "macro F1, 95 %": [0.5, 0.7]}}
    return {
        "corpora never heard": {"clean": {"casia": row, "nemo": row | {"UAR": uar + 0.2}}},
        "speakers never heard": {"clean": inside},
    }


def made(folder: Path) -> list[str]:
    """Options, and what they name."""
    both = {"accuracy": 0.7, "accuracy_interval": [0.6, 0.8]}
    mean = {"mean": {"both": {"UAR": 0.55, "Neutral found": 0.85}}}
    files = {
        "films": {"rafdb, held": {"now": {"accuracy": 0.816}}},
        "face": {
            name: {
                net: {key: [0.8, 0.7, 0.9] for key in ("accuracy", "macro_f1")}
                for net in ("net", "starter-1-face")
            }
            for name in card_table.FACES
        },
        "fusion": {"elsewhere": mean, "ravdess": {"folds.npz": {"both": both, "would": {}}}},
        "older/figures": voice(0.3, 0.5),
    } | {f"voice/{name}/figures": voice(0.4, 0.25) for name in card_table.COMPANY}
    options = []
    for name, values in files.items():
        path = folder / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values), encoding="utf-8")
        if "/" not in name:
            options += [f"--{name}", str(path)]
    return [*options, "--voice", str(folder / "voice"), "--older", str(folder / "older")]


def test_all_figures_stand_in_one_table_beside_what_was_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options, out = made(tmp_path), tmp_path / "card.json"
    for before in ([], ["--before", str(out)]):
        monkeypatch.setattr(sys, "argv", ["", *options, *before, "--out", str(out)])
        card_table.main()
        rows = capsys.readouterr().out.splitlines()
        cells = {row.split(" | ")[0].removeprefix("| "): row.split(" | ")[1:] for row in rows}
        earlier = ".500" if before else ""
        title = "voice, a take alone, clean: UAR, mean of corpora left out"
        assert cells[title] == [".400", earlier, ".500 |"]
    assert cells["both, RAVDESS by actor: accuracy of 7"][2] == ".700 (.600 to .800) |"
    assert cells["face, FER+: accuracy"][0] == ".800 (.700 to .900)"
    assert cells["both, corpora left out: Neutral found"][2] == ".850 |"
    assert not any(name.startswith("starter-1") for name in cells)


def test_a_sample_is_told_by_its_phases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Named:
        def predict(self, subject: object, tasks: object) -> "Named":
            return self

        def expression_ids(self) -> np.ndarray:
            ids = np.full(FRAMES, EXPRESSIONS.index("Neutral"))
            ids[45:68] = EXPRESSIONS.index("Happiness")
            return ids

    subject = spooled(tmp_path / "spool", FRAMES, range(FRAMES), {}, None)

    class Folder:
        def __init__(self, folder: Path) -> None:
            pass

        def subjects(self) -> list[object]:
            return [subject]

    monkeypatch.setattr(card_table, "Prepared", Folder)
    monkeypatch.setattr(card_table, "Starter2", Named)
    found = dict(card_table.of_sample(tmp_path, "clip"))
    assert found["clip, at rest, while a voice is heard: Neutral"] == [1.0]
    assert found["clip, smiling: Happiness"] == [1.0]


def test_a_cell_is_short() -> None:
    assert (cell(None), cell([0.5]), cell([1.0])) == ("", ".500", "1.000")
