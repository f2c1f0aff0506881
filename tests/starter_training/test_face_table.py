"""The card's tables: what they say of what is there, and of what is missing."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "starter_training"))

import face_table
from face_sets import SETS
from face_units import CODED, CODED_IN

from avaffect.files.atomic import write_json
from avaffect.labels import ACTION_UNITS

INTERVAL = [0.8409, 0.8197, 0.8613]


def report(new: float = 0.6, old: float = 0.45) -> dict[str, object]:
    """A report of each set that says ``new`` and ``old`` of macro F1."""
    rates = {name: dict.fromkeys(ACTION_UNITS, 0.5) for name in CODED_IN}
    facts = {
        "pictures": 10,
        "net": {"accuracy": INTERVAL, "macro_f1": [new, new, new]},
        face_table.OLD: {"accuracy": INTERVAL, "macro_f1": [old, old, old]},
        "unit_auc": {"AU12": 0.99},
        "unit_rates": rates,
        "unit_rates_beside_coded": {"AU12": 0.76},
    }
    return dict.fromkeys(SETS, facts)


@pytest.mark.parametrize(
    ("value", "text"),
    [(INTERVAL, ".841 (.820 to .861)"), ([0.5], ".500"), (None, "-"), ([-0.25], "-.250")],
)
def test_a_figure_is_written_with_its_interval_and_without_a_leading_nought(
    value: list[float] | None, text: str
) -> None:
    assert face_table.figure(value) == text


def test_each_part_that_was_not_measured_says_which_script_measures_it() -> None:
    made_by = {"sets": "report", "costs": "export", "units": "report"}
    for part in ("sets", "costs", "heads", "shifts", "leaks", "units", "groups"):
        assert f"face_{made_by.get(part, part)}.py" in "\n".join(getattr(face_table, part)({}))


def test_unit_rates_stand_beside_peoples() -> None:
    lines = "\n".join(face_table.units({"report": report()})).splitlines()
    smile = next(line for line in lines if line.startswith("| AU12"))
    theirs = face_table.short(CODED["AU12"][CODED_IN.index("Happiness")], 2)
    assert f".50 / {theirs}" in smile
    assert "| .76 | .99 | - |" in smile


@pytest.mark.parametrize(("new", "verdict"), [(0.56, "reached"), (0.54, "missed")])
def test_a_set_left_out_is_held_against_starter_1_on_the_same_pictures(
    new: float, verdict: str
) -> None:
    runs = {"work/without_rafdb": {"report": report(new)}, "work/without_ferplus": {}}
    said = "\n".join(face_table.left_out(runs))
    assert f"| rafdb, macro_f1 | 10 | {face_table.figure([new] * 3)}" in said
    assert verdict in said
    assert "face_report.py --net work/without_ferplus/net.pt" in said


def test_nets_stand_by_the_time_that_a_face_takes_and_8_bits_beside_them() -> None:
    def net(ms: float) -> dict[str, object]:
        file = {"bytes": 1_900_000, "ms": ms, "accuracy": 0.8}
        files = {
            "face.onnx": file,
            "face-int8.onnx": file | {"ms": ms - 1},
            "other.onnx": {"ms": 1},
        }
        return {"report": report(), "export": {"temperature": 0.7, **files}}

    lines = "\n".join(
        face_table.nets({"a/big": net(10.0), "a/small": net(3), "a/none": {}})
    ).split("\n")
    assert [line.split(" | ")[:2] for line in lines[5:]] == [
        ["| small, 8 bits", "2.0"],
        ["| small", "3.0"],
        ["| big, 8 bits", "9.0"],
        ["| big", "10.0"],
        ["| none", "-"],
    ]
    assert ".841 (.820 to .861) | .600 (.600 to .600)" in lines[6]


def test_only_what_lies_in_the_folder_is_read(tmp_path: Path) -> None:
    write_json(tmp_path / "report.json", report())
    assert set(face_table.read(tmp_path)) == {"report"}
