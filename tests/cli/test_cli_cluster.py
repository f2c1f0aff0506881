"""A Ray cluster of several node processes on this machine, one of which is killed."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import pytest

from avaffect.cli.preprocess import Preprocessing
from avaffect.cli.terminal import Row
from avaffect.config import AnalysisConfig
from avaffect.engines.cluster import Needs, on_ray
from avaffect.engines.item import Item
from avaffect.files.names import FAILURES
from avaffect.preprocessing.run import NetsLoader, preprocess
from avaffect.preprocessing.segmented import cut_for_preprocess, preprocess_segment
from avaffect.progress import Event, EventCallback, Notice, Progress

ray = pytest.importorskip("ray")
pytestmark = pytest.mark.ray

SHARED_BYTES = 80 << 20
CONFIG = AnalysisConfig(encoders=())


@dataclass(frozen=True)
class Watched(Preprocessing):
    """Preprocesses, but of ``held`` it stops in mid-video for as long as its machine lives."""

    marks: str = ""

    @contextmanager
    def __call__(self, on_event: EventCallback) -> Iterator[Callable[[Item], Row]]:
        at = ""

        def hear(event: Event) -> None:
            on_event(event)
            mark = Path(self.marks, "node")
            if at == "held" and isinstance(event, Progress) and not mark.exists():
                partial = mark.with_suffix(".part")
                partial.write_text(ray.get_runtime_context().get_node_id(), "utf-8")
                partial.rename(mark)
                while True:
                    time.sleep(0.05)

        with super().__call__(hear) as work:

            def watched(item: Item) -> Row:
                nonlocal at
                at = Path(item.source).stem
                with Path(self.marks, f"begun-{at}").open("a", encoding="utf-8") as file:
                    file.write("x")
                if at == "poison":
                    os._exit(7)
                return work(item)

            yield watched


class Endless:
    """Works until it is stopped."""

    @contextmanager
    def __call__(self, on_event: EventCallback) -> Iterator[Callable[[Item], str]]:
        def work(item: Item) -> str:
            try:
                while True:
                    on_event(Progress("faces", 1, 2))
                    time.sleep(0.02)
            except KeyboardInterrupt as error:
                raise KeyboardInterrupt(f"{item.name} is saved up to frame 3") from error

        yield work


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head without cores and two machines with one each."""
    from ray import cloudpickle
    from ray.cluster_utils import Cluster

    patch = pytest.MonkeyPatch()
    patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    # That a machine is gone is noticed sooner.
    health = {"health_check_period_ms": 500, "health_check_failure_threshold": 3}
    head = {
        "num_cpus": 0,
        "object_store_memory": SHARED_BYTES,
        "include_dashboard": False,
        "_system_config": health,
    }
    cluster = Cluster(initialize_head=True, head_node_args=head)
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    try:
        for _ in range(2):
            cluster.add_node(num_cpus=1, object_store_memory=SHARED_BYTES)
        ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
        yield cluster
    finally:
        cloudpickle.unregister_pickle_by_value(sys.modules[__name__])
        ray.shutdown()
        cluster.shutdown()
        patch.undo()


@pytest.fixture(scope="module")
def videos(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of four videos."""
    folder = tmp_path_factory.mktemp("videos")
    for name in ("first", "held", "last", "poison"):
        (folder / f"{name}.mp4").write_bytes(clip.read_bytes())
    return folder


def kill_node(cluster: Any, mark: Path) -> None:
    """Kill the machine whose name stands in ``mark``, when it is there."""
    while not mark.exists():
        time.sleep(0.05)
    (node,) = [
        each for each in cluster.list_all_nodes() if each.node_id == mark.read_text("utf-8")
    ]
    cluster.remove_node(node, allow_graceful=False)


def test_a_lost_machine_loses_nothing_and_a_poison_video_fails_alone(
    cluster: Any, videos: Path, files: Any, run: Any, tmp_path: Path
) -> None:
    events: list[Event] = []
    out, marks = tmp_path / "out", tmp_path / "marks"
    marks.mkdir()
    names = ["held", "first", "last", "poison"]
    items = [
        Item(str(videos / f"{name}.mp4"), str(out / name), size)
        for name, size in zip(names, (9, 5, 4, 3), strict=True)
    ]
    called = {item.source: PurePath(item.name).with_suffix("") for item in items}
    job = Watched(CONFIG, "cpu", called, marks=str(marks))
    killer = threading.Thread(target=kill_node, args=(cluster, marks / "node"), daemon=True)
    killer.start()
    found = on_ray(items, job, Needs(1), tries=2, on_event=events.append)
    killer.join(10)

    held, first, last, poison = found
    assert [each.error for each in (held, first, last)] == [None] * 3
    assert (held.attempts, held.retried) == (
        2,
        ("its machine was lost: run the same command again",),
    )
    assert "its process ended" in str(poison.error)
    assert poison.attempts == 2
    # Whatever else was on the lost machine was begun again; nothing was begun without need.
    begun = {name: len((marks / f"begun-{name}").read_text("utf-8")) for name in names}
    assert begun["held"] == begun["poison"] == 2
    assert all(begun[each.item.name.removesuffix(".mp4")] == each.attempts for each in found)
    assert any(isinstance(each, Notice) and "begun elsewhere" in each.text for each in events)
    bars = [event for event in events if isinstance(event, Progress)]
    assert [bar.done for bar in bars] == sorted(bar.done for bar in bars)
    assert bars[-1].finished

    alone = tmp_path / "alone"
    for name in names[:3]:
        preprocess(videos / f"{name}.mp4", alone / name, CONFIG, device="cpu")
    assert files(alone).keys() == {path for path in files(out) if not path.startswith("poison")}
    assert files(alone) == {
        path: data for path, data in files(out).items() if not path.startswith("poison")
    }


def test_segments_on_the_cluster_are_those_of_one_machine(
    cluster: Any, clip: Path, files: Any, tmp_path: Path
) -> None:
    seconds = 0.24
    called = {str(clip): PurePath("face")}
    item = Item(str(clip), str(tmp_path / "out"))
    (found,) = on_ray([item], Preprocessing(CONFIG, "cpu", called, seconds), Needs(1))
    assert (found.error, found.attempts) == (None, 1)
    nets = NetsLoader(CONFIG, "cpu")
    alone = tmp_path / "alone"
    count, sha256 = cut_for_preprocess(clip, alone, CONFIG, seconds)
    assert count == 2
    for number in range(count):
        preprocess_segment(clip, alone, CONFIG, sha256, number, nets=nets)
    preprocess(clip, alone, CONFIG, nets=nets)
    assert files(tmp_path / "out") == files(alone)


def test_ctrl_c_stops_all_when_they_have_saved(cluster: Any) -> None:
    def press(event: Event) -> None:
        if isinstance(event, Progress):
            raise KeyboardInterrupt

    items = [Item("a.mp4"), Item("b.mp4"), Item("c.mp4")]
    with pytest.raises(KeyboardInterrupt) as stopped:
        on_ray(items, Endless(), Needs(1), on_event=press)
    # As many as there are machines: of the others nothing was begun.
    machines = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
    saved = [f"{item.name} is saved up to frame 3" for item in items[: len(machines)]]
    assert str(stopped.value) == "; ".join(saved)


def test_the_command_skips_what_is_done_and_lists_what_failed(
    cluster: Any, videos: Path, files: Any, run: Any, tmp_path: Path
) -> None:
    (videos / "poison.mp4").write_bytes(b"no video")
    options = ("--no-audio", "--no-nc", "--engine", "ray", "--cpus", 1)
    outcome = run("preprocess", videos, "-o", tmp_path, *options)
    assert outcome.code == 1
    assert "1 of 4 inputs failed (1 unreadable); 3 done" in outcome.error
    (failed,) = json.loads((tmp_path / FAILURES).read_text("utf-8"))["failures"]
    assert (Path(failed["source"]).name, failed["attempts"]) == ("poison.mp4", 1)
    before = files(tmp_path)
    again = run("preprocess", videos, "-o", tmp_path, *options)
    assert again.table.count("ok (nothing to do in") == 3
    assert files(tmp_path) == before


def test_what_no_machine_has_is_said(cluster: Any) -> None:
    events: list[Event] = []

    def stop(event: Event) -> None:
        events.append(event)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        on_ray([Item("a.mp4")], Endless(), Needs(64, 1), on_event=stop)
    (notice,) = events
    assert isinstance(notice, Notice)
    assert "no machine of the Ray cluster has 64 CPU and 1 GPU for an item" in notice.text
