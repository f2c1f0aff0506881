"""The pages that are written, and what is refused."""

import csv
import hashlib
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
from fixtures.facts import about_of

from avaffect.errors import ForeignFileError, InputNotFoundError, UsageError
from avaffect.files.table import write_table
from avaffect.progress import Event
from avaffect.reporting.report import report

HOSTILE = '</script><script>alert(1)</script><img src=x onerror="alert(2)">\u2028&{{7*7}}'
Write = Callable[..., Path]


class Elements(HTMLParser):
    """Counts elements, and keeps attributes that run or load something."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: dict[str, int] = {}
        self.risky: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] = self.tags.get(tag, 0) + 1
        for name, value in attrs:
            if name.startswith("on") or name == "style" or "//" in str(value or ""):
                self.risky.append((name, str(value)))


def elements(page: Path) -> Elements:
    found = Elements()
    found.feed(page.read_text("utf-8"))
    return found


def data_of(page: Path) -> Any:
    text = page.read_text("utf-8")
    return json.loads(text.split('id="data">')[1].split("</script>")[0])


def test_one_video_is_one_page_without_any_other_file(write: Write, tmp_path: Path) -> None:
    folder = write(write(tmp_path / "out", "anna"), "bert", seed=1, unseen=range(5, 20))
    done = report(folder)
    assert done.path == folder / "report.html"
    assert (done.pages, done.subjects) == ((done.path,), ("anna", "bert"))
    text = done.path.read_text("utf-8")
    # Nothing is loaded from anywhere.
    assert not re.search(r'(src|href)="(?!data:|#)', text)
    assert "default-src &#39;none&#39;; script-src" in text
    assert data_of(done.path)["people"][1]["rows"] == 50
    assert "without gaps" in text and "not seen in 30 %" in text
    assert "A note." in text and "noncommercial" not in text


def test_hostile_names_are_text(write: Write, tmp_path: Path) -> None:
    plain = report(write(tmp_path / "plain", "a", subject="x")).path
    facts = about_of(HOSTILE, model=HOSTILE, notes=[HOSTILE], device=HOSTILE, smoothing=HOSTILE)
    facts["video"] = {"name": HOSTILE, "sha256": HOSTILE}
    facts["versions"] = {HOSTILE: HOSTILE}
    facts["models"] = {HOSTILE: HOSTILE}
    hostile = report(write(tmp_path / "hostile", "a", about=facts)).path
    before, after = elements(plain), elements(hostile)
    for tag in ("script", "img", "style", "meta"):
        assert after.tags.get(tag) == before.tags.get(tag), tag
    assert after.risky == before.risky == []
    text = hostile.read_text("utf-8")
    assert "\u2028" not in text and "7*7" in text and "<img src=x" not in text


def test_what_is_not_predicted_is_said(tmp_path: Path) -> None:
    times = np.arange(10) / 25
    columns = {"frame": np.arange(1, 11), "time": times, "present": np.zeros(10, bool)}
    columns |= {"valence": np.sin(times), "arousal": np.full(10, np.nan)}
    write_table(tmp_path / "tables/voice.parquet", columns, {"subject": "voice"})
    text = report(tmp_path).path.read_text("utf-8")
    assert "Not predicted, and so not shown: expression, action units." in text
    assert "The face is not seen in any frame." in text
    assert 'id="plot-valence"' in text and 'id="plot-units"' not in text


def test_several_videos_have_an_index(write: Write, tmp_path: Path) -> None:
    facts = [about_of("a"), about_of("b"), about_of("c")]
    facts[1]["video"] = {"name": "../../x<b>.mp4", "sha256": "1"}
    facts[2]["video"] = {"name": "gone.mp4", "sha256": "2"}
    for name, each in zip("abc", facts, strict=True):
        write(tmp_path / "out", name, about=each)
    done = report(tmp_path / "out")
    assert {page.parent for page in done.pages} == {tmp_path / "out/reports"}
    assert len({*done.pages}) == 3
    text = done.path.read_text("utf-8")
    for page in done.pages:
        assert f'href="reports/{page.name}"' in text
        assert 'href="../report.html"' in page.read_text("utf-8")
    assert "<b>.mp4" not in text


def test_only_our_own_pages_are_replaced(write: Write, tmp_path: Path) -> None:
    folder = write(tmp_path / "out", "anna")
    page = report(folder).path
    # At the place where `predict` leaves it, it is made again; at one that is named it stays.
    assert report(folder).path == page
    with pytest.raises(UsageError, match="is there already"):
        report(folder, page)
    report(folder, page, overwrite=True)
    (tmp_path / "mine.html").write_text("<p>mine")
    with pytest.raises(ForeignFileError):
        report(folder, tmp_path / "mine.html", overwrite=True)
    with pytest.raises(UsageError, match="ending"):
        report(folder, tmp_path / "a.pdf")


def test_a_video_is_told_by_its_content(
    write: Write, sample: Callable[[str], Path], tmp_path: Path
) -> None:
    video = sample("one_person.mp4")
    folder = write(tmp_path / "a b%c/out", "anna", about=about_of("anna", video))
    page = report(folder).path
    assert "is not at hand" in page.read_text("utf-8")
    with pytest.raises(UsageError, match="not at hand"):
        report(folder, embed=True, overwrite=True)
    with pytest.raises(InputNotFoundError):
        report(folder, videos=[tmp_path / "none.mp4"], overwrite=True)
    # Another file of the name is not taken; the right one beside the folder is, and faces are cut.
    (folder.parent / video.name).write_bytes(b"other")
    assert "<video" not in report(folder, overwrite=True).path.read_text("utf-8")
    (folder.parent / video.name).write_bytes(video.read_bytes())
    text = report(folder, overwrite=True).path.read_text("utf-8")
    assert 'src="../one_person.mp4"' in text
    assert text.count("data:image/jpeg") >= 6
    embedded = report(folder, overwrite=True, embed=True).path.read_text("utf-8")
    assert 'data-kind="video/mp4"' in embedded and 'src="../' not in embedded
    elsewhere = report(folder, tmp_path / "p/page.html", videos=[folder.parent / video.name])
    assert 'src="../a%20b%25c/one_person.mp4"' in elsewhere.path.read_text("utf-8")


def test_a_file_is_hashed_once_for_all_videos(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    videos = [tmp_path / f"{name}.mp4" for name in ("a", "b", "c")]
    for video in videos:
        video.write_text(video.name)
        write(tmp_path / "out", video.stem, about=about_of(video.stem, video))
    hashed: list[str] = []

    def counted(file: BinaryIO, algorithm: str) -> Any:
        if file.name.endswith(".mp4"):
            hashed.append(Path(file.name).name)
        return digest(file, algorithm)

    digest = hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", counted)
    assert len(report(tmp_path / "out", videos=videos).pages) == 3
    assert sorted(hashed) == ["a.mp4", "b.mp4", "c.mp4"]


def test_annotations_of_own_and_of_the_challenge(write: Write, tmp_path: Path) -> None:
    folder = write(tmp_path / "out", "anna")
    own = tmp_path / "own/anna.csv"
    own.parent.mkdir()
    with own.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["frame", "valence", "arousal", "expression", "AU12"])
        rows.writerows([at, round(at / 50, 2), -0.5, "Fear", 1] for at in range(40, 0, -1))
    page = report(folder, annotations=own.parent).path
    text = page.read_text("utf-8")
    assert "CCC valence" in text and "mean F1" in text
    person = data_of(page)["people"][0]
    assert {"valence_truth", "class_truth", "units_truth"} <= person.keys()
    challenge = tmp_path / "truth/VA_Estimation_Challenge/Train_Set/anna.txt"
    challenge.parent.mkdir(parents=True)
    challenge.write_text("valence,arousal\n" + "0.5,0.25\n0.1,0.2\n" * 25)
    page = report(folder, annotations=tmp_path / "truth", overwrite=True).path
    assert "class_truth" not in data_of(page)["people"][0]
    assert "CCC valence" in page.read_text("utf-8")
    said: list[Event] = []
    challenge.rename(challenge.with_name("bert.txt"))
    report(folder, annotations=tmp_path / "truth", overwrite=True, on_event=said.append)
    assert any("nobody in the report is annotated" in str(event) for event in said)
    with pytest.raises(InputNotFoundError, match="no annotations"):
        report(folder, annotations=tmp_path / "none", overwrite=True)


def test_a_page_of_the_same_stays_as_it_is(write: Write, tmp_path: Path) -> None:
    """One more video in a folder makes one more page, and not all anew."""

    def predicted(name: str, seed: int = 0) -> Path:
        video = {"name": f"{name}.mp4", "sha256": name}
        return write(tmp_path, name, seed=seed, about=about_of(name) | {"video": video})

    for name in ("anna", "bert"):
        out = predicted(name)
    pages = report(out).pages

    def stamps() -> list[int]:
        return [page.stat().st_ino for page in pages]

    before = stamps()
    predicted("carl")
    done = report(out)
    assert stamps() == before
    assert done.subjects == ("anna", "bert", "carl")
    assert all(name in done.path.read_text("utf-8") for name in done.subjects)
    # Another table, or another place to lead back to, is another page.
    predicted("bert", seed=5)
    report(out)
    assert [now == was for now, was in zip(stamps(), before, strict=True)] == [True, False]
    pages[0].write_text("<p>not ours</p>")
    with pytest.raises(ForeignFileError):
        report(out)
