import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from fixtures.videos import Batch

from avaffect.challenge.text import read_annotations
from avaffect.config import PredictConfig
from avaffect.errors import (
    BusyError,
    FeatureError,
    ForeignFileError,
    InputNotFoundError,
    NotMediaError,
    UnknownNameError,
    UsageError,
)
from avaffect.files import temporaries
from avaffect.media.probe import video_hash
from avaffect.media.source import Header, Source
from avaffect.media.tracks import Tracks
from avaffect.models.zoo import ZOO
from avaffect.networks.checkpoint import Checkpoint, save_checkpoint
from avaffect.predicting import batch as module
from avaffect.predicting import outputs, records
from avaffect.predicting.batch import PredictBatch
from avaffect.predicting.run import Result
from avaffect.predicting.settings import with_checkpoint, with_features
from avaffect.predicting.sources import find_sources
from avaffect.predicting.writers import csv_table, parquet_table
from avaffect.predictions.prediction import Prediction
from avaffect.preprocessing.names import names_of
from avaffect.preprocessing.nets import Nets
from avaffect.preprocessing.run import Preprocessed
from avaffect.progress import Notice
from avaffect.recipes.library import parse_recipe
from avaffect.store import provenance

CONFIG = with_features(PredictConfig())


@pytest.fixture
def no_nets_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args, **kwargs):
        raise AssertionError("nets were loaded")

    monkeypatch.setattr(Nets, "load", refuse)


@pytest.fixture
def acted(monkeypatch: pytest.MonkeyPatch):
    """Videos are text files: the subjects that are "predicted" in them, one a line."""

    def predict_video(source, config, predictor, nets, work, **_):
        work.mkdir(parents=True)
        video = source.path
        subjects = video.read_text().split()
        predictions = tuple(invented(subject) for subject in subjects)
        about = {
            "video": {"name": video.name, "sha256": source.sha256},
            "model": "acted",
        }
        return Result(video, predictions, (), about, 3, 3)

    monkeypatch.setattr(module, "predict_video", predict_video)
    monkeypatch.setattr(module, "open_source", opened)


def opened(path, config):
    """A text file as a video."""
    return Source(path, Header(path, Tracks(None)), video_hash(path))


def invented(subject, frames=3):
    rng = np.random.default_rng(len(subject))
    expr = rng.dirichlet(np.ones(8), frames).astype(np.float32)
    return Prediction(subject, "acted", np.arange(frames) / 25, np.ones(frames, bool),
                      np.ones(frames), va=rng.uniform(-1, 1, (frames, 2)), expr=expr,
                      au=rng.uniform(0, 1, (frames, 12)))  # fmt: skip


def video(folder, name, *subjects):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(subjects))
    return path


def files(root):
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }


def written(root):
    """The files by name, without the parquet tables and records."""
    return {path: data for path, data in files(root).items() if path.endswith(".txt")}


def test_second_run_finds_everything_done(samples: Batch, sample, no_nets_at_all) -> None:
    config = with_features(PredictConfig(missing="invalid"))
    before = files(samples.root)
    with PredictBatch(samples.root, config) as batch:
        for name, first in samples.done.items():
            again = batch(sample(name))
            assert again.again
            assert not first.again
            assert (again.frames, again.found, again.subjects, again.files) == (
                first.frames, first.found, first.subjects, first.files)  # fmt: skip
    assert files(samples.root) == before


def test_nothing_is_left_over(samples: Batch) -> None:
    assert sorted(path.name for path in samples.root.iterdir()) == [
        "AU_Detection_Challenge", "EXPR_Classification_Challenge", "VA_Estimation_Challenge",
        "records", "tables"]  # fmt: skip


@pytest.mark.parametrize("form", ["single", "mtl"])
def test_single_files_are_the_same_from_records(
    form: str, heard: Preprocessed, tmp_path: Path, no_nets_at_all
) -> None:
    edition = {"single": "abaw8", "mtl": "abaw7"}[form]
    runs = []
    for _ in range(2):
        with PredictBatch(tmp_path, CONFIG, form=form, edition=edition) as batch:
            again = batch(heard.folder.root).again
        runs.append((again, written(tmp_path)))
    assert [again for again, _ in runs] == [False, True]
    (_, made), (_, from_records) = runs
    assert made == from_records
    assert len(made) == {"single": 3, "mtl": 1}[form]
    for data in made.values():
        rows = data.decode().splitlines()
        assert len(rows) == 41
        assert rows[1].startswith("gap/00001.jpg,")
        assert rows[40].startswith("gap/00040.jpg,")


def test_single_holds_all_sources_known_or_not(acted, tmp_path: Path) -> None:
    first, second = video(tmp_path, "a.mp4", "a"), video(tmp_path, "b.mp4", "b_left", "b_right")
    out = tmp_path / "out"
    with PredictBatch(out, CONFIG, form="single") as batch:
        batch(first)
    with PredictBatch(out, CONFIG, form="single") as batch:
        assert [batch(path).again for path in (first, second)] == [True, False]
    rows = (out / "VA_Estimation_Challenge/predictions.txt").read_text().splitlines()
    assert [row.split("/")[0] for row in rows[1::3]] == ["a", "b_left", "b_right"]


def test_a_single_file_that_loses_subjects_says_so(acted, tmp_path: Path) -> None:
    first, second = video(tmp_path, "a.mp4", "a"), video(tmp_path, "b.mp4", "b_left", "b_right")
    out, events = tmp_path / "out", []
    for sources in ((second,), (second, first), (first,)):
        with PredictBatch(out, CONFIG, form="single", on_event=events.append) as batch:
            for path in sources:
                batch(path)
    warned = [event.text for event in events if isinstance(event, Notice) and event.warning]
    assert len(warned) == 1
    assert "not 2 subjects of earlier runs" in warned[0]


def test_single_file_of_an_earlier_run_stays_when_all_fails_or_is_interrupted(
    acted, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with PredictBatch(out, CONFIG, form="single") as batch:
        batch(video(tmp_path, "a.mp4", "a"))
    before = written(out)
    with PredictBatch(out, CONFIG, form="single") as batch, pytest.raises(InputNotFoundError):
        batch(tmp_path / "gone.mp4")
    assert written(out) == before
    with pytest.raises(KeyboardInterrupt), PredictBatch(out, CONFIG, form="single") as batch:
        batch(video(tmp_path, "b.mp4", "b"))
        raise KeyboardInterrupt
    assert written(out) == before
    assert [path for path in out.rglob("*") if ".tmp" in path.name] == []


def test_damaged_table_is_predicted_again(acted, tmp_path: Path) -> None:
    clip, out = video(tmp_path, "a.mp4", "a"), tmp_path / "out"
    with PredictBatch(out, CONFIG, form="single") as batch:
        batch(clip)
    (out / "tables/a.parquet").write_bytes(b"PAR1")
    with PredictBatch(out, CONFIG, form="single") as batch:
        assert not batch(clip).again


def test_files_lie_in_the_folders_of_the_name_and_nowhere_else(acted, tmp_path: Path) -> None:
    clip, out = video(tmp_path, "P01_a.mp4", "P01_a_left", "P01_a_right"), tmp_path / "out"
    with PredictBatch(out, CONFIG) as batch:
        assert batch(clip, "P01/a").subjects == ("P01_a_left", "P01_a_right")
        assert batch(clip, "P01/a").again
        kinds = [path for path in sorted(out.iterdir()) if path.name != "records"]
        for kind in kinds:
            assert sorted({path.stem for path in (kind / "P01").iterdir()}) == [
                "a_left",
                "a_right",
            ]
        assert (out / "records/P01/a.json").is_file()
        other = video(tmp_path, "P01_b.mp4", "P01_a_left")
        with pytest.raises(UsageError, match="P01/b' both have a subject called 'P01_a_left'"):
            batch(other, "P01/b")
    clip.write_text("P01_a_left")
    # Who is not found any more has no files; and what is lost is made again.
    with PredictBatch(out, CONFIG, overwrite=True) as batch:
        assert batch(clip, "P01/a").subjects == ("P01_a_left",)
    assert not list(out.rglob("a_right*"))
    (out / "tables/P01/a_left.parquet").unlink()
    with PredictBatch(out, CONFIG) as batch:
        assert not batch(clip, "P01/a").again
        for name in ("../a", "/a", "P01/../../a", "P01/" + "x" * 300):
            with pytest.raises(UsageError, match="cannot be called"):
                batch(clip, name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["P01_a.mp4", "P01_b.mp4", "out"]
    assert not list((out / ".predict-work").rglob("a*"))


def test_a_foreign_file_in_the_folders_stays(acted, tmp_path: Path) -> None:
    clip, out = video(tmp_path, "P01_a.mp4", "P01_a"), tmp_path / "out"
    mine = out / "VA_Estimation_Challenge/P01/a.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    with (
        PredictBatch(out, CONFIG, overwrite=True) as batch,
        pytest.raises(ForeignFileError, match=r"P01/a\.txt' is there"),
    ):
        batch(clip, "P01/a")
    assert mine.read_text() == "mine"
    assert not (out / "records").exists()


@pytest.mark.parametrize("lost", ["tables/a.parquet", "AU_Detection_Challenge/a.txt",
                                  "records/a.json"])  # fmt: skip
def test_lost_file_is_predicted_again(lost: str, acted, tmp_path: Path) -> None:
    clip, out = video(tmp_path, "a.mp4", "a"), tmp_path / "out"
    with PredictBatch(out, CONFIG) as batch:
        batch(clip)
    before = files(out)
    (out / lost).unlink()
    with PredictBatch(out, CONFIG) as batch:
        assert not batch(clip).again
        assert batch(clip).again
    assert files(out) == before


def test_changed_settings_and_overwrite_predict_again(acted, tmp_path: Path) -> None:
    clip, out = video(tmp_path, "a.mp4", "a"), tmp_path / "out"
    other = with_features(PredictConfig(missing="previous"))
    for config, overwrite, again in [
        (CONFIG, False, False),
        (CONFIG, False, True),
        (CONFIG, True, False),
        (other, False, False),
        (other, False, True),
    ]:
        with PredictBatch(out, config, overwrite=overwrite) as batch:
            assert batch(clip).again is again
    clip.write_text("a a_2")
    with PredictBatch(out, other) as batch:
        assert batch(clip).subjects == ("a", "a_2")


def model(folder, seed=0, **window):
    """A checkpoint that listens; its weights follow ``seed``."""
    branch = {"modality": "audio", "features": ["audio"], "layers": [{"kind": "gru"}]}
    tree = {"name": "ear", "branches": {"b": branch}, "tasks": {"va": {"terms": {"ccc": 1}}},
            "window": {"length": 9, **window}}  # fmt: skip
    checkpoint = Checkpoint(parse_recipe(tree, ""), {"va": ("valence", "arousal")}, {"b": 168})
    torch.manual_seed(seed)
    save_checkpoint(folder, checkpoint, checkpoint.build())
    return with_features(with_checkpoint(PredictConfig(), folder))


def test_a_model_that_moved_or_another_version_redoes_nothing(
    acted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip, out = video(tmp_path, "a.mp4", "a"), tmp_path / "out"
    with PredictBatch(out, model(tmp_path / "m")) as batch:
        assert not batch(clip).again
    (tmp_path / "m").rename(tmp_path / "moved")
    facts = json.loads((tmp_path / "moved/checkpoint.json").read_text())
    facts["versions"] = {"avaffect": "99"}
    (tmp_path / "moved/checkpoint.json").write_text(json.dumps(facts))
    moved = with_features(with_checkpoint(PredictConfig(), tmp_path / "moved"))
    with PredictBatch(out, moved) as batch:
        assert batch(clip).again
    # Of a video below another folder too.
    (tmp_path / "other").mkdir()
    with PredictBatch(out, moved) as batch:
        assert batch(clip.rename(tmp_path / "other/a.mp4")).again


def test_what_changes_the_values_is_predicted_again(
    acted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip, out = video(tmp_path, "a.mp4", "a"), tmp_path / "out"

    def again(config):
        with PredictBatch(out, config) as batch:
            return batch(clip).again

    assert not again(model(tmp_path / "m"))
    # Other weights, and the same weights used otherwise.
    for changed in ({"seed": 1}, {"seed": 1, "overlap": 4}):
        config = model(tmp_path / "m", **changed)
        assert not again(config)
        assert again(config)
    assert not again(CONFIG)
    assert again(CONFIG)
    net = ZOO["starter-2-face"]
    other = replace(net, check=replace(net.check, digest="0" * 64))
    with monkeypatch.context() as patch:
        patch.setitem(ZOO, "starter-2-face", other)
        assert not again(CONFIG)
    for owner, name in ((outputs, "OUTPUT_VERSION"), (provenance, "STORE_VERSION")):
        assert not again(CONFIG)
        assert again(CONFIG)
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, 99)
            assert not again(CONFIG)


def test_person_who_is_no_longer_found_loses_the_files(acted, tmp_path: Path) -> None:
    clip, out = video(tmp_path, "a.mp4", "a_left", "a_right"), tmp_path / "out"
    with PredictBatch(out, CONFIG) as batch:
        batch(clip)
        batch(video(tmp_path, "b.mp4", "b"))
        clip.write_text("a")
        batch(clip)
    assert {Path(path).stem for path in files(out)} == {"a", "b"}


@pytest.mark.parametrize("runs", [1, 2])
def test_two_videos_cannot_have_one_subject(runs: int, acted, tmp_path: Path) -> None:
    first = video(tmp_path, "a.mp4", "a_left", "a_right")
    second = video(tmp_path, "a_left.mp4", "a_left")
    out = tmp_path / "out"
    with PredictBatch(out, CONFIG) as batch:
        batch(first)
        before = files(out)
        if runs == 1:
            with pytest.raises(UsageError, match="'a' and 'a_left' both have a subject"):
                batch(second)
    if runs == 2:
        with PredictBatch(out, CONFIG) as batch, pytest.raises(UsageError, match="both have"):
            batch(second)
    assert {k: v for k, v in files(out).items() if ".predict-work" not in k} == before


def test_another_video_of_the_same_name_is_refused(acted, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with PredictBatch(out, CONFIG) as batch:
        batch(video(tmp_path, "a.mp4", "a"))
        before = files(out)
        with pytest.raises(UsageError, match=r"holds the results of 'a\.mp4'"):
            batch(video(tmp_path, "a.mov", "a", "a_2"))
    assert files(out) == before
    with PredictBatch(out, CONFIG, overwrite=True) as batch:
        assert batch(tmp_path / "a.mov").subjects == ("a", "a_2")


def test_folder_and_its_video_have_the_same_name(
    heard: Preprocessed, gap_clip: Path, tmp_path: Path, no_nets_at_all
) -> None:
    with PredictBatch(tmp_path, CONFIG) as batch:
        assert batch(heard.folder.root).files == 5
    assert (tmp_path / "records/gap.json").is_file()
    labels = read_annotations(tmp_path / "VA_Estimation_Challenge/gap.txt", "va")
    assert labels.shape == (40, 2)
    with pytest.raises(UsageError, match="both be called 'gap'"):
        names_of([heard.folder.root, gap_clip])


def test_settings_that_do_not_go_together_are_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no files of format 'mtl'"):
        PredictBatch(tmp_path, CONFIG, form="mtl", edition="abaw8")
    with pytest.raises(UnknownNameError, match="edition"):
        PredictBatch(tmp_path, CONFIG, edition="abaw99")
    with pytest.raises(UnknownNameError, match="smoothing"):
        PredictBatch(tmp_path, with_features(PredictConfig(smooth="gauss:1")))


def test_what_is_no_video_makes_nothing(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    with PredictBatch(tmp_path / "out", CONFIG) as batch, pytest.raises(NotMediaError):
        batch(tmp_path / "text.mp4")
    assert not (tmp_path / "out").exists()


def test_unfinished_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "preprocess.json").write_text('{"video": {"name": "a.mp4"}}')
    with PredictBatch(tmp_path / "out", CONFIG) as batch, pytest.raises(FeatureError):
        batch(tmp_path)


def test_find_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("done/a", "done/b"):
        video(tmp_path, f"{name}/preprocess.json")
    clip = video(tmp_path, "clips/x.mp4")
    done = tmp_path / "done"
    assert find_sources([str(done)]) == [done / "a", done / "b"]
    assert find_sources([str(done / "b"), str(clip), str(clip)]) == [done / "b", clip]
    assert find_sources([str(tmp_path)], recursive=True) == [clip]
    monkeypatch.chdir(done)
    for nothing in (str(tmp_path), str(tmp_path / "gone"), str(tmp_path / "*.avi"), ""):
        with pytest.raises(InputNotFoundError):
            find_sources([nothing])


def test_name_that_is_not_utf8_is_refused(acted, tmp_path: Path) -> None:
    path = video(tmp_path, os.fsdecode(b"\xff.mp4"), "x")
    with PredictBatch(tmp_path / "out", CONFIG) as batch, pytest.raises(UsageError, match="UTF-8"):
        batch(path)


FOREIGN = (
    "tables/a.parquet",
    "tables/a.csv",
    "VA_Estimation_Challenge/a.txt",
    "records/a.json",
)


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("name", FOREIGN)
def test_what_avaffect_did_not_write_is_refused_and_stays(
    name: str, overwrite: bool, acted, tmp_path: Path
) -> None:
    clip, out = video(tmp_path, "a.mp4", "a"), tmp_path / "out"
    video(out, name, "theirs")
    with PredictBatch(out, CONFIG, overwrite=overwrite) as batch:
        with pytest.raises(ForeignFileError, match=name):
            batch(clip)
        # Others can be written beside it.
        assert batch(video(tmp_path, "b.mp4", "b")).files == 5
    assert (out / name).read_text() == "theirs"


def test_a_subject_that_shows_in_the_end_takes_nobodys_place(acted, tmp_path: Path) -> None:
    clip, out = video(tmp_path, "a.mp4", "a_left", "a_right"), tmp_path / "out"
    video(out, "EXPR_Classification_Challenge/a_right.txt", "theirs")
    with PredictBatch(out, CONFIG) as batch, pytest.raises(ForeignFileError, match="a_right"):
        batch(clip)
    assert not (out / "tables").exists()


@pytest.mark.parametrize("form", ["single", "mtl"])
def test_a_file_for_all_that_avaffect_did_not_write_stays(
    form: str, acted, tmp_path: Path
) -> None:
    clip, out = video(tmp_path, "a.mp4", "a"), tmp_path / "out"
    edition = {"single": "abaw8", "mtl": "abaw7"}[form]
    name = {"single": "AU_Detection_Challenge/predictions.txt",
            "mtl": "MTL_Challenge/MTL_predictions.txt"}[form]  # fmt: skip
    video(out, name, "theirs")
    with pytest.raises(ForeignFileError, match=name), \
            PredictBatch(out, CONFIG, form=form, edition=edition) as batch:  # fmt: skip
        batch(clip)
    assert files(out) == {name: b"theirs"}
    (out / name).unlink()
    # Afterwards it is ours, whichever form came first.
    for form_, edition_ in (("single", "abaw8"), ("mtl", "abaw7")) * 2:
        with PredictBatch(out, CONFIG, form=form_, edition=edition_) as batch:
            batch(clip)


def test_a_file_for_all_of_an_earlier_version_is_ours(acted, tmp_path: Path) -> None:
    clip, out = video(tmp_path, "a.mp4", "a"), tmp_path / "out"
    with PredictBatch(out, CONFIG, form="single") as batch:
        batch(clip)
    path = out / "records/a.json"
    record = json.loads(path.read_text())
    assert len(record.pop("single")) == 3
    path.write_text(json.dumps(record))
    with PredictBatch(out, CONFIG, form="single") as batch:
        assert batch(clip).again


def test_dropping_a_person_leaves_what_is_not_ours(acted, tmp_path: Path) -> None:
    clip, out = video(tmp_path, "a.mp4", "a", "a_2"), tmp_path / "out"
    with PredictBatch(out, CONFIG, form="single") as batch:
        batch(clip)
    theirs = video(out, "VA_Estimation_Challenge/a_2.txt", "theirs")
    clip.write_text("a")
    with PredictBatch(out, CONFIG, form="single") as batch:
        batch(clip)
    assert theirs.read_text() == "theirs"
    assert not (out / "tables/a_2.parquet").exists()


@pytest.mark.parametrize(
    ("where", "at"),
    [(parquet_table, "write_table"), (csv_table, "write_csv"), (records, "write_json")],
)
def test_what_a_killed_run_had_claimed_is_ours(
    where, at: str, acted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip, out = video(tmp_path, "a.mp4", "a"), tmp_path / "out"

    def stop(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(where, at, stop)
        with PredictBatch(out, CONFIG) as batch:
            batch(clip)
    assert (out / "VA_Estimation_Challenge/a.txt").exists()
    shutil.rmtree(next((out / ".predict-work").glob("a-*")))  # what the acted pass made
    with PredictBatch(out, CONFIG) as batch:
        assert batch(clip).files == 5
    assert not (out / ".predict-work").exists()


def test_a_second_run_on_one_video_is_refused_and_one_on_another_is_not(
    acted, tmp_path: Path
) -> None:
    clip, other = video(tmp_path, "a.mp4", "a"), video(tmp_path, "b.mp4", "b")
    out = tmp_path / "out"
    act = module.predict_video

    def meanwhile(*args, **kwargs):
        if args[0].path == clip:
            with PredictBatch(out, CONFIG) as second:
                with pytest.raises(BusyError, match=f"working on '{out / 'a'}'"):
                    second(clip)
                assert second(other).files == 5
        return act(*args, **kwargs)

    module.predict_video = meanwhile  # `acted` brings back what was there
    with PredictBatch(out, CONFIG) as batch:
        batch(clip)
        assert batch(other).again
    assert not (out / ".predict-work").exists()


def test_two_runs_cannot_write_one_file_for_all(acted, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with PredictBatch(out, CONFIG, form="single") as batch:
        batch(video(tmp_path, "a.mp4", "a"))
        with pytest.raises(BusyError, match="another avaffect"), \
                PredictBatch(out, CONFIG, form="single"):  # fmt: skip
            pass
    rows = (out / "VA_Estimation_Challenge/predictions.txt").read_text().splitlines()
    assert [row.split("/")[0] for row in rows[1:]] == ["a"] * 3


def test_what_a_killed_run_left_half_written_goes(
    acted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip, out = video(tmp_path, "a.mp4", "a"), tmp_path / "out"
    with PredictBatch(out, CONFIG) as batch:
        batch(clip)
    before = files(out)
    for folder in ("tables", "records", "VA_Estimation_Challenge"):
        video(out, f"{folder}/.a.txt.12345-0123abcd.tmp.txt", "half")
    monkeypatch.setattr(temporaries, "_looked", set())
    with PredictBatch(out, CONFIG) as batch:
        assert batch(clip).again
    assert files(out) == before
