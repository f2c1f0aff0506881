"""What is loaded is what was checked, whatever happens to the file."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from avaffect.errors import ModelDamagedError, ModelUnavailableError
from avaffect.files.seal import seal_of
from avaffect.models import fetch
from avaffect.models.content import model_content
from avaffect.models.fetch import make_ready, model_path
from avaffect.models.zoo import ZOO, Check, ModelFile
from avaffect.progress import Event, Notice


def test_it_is_fetched_checked_and_read(tiny: ModelFile, site, cache: Path) -> None:
    content = model_content("tiny")
    assert (content.path, content.data) == (cache / "tiny.bin", site.files["/tiny.bin"])
    assert content.open().read() == content.data
    assert content.data[:8].hex() not in repr(content)
    assert model_content("tiny", offline=True) == content
    assert len(site.asked) == 1


def test_a_file_exchanged_after_its_check_is_not_loaded(tiny: ModelFile, site) -> None:
    path = model_path("tiny")
    before = path.stat()
    with path.open("r+b") as file:
        file.write(b"!")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    # The check by path has seen this file, as far as it can tell.
    assert model_path("tiny") == path
    with pytest.raises(ModelDamagedError, match="has the SHA-256"):
        model_content("tiny", offline=True)


def test_a_damaged_file_is_fetched_again(tiny: ModelFile, site, cache: Path) -> None:
    cache.mkdir()
    (cache / "tiny.bin").write_bytes(b"damaged")
    events: list[Event] = []
    assert model_content("tiny", on_event=events.append).data == site.files["/tiny.bin"]
    assert [event.warning for event in events if isinstance(event, Notice)] == [True]


def test_a_link_in_the_cache_counts_by_what_it_leads_to(
    tiny: ModelFile, site, cache: Path, tmp_path: Path
) -> None:
    cache.mkdir()
    (tmp_path / "elsewhere").write_bytes(site.files["/tiny.bin"])
    (cache / "tiny.bin").symlink_to(tmp_path / "elsewhere")
    assert model_content("tiny", offline=True).data == site.files["/tiny.bin"]
    (tmp_path / "elsewhere").write_bytes(b"tampered")
    with pytest.raises(ModelDamagedError):
        model_content("tiny", offline=True)
    (cache / "tiny.bin").unlink()
    (cache / "tiny.bin").symlink_to(tmp_path / "nowhere")
    with pytest.raises(ModelUnavailableError):
        model_content("tiny", offline=True)


def test_a_file_that_keeps_changing_is_given_up(
    tiny: ModelFile, site, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = model_path("tiny")
    path.write_bytes(b"damaged")
    monkeypatch.setattr(fetch, "model_path", lambda name, **settings: path)
    with pytest.raises(ModelDamagedError, match="change while they are read"):
        model_content("tiny")


def test_the_first_use_of_a_weak_check_is_told_once(
    tiny: ModelFile, site, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ZOO, "tiny", replace(tiny, check=Check(tiny.check.digest[:8])))
    cache.mkdir()
    (cache / "tiny.bin").write_bytes(site.files["/tiny.bin"])
    events: list[Event] = []
    for _ in range(2):
        model_content("tiny", on_event=events.append)
    assert [tiny.check.digest in getattr(event, "text", "") for event in events] == [True]
    assert seal_of(cache / "tiny.bin").is_file()


def test_make_ready_fetches_what_is_missing_alone(
    tiny: ModelFile, shipped: Path, site, cache: Path
) -> None:
    make_ready(["tiny", "shipped"])
    assert (cache / "tiny.bin").is_file()
    make_ready(["tiny", "shipped"])
    assert len(site.asked) == 1
