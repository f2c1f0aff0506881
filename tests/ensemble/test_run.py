"""``ensemble`` on own tables: out of fold, joined, resumed, stopped, and what is on disk."""

import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from avaffect.config import PredictConfig
from avaffect.datasets.folds import Folds
from avaffect.ensemble import members
from avaffect.ensemble import run as module
from avaffect.ensemble.members import Model, Places, places, train_models
from avaffect.ensemble.run import EnsembleConfig, run_ensemble
from avaffect.errors import (
    BusyError,
    CheckpointError,
    ForeignFileError,
    TrainingError,
    UsageError,
)
from avaffect.files.atomic import write_json
from avaffect.files.lock import alone_in
from avaffect.files.table import read_table
from avaffect.metrics.arrays import score_arrays
from avaffect.metrics.scores import ccc
from avaffect.networks.apply import apply_network
from avaffect.networks.checkpoint import load_checkpoint, read_checkpoint
from avaffect.predicting.settings import with_checkpoint
from avaffect.predicting.tune import tune
from avaffect.predictions.smooth import smooth
from avaffect.predictors.ensemble import Ensemble
from avaffect.predictors.joined import Joined
from avaffect.progress import Notice, Progress
from avaffect.recipes.ensemble_recipe import load_ensemble
from avaffect.training import run as training
from avaffect.training.history import History
from avaffect.training.run import DataConfig, load_dataset, read_run
from avaffect.windows.reader import whole_clips

SMALL = """
name: small
branches:
  table: {features: [table], layers: [{kind: mlp, units: [4]}]}
tasks: {va: {terms: {ccc: 1}}}
window: {length: 10, overlap: 0}
train: {epochs: 1, batch_size: 8, lr: 0.01}
"""
TOP = SMALL.replace("[table]", "[opinions]").replace("small", "top")
STACK = """
members: [{name: one, recipe: small.yaml}]
folds: 2
repeats: 2
join: {kind: stack, recipe: top.yaml}
"""
LEAK = STACK.replace("repeats: 2", "repeats: 1").replace("top.yaml}", "top.yaml, leaking: true}")
PAIR = """
members:
  - {name: one, recipe: small.yaml}
  - {name: two, recipe: small.yaml, change: {train.lr: 0.1}}
join: {kind: average, weights: [1, 3]}
"""
CLIPS, CPU = 12, Places("cpu", ({}, {}))


@pytest.fixture
def data(tmp_path: Path):
    """Twelve clips of six people, the last two of them for validation, one left to test."""
    rng = np.random.default_rng(0)
    for folder in ("features", "labels"):
        (tmp_path / folder).mkdir()
    facts = ["clip,person,part"]
    for i in range(CLIPS):
        x = rng.normal(size=(24 + i, 3))
        y = np.tanh(x[:, :2])
        if i == 3:
            x[5:9] = np.nan  # nothing seen
        for folder, names, rows in (("features", "a,b,c", x), ("labels", "v,r", y)):
            text = "\n".join(
                ",".join("" if np.isnan(v) else f"{v:.5f}" for v in row) for row in rows
            )
            (tmp_path / folder / f"clip{i}.csv").write_text(f"{names}\n{text}\n")
        part = "test" if i == 11 else "val" if i >= 8 else "train"
        facts.append(f"clip{i},p{i % 4 if i < 8 else i},{part}")
    (tmp_path / "clips.csv").write_text("\n".join(facts) + "\n")
    for name, text in (
        ("small", SMALL),
        ("top", TOP),
        ("stack", STACK),
        ("leak", LEAK),
        ("pair", PAIR),
    ):
        (tmp_path / f"{name}.yaml").write_text(text)
    return tmp_path


@pytest.fixture
def settings(data):
    def make(name="stack", *, split=True, **options):
        columns = ("valence=v", "arousal=r", "clip=clip", "group=person")
        given = DataConfig(
            features=str(data / "features"),
            labels=str(data / "labels"),
            clips=str(data / "clips.csv"),
            columns=(*columns, *(("split=part",) if split else ())),
        )
        return EnsembleConfig(load_ensemble(data / f"{name}.yaml", **options), given)

    return make


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch):
    """Members are trained in this process, without curves: another one takes seconds to load."""
    trained = []
    monkeypatch.setattr(History, "plot", lambda self: None)

    def train_here(models, where, on_event, on_model):
        for model in models:
            if model.finished:
                continue
            config = read_run(model.run)
            training.run(config, model.run, device="cpu", resume=True, only_fold=model.fold)
            checkpoint, _ = load_checkpoint(model.folder)
            write_json(model.folder / "done.json", {"sha256": checkpoint.sha256})
            trained.append(model.name)
            on_model(model, checkpoint)

    monkeypatch.setattr(module, "train_models", train_here)
    return trained


def stamps(folder):
    return {str(p): p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()}


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def says(folder, clip):
    """What the model in ``folder`` says of a clip."""
    checkpoint, network = load_checkpoint(folder)
    reader = whole_clips([clip], checkpoint.recipe, {})
    (predicted,) = apply_network(network, reader, torch.device("cpu"))
    return predicted.values["va"]


def test_two_stages(settings, data, here) -> None:
    config = settings()
    result = run_ensemble(config, data / "out", device="cpu")
    out = data / "out"
    models = [f"one-{r}/fold-{f}" for r in (0, 1) for f in (0, 1)]
    assert here == models
    clips = {clip.name: clip for clip in load_dataset(config.data, ("va",)).clips}
    held = {}
    for name in models:
        listed = load_checkpoint(out / "members" / name)[0].data["clips"]
        number = int(name[-1])
        folds = Folds.load(out / "members" / name.split("/")[0] / "folds.json", clips.values())
        held[name] = set(folds.held(number))
        parts = [set(listed["train"]), set(listed["val"]), held[name]]
        # Nothing but the training split; nobody is both learned from, chosen by and spoken of.
        assert set.union(*parts) == {f"clip{i}" for i in range(8)}
        people = [{clips[n].group for n in part} for part in parts]
        assert sum(map(len, people)) == len(set.union(*people)) == 4
    # Each repeat has other folds.
    assert held[models[0]] not in (held[models[2]], held[models[3]])
    for name, clip in clips.items():
        path = out / "opinions" / f"{name}.parquet"
        if clip.split == "test":
            assert not path.exists()
            continue
        columns, about = read_table(path)
        assert about == {"clip": name, "split": clip.split}
        assert list(columns) == ["frame", "valence one-0", "valence one-1", "arousal one-0",
                                 "arousal one-1"]  # fmt: skip
        for repeat in (0, 1):
            mine = [m for m in models if m.startswith(f"one-{repeat}")]
            # Of a training clip only who never saw it; of others the mean.
            asked = [m for m in mine if name in held[m] or clip.split != "train"]
            assert len(asked) == (1 if clip.split == "train" else 2)
            expected = np.mean([says(out / "members" / m, clip) for m in asked], axis=0)
            found = [columns[f"{kind} one-{repeat}"] for kind in ("valence", "arousal")]
            np.testing.assert_allclose(np.stack(found, 1), expected, atol=1e-6)
    gone = read_table(out / "opinions/clip3.parquet")[0]["valence one-0"]
    assert np.flatnonzero(np.isnan(gone)).tolist() == [5, 6, 7, 8]
    top, _ = load_checkpoint(out / "stage2")
    assert top.widths == {"table": 4}
    assert top.data["clips"] == {
        "train": [f"clip{i}" for i in range(8)], "val": ["clip10", "clip8", "clip9"]
    }  # fmt: skip
    summary = json.loads((out / "summary.json").read_text())
    assert summary["joined"] == result.joined == {
        name: value for name, value in top.metrics.items() if name != "score"
    }  # fmt: skip
    assert list(result.members) == list(summary["members"]) == ["one-0", "one-1"]
    assert summary["average"] == result.average
    each = [member["validation"]["va"] for member in summary["members"].values()]
    assert summary["mean_of_members"]["va"] == pytest.approx(np.mean(each))
    fold = load_checkpoint(out / "members" / models[0])[0]
    assert summary["members"]["one-0"]["models"]["fold-0"]["own"] == fold.metrics
    assert names(out) == ["ensemble.json", "joined.json", "members", "opinions",
                          "stage2", "summary.json", "validation"]  # fmt: skip
    tables = names(out / "validation/tables")
    assert tables == ["clip10.parquet", "clip8.parquet", "clip9.parquet"]


def test_what_chooses_nothing_gets_all_its_clips(settings, data, here) -> None:
    """With the last epoch there is no choice that an inner part could be for; 0 is as it was."""
    last = settings(changes=["train.select=last"], repeats=1)
    run_ensemble(last, data / "last", device="cpu")
    tree = (data / "stack.yaml").read_text()
    (data / "leaky.yaml").write_text(tree + "inner: 0\n")
    run_ensemble(settings("leaky", repeats=1), data / "leaky", device="cpu")
    for out in (data / "last", data / "leaky"):
        clips = read_checkpoint(out / "members/one/fold-0").data["clips"]
        assert len(clips["train"]) + len(clips["val"]) == 8
        assert "inner" not in json.loads((out / "members/one/folds.json").read_text())


def test_an_ensemble_of_an_earlier_version_is_not_mixed_with_this_one(
    settings, data, here
) -> None:
    """Its models chose their epochs otherwise; one without folds is the same as ever."""
    out = data / "out"
    for name, fits in (("stack", False), ("pair", True)):
        run_ensemble(settings(name), out / name, device="cpu")
        saved = json.loads((out / name / "ensemble.json").read_text())
        del saved["recipe"]["inner"]
        (out / name / "ensemble.json").write_text(json.dumps(saved))
        if fits:
            run_ensemble(settings(name), out / name, device="cpu")
        else:
            with pytest.raises(UsageError, match=r"other settings \(recipe.inner\)"):
                run_ensemble(settings(name), out / name, device="cpu")


def written(out, column):
    """The values and the labels of a column in the tables of the validation clips."""
    predicted, true = [], []
    for path in sorted((out / "validation/tables").iterdir()):
        table, _ = read_table(path)
        predicted.append(table[column])
        true.append(table[f"label_{column}"])
    return np.concatenate(predicted), np.concatenate(true)


def test_finished_members_are_joined_anew(settings, data, here) -> None:
    """Without training one of them again, nor looking at a clip that they have been shown."""
    out = data / "out"
    first = run_ensemble(settings(repeats=1), out, device="cpu")
    trained, members = list(here), stamps(out / "members")
    longer = settings(repeats=1, join_changes=["train.epochs=2"])
    with pytest.raises(
        UsageError, match=r"join.recipe.train.epochs.*rejoin=True joins the same members anew"
    ):
        run_ensemble(longer, out, device="cpu")
    second = run_ensemble(longer, out, device="cpu", rejoin=True)
    assert read_checkpoint(out / "stage2").recipe.train.epochs == 2
    assert second.members == first.members
    other = settings("leak")
    run_ensemble(other, out, device="cpu", rejoin=True)
    assert here == trained
    kept = stamps(out / "members")
    changed = {path for path in members if kept.get(path) != members[path]}
    assert all(
        path.endswith(("opinions.safetensors", "run.json", "folds.json")) for path in changed
    )
    # Going on with it needs no word.
    assert run_ensemble(other, out, device="cpu").folder == out


def test_other_members_are_not_joined_anew(settings, data, here) -> None:
    out = data / "out"
    with pytest.raises(UsageError, match=r"no ensemble in .* to join anew"):
        run_ensemble(settings(repeats=1), out, device="cpu", rejoin=True)
    run_ensemble(settings(repeats=1), out, device="cpu")
    for other, what in (
        (settings(), "repeats"),
        (settings(repeats=1, changes=["train.lr=0.2"]), "members.0.recipe.train.lr"),
        (replace(settings(repeats=1), seed=3), "seed"),
    ):
        with pytest.raises(UsageError, match=f"trained with other settings .*{what}"):
            run_ensemble(other, out, device="cpu", rejoin=True)
    assert (out / "joined.json").is_file()


def test_the_papers_own_vector_leaks_and_says_so(settings, data, here) -> None:
    """Each model's prediction of every clip, also of those that it learned from."""
    config, out, heard = settings("leak"), data / "out", []
    result = run_ensemble(config, out, device="cpu", on_event=heard.append)
    assert any(isinstance(e, Notice) and e.warning and "leaks" in e.text for e in heard)
    assert list(result.models) == ["one/fold-0", "one/fold-1"]
    clips = {clip.name: clip for clip in load_dataset(config.data, ("va",)).clips}
    for name in ("clip0", "clip6", "clip9"):
        columns, _ = read_table(out / "opinions" / f"{name}.parquet")
        for i in (0, 1):
            said = says(out / "members/one" / f"fold-{i}", clips[name])
            for column, kind in enumerate(("valence", "arousal")):
                found = columns[f"{kind} one-fold-{i}"]
                np.testing.assert_allclose(found, said[:, column], atol=1e-6)
    joined = Joined.load(out)
    assert list(joined.members) == ["one-fold-0", "one-fold-1"]
    predictor = Ensemble(out)
    values = predictor.joined(
        "clip9",
        [model.apply(clips["clip9"]).values for models in predictor._members for model in models],
    )
    table, _ = read_table(out / "validation/tables/clip9.parquet")
    np.testing.assert_allclose(values["va"][:, 0], table["valence"], atol=1e-5)


def test_settings_of_an_earlier_version_are_the_same_ones(settings, data, here) -> None:
    """A recipe that has got a setting since is read with its default."""
    out = data / "out"
    run_ensemble(settings(repeats=1), out, device="cpu")
    saved = json.loads((out / "ensemble.json").read_text())
    del saved["recipe"]["join"]["leaking"]
    for layer in saved["recipe"]["members"][0]["recipe"]["branches"]["table"]["layers"]:
        del layer["order"]
    (out / "ensemble.json").write_text(json.dumps(saved))
    count = len(here)
    run_ensemble(settings(repeats=1), out, device="cpu")
    assert len(here) == count


def test_a_weighted_average(settings, data, here) -> None:
    result = run_ensemble(settings("pair"), data / "out", device="cpu")
    out = data / "out"
    assert here == ["one", "two"]
    # Runs like any other, on the data's own split.
    assert "best" in names(out / "members/one")
    assert read_run(out / "members/two").recipe.train.lr == 0.1
    first, second = (written(out / "members" / name, "valence")[0] for name in ("one", "two"))
    predicted, true = written(out, "valence")
    np.testing.assert_allclose(predicted, (first + 3 * second) / 4, atol=1e-6)
    assert result.joined["va CCC valence"] == pytest.approx(ccc(predicted, true), abs=1e-6)
    assert result.joined == result.average
    assert result.members["two"]["va CCC valence"] == pytest.approx(ccc(second, true), abs=1e-6)
    assert result.mean["va"] == pytest.approx(np.mean([v["va"] for v in result.members.values()]))
    assert Joined.load(out).weights == (1, 3)
    files = names(out / "validation/VA_Estimation_Challenge")
    assert files == ["clip10.txt", "clip8.txt", "clip9.txt"]


def test_without_a_split_some_groups_are_held_out_from_all(settings, data, here) -> None:
    events = []
    run_ensemble(settings(split=False), data / "out", device="cpu", on_event=events.append)
    assert any("held out" in event.text for event in events if isinstance(event, Notice))
    validated = {path.stem for path in (data / "out/validation/tables").iterdir()}
    assert validated
    for path in (data / "out/members").glob("*/fold-*"):
        clips = load_checkpoint(path)[0].data["clips"]
        assert not validated & {*clips["train"], *clips["val"]}
    run_ensemble(settings("pair", split=False), data / "pair", device="cpu")
    for name in ("one", "two"):
        clips = load_checkpoint(data / f"pair/members/{name}/fold-0")[0].data["clips"]
        assert set(clips["val"]) == validated
        assert len(clips["train"]) == CLIPS - len(validated)


def test_too_few_groups(settings, data, here) -> None:
    for i in range(2, CLIPS):
        (data / f"labels/clip{i}.csv").unlink()
        (data / f"features/clip{i}.csv").unlink()
    with pytest.raises(UsageError, match="add a column for the split"):
        run_ensemble(settings(split=False), data / "out", device="cpu")
    assert not (data / "out").exists()


def test_only_what_is_missing_is_done_again(settings, data, here) -> None:
    out = data / "out"
    first = run_ensemble(settings(), out, device="cpu")
    before = stamps(out / "members/one-0")
    # As if it had been stopped before the last model was finished.
    shutil.rmtree(out / "members/one-1/fold-1")
    (out / "members/one-1/fold-0/opinions.safetensors").write_bytes(b"torn")
    here.clear()
    again = run_ensemble(settings(), out, device="cpu")
    assert here == ["one-1/fold-1"]
    assert again == first
    after = stamps(out / "members/one-0")
    assert {p for p in after if after[p] != before[p]} == {
        str(out / "members/one-0" / name) for name in ("run.json", "folds.json")
    }


def test_stage_two_begins_anew_with_other_predictions(settings, data, here) -> None:
    out = data / "out"
    run_ensemble(settings(), out, device="cpu")
    key = (out / "stage2/opinions.json").read_text()
    (out / "stage2/opinions.json").write_text(json.dumps({"fingerprint": "of others"}))
    (out / "stage2/old").write_text("")
    run_ensemble(settings(), out, device="cpu")
    assert (out / "stage2/opinions.json").read_text() == key
    assert not (out / "stage2/old").exists()


def test_other_settings_are_refused(settings, data, here) -> None:
    out = data / "out"
    run_ensemble(settings("pair"), out, device="cpu")
    before = stamps(out)
    for changed, what in [
        (settings(), r"recipe\.name"),
        (settings("pair", changes=["train.lr=1"]), r"recipe\.members\.0\.recipe\.train\.lr"),
        (replace(settings("pair"), seed=1), "seed"),
        (settings("pair", split=False), r"data\.columns"),
    ]:
        with pytest.raises(UsageError, match=rf"has other settings \({what}\).*overwrite=True"):
            run_ensemble(changed, out, device="cpu")
    assert stamps(out) == before
    (data / "labels/clip0.csv").write_text("v,r\n" + "0,0\n" * 24)
    with pytest.raises(UsageError, match=r"other settings \(fingerprint\)"):
        run_ensemble(settings("pair"), out, device="cpu")
    (out / "mine.txt").write_text("mine")
    run_ensemble(settings(), out, device="cpu", overwrite=True)
    assert names(out / "members") == ["one-0", "one-1"]
    assert (out / "mine.txt").read_text() == "mine"
    (out / "ensemble.json").write_text("{")
    with pytest.raises(UsageError, match=r"other settings \(damaged\)"):
        run_ensemble(settings(), out, device="cpu")


def test_a_folder_of_a_run_is_refused(settings, data, here) -> None:
    (data / "out").mkdir()
    (data / "out/run.json").write_text("{}")
    with pytest.raises(UsageError, match="holds a run of `avaffect train`"):
        run_ensemble(settings(), data / "out", device="cpu", overwrite=True)
    assert names(data / "out") == ["run.json"]


def test_two_commands_at_once(settings, data, here) -> None:
    with alone_in(data / "out"):
        with pytest.raises(BusyError, match=f"working on '{data / 'out'}'"):
            run_ensemble(settings(), data / "out", device="cpu")
        assert names(data / "out") == [".lock"]
    run_ensemble(settings(), data / "out", device="cpu")


@pytest.mark.parametrize("name", ["ensemble.json", "members/one-0/notes.txt", "summary.json"])
def test_what_avaffect_did_not_write_is_refused_and_stays(name: str, settings, data, here) -> None:
    path = data / "out" / name
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    with pytest.raises(ForeignFileError, match=name.split("/")[0]):
        run_ensemble(settings(), data / "out", device="cpu", overwrite=True)
    assert [file for file in (data / "out").rglob("*") if file.is_file()] == [path]


def ended(process: int) -> bool:
    """Whether a process has ended; one that nobody has asked for yet has."""
    try:
        state = (
            Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
        )
    except FileNotFoundError:
        return True
    return state == "Z"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="asks Linux for processes")
def test_no_training_outlives_an_ensemble_that_is_killed(settings, data, tmp_path: Path) -> None:
    """And the same command works at once."""
    script = """
import os, sys, time, threading
from pathlib import Path
from avaffect.cli import watched

def work():
    Path(sys.argv[1], "pid").write_text(str(os.getpid()))
    time.sleep(600)

watched.main = work
watched.watched()
"""
    starter = f"""
import sys
from pathlib import Path
from avaffect.ensemble.members import Model, Places, train_models

class One(Model):
    @property
    def command(self):
        return [sys.executable, "-c", {script!r}, str(self.folder)]

train_models([One(Path(sys.argv[1]))], Places("cpu", ({{}},)))
"""
    with subprocess.Popen([sys.executable, "-c", starter, tmp_path / "m"]) as process:
        pid = tmp_path / "m/pid"
        while not (pid.exists() and pid.read_text()):
            assert process.poll() is None
            time.sleep(0.05)
        process.kill()
    while not ended(int(pid.read_text())):
        time.sleep(0.05)


def test_an_unfinished_one_is_no_model(
    settings, data, here, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*arguments):
        raise KeyboardInterrupt

    run_ensemble(settings(), data / "out", device="cpu")
    (data / "out/members/one-0/fold-0/done.json").unlink()
    monkeypatch.setattr(module, "train_models", stop)
    with pytest.raises(KeyboardInterrupt):
        run_ensemble(settings(), data / "out", device="cpu")
    with pytest.raises(CheckpointError, match="is not finished"):
        with_checkpoint(PredictConfig(), data / "out")


def test_more_folds_than_groups(settings, data, here) -> None:
    with pytest.raises(UsageError, match="4 groups cannot make 5 folds"):
        run_ensemble(settings(folds=5), data / "out", device="cpu")


def test_folds_name_what_is_apart(settings, data, here) -> None:
    run_ensemble(settings(), data / "out", device="cpu")
    clips = load_dataset(settings().data, ("va",)).clips
    folds = Folds.load(data / "out/members/one-0/folds.json", clips)
    assert set(folds.apart) == {"clip8", "clip9", "clip10", "clip11"}
    with pytest.raises(UsageError, match="the clip 'clip11' is in no fold"):
        replace(folds, apart=folds.apart[:-1]).check(clips)
    with pytest.raises(ValueError, match="both in a fold and apart"):
        replace(folds, apart=("clip0",))


def test_processes_of_their_own(settings, data) -> None:
    """The real thing, once: two folds, two at a time."""
    events, trained = [], []
    config = settings(repeats=1)
    result = run_ensemble(
        config,
        data / "out",
        device="cpu",
        jobs=2,
        on_event=events.append,
        on_model=lambda model, checkpoint: trained.append((model.name, checkpoint.epoch)),
    )
    assert sorted(trained) == [("one/fold-0", 1), ("one/fold-1", 1)]
    log = (data / "out/members/one/fold-0/train.log").read_text()
    assert "device: CPU" in log
    done = [event for event in events if isinstance(event, Progress) and event.unit == "epochs"]
    assert (done[0].done, done[0].total, done[0].finished) == (0, 2, False)
    assert (done[-1].done, done[-1].finished) == (2, True)
    assert set(result.members) == {"one"}
    assert (data / "out/joined.json").is_file()


class Fake(Model):
    """A model whose training is a few lines of Python."""

    script = ""

    @property
    def command(self):
        return [sys.executable, "-c", self.script, str(self.folder)]


def fakes(folder, *scripts):
    made = []
    for i, script in enumerate(scripts):
        model = type("One", (Fake,), {"script": script})(folder / f"m{i}")
        made.append(model)
    return made


GOOD = "import sys, pathlib; pathlib.Path(sys.argv[1], 'ran').write_text('x')"
BAD = "import sys; sys.exit('avaffect: the loss is no number: lower train.lr')"


@pytest.fixture
def any_checkpoint(monkeypatch: pytest.MonkeyPatch, settings, data, here) -> None:
    """Whatever has run counts as trained."""
    run_ensemble(settings("pair"), data / "ready", device="cpu")
    found = read_checkpoint(data / "ready/members/one")
    monkeypatch.setattr(members, "read_checkpoint", lambda folder: found)


def test_one_that_fails(any_checkpoint, tmp_path: Path) -> None:
    models = fakes(tmp_path, "import time; time.sleep(1);" + GOOD, BAD, GOOD)
    events = []
    with pytest.raises(
        TrainingError, match=r"m1 could not be trained: the loss is no number"
    ) as e:
        train_models(models, CPU, events.append)
    assert str(tmp_path / "m1/train.log") in e.value.hint
    # Who ran is finished, nobody else begins.
    assert [model.finished for model in models] == [True, False, False]
    assert not (tmp_path / "m2").exists()
    # The next time only the others are trained.
    (tmp_path / "m0/ran").unlink()
    again = [models[0], *fakes(tmp_path, "", GOOD, GOOD)[1:]]
    train_models(again, CPU, events.append)
    assert [model.finished for model in again] == [True, True, True]
    assert not (tmp_path / "m0/ran").exists()
    assert Notice("1 of 3 models are trained already") in events


def test_ctrl_c_is_passed_on(any_checkpoint, tmp_path: Path) -> None:
    script = """
import pathlib, sys, time
folder = pathlib.Path(sys.argv[1])
try:
    (folder / "ready").write_text("x")
    time.sleep(60)
except KeyboardInterrupt:
    (folder / "saved").write_text("x")
    sys.exit(130)
"""
    models = fakes(tmp_path, script, script, GOOD)

    def press():
        while not all((model.folder / "ready").exists() for model in models[:2]):
            time.sleep(0.01)
        signal.raise_signal(signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        train_models(models, CPU)
    thread.join()
    assert [(model.folder / "saved").exists() for model in models] == [True, True, False]
    assert not any(model.finished for model in models)


def test_where_models_are_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    for count, at_a_time in ((2, 1), (7, 1), (16, 4), (96, 8)):
        monkeypatch.setattr(members.os, "sched_getaffinity", lambda pid, count=count: range(count))
        assert places("cpu") == Places("cpu", ({},) * at_a_time)
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr(members.os, "sched_getaffinity", lambda pid: range(8))
    assert places("cpu", 3) == Places("cpu", ({"OMP_NUM_THREADS": "2"},) * 3)
    assert places("cpu", 20).environments[0] == {"OMP_NUM_THREADS": "1"}
    monkeypatch.setattr(members, "choose_device", lambda device: members.choose_device)
    monkeypatch.setattr(members.choose_device, "name", "cuda", raising=False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    gpus = [environment["CUDA_VISIBLE_DEVICES"] for environment in places("auto").environments]
    assert gpus == ["0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,GPU-7")
    gpus = [environment["CUDA_VISIBLE_DEVICES"] for environment in places("auto", 3).environments]
    assert gpus == ["5", "GPU-7", "5"]
    monkeypatch.setattr(members.choose_device, "name", "cuda:1", raising=False)
    chosen = places("cuda:1", 2)
    assert chosen.device == "cuda:1"
    assert [place["CUDA_VISIBLE_DEVICES"] for place in chosen.environments] == ["GPU-7", "GPU-7"]


def test_a_process_on_one_of_several_gpus_sees_it_as_the_only_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model = Model(tmp_path / "run")
    commands = []
    monkeypatch.setattr(members.subprocess, "Popen", lambda command, **_: commands.append(command))
    members._Running(model, "cuda:1", {"CUDA_VISIBLE_DEVICES": "GPU-7"}).log.close()
    assert commands[0][-2:] == ["--device", "cuda"]


def test_the_recipes_smoothing_is_kept_and_scored(settings, data, here) -> None:
    """What `tune` chooses for the same models stays; what does not exist is refused at once."""
    (data / "smoothed.yaml").write_text(PAIR + "smooth: va=box:0.2\n")
    config, out = settings("smoothed"), data / "out"
    result = run_ensemble(config, out, device="cpu")
    pairs = []
    for path in sorted((out / "validation/tables").iterdir()):
        table, _ = read_table(path)
        columns = [
            np.stack([table[f"{kind}{name}"] for name in ("valence", "arousal")], axis=1)
            for kind in ("", "label_")
        ]
        times = np.arange(len(columns[0])) / 30
        pairs.append((smooth(columns[0], times, "box", 0.2), columns[1]))
    expected, _ = score_arrays("va", pairs, ("valence", "arousal"))
    assert result.smoothed["va"] == pytest.approx(expected, abs=1e-6)
    assert result.smoothed["va"] != pytest.approx(result.joined["va"], abs=1e-6)
    summary = json.loads((out / "summary.json").read_text())
    assert summary["smoothed"] == pytest.approx(result.smoothed)
    few = {"low": None, "high": None, "videos": 3}
    wholes = ("joined", "average", "smoothed")
    assert summary["intervals"] == {name: {"va": few} for name in wholes}
    model = Ensemble(out)
    assert model.smooth == "va=box:0.2"
    assert "smoothing va=box:0.2, as the recipe smoothed has it" in model.notes
    # Nothing was chosen on the validation clips.
    assert not model.clips["tuned"]
    chosen = tune(out).postprocess
    run_ensemble(config, out, device="cpu")
    assert Ensemble(out).smooth == chosen.smooth
    (data / "wrong.yaml").write_text(PAIR + "smooth: va=bx:0.2\n")
    before = len(here)
    with pytest.raises(UsageError, match="bx"):
        run_ensemble(settings("wrong"), data / "other", device="cpu")
    assert len(here) == before
    assert not (data / "other").exists()
