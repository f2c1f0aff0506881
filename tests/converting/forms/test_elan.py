"""ELAN's files, read back by pympi."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from fixtures.recordings import HOSTILE, write_person
from pympi.Elan import Eaf

from avaffect.converting.run import convert


def written(root: Path, name: str = "talk") -> Eaf:
    convert(root, "eaf")
    return Eaf(str(root / f"converted/eaf/{name}.eaf"))


def test_tiers_of_each_person(tmp_path: Path) -> None:
    said = np.array(["Fear", "Fear", None, "Anger"], object)
    times = [0, 0.04, 0.0801, 0.12]
    write_person(tmp_path, "talk_left", times, [2], expression=said, AU12=[1, 1, np.nan, 0])
    write_person(tmp_path, "talk_right", times)
    file = written(tmp_path)
    assert {name.partition("@")[2] for name in file.get_tier_names()} == {
        "talk_left",
        "talk_right",
    }
    spans = {kind: file.get_annotation_data_for_tier(f"{kind}@talk_left")
             for kind in ("expression", "smile", "AU12", "AU4", "gaps")}  # fmt: skip
    assert [span[:3] for span in spans["expression"]] == [(0, 80, "Fear"), (120, 160, "Anger")]
    assert [span[:3] for span in spans["smile"]] == [(0, 80, "smile")]
    assert [span[:3] for span in spans["gaps"]] == [(80, 120, "no face")]
    assert file.get_parameters_for_tier("smile@talk_left")["PARTICIPANT"] == "talk_left"
    (video,) = file.get_linked_files()
    assert (video["RELATIVE_MEDIA_URL"], video["MIME_TYPE"]) == ("./talk.mp4", "video/mp4")


def test_it_is_on_the_files_own_clock(tmp_path: Path) -> None:
    write_person(
        tmp_path, times=[0, 0.04], expression=np.full(2, "Fear", object),
        about={"media": {"first_time_s": 0.5}},
    )  # fmt: skip
    ((start, end, _),) = written(tmp_path).get_annotation_data_for_tier("expression@talk")
    assert (start, end) == (500, 580)


def test_hostile_texts(tmp_path: Path) -> None:
    text = f"{HOSTILE}\x00\n]]>"
    write_person(
        tmp_path, times=[0, 0.04], video="../a b%20<.mp4", expression=np.full(2, text, object),
        about={"subject": HOSTILE},
    )  # fmt: skip
    file = written(tmp_path)
    ((*_, said),) = file.get_annotation_data_for_tier(f"expression@{HOSTILE}")
    assert said == f"{HOSTILE}  ]]>"
    (video,) = file.get_linked_files()
    assert video["RELATIVE_MEDIA_URL"] == "./a%20b%2520%3C.mp4"


@pytest.mark.parametrize("per_second", [25, 4000])
def test_annotations_last_and_do_not_overlap(tmp_path: Path, per_second: int) -> None:
    write_person(tmp_path, times=np.arange(200) / per_second)
    file = written(tmp_path)
    for name in file.get_tier_names():
        spans = sorted(span[:2] for span in file.get_annotation_data_for_tier(name))
        assert all(start < end for start, end in spans)
        assert all(first[1] <= second[0] for first, second in pairwise(spans))
    text = (tmp_path / "converted/eaf/talk.eaf").read_text(encoding="utf-8")
    ids = re.findall('ANNOTATION_ID="([^"]+)"', text)
    assert len(ids) == len(set(ids)) > 10
