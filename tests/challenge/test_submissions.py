"""Five submissions a track, and what produced each."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from avaffect.challenge import submissions as module
from avaffect.challenge.submissions import MOST, Numbered, numbers_of, read_submissions
from avaffect.challenge.submit import submit
from avaffect.errors import FormatError, UsageError
from avaffect.files.hashing import file_sha256
from avaffect.progress import Notice


@dataclass
class Team:
    """Predictions that change, and the folder of their zips."""

    root: Path

    @property
    def zips(self) -> Path:
        return self.root / "zips"

    def predict(self, value: float) -> None:
        folder = self.root / "out" / "VA_Estimation_Challenge"
        folder.mkdir(parents=True, exist_ok=True)
        rows = "".join(f"{value},0.{at}\n" for at in range(1, 5))
        (folder / "a.txt").write_text(f"valence,arousal\n{rows}")

    def submit(self, number: int, task: str = "va", edition: str = "abaw6", **options: Any) -> Any:
        out = options.pop("out", self.zips)
        return submit(self.root / "out", out, task, edition, number=number, **options)

    def entries(self) -> list[dict[str, Any]]:
        return read_submissions(self.zips)


@pytest.fixture
def team(tmp_path: Path) -> Team:
    made = Team(tmp_path)
    made.predict(0.25)
    return made


def test_a_zip_and_its_entry(team: Team) -> None:
    report = team.submit(2)
    assert report.path == team.zips / "abaw6_va_2.zip"
    (entry,) = team.entries()
    assert entry["sha256"] == file_sha256(report.path)
    assert (entry["task"], entry["edition"], entry["number"]) == ("va", "abaw6", 2)
    assert (entry["rows"], entry["file"], entry["template"]) == (4, "abaw6_va_2.zip", None)
    assert entry["predictions"] == str(team.root / "out")
    assert entry["date"].endswith("+00:00")
    assert json.loads((team.zips / "submissions.json").read_text())["version"] == 1


def test_a_name_of_ones_own_and_the_template(team: Team) -> None:
    sample = team.root / "sample.txt"
    sample.write_text("image_location,valence,arousal\n" + "".join(
        f"a/{at:05d}.jpg,0.5,-0.5\n" for at in range(1, 5)))  # fmt: skip
    report = team.submit(1, out=team.zips / "mine.zip", template=sample)
    assert report.path == team.zips / "mine.zip"
    (entry,) = team.entries()
    assert entry["template"] == {"file": "sample.txt", "sha256": file_sha256(sample)}


def test_a_number_is_taken_by_one_content(team: Team) -> None:
    team.submit(1)
    before = (team.zips / "abaw6_va_1.zip").read_bytes()
    team.submit(1)  # the same again
    team.predict(-0.5)
    with pytest.raises(UsageError, match=r"submission 1 of 'va' .* is another one") as caught:
        team.submit(1)
    assert "number=2" in str(caught.value)
    assert (team.zips / "abaw6_va_1.zip").read_bytes() == before
    assert len(team.entries()) == 1
    team.submit(1, overwrite=True)
    assert (team.zips / "abaw6_va_1.zip").read_bytes() != before
    assert [entry["number"] for entry in team.entries()] == [1]


def test_the_same_zip_under_two_numbers_is_told(team: Team) -> None:
    team.submit(1)
    said: list[object] = []
    team.submit(3, on_event=said.append)
    notes = [event.text for event in said if isinstance(event, Notice) and event.warning]
    assert "it is the same as submission 1, byte for byte" in notes
    assert numbers_of(team.zips, Numbered("va", "abaw6", 1)) == (1, 3)


def test_tracks_and_editions_count_by_themselves(team: Team) -> None:
    for edition in ("abaw5", "abaw6"):
        team.submit(1, edition=edition)
    assert [entry["edition"] for entry in team.entries()] == ["abaw5", "abaw6"]


def test_five_are_all(team: Team) -> None:
    for number in range(1, MOST + 1):
        team.predict(number / 10)
        team.submit(number)
    team.predict(0.9)
    with pytest.raises(UsageError, match="is another one") as caught:
        team.submit(5)
    assert "all five are made" in str(caught.value)
    for number in (0, 6):
        with pytest.raises(UsageError, match="from 1 to 5"):
            team.submit(number)


def test_faults_take_no_number(team: Team) -> None:
    team.predict(3)
    assert team.submit(1).counts
    assert not team.zips.exists() or not list(team.zips.iterdir())


@pytest.mark.parametrize("text", ["", "[]", '{"version": 2, "submissions": []}', '{"version": 1}'])
def test_a_damaged_record_is_not_replaced(team: Team, text: str) -> None:
    team.zips.mkdir()
    (team.zips / "submissions.json").write_text(text)
    with pytest.raises(FormatError, match=r"submissions\.json"):
        team.submit(1)
    assert (team.zips / "submissions.json").read_text() == text
    assert not (team.zips / "abaw6_va_1.zip").exists()


def test_what_made_it_is_kept(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "makers_of", lambda folder: [{"model": "x", "sources": 3}])
    team.submit(1)
    assert team.entries()[0]["made_by"] == [{"model": "x", "sources": 3}]


def test_predictions_of_others_are_told(team: Team) -> None:
    said: list[object] = []
    team.submit(1, on_event=said.append)
    texts = [event.text for event in said if isinstance(event, Notice)]
    assert any("note it yourself" in text for text in texts)
    assert team.entries()[0]["made_by"] == []
