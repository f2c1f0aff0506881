import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from avaffect.errors import (
    DiskFullError,
    ModelDamagedError,
    ModelError,
    ModelUnavailableError,
    UnknownNameError,
    UsageError,
)
from avaffect.models import download, fetch
from avaffect.models.cache import cached_path
from avaffect.models.download import TRIES
from avaffect.models.fetch import model_path
from avaffect.models.zoo import ZOO, Check, ModelFile, UrlSource
from avaffect.progress import Notice, Progress


def test_a_download_arrives_whole_and_tells_its_progress(
    tiny: ModelFile, site, cache: Path
) -> None:
    events = []
    path = model_path("tiny", on_event=events.append)
    content = site.files["/tiny.bin"]
    assert path == cache / "tiny.bin"
    assert path.read_bytes() == content
    assert {event.stage for event in events} == {"fetch tiny"}
    assert {event.unit for event in events} == {"bytes"}
    done = [event.done for event in events]
    assert done == sorted(done)
    assert events[-1] == Progress("fetch tiny", len(content), len(content), "bytes", True)
    assert [p.name for p in cache.iterdir() if p.is_file()] == ["tiny.bin"]


def test_the_cache_is_asked_first(tiny: ModelFile, site) -> None:
    first = model_path("tiny")
    assert model_path("tiny") == first
    assert len(site.asked) == 1


def test_unknown_model() -> None:
    with pytest.raises(UnknownNameError):
        model_path("no-such-model")


def test_a_cut_connection_is_resumed(tiny: ModelFile, site) -> None:
    half = len(site.files["/tiny.bin"]) // 2
    site.cuts = [half]
    assert model_path("tiny").read_bytes() == site.files["/tiny.bin"]
    assert site.asked == ["", f"bytes={half}-"]


def test_the_next_run_goes_on_where_the_last_gave_up(tiny: ModelFile, site, cache: Path) -> None:
    site.cuts = [1000] + [0] * (TRIES - 1)
    with pytest.raises(ModelUnavailableError, match=r"ended after 1000 of \d+ bytes"):
        model_path("tiny")
    assert (cache / "tiny.bin.part").stat().st_size == 1000
    assert not (cache / "tiny.bin").exists()
    assert model_path("tiny").read_bytes() == site.files["/tiny.bin"]
    assert site.asked[-1] == "bytes=1000-"


def test_a_server_without_ranges_starts_over(tiny: ModelFile, site) -> None:
    site.ranges = False
    site.cuts = [4321]
    assert model_path("tiny").read_bytes() == site.files["/tiny.bin"]
    assert len(site.asked) == 2


def test_a_whole_part_file_is_used_as_it_is(tiny: ModelFile, site, cache: Path) -> None:
    cache.mkdir()
    (cache / "tiny.bin.part").write_bytes(site.files["/tiny.bin"])
    events = []
    assert model_path("tiny", on_event=events.append).read_bytes() == site.files["/tiny.bin"]
    assert len(site.asked) == 1


@pytest.mark.parametrize("leftover", [b"x" * 999, b"x" * 10_000_000])
def test_a_foreign_part_file_is_thrown_away(tiny: ModelFile, site, cache: Path, leftover) -> None:
    cache.mkdir()
    (cache / "tiny.bin.part").write_bytes(leftover)
    assert model_path("tiny").read_bytes() == site.files["/tiny.bin"]


def test_a_passing_fault_of_the_server_is_tried_again(tiny: ModelFile, site) -> None:
    site.statuses = [503, 429]
    assert model_path("tiny").read_bytes() == site.files["/tiny.bin"]
    assert len(site.asked) == 3


def test_a_missing_file_is_not_asked_for_twice(tiny: ModelFile, site, cache: Path) -> None:
    del site.files["/tiny.bin"]
    with pytest.raises(ModelUnavailableError, match="404") as caught:
        model_path("tiny")
    assert len(site.asked) == 1
    assert "avaffect models fetch tiny" in caught.value.hint
    assert str(cache / "tiny.bin") in caught.value.hint


def test_no_server_at_all(tiny: ModelFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVAFFECT_MODEL_MIRROR", "http://127.0.0.1:9")
    with pytest.raises(ModelUnavailableError, match=f"failed {TRIES} times"):
        model_path("tiny")


@pytest.mark.parametrize("change", [lambda b: b[:-1] + b"!", lambda b: b[:-1], lambda b: b""])
def test_a_wrong_file_is_deleted_and_never_used(
    tiny: ModelFile, site, cache: Path, change
) -> None:
    site.files["/tiny.bin"] = change(site.files["/tiny.bin"])
    with pytest.raises(ModelDamagedError, match="cannot fetch model 'tiny'"):
        model_path("tiny")
    assert not [p for p in cache.rglob("*") if p.is_file()]


@pytest.mark.parametrize("lengths", [True, False])
def test_a_file_that_is_too_long_is_cut_off(
    tiny: ModelFile, site, cache: Path, lengths: bool
) -> None:
    site.lengths = lengths
    site.files["/tiny.bin"] += b"more"
    with pytest.raises(ModelDamagedError, match="is longer than"):
        model_path("tiny")
    assert not [p for p in cache.rglob("*") if p.is_file()]


def test_an_answer_without_a_length_is_read_to_its_end(tiny: ModelFile, site) -> None:
    site.lengths = False
    assert model_path("tiny").read_bytes() == site.files["/tiny.bin"]


def test_files_of_unknown_length_are_checked_by_hash_alone(
    tiny: ModelFile, site, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = site.files["/tiny.bin"]
    unknown = replace(tiny, bytes=None)
    monkeypatch.setitem(ZOO, "tiny", unknown)
    assert model_path("tiny").read_bytes() == content


def test_offline_never_asks(
    tiny: ModelFile, site, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ModelUnavailableError) as caught:
        model_path("tiny", offline=True)
    assert "avaffect models fetch tiny" in caught.value.hint
    assert str(cache / "tiny.bin") in caught.value.hint
    monkeypatch.setenv("AVAFFECT_OFFLINE", "1")
    with pytest.raises(ModelUnavailableError):
        model_path("tiny")
    assert site.asked == []
    # What the caller says counts more than the environment.
    assert model_path("tiny", offline=False).exists()
    assert model_path("tiny", offline=True).exists()


def test_a_file_copied_by_hand_is_as_good(tiny: ModelFile, site, cache: Path) -> None:
    cache.mkdir()
    (cache / "tiny.bin").write_bytes(site.files["/tiny.bin"])
    assert model_path("tiny", offline=True) == cache / "tiny.bin"
    assert site.asked == []


def test_a_damaged_file_is_moved_aside_and_fetched_again(
    tiny: ModelFile, site, cache: Path
) -> None:
    model_path("tiny")
    (cache / "tiny.bin").write_bytes(b"damaged")
    events = []
    assert model_path("tiny", on_event=events.append).read_bytes() == site.files["/tiny.bin"]
    assert (cache / "tiny.bin.damaged").read_bytes() == b"damaged"
    assert [event.warning for event in events if isinstance(event, Notice)] == [True]


def test_a_damaged_file_offline_is_an_error(tiny: ModelFile, cache: Path) -> None:
    cache.mkdir()
    (cache / "tiny.bin").write_bytes(b"damaged")
    with pytest.raises(ModelDamagedError, match="has 7 bytes instead of"):
        model_path("tiny", offline=True)
    assert (cache / "tiny.bin").read_bytes() == b"damaged"


@pytest.mark.parametrize("mirror", ["file:///etc", "ftp://host/nets", "/no/such/folder"])
def test_a_mirror_is_a_web_address_or_a_folder(
    tiny: ModelFile, monkeypatch: pytest.MonkeyPatch, mirror: str
) -> None:
    monkeypatch.setenv("AVAFFECT_MODEL_MIRROR", mirror)
    with pytest.raises(UsageError, match="http"):
        model_path("tiny")


def test_a_folder_is_a_mirror_offline_too(
    tiny: ModelFile, site, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "mirror"
    folder.mkdir()
    monkeypatch.setenv("AVAFFECT_MODEL_MIRROR", str(folder))
    monkeypatch.setenv("AVAFFECT_OFFLINE", "1")
    with pytest.raises(ModelUnavailableError, match="there is no"):
        model_path("tiny")
    file = folder / "tiny.bin"
    file.write_bytes(site.files["/tiny.bin"][:-1])
    with pytest.raises(ModelDamagedError, match=r"tiny\.bin' has 307199 bytes instead of 307200"):
        model_path("tiny")
    file.write_bytes(site.files["/tiny.bin"])
    assert model_path("tiny") == cache / "tiny.bin"
    file.unlink()
    assert model_path("tiny").read_bytes() == site.files["/tiny.bin"]
    assert (site.asked, sorted(p.name for p in cache.iterdir())) == ([], ["tiny.bin"])


def test_a_mirror_is_asked_before_the_package_index(
    twins, site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first, second = twins
    monkeypatch.setenv("AVAFFECT_MODEL_MIRROR", site.url)
    site.files[f"/{first.file}"] = b"a" * 5000
    assert model_path(first.name).read_bytes() == b"a" * 5000
    assert len(site.asked) == 1
    # What the mirror lacks comes from the index, as before.
    assert model_path(second.name).read_bytes() == b"b" * 70


def test_a_part_file_that_is_a_link_is_not_written_through(
    tiny: ModelFile, site, cache: Path, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    cache.mkdir()
    (cache / "tiny.bin.part").symlink_to(victim)
    assert model_path("tiny").read_bytes() == site.files["/tiny.bin"]
    assert victim.read_bytes() == b"mine"
    assert not (cache / "tiny.bin").is_symlink()


def test_a_full_disk_is_no_fault_of_the_server(
    tiny: ModelFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(download, "download", full)
    with pytest.raises(DiskFullError):
        model_path("tiny")


def test_a_wheel_gives_its_file_and_those_beside_it(twins, cache: Path) -> None:
    first, second = twins
    assert model_path(first.name).read_bytes() == b"a" * 5000
    # No second download: the wheel's other model has come along.
    assert model_path(second.name, offline=True).read_bytes() == b"b" * 70
    assert not [p for p in cache.iterdir() if p.name.startswith(".wheel-")]


def test_a_wheel_with_another_file_is_refused(
    twins, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    first, _ = twins
    foreign = replace(first, check=Check("0" * 64))
    monkeypatch.setitem(ZOO, first.name, foreign)
    with pytest.raises(ModelDamagedError, match=r"twin/a\.bin"):
        model_path(first.name)
    assert not cached_path(first).exists()


def test_a_member_longer_than_it_should_be_is_not_unpacked_whole(
    twins, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = twins
    monkeypatch.setitem(ZOO, first.name, replace(first, bytes=100))
    with pytest.raises(ModelDamagedError, match="has 101 bytes instead of 100"):
        model_path(first.name)


def test_a_wheel_without_the_member_is_refused(twins, monkeypatch: pytest.MonkeyPatch) -> None:
    first, _ = twins
    elsewhere = replace(first.sources[0], member="twin/none.bin")
    monkeypatch.setitem(ZOO, first.name, replace(first, sources=(elsewhere,)))
    with pytest.raises(ModelDamagedError, match=r"twin/none\.bin"):
        model_path(first.name)


def test_sources_are_tried_in_turn_and_all_failures_told(
    tiny: ModelFile, twins, site, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = replace(twins[0].sources[0], version="2.0")
    both = replace(tiny, sources=(absent, UrlSource("https://localhost/tiny.bin")))
    monkeypatch.setitem(ZOO, "tiny", both)
    assert model_path("tiny").read_bytes() == site.files.pop("/tiny.bin")
    cached_path(both).unlink()
    with pytest.raises(ModelUnavailableError) as caught:
        model_path("tiny")
    assert "twin-nets==2.0" in caught.value.problem
    assert "404" in caught.value.problem
    assert "\n" not in str(caught.value)


def test_a_mirror_serves_models_that_have_no_address(
    twins, site, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = twins
    gone = replace(first, sources=(replace(first.sources[0], version="2.0"),))
    monkeypatch.setitem(ZOO, first.name, gone)
    monkeypatch.setenv("AVAFFECT_MODEL_MIRROR", f"{site.url}/nets/")
    site.files[f"/nets/{first.file}"] = b"a" * 5000
    assert model_path(first.name).exists()


def test_an_environment_without_pip_is_named(
    twins, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho "$0: No module named pip" >&2\nexit 1\n')
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(ModelUnavailableError, match="has no pip"):
        model_path(twins[0].name)


def test_a_pip_that_hangs_is_given_up(
    twins, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexec sleep 60\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setattr(fetch, "PIP_TIMEOUT", 0.2)
    with pytest.raises(ModelUnavailableError, match="pip took more than"):
        model_path(twins[0].name)


def test_a_pip_folder_beside_the_user_is_not_run(
    twins, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    trap = tmp_path / "here" / "pip"
    trap.mkdir(parents=True)
    (trap / "__init__.py").touch()
    (trap / "__main__.py").write_text("raise SystemExit('trapped')")
    monkeypatch.chdir(trap.parent)
    assert model_path(twins[0].name).exists()


_FETCH = """
import sys
from avaffect.models import fetch, zoo
size, digest = int(sys.argv[1]), sys.argv[2]
check = zoo.Check(digest)
source = zoo.UrlSource("https://localhost/tiny.bin")
zoo.ZOO["tiny"] = zoo.ModelFile("tiny", "tiny.bin", size, check, "MIT", "a test", (source,))
tell = lambda event: print(getattr(event, "text", ""), flush=True)
print(fetch.model_path("tiny", on_event=tell), flush=True)
"""


def test_two_processes_fetch_once(tiny: ModelFile, site, cache: Path) -> None:
    site.hold.clear()
    command = [sys.executable, "-c", _FETCH, str(tiny.bytes), tiny.check.digest]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as first:
        assert site.arrived.wait(20)
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as second:
            assert "waiting for another process" in second.stdout.readline()
            site.hold.set()
            last_lines = [p.communicate(timeout=30)[0].splitlines()[-1] for p in (first, second)]
    assert last_lines == [str(cache / "tiny.bin")] * 2
    assert (first.returncode, second.returncode) == (0, 0)
    assert len(site.asked) == 1


def test_threads_fetch_once(tiny: ModelFile, site) -> None:
    paths = []
    threads = [threading.Thread(target=lambda: paths.append(model_path("tiny"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(paths) == 4
    assert len(site.asked) == 1


def test_packaged_weights_need_neither_cache_nor_network(
    shipped: Path, site, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AVAFFECT_MODEL_MIRROR", site.url)
    monkeypatch.setenv("AVAFFECT_CACHE", "/dev/null/nowhere")
    for offline in (True, False):
        assert model_path("shipped", offline=offline) == shipped
    assert (site.asked, cache.exists()) == ([], False)


@pytest.mark.parametrize("content", [None, b"wrong"])
def test_packaged_weights_that_are_not_right_are_not_replaced(
    shipped: Path, site, content: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AVAFFECT_MODEL_MIRROR", site.url)
    site.files["/net.onnx"] = shipped.read_bytes()
    shipped.unlink()
    error: type[ModelError] = ModelUnavailableError
    text = "are missing"
    if content is not None:
        shipped.write_bytes(content)
        error, text = ModelDamagedError, "are damaged .*5 bytes"
    with pytest.raises(error, match=text) as caught:
        model_path("shipped")
    assert caught.value.hint == "install avaffect again"
    assert (site.asked, shipped.exists()) == ([], content is not None)
