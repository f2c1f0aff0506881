"""What a folder holds at the moment."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

from avaffect.viewing import results as module
from avaffect.viewing.results import Results

Write = Callable[..., Path]
SAMPLE = Path(__file__).parents[2] / "sample_media/one_person.mp4"


def test_an_empty_folder_fills(write: Write, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    results = Results(tmp_path / "out")
    assert results.videos() == {}
    before = results.state()
    assert "Nothing at the moment" in results.index()
    write("anna")
    assert results.state() != before
    assert [each.title for each in results.videos().values()] == ["anna.mp4"]
    (key,) = results.videos()
    assert f'href="videos/{key}"' in results.index()


def test_a_table_is_read_again_only_where_it_changed(write: Write, monkeypatch) -> None:
    out = write("anna")
    write("bert")
    results, read = Results(out), []
    load = module.load_table
    monkeypatch.setattr(module, "load_table", lambda *a: read.append(a[0]) or load(*a))
    results.index()
    results.index()
    assert sorted(read) == ["anna", "bert"]
    del read[:]
    write("bert", valence=-0.5, rows=60)
    page = results.index()
    assert read == ["bert"]
    assert "−0.50" in page


def test_a_page_is_made_once_and_anew_after_a_change(write: Write, monkeypatch) -> None:
    out = write("anna")
    results = Results(out)
    (key,) = results.videos()
    first = results.page(key)
    assert first is not None
    assert "anna.mp4" in first
    assert 'href="../"' in first
    monkeypatch.setattr(module, "people_of", lambda *a: 1 / 0)
    assert results.page(key) is first
    monkeypatch.undo()
    write("anna", rows=80)
    assert results.page(key) != first


def test_what_nobody_predicted_has_no_page(write: Write) -> None:
    results = Results(write("anna"))
    for key in ("", "anna", "../anna", "/etc/passwd", "0" * 16):
        assert results.page(key) is None
        assert results.footage(key) is None


def test_the_video_is_told_by_its_content(write: Write, tmp_path: Path) -> None:
    out = write("anna", SAMPLE)
    (key,) = Results(out).videos()
    assert Results(out).footage(key) is None
    results = Results(out, [SAMPLE])
    assert results.footage(key) == SAMPLE
    page = results.page(key)
    assert page is not None
    assert f'src="../footage/{key}"' in page
    assert "data:image/jpeg" in page
    # Another file of its name is not it.
    (out / SAMPLE.name).write_bytes(b"no video")
    assert Results(out).footage(key) is None


def test_passes_that_are_not_finished_are_told(write: Write) -> None:
    out = write("anna")
    results = Results(out)
    assert results.running() == []
    work = out / ".predict-work" / "P01" / "a<b>-0123abcd"
    work.mkdir(parents=True)
    (work / "checkpoint.json").write_text(json.dumps({"frames": 250}))
    before = results.state()
    assert results.running() == ["P01/a<b>: 250 frames so far"]
    assert "P01/a&lt;b&gt;: 250 frames so far" in results.index()
    (work / "checkpoint.json").write_text(json.dumps({"frames": 500}))
    assert results.state() != before
    old = time.time() - 600
    os.utime(work / "checkpoint.json", (old, old))
    assert results.running() == ["P01/a<b>: 500 frames saved; the same command goes on from there"]
    (work / "checkpoint.json").write_text("{")
    assert results.running() == []


def test_a_damaged_table_leaves_the_others(write: Write) -> None:
    out = write("anna")
    write("bert")
    results = Results(out)
    results.index()
    (out / "tables/bert.parquet").write_bytes(b"PAR1 of nothing")
    assert "anna" in results.index()
