"""``train`` on own tables, end to end: splits, folds, resuming, and what is on disk."""

import json
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev

import numpy as np
import pytest
import torch

from avaffect.errors import (
    BusyError,
    ForeignFileError,
    FormatError,
    InputNotFoundError,
    UnknownNameError,
    UsageError,
)
from avaffect.files.table import read_table
from avaffect.metrics.scores import ccc
from avaffect.progress import Notice
from avaffect.training import run as module
from avaffect.training.processes import Processes
from avaffect.training.run import DataConfig, RunConfig, longer, read_run, run, run_config

RECIPE = """
branches:
  table:
    modality: video
    features: [table]
    layers: [{kind: mlp, units: [4]}]
tasks: {va: {terms: {ccc: 1}}}
window: {length: 10, overlap: 5}
train: {epochs: 2, batch_size: 8, lr: 0.01}
"""
CLIPS = 10


@pytest.fixture(autouse=True)
def exported(monkeypatch: pytest.MonkeyPatch):
    """The folders that were exported: what the files hold is for tests/networks/test_exported."""
    folders = []
    monkeypatch.setattr(module, "export_beside", lambda folder, on_event: folders.append(folder))
    return folders


@pytest.fixture
def data(tmp_path: Path):
    """Ten clips of five people in CSV; valence follows the first feature."""
    rng = np.random.default_rng(0)
    for folder in ("features", "labels"):
        (tmp_path / folder).mkdir()
    facts = ["clip,person,part,fold,story"]
    for i in range(CLIPS):
        x = rng.normal(size=(24 + i, 3))
        y = np.stack([np.tanh(x[:, 0]), np.tanh(x[:, 1])], 1)
        for folder, names, rows in (("features", "a,b,c", x), ("labels", "v,r", y)):
            text = "\n".join(",".join(f"{value:.5f}" for value in row) for row in rows)
            (tmp_path / folder / f"clip{i}.csv").write_text(f"{names}\n{text}\n")
        part = "val" if i >= 8 else "test" if i == 7 else "train"
        facts.append(f"clip{i},p{i % 5},{part},{i % 5 % 3},{i // 5}")
    (tmp_path / "clips.csv").write_text("\n".join(facts) + "\n")
    (tmp_path / "small.yaml").write_text(RECIPE)
    return tmp_path


@pytest.fixture
def settings(data):
    """A configuration of a run; ``columns`` beside valence and the name of the clip."""

    def make(*columns, folds="none", **options):
        given = DataConfig(
            features=str(data / "features"),
            labels=str(data / "labels"),
            clips=str(data / "clips.csv"),
            columns=("valence=v", "clip=clip", *columns),
        )
        return run_config(str(data / "small.yaml"), given, folds=folds, **options)

    return make


def stamps(folder):
    return {str(p): p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()}


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_datas_own_split(settings, data) -> None:
    result = run(settings("split=part", "group=person"), data / "run", device="cpu")
    (part,) = result.parts
    assert part.checkpoint.data["clips"] == {
        "train": [f"clip{i}" for i in range(7)], "val": ["clip8", "clip9"]
    }  # fmt: skip
    assert (result.names, result.spread) == ((), {})
    assert result.scores == part.checkpoint.metrics
    assert names(data / "run") == [
        "best", "curves.png", "last", "log.jsonl", "run.json", "validation"
    ]  # fmt: skip
    assert part.checkpoint.targets == {"va": ("valence",)}
    assert part.checkpoint.data["kind"] == "own"
    assert len(part.checkpoint.data["fingerprint"]) == 16


def test_each_fold_is_exported(settings, data, exported) -> None:
    run(settings("group=person"), data / "plain", device="cpu", export=False)
    assert exported == []
    config = settings("group=person", "fold=fold", folds="given")
    run(config, data / "run", device="cpu")
    assert exported == [data / f"run/fold-{number}/best" for number in range(3)]


def test_without_a_split_whole_groups_are_held_out(settings, data) -> None:
    events = []
    config = settings("group=person")
    first = run(config, data / "run", device="cpu", on_event=events.append)
    clips = first.parts[0].checkpoint.data["clips"]
    people = [{int(name[4:]) % 5 for name in clips[part]} for part in ("train", "val")]
    assert not people[0] & people[1]
    assert len(people[1]) == 1
    assert len(clips["train"]) + len(clips["val"]) == CLIPS
    notes = [event.text for event in events if isinstance(event, Notice)]
    assert any("2 of 10 clips are held out, whole groups of them" in text for text in notes)
    assert (data / "run/folds.json").is_file()
    again = run(config, data / "again", device="cpu")
    assert again.parts[0].checkpoint.data == first.parts[0].checkpoint.data
    assert again.scores == first.scores


def test_too_few_groups_to_hold_some_out(settings, data) -> None:
    for i in range(4, CLIPS):
        (data / f"features/clip{i}.csv").unlink()
    with pytest.raises(UsageError, match="no validation split, and too few groups"):
        run(settings("group=person"), data / "run", device="cpu")


@pytest.mark.parametrize(("folds", "count"), [("2", 2), ("leave-one-out", 5), ("given", 3)])
def test_folds(folds: str, count: int, settings, data) -> None:
    config = settings("group=person", "fold=fold", folds=folds)
    started = []
    result = run(config, data / "run", device="cpu", on_fold=started.append)
    assert started == list(result.names) == [f"fold-{i}" for i in range(count)]
    held = [part.checkpoint.data["clips"]["val"] for part in result.parts]
    assert sorted(name for some in held for name in some) == [f"clip{i}" for i in range(CLIPS)]
    for part in result.parts:
        people = [{int(name[4:]) % 5 for name in value}
                  for value in part.checkpoint.data["clips"].values()]  # fmt: skip
        assert not people[0] & people[1]
    if folds == "given":
        assert {int(name[4:]) % 5 % 3 for name in held[1]} == {1}
    summary = json.loads((data / "run/summary.json").read_text())
    scores = [part.checkpoint.metrics["score"] for part in result.parts]
    assert summary["mean"]["score"] == pytest.approx(mean(scores)) == result.scores["score"]
    assert summary["sd"]["score"] == pytest.approx(stdev(scores)) == result.spread["score"]
    assert [value["score"] for value in summary["folds"].values()] == scores
    labels, values = [], []
    for path in sorted((data / "run").glob("fold-*/validation/tables/*.parquet")):
        table, _ = read_table(path)
        labels.append(table["label_valence"])
        values.append(table["valence"])
    true, predicted = np.concatenate(labels), np.concatenate(values)
    known = ~np.isnan(true) & ~np.isnan(predicted)
    pooled = summary["pooled"]["va CCC valence"]
    assert pooled == pytest.approx(ccc(predicted[known], true[known]), abs=1e-6)
    assert names(data / "run") == [*result.names, "folds.json", "run.json", "summary.json"]
    assert "validation" in names(data / "run/fold-0")


def test_folds_by_group_and_stimulus(settings, data: Path) -> None:
    config = settings("group=person", "stimulus=story", folds="2x2")
    result = run(config, data / "run", device="cpu", only_fold=1, export=False)
    folds = json.loads((data / "run/folds.json").read_text())["folds"]
    assert set(folds.values()) == {0, 1, 2, 3}
    clips = result.parts[0].checkpoint.data["clips"]
    assert clips["val"] == [name for name in sorted(folds) if folds[name] == 1]
    numbers = {part: [int(name[4:]) for name in some] for part, some in clips.items()}
    for share in (lambda i: i % 5, lambda i: i // 5):  # the person, the story
        known, held = ({share(i) for i in numbers[part]} for part in ("train", "val"))
        assert known and held and not known & held
    assert read_run(data / "run") == config
    with pytest.raises(UsageError, match=r'stimuli to keep apart .* folds="5x5"'):
        run(settings("stimulus=story"), data / "none", device="cpu")
    for folds in ("2x1", "x2", "2x2x2"):
        with pytest.raises(UsageError, match="no way to make folds"):
            settings(folds=folds)


def test_the_folds_of_another_run(settings, data) -> None:
    config = settings("group=person", folds="3")
    config = replace(config, seed=7)
    first = run(config, data / "one", device="cpu", only_fold=0)
    again = settings("group=person", folds=str(data / "one/folds.json"))
    second = run(again, data / "two", device="cpu", only_fold=0)
    held = [result.parts[0].checkpoint.data["clips"]["val"] for result in (first, second)]
    assert held[0] == held[1]
    with pytest.raises(InputNotFoundError):
        run(settings(folds="nowhere.json"), data / "three", device="cpu")


def test_one_fold_alone_and_the_others_later(settings, data) -> None:
    config = settings("group=person", folds="3")
    whole = run(config, data / "whole", device="cpu")
    alone = run(config, data / "run", device="cpu", only_fold=1)
    assert alone.names == ("fold-1",)
    assert names(data / "run") == ["fold-1", "folds.json", "run.json"]
    assert alone.scores == whole.parts[1].checkpoint.metrics
    rest = run(config, data / "run", device="cpu", resume=True)
    assert rest.scores == whole.scores
    summaries = [
        json.loads((data / name / "summary.json").read_text()) for name in ("run", "whole")
    ]
    assert summaries[0] == summaries[1]
    with pytest.raises(UsageError, match="there is no fold 3: there are 3, from 0"):
        run(config, data / "run", device="cpu", resume=True, only_fold=3)


def test_a_finished_run_is_resumed_to_the_same(settings, data) -> None:
    config = settings("group=person", folds="2")
    before = run(config, data / "run", device="cpu")
    weights = stamps(data / "run/fold-0/best") | stamps(data / "run/fold-1/last")
    shown = []
    again = run(config, data / "run", device="cpu", resume=True, on_epoch=shown.append)
    assert not shown
    assert again == before
    assert stamps(data / "run/fold-0/best") | stamps(data / "run/fold-1/last") == weights


def test_interrupted_between_and_within_folds(settings, data) -> None:
    config = settings("group=person", folds="3")
    whole = run(config, data / "whole", device="cpu")
    epochs = []

    def stop(epoch):
        epochs.append(epoch)
        if len(epochs) in (3, 5):
            raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            run(config, data / "run", device="cpu", resume=bool(epochs), on_epoch=stop)
    done = run(config, data / "run", device="cpu", resume=True)
    assert done.scores == whole.scores
    assert (data / "run/summary.json").read_text() == (data / "whole/summary.json").read_text()
    for fold in whole.names:
        resumed, undisturbed = (
            data / run_ / fold / "best/network.safetensors" for run_ in ("run", "whole")
        )
        assert resumed.read_bytes() == undisturbed.read_bytes()


def test_a_run_in_the_way(settings, data) -> None:
    config = settings("group=person", "split=part")
    out = data / "run"
    run(config, out, device="cpu")
    before = stamps(out)
    with pytest.raises(UsageError, match="holds a run already: resume=True goes on"):
        run(config, out, device="cpu")
    with pytest.raises(UsageError, match="has other settings"):
        run(replace(config, seed=1), out, device="cpu", resume=True)
    assert stamps(out) == before


def test_overwrite_removes_our_files_and_no_others(settings, data) -> None:
    out = data / "run"
    run(settings("group=person", folds="3"), out, device="cpu")
    kept = [out / "notes.txt", out / "fold-notes/mine.txt", out / "fold-1x", out / "data/best"]
    for path in kept:
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
    result = run(settings("group=person", "split=part", seed=2), out, device="cpu", overwrite=True)
    assert all(path.read_text() == "mine" for path in kept)
    assert names(out) == [
        "best", "curves.png", "data", "fold-1x", "fold-notes", "last", "log.jsonl", "notes.txt",
        "run.json", "validation",
    ]  # fmt: skip
    assert read_run(out).seed == 2
    assert len(result.parts[0].epochs) == 2


def test_overwriting_makes_new_folds(settings, data) -> None:
    out = data / "run"
    run(settings("group=person", folds="3"), out, device="cpu", only_fold=0)
    again = run(settings("group=person", folds="2"), out, device="cpu", overwrite=True)
    assert again.names == ("fold-0", "fold-1")


def test_another_processs_folds_are_not_those_of_an_earlier_run(
    settings, data, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may come to them before the first process has thrown them away."""
    out = data / "run"
    out.mkdir()
    (out / "folds.json").write_text("of an earlier run")
    started = []

    def trained(recipe, dataset, train_clips, *args, **kwargs):
        started.append(len(train_clips))
        raise KeyboardInterrupt

    @contextmanager
    def second(choice):
        yield Processes(1, 1, torch.device(choice), "CPU")

    monkeypatch.setattr(module, "train", trained)
    monkeypatch.setattr(module, "processes", second)
    with pytest.raises(KeyboardInterrupt):
        run(settings("group=person", folds="2"), out, device="cpu", overwrite=True)
    assert len(started) == 1
    assert (out / "folds.json").read_text() == "of an earlier run"


def test_run_json_round_trip(settings, data) -> None:
    config = settings("group=person", folds="4", seed=7, changes=["train.lr=0.5"])
    run(replace(config, folds="2"), data / "run", device="cpu", only_fold=0)
    assert read_run(data / "run") == replace(config, folds="2")
    saved = json.loads((data / "run/run.json").read_text())
    assert saved["recipe"]["train"]["lr"] == 0.5
    assert RunConfig(config.recipe, config.data, "4", 7).to_dict() == config.to_dict()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 1}', '{"version": 1, "data": 3}'])
def test_a_damaged_run_json(text: str, settings, data) -> None:
    config = settings("split=part", "group=person")
    run(config, data / "run", device="cpu")
    (data / "run/run.json").write_text(text)
    with pytest.raises(FormatError, match=r"is damaged.*: start again with overwrite=True"):
        read_run(data / "run")
    with pytest.raises(FormatError, match="is damaged"):
        run(config, data / "run", device="cpu", resume=True)
    run(config, data / "run", device="cpu", overwrite=True)
    assert read_run(data / "run") == config


def test_a_run_json_of_the_future(settings, data) -> None:
    (data / "run").mkdir()
    future = settings("split=part").to_dict() | {"version": 2}
    (data / "run/run.json").write_text(json.dumps(future))
    with pytest.raises(FormatError, match="is of version 2, this avaffect reads 1"):
        read_run(data / "run")


def test_no_run_to_go_on_with(data) -> None:
    with pytest.raises(UsageError, match=r"no run in .*: start one without resume=True"):
        read_run(data)


@pytest.mark.parametrize("folds", ["1", "0", "-3", "x", "", "2.5", "²"])
def test_folds_that_are_none(folds: str, settings) -> None:
    with pytest.raises(UsageError, match="is no way to make folds"):
        settings(folds=folds)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "either a dataset or labels"),
        ({"root": "r", "labels": "l"}, "either a dataset or labels"),
        ({"root": "r", "columns": ("valence=v",)}, "for your own labels"),
        ({"root": "r", "clips": "c"}, "for your own labels"),
    ],
)
def test_data_that_cannot_be(given, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        DataConfig("features", **given)


def test_settings_that_do_not_exist(settings) -> None:
    with pytest.raises(UsageError, match=r"no setting 'train\.lrr': did you mean 'train\.lr'"):
        settings(changes=["train.lrr=1"])
    with pytest.raises(UsageError, match="no branch for 'audio'"):
        settings(modalities=["audio"])
    with pytest.raises(UnknownNameError):
        run_config("smal", settings().data)


def test_features_that_do_not_exist(settings, data) -> None:
    config = settings("split=part")
    config = replace(config, data=replace(config.data, features=str(data / "nowhere")))
    with pytest.raises(InputNotFoundError):
        run(config, data / "run", device="cpu")


def test_labels_of_whole_clips(settings, data) -> None:
    """One table with a row a clip: the scores are those of clips, and so is clips.csv."""
    rows = ["clip,mood,person"]
    rows += [f"clip{i}.csv,{['calm', 'cross'][i % 2]},p{i % 5}" for i in range(CLIPS)]
    (data / "moods.csv").write_text("\n".join(rows) + "\n")
    given = DataConfig(
        features=str(data / "features"),
        labels=str(data / "moods.csv"),
        columns=("clip=clip", "expression=mood", "group=person"),
    )
    config = run_config(str(data / "small.yaml"), given, tasks=["expr"], folds="2")
    result = run(config, data / "run", device="cpu")
    assert result.parts[0].checkpoint.per_clip
    assert result.parts[0].checkpoint.targets == {"expr": ("calm", "cross")}
    for part, name in zip(result.parts, result.names, strict=True):
        lines = (data / "run" / name / "validation/clips.csv").read_text().splitlines()
        assert lines[0] == "clip,group,predicted,label,p_calm,p_cross"
        cells = [line.split(",") for line in lines[1:]]
        assert [row[0] for row in cells] == part.checkpoint.data["clips"]["val"]
        right = [row[2] == row[3] for row in cells]
        assert mean(right) == pytest.approx(part.checkpoint.metrics["expr accuracy"])
        for row in cells:
            assert row[3] == ["calm", "cross"][int(row[0][4:]) % 2]
            assert float(row[4]) + float(row[5]) == pytest.approx(1, abs=1e-4)
        assert names(data / "run" / name / "validation") == ["clips.csv", "tables"]


@pytest.mark.parametrize("name", ["run.json", "best/notes.txt", "curves.png", "fold-0/x"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_what_avaffect_did_not_write_is_refused_and_stays(
    name: str, overwrite: bool, settings, data
) -> None:
    path = data / "out" / name
    path.parent.mkdir(parents=True)
    path.write_text("theirs")
    (data / "out/mine.txt").write_text("beside it")
    with pytest.raises(ForeignFileError, match=name.split("/")[0]):
        run(settings(), data / "out", device="cpu", overwrite=overwrite)
    assert sorted(file.name for file in (data / "out").rglob("*") if file.is_file()) == sorted(
        ["mine.txt", path.name]
    )
    assert path.read_text() == "theirs"


def test_two_runs_in_one_folder(settings, data) -> None:
    out, refused = data / "out", []

    def second(epoch):
        with pytest.raises(BusyError, match=f"working on '{out}'"):
            run(settings(), out, device="cpu", overwrite=True)
        refused.append(epoch)

    run(settings(), out, device="cpu", on_epoch=second)
    assert refused
    assert not (out / ".lock").exists()


def test_two_commands_may_train_two_folds_but_not_the_same(settings, data) -> None:
    out, epochs = data / "out", []

    def second(epoch):
        if not epochs:
            epochs.append(epoch)
            with pytest.raises(BusyError, match=f"working on '{out / 'fold-0'}'"):
                run(config, out, device="cpu", only_fold=0, resume=True)
            run(config, out, device="cpu", only_fold=1, resume=True)

    config = settings("group=person", folds="2")
    run(config, out, device="cpu", only_fold=0, on_epoch=second)
    assert epochs
    assert (out / "fold-1/best").is_dir()


def test_a_finished_run_is_trained_longer(settings, data, weights) -> None:
    """As if it had been so long from the beginning: nothing here depends on the number."""
    config = settings("split=part", "group=person", changes=["train.select=last"])
    out = data / "run"
    run(config, out, device="cpu")
    more = longer(read_run(out), 4)
    result = run(more, out, device="cpu", resume=True)
    assert [epoch.epoch for epoch in result.parts[0].epochs] == [1, 2, 3, 4]
    assert read_run(out).recipe.train.epochs == 4
    whole = settings("split=part", "group=person", changes=["train.select=last", "train.epochs=4"])
    run(whole, data / "whole", device="cpu")
    here, there = weights(out), weights(data / "whole")
    assert all(torch.equal(here[name], there[name]) for name in there)
    with pytest.raises(UsageError, match="begun with 4 epochs"):
        longer(read_run(out), 3)


def test_a_run_that_stopped_early_says_so(settings, data) -> None:
    changes = ["train.patience=1", "train.epochs=30", "train.lr=1e-12"]
    run(settings("split=part", "group=person", changes=changes), data / "run", device="cpu")
    events = []
    config = longer(read_run(data / "run"), 40)
    result = run(config, data / "run", device="cpu", resume=True, on_event=events.append)
    assert len(result.parts[0].epochs) < 30
    assert any("it is not trained on" in getattr(event, "text", "") for event in events)


def test_a_run_starts_from_another(settings, data, weights) -> None:
    """Its first weights are those of the other one, also of a fold; what was seen is told."""
    first = settings("split=part", "group=person", changes=["train.select=last"])
    run(first, data / "first", device="cpu")
    held = [*weights(data / "first").values()]
    events = []
    still = ["train.select=last", "train.lr=1e-30", "train.epochs=1"]
    config = settings(
        "fold=fold", "group=person", folds="given", changes=still, init=str(data / "first")
    )
    run(config, data / "second", device="cpu", on_event=events.append)
    for fold in range(3):
        found = [*weights(data / f"second/fold-{fold}").values()]
        assert all(torch.allclose(a, b) for a, b in zip(held, found, strict=True))
    notes = [event.text for event in events if isinstance(event, Notice)]
    assert any("started from" in text and "(100 % of the values)" in text for text in notes)
    assert any("validation clips, such as 'clip" in text for text in notes)
    assert read_run(data / "second").init == str(data / "first")
    # Gone on with, a run has its own weights, and the other one may be gone.
    (data / "first" / "last" / "checkpoint.json").unlink()
    more = longer(read_run(data / "second"), 2)
    assert run(more, data / "second", device="cpu", resume=True).parts


def test_settings_of_earlier_versions_are_read(settings, data) -> None:
    config = settings("split=part", "group=person")
    run(config, data / "run", device="cpu")
    path = data / "run/run.json"
    saved = json.loads(path.read_text())
    del saved["init"], saved["data"]["sets"], saved["recipe"]["train"]["weighting"]
    path.write_text(json.dumps(saved))
    assert read_run(data / "run") == config


def test_uncertainty_is_gone_on_with(settings, data, weights) -> None:
    """Interrupted and resumed, the log variances are those of the uninterrupted run."""
    changes = ["train.weighting=uncertainty", "train.select=last"]
    given = ("split=part", "group=person", "arousal=r")
    run(settings(*given, changes=changes), data / "run", device="cpu")
    run(longer(read_run(data / "run"), 3), data / "run", device="cpu", resume=True)
    run(settings(*given, changes=[*changes, "train.epochs=3"]), data / "whole", device="cpu")
    logs = [
        [
            json.loads(line)["losses"]
            for line in (data / name / "log.jsonl").read_text().splitlines()
        ]
        for name in ("run", "whole")
    ]
    assert logs[0] == logs[1]
    assert logs[0][0]["va log variance"] != logs[0][2]["va log variance"]
