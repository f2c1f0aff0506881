import errno
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas
import pytest

from avaffect.challenge.text import labels_of
from avaffect.errors import FeatureError, FormatError
from avaffect.files.atomic import write_json
from avaffect.files.table import read_table, write_table
from avaffect.predicting.outputs import Outputs
from avaffect.predicting.run import Result
from avaffect.predictions.missing import fill, marked
from avaffect.predictions.prediction import Prediction
from avaffect.preprocessing.run import _drop_others
from avaffect.store.prepared import Prepared


def made(prediction: Prediction) -> Result:
    about = {"model": "m", "video": {"name": "a.mp4", "sha256": "0"}}
    return Result(Path("a.mp4"), (prediction,), (), about, found=2, valued=2)


def with_gap() -> Prediction:
    va = np.array([[0.5, -0.25], [np.nan] * 2, [-1, 1]])
    seen = ~np.isnan(va[:, 0])
    return Prediction("a", "m", np.arange(3) / 25, seen, np.where(seen, 1, np.nan), va)


@pytest.mark.parametrize(
    ("policy", "row", "filled"),
    [("linear", "-0.2500,0.3750", True), ("nearest", "0.5000,-0.2500", True),
     ("invalid", "-5,-5", False)],
)  # fmt: skip
def test_the_policy_is_for_text_and_the_table_names_it(
    tmp_path: Path, policy: str, row: str, filled: bool
) -> None:
    outputs = Outputs(tmp_path)
    result = made(marked(with_gap(), policy))
    result = replace(result, missing=policy, about={**result.about, "missing": policy})
    text, table, _ = outputs.write("a", result, "key")
    assert text.read_text().splitlines()[2] == row
    columns, about = read_table(table)
    assert np.isnan(columns["valence"]).tolist() == [False, True, False]
    assert columns["filled"].tolist() == [False, filled, False]
    assert about["missing"] == policy
    # For a single file they are read back and filled again.
    (back,) = outputs.read("a", outputs.records.read("a"))
    assert labels_of(back.filled, "va")[1].tolist() == [float(value) for value in row.split(",")]


def test_an_earlier_table_is_filled_already(tmp_path: Path) -> None:
    outputs = Outputs(tmp_path)
    earlier = fill(with_gap(), "nearest")
    about = {"model": "m", "configuration": {"missing": "nearest"}}
    write_table(tmp_path / "tables/a.parquet", earlier.columns(), about)
    (back,) = outputs.read("a", {"subjects": ["a"]})
    np.testing.assert_array_equal(back.filled.va, earlier.va)


def test_an_interval_is_in_the_table_and_nowhere_else(tmp_path: Path) -> None:
    va = np.array([[0.5, -0.25], [np.nan] * 2, [-1, 1]])
    seen = ~np.isnan(va[:, 0])
    plain = Prediction("a", "m", np.arange(3) / 25, seen, np.where(seen, 1, np.nan), va)
    interval = np.clip(va[:, :, None] + np.array([-0.25, 0.5]), -1, 1)
    surer = replace(plain, va_interval=interval)
    texts = {}
    for name, prediction in (("plain", plain), ("surer", surer)):
        outputs = Outputs(tmp_path / name)
        paths = outputs.write("a", made(prediction), "key")
        texts[name] = [path.read_bytes() for path in paths if path.suffix == ".txt"]
        (back,) = outputs.read("a", outputs.records.read("a"))
        if prediction.va_interval is None:
            assert back.filled.va_interval is None
        else:
            np.testing.assert_array_equal(back.filled.va_interval, prediction.va_interval)
    assert len(texts["plain"]) == 1
    assert texts["plain"] == texts["surer"]
    table = pandas.read_parquet(tmp_path / "surer/tables/a.parquet")
    assert table["arousal_low"].tolist()[::2] == [-0.5, 0.75]
    assert table["valence_high"].isna().tolist() == [False, True, False]


HOSTILE = ["../x", "/etc/x", "a/b", "a\0b", "con", "x" * 300, "..", ""]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_record_names_nothing_outside_its_folder(name: str, tmp_path: Path) -> None:
    """Neither of predictions nor of a preprocessed folder: files of these names are deleted."""
    video = {"name": "a.mp4", "sha256": "0"}
    write_json(tmp_path / "records" / "a.json", {"video": video, "subjects": [name], "key": "k"})
    outputs = Outputs(tmp_path)
    for look in (lambda: outputs.written("a", "k"), outputs.owners):
        with pytest.raises(FormatError, match="names a subject that cannot be a file"):
            look()
    write_json(tmp_path / "preprocess.json", {"video": video, "subjects": [name]})
    with pytest.raises(FeatureError, match="names a subject that cannot be a file"):
        Prepared(tmp_path).subjects()
    with pytest.raises(FeatureError, match="names a subject"):
        _drop_others(Prepared(tmp_path), set())


def test_a_record_that_may_not_be_read_is_not_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_json(tmp_path / "records" / "a.json", {"key": "k"})
    write_json(tmp_path / "preprocess.json", {"made_with": "k"})

    def forbidden(*arguments, **options):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", forbidden)
    for kind, look in (
        (FormatError, lambda: Outputs(tmp_path).records.read("a")),
        (FeatureError, lambda: Prepared(tmp_path).record),
    ):
        with pytest.raises(kind, match=r"\(permission denied\): check its permissions"):
            look()
