"""Forms of output: a new one is a class and a line of the dict."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path, PurePath

import numpy as np
import pytest

from avaffect.challenge.editions import FORMATS
from avaffect.errors import UnknownNameError, UsageError
from avaffect.predicting.outputs import Outputs
from avaffect.predicting.run import Result
from avaffect.predicting.writers.registry import (
    DEFAULT_FORM,
    WRITERS,
    WriterEntry,
    build_writer,
    require_form,
)
from avaffect.predicting.writers.writer import Ready, Writer
from avaffect.predictions.prediction import Prediction


def result(name: str = "a", seen: int = 3) -> Result:
    va = np.array([[0.5, -0.25], [0, 0.125], [-1, 1]])
    made = Prediction(name, "m", np.arange(3) / 25, np.ones(3, bool), np.ones(3), va)
    about = {"model": "m", "video": {"name": f"{name}.mp4", "sha256": "0"}}
    return Result(Path(f"{name}.mp4"), (made,), (), about, found=seen, valued=seen)


class Arousal(Writer):
    """A form of one column, for the tests."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def files(self, place: PurePath) -> tuple[Path, ...]:
        return (self._root / "arousal" / f"{place}.csv",)

    def write(self, ready: Ready) -> tuple[Path, ...]:
        (path,) = self.files(ready.place)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{value:.3f}\n" for value in ready.filled.va[:, 1]))
        return (path,)


@pytest.fixture
def arousal(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = WriterEntry("arousal alone", lambda root, edition, tasks: Arousal(root))
    monkeypatch.setitem(WRITERS, "arousal", entry)


@pytest.mark.usefixtures("arousal")
def test_a_form_that_is_added_is_written_recorded_and_replaced(tmp_path: Path) -> None:
    require_form("arousal", "abaw11", ("va",))
    outputs = Outputs(tmp_path, form="arousal")
    text, table, csv = outputs.write("a", result(), "key")
    assert text == tmp_path / "arousal/a.csv"
    assert text.read_text() == "-0.250\n0.125\n1.000\n"
    assert outputs.records.read("a")["files"] == [
        "arousal/a.csv",
        "tables/a.parquet",
        "tables/a.csv",
    ]
    assert outputs.written("a", "key") is not None
    text.unlink()
    assert outputs.written("a", "key") is None
    # Whatever form wrote them, a subject that is gone loses its files.
    outputs.write("a", result(), "key")
    Outputs(tmp_path).drop("a", ["a"])
    assert not text.exists()
    assert not table.exists()
    assert not csv.exists()


@pytest.mark.usefixtures("arousal")
def test_each_form_of_files_of_its_own_has_a_key_of_its_own(tmp_path: Path) -> None:
    from avaffect.config import PredictConfig

    keys = {
        form: Outputs(tmp_path, form=form).key("x", "model", PredictConfig()) for form in WRITERS
    }
    # Files for all subjects are made of the tables, whichever they are.
    assert keys["single"] == keys["mtl"]
    assert len(set(keys.values())) == len(WRITERS) - 1


def test_forms_of_the_challenge_are_those_of_its_editions(tmp_path: Path) -> None:
    assert {name for name, entry in WRITERS.items() if entry.challenge} == set(FORMATS)
    assert DEFAULT_FORM in WRITERS
    for form in WRITERS:
        writer = build_writer(form, tmp_path, "abaw3")
        assert bool(writer.shared) != bool(writer.files(PurePath("a")))


def test_a_wrong_choice_is_told_before_the_work() -> None:
    with pytest.raises(UnknownNameError, match=r"no format is called 'cvs': did you mean 'csv'"):
        require_form("cvs", "abaw10")
    with pytest.raises(UnknownNameError, match="edition"):
        require_form("csv", "abaw99")
    with pytest.raises(UsageError, match="no files of format 'single'"):
        require_form("single", "abaw3")
    # Of tables there is no edition: AU20, which no model predicts, is in none.
    require_form("csv", "abaw1")


def test_the_names_are_light_to_import() -> None:
    code = (
        "import sys; from avaffect.predicting.writers.registry import WRITERS; "
        "print([m for m in ('numpy', 'pyarrow', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.strip() == "[]"
