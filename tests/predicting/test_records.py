from pathlib import Path

import pytest

from avaffect.files.atomic import write_json
from avaffect.predicting.records import Records, named_by

VA = "VA_Estimation_Challenge/predictions.txt"


def test_a_record_comes_back_and_is_listed(tmp_path: Path) -> None:
    records = Records(tmp_path)
    assert records.names() == []
    assert records.read("P01/s1") == {}
    records.write("P01/s1", {"key": "k", "files": ["tables/P01/s1.parquet"], "single": [VA]})
    records.write("b", {"key": "k", "files": ["b.txt"], "single": []})
    write_json(tmp_path / "records" / "con.json", {"files": ["x"]})  # no source can be called so
    assert sorted(records.names()) == ["P01/s1", "b"]
    assert records.read("P01/s1")["key"] == "k"
    assert records.ours() == {"tables/P01/s1.parquet", VA, "b.txt"}
    assert records.ours_of("P01/s1") == {"tables/P01/s1.parquet", VA}


def test_what_is_claimed_is_ours_until_a_record_names_it(tmp_path: Path) -> None:
    records = Records(tmp_path)
    records.claim("P01/s1", ["a.txt"])
    assert records.ours() == records.ours_of("P01/s1") == {"a.txt"}
    assert records.ours_of("other") == set()
    records.unclaim("P01/s1")
    records.unclaim("P01/s1")
    assert records.ours() == set()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("record", "single"),
    [
        ({"files": ["tables/a.parquet"], "edition": "abaw5"}, True),
        ({"files": ["tables/a.parquet"], "edition": "abaw5", "single": []}, False),
        ({"files": ["tables/a.parquet", "VA/a.txt"], "edition": "abaw5"}, False),
        ({"files": ["tables/a.parquet"], "edition": "no such"}, False),
        ({"files": [], "edition": "abaw5"}, False),
    ],
)
def test_records_of_earlier_versions_name_the_files_for_all(record, single: bool) -> None:
    named = named_by(record)
    assert named >= set(record["files"])
    assert any(file.endswith("predictions.txt") for file in named) == single


def test_a_damaged_record_is_none(tmp_path: Path) -> None:
    write_json(tmp_path / "records" / "a.json", {"files": "all"})
    assert Records(tmp_path).read("a") == {}
