"""An artificial set as it lies on the disk."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from avaffect.challenge.layout import split_folders
from avaffect.challenge.mtl import read_mtl
from avaffect.challenge.text import read_annotations
from avaffect.datasets.synth.make import CLAIMS, Synthetic, _files, synthesise
from avaffect.datasets.synth.plan import plan
from avaffect.errors import UsageError
from avaffect.files import temporaries
from avaffect.media.frames import FrameReader
from avaffect.media.probe import probe
from avaffect.progress import Progress

SETTINGS = {"videos": 6, "seconds": 2.0, "seed": 3}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Synthetic, list[Progress]]:
    events: list[Progress] = []
    folder = tmp_path_factory.mktemp("synth") / "set"
    return synthesise(folder, **SETTINGS, on_event=events.append), events


@pytest.fixture(scope="module")
def about(made: tuple[Synthetic, list[Progress]]):
    return json.loads((made[0].folder / "synthetic.json").read_text("utf-8"))


def test_what_is_told(made: tuple[Synthetic, list[Progress]], about) -> None:
    synthetic, _ = made
    assert (synthetic.videos, synthetic.subjects) == (6, 7)
    assert synthetic.frames == sum(video["frames"] for video in about["videos"])
    persons = {s["person"] for video in about["videos"] for s in video["subjects"].values()}
    assert synthetic.people == len(persons) == about["people"]


def test_it_says_that_it_is_artificial(made: tuple[Synthetic, list[Progress]], about) -> None:
    text = (made[0].folder / "README.txt").read_text("utf-8")
    assert text.startswith("THIS DATA SET IS ARTIFICIAL.")
    assert about["artificial"] is True
    for rule in about["labels"].values():
        assert rule in " ".join(text.split())


def test_videos_are_what_is_said_of_them(made: tuple[Synthetic, list[Progress]], about) -> None:
    folder = made[0].folder
    assert {p.name for p in (folder / "videos").iterdir()} == {
        video["file"].removeprefix("videos/") for video in about["videos"]
    }
    for video in about["videos"]:
        info = probe(folder / video["file"])
        assert (info.audio is not None) == video["sound"]
        with FrameReader(folder / video["file"]) as reader:
            frames = list(reader)
        assert len(frames) == video["frames"]
        assert frames[0].image.shape == (*video["size"][::-1], 3)
        assert frames[-1].time == pytest.approx((len(frames) - 1) / video["fps"], abs=1e-3)


def test_annotations_are_where_they_belong(made: tuple[Synthetic, list[Progress]], about) -> None:
    folders = split_folders(made[0].folder)
    assert {(f.task, f.split) for f in folders} == {
        (task, split) for task in ("va", "expr", "au") for split in ("train", "val")
    }
    for folder in folders:
        expected = {
            subject: facts["rows"]
            for video in about["videos"]
            if video["split"] == folder.split
            for subject, facts in video["subjects"].items()
        }
        found = {name: len(read_annotations(p, folder.task)) for name, p in folder.files().items()}
        assert found == expected


def test_annotations_are_the_labels_of_the_plan(made: tuple[Synthetic, list[Progress]]) -> None:
    for take in plan(**SETTINGS):
        for place, role in enumerate(take.film.roles):
            expected = take.annotations(place)
            for folder in split_folders(made[0].folder):
                if folder.split == take.split:
                    found = read_annotations(folder.files()[role.subject], folder.task)
                    np.testing.assert_allclose(found, expected[folder.task], atol=1e-9)


def test_multi_task_file_says_the_same(made: tuple[Synthetic, list[Progress]], about) -> None:
    annotations = made[0].folder / "annotations"
    for split, name in (("train", "train_set.txt"), ("val", "validation_set.txt")):
        listed = read_mtl(annotations / "MTL_Challenge" / name)
        videos = [video for video in about["videos"] if video["split"] == split]
        assert set(listed) == {subject for video in videos for subject in video["subjects"]}
        folders = {f.task: f.files() for f in split_folders(annotations) if f.split == split}
        for video in videos:
            for subject in video["subjects"]:
                labels = listed[subject]
                assert labels.frames.max() <= video["frames"]
                for task, values in (("va", labels.va), ("expr", labels.expr), ("au", labels.au)):
                    rows = read_annotations(folders[task][subject], task)
                    np.testing.assert_allclose(rows[labels.frames - 1], values, atol=1e-9)


def test_progress(made: tuple[Synthetic, list[Progress]]) -> None:
    synthetic, events = made
    done = [event.done for event in events]
    assert done == sorted(done)
    assert {event.total for event in events} == {synthetic.frames}
    assert [event.finished for event in events] == [False] * (len(events) - 1) + [True]
    assert done[-1] == synthetic.frames
    assert len(events) > 5


def digest(folder, pattern):
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.glob(pattern))
    }


def test_labels_are_the_same_on_every_machine(made: tuple[Synthetic, list[Progress]]) -> None:
    # A figure that was learnt on such a set can be repeated: benchmarks/papers.py shows the hash.
    found = hashlib.sha256(repr(digest(made[0].folder, "annotations/**/*.txt")).encode())
    assert found.hexdigest()[:16] == "4a8f2b8aa851089e"


def test_same_seed_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "same"):
        synthesise(tmp_path / name, videos=1, seconds=2.0, seed=1)
    first, same = (digest(tmp_path / name, "**/*.*") for name in ("one", "same"))
    # A video, its three annotation files, the multi-task file, README.txt and synthetic.json.
    assert len(first) == 7
    assert first.keys() == same.keys()
    assert [
        name for name in first if first[name] != same[name] and not name.endswith(".mp4")
    ] == []


def test_seed_decides_on_pixels() -> None:
    def first(seed):
        return next(plan(videos=1, seconds=2.0, seed=seed)[0].film.pictures())

    np.testing.assert_array_equal(first(1), first(1))
    assert first(1).shape != first(2).shape or (first(1) != first(2)).any()


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(UsageError, match="not an empty folder"):
        synthesise(tmp_path, videos=1, seconds=2.0)
    with pytest.raises(UsageError, match="not an empty folder"):
        synthesise(tmp_path / "mine.txt", videos=1, seconds=2.0)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_what_an_interrupted_run_left_is_made_anew(tmp_path: Path) -> None:
    """With other settings too: nothing of the first is left."""

    def stop(event: Progress) -> None:
        if event.done >= 60:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        synthesise(tmp_path, videos=6, seconds=2.0, seed=1, on_event=stop)
    assert (tmp_path / CLAIMS).is_file()
    # As it is behind a kill.
    (tmp_path / "videos/.a.mp4.1-00000000.tmp.mp4").write_bytes(b"half")
    temporaries._looked.clear()
    mine = tmp_path / "videos/mine.txt"
    mine.write_text("keep")
    before = digest(tmp_path, "**/*.*")
    with pytest.raises(UsageError, match="not an empty folder"):
        synthesise(tmp_path, videos=1, seconds=2.0, seed=1)
    assert digest(tmp_path, "**/*.*").keys() >= {name for name in before if "tmp" not in name}
    mine.unlink()
    made = synthesise(tmp_path, videos=1, seconds=2.0, seed=1)
    assert made.videos == len(list((tmp_path / "videos").iterdir())) == 1
    assert not (tmp_path / CLAIMS).exists()
    with pytest.raises(UsageError, match="not an empty folder"):
        synthesise(tmp_path, videos=1, seconds=2.0, seed=1)


def test_every_file_is_claimed(made: tuple[Synthetic, list[Progress]]) -> None:
    folder = made[0].folder
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    takes = plan(videos=SETTINGS["videos"], seconds=SETTINGS["seconds"], seed=SETTINGS["seed"])
    assert _files(takes) == there


def test_an_empty_folder_is_used_and_one_video_is_for_training(tmp_path: Path) -> None:
    assert synthesise(tmp_path, videos=1, seconds=2.0).subjects == 1
    assert {folder.split for folder in split_folders(tmp_path)} == {"train"}
