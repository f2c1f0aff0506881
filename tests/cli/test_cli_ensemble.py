"""``avaffect ensemble``: what is printed, exit codes, and a second run of the same command."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from avaffect.cli.ensemble import DEFAULT_ENSEMBLE
from avaffect.ensemble import run as module
from avaffect.ensemble.plan import Plan
from avaffect.networks.checkpoint import load_checkpoint
from avaffect.recipes.ensemble_recipe import ensemble_names, load_ensemble
from avaffect.training import run as training
from avaffect.training.history import History
from avaffect.training.run import read_run

MEMBER = """
branches:
  table: {features: [table], layers: [{kind: mlp, units: [4]}]}
tasks: {va: {terms: {ccc: 1}}}
window: {length: 10, overlap: 0}
train: {epochs: 1, batch_size: 8, lr: 0.01}
"""
STACK = """
members: [{name: one, recipe: member.yaml}]
folds: 2
join: {kind: stack, recipe: top.yaml}
"""
OWN = ["--features", "features", "--labels", "labels", "--clips", "clips.csv",
       "--column", "clip=clip", "--column", "valence=v", "--column", "arousal=r",
       "--column", "group=person", "--column", "split=part", "--device", "cpu"]  # fmt: skip


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The folder, also the current one, of six clips of six people; members train in-process."""
    rng = np.random.default_rng(0)
    for folder in ("features", "labels"):
        (tmp_path / folder).mkdir()
    facts = ["clip,person,part"]
    for i in range(6):
        x = rng.normal(size=(24 + i, 3))
        for folder, names, rows in (
            ("features", "a,b,c", x),
            ("labels", "v,r", np.tanh(x[:, :2])),
        ):
            text = "\n".join(",".join(f"{value:.5f}" for value in row) for row in rows)
            (tmp_path / f"{folder}/clip{i}.csv").write_text(f"{names}\n{text}\n")
        facts.append(f"clip{i},p{i},{'val' if i >= 4 else 'train'}")
    (tmp_path / "clips.csv").write_text("\n".join(facts) + "\n")
    (tmp_path / "member.yaml").write_text(MEMBER)
    (tmp_path / "top.yaml").write_text(MEMBER.replace("[table]", "[opinions]"))
    (tmp_path / "stack.yaml").write_text(STACK)

    def train_here(models, where, on_event, on_model):
        for model in models:
            if not model.finished:
                options = {"device": "cpu", "resume": True, "only_fold": model.fold}
                training.run(read_run(model.run), model.run, **options)
                (model.folder / "done.json").write_text("{}")
                on_model(model, load_checkpoint(model.folder)[0])

    monkeypatch.setattr(module, "train_models", train_here)
    monkeypatch.setattr(History, "plot", lambda self: None)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_from_tables_to_a_table(run, data) -> None:
    arguments = ["ensemble", *OWN, "--recipe", "stack.yaml", "--repeats", 2, "-o", "out",
                 "--set", "train.lr=0.02", "--set-join", "train.epochs=2"]  # fmt: skip
    done = run(*arguments)
    assert done.code == 0
    head, *rows = done.out.splitlines()
    assert re.split("  +", head) == [
        "model", "va", "95 % interval", "va CCC valence", "va CCC arousal"]  # fmt: skip
    assert [row.split("  ")[0] for row in rows] == [
        "one-0/fold-0", "one-0/fold-1", "one-0", "one-1/fold-0", "one-1/fold-1", "one-1",
        "mean of the members' scores", "average of predictions", "joined by stack"
    ]  # fmt: skip
    summary = json.loads((data / "out/summary.json").read_text())
    assert _figures(rows[-1]) == [f"{value:.4f}" for value in summary["joined"].values()]
    fold = summary["members"]["one-0"]["models"]["fold-1"]["validation"]
    assert _figures(rows[1]) == [f"{value:.4f}" for value in fold.values()]
    assert _figures(rows[-2]) == [f"{value:.4f}" for value in summary["average"].values()]
    assert "joined by stack, va: 2 groups, fewer than 10" in done.err
    assert "ensemble: stack (va, stack)" in done.err
    assert "one-1/fold-1: score" in done.err
    assert "one-1/fold-1, va: 2 groups, fewer than 10" in done.err
    assert "predict with it: avaffect predict --checkpoint out --features FOLDER" in done.err
    saved = json.loads((data / "out/ensemble.json").read_text())["recipe"]
    assert saved["members"][0]["recipe"]["train"]["lr"] == 0.02
    assert saved["join"]["recipe"]["train"]["epochs"] == 2
    # The same again trains nothing; quietly.
    again = run(*arguments, "-q")
    assert (again.code, again.out, again.err) == (0, "", "")
    assert json.loads((data / "out/summary.json").read_text()) == summary
    # Something else in the same folder is refused, unless asked for.
    other = run(*arguments, "--seed", 1)
    assert other.code == 2
    assert "has other settings (seed): choose another folder, or replace" in other.error
    assert other.error.endswith(" it with --overwrite; --rejoin joins the same members anew")
    assert run(*arguments, "--seed", 1, "--overwrite", "-q").code == 0
    longer = run(*arguments, "--seed", 1, "--set-join", "train.epochs=1", "--rejoin")
    assert longer.code == 0
    assert "one-1/fold-1: score" not in longer.err


def _figures(row: str) -> list[str]:
    """The scores of a row, without the interval, which so few videos do not have."""
    _, task, interval, *parts = re.split("  +", row)
    assert interval == "-"
    return [task, *parts]


def test_every_model_has_an_interval(run, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the videos are enough: each fold, each member, what is joined; kept as printed."""
    monkeypatch.setattr("avaffect.metrics.by_video.MIN_VIDEOS", 2)
    done = run("ensemble", *OWN, "--recipe", "stack.yaml", "-o", "out")
    summary = json.loads((data / "out/summary.json").read_text())
    member = summary["members"]["one"]
    kept = [
        *(model["intervals"] for model in member["models"].values()),
        member["intervals"],
        {"va": {"low": None, "high": None, "videos": 0}},  # a mean of scores
        summary["intervals"]["average"],
        summary["intervals"]["joined"],
    ]
    shown = [re.split("  +", row)[2] for row in done.out.splitlines()[1:]]
    assert shown == [
        "-" if of["va"]["low"] is None else f"[{of['va']['low']:.4f}, {of['va']['high']:.4f}]"
        for of in kept
    ]
    assert shown.count("-") == 1
    assert f"joined by stack, va: 95 % interval {shown[-1]} over 2 groups" in done.err


def test_ctrl_c_says_how_to_go_on(run, data, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "train_models", stop)
    done = run("ensemble", *OWN, "--recipe", "stack.yaml", "-o", "out")
    assert done.code == 130
    assert done.error == "avaffect: interrupted; all is saved, the same command again goes on"
    # What is there is no model yet.
    done = run("predict", "features", "--checkpoint", "out")
    assert done.code == 1
    assert "the ensemble in 'out' is not finished" in done.error


@pytest.fixture
def asked(data, monkeypatch: pytest.MonkeyPatch):
    """Questions that were put at a terminal, each of which is answered with no."""
    questions: list[str] = []

    def answer(text: str, **options: object) -> bool:
        questions.append(text)
        return False

    monkeypatch.setattr("click.confirm", answer)
    monkeypatch.setattr(Plan, "seconds", lambda self, *arguments, **options: 32400.0)

    def at(terminal: bool) -> list[str]:
        monkeypatch.setattr("avaffect.cli.ensemble._is_terminal", lambda: terminal)
        questions.clear()
        return questions

    return at


def test_a_long_one_is_asked_about_on_a_terminal(run, data, asked) -> None:
    arguments = ["ensemble", *OWN, "--recipe", "stack.yaml", "-o", "out"]
    questions = asked(True)
    done = run(*arguments)
    assert questions == ["2 models on cpu, about 9 h: go on?"]
    assert done.code == 1
    assert "nothing was trained" in done.err
    # Nor was anything begun.
    assert [path.name for path in (data / "out").glob("*") if path.name != ".lock"] == []
    assert run(*arguments, "--yes").code == 0
    assert len(questions) == 1
    # What would be thrown away is still there after a no.
    before = (data / "out/joined.json").read_text()
    assert run(*arguments, "--overwrite").code == 1
    assert (data / "out/joined.json").read_text() == before
    # With nothing left to train there is no question.
    questions = asked(True)
    assert run(*arguments).code == 0
    assert questions == []


def test_nobody_is_asked_elsewhere(run, data, asked) -> None:
    questions = asked(False)
    done = run("ensemble", *OWN, "--recipe", "stack.yaml", "-o", "out")
    assert (done.code, questions) == (0, [])
    assert "2 models on cpu, about 9 h" in done.err
    questions = asked(True)
    quiet = run("ensemble", *OWN, "--recipe", "stack.yaml", "-o", "quiet", "-q")
    assert (quiet.code, questions, quiet.err) == (0, [], "")


def test_a_short_one_is_begun_at_once(run, data, asked, monkeypatch: pytest.MonkeyPatch) -> None:
    questions = asked(True)
    monkeypatch.setattr(Plan, "seconds", lambda self, *arguments, **options: 300.0)
    done = run("ensemble", *OWN, "--recipe", "stack.yaml", "-o", "out")
    assert (done.code, questions) == (0, [])
    assert "2 models on cpu, about 5 min" in done.err


def test_tuned_and_exported_whole(run, data) -> None:
    """The commands that take a model take an ensemble."""
    assert run("ensemble", *OWN, "--recipe", "stack.yaml", "-o", "out", "-q").code == 0
    tuned = run("tune", "out")
    assert tuned.code == 0
    assert "written: out/postprocess.json" in tuned.err
    done = run("export", "out", "-o", "small")
    assert done.code == 0
    assert "small: 3 models as ONNX" in done.out
    assert not list((data / "small").rglob("*.safetensors"))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--recipe", "abaw3-v"], "no ensemble is called 'abaw3-v': did you mean"),
        (["--recipe", "abaw3-au"], "use `avaffect train` with --recipe abaw3-au"),
        (["--recipe", "member.yaml"], "'member.yaml' is no ensemble"),
        (["--recipe", "stack.yaml", "--set", "train.lrr=1"], "no setting 'train.lrr'"),
        (["--recipe", "stack.yaml", "--folds", "1"], "Invalid value for '--folds'"),
        (["--recipe", "stack.yaml", "--jobs", "0"], "Invalid value for '-j'"),
        (["--recipe", "stack.yaml", "--data", "."], "--data and --labels exclude each other"),
        (["--recipe", "stack.yaml", "--folds", "9"], "4 groups cannot make 9 folds"),
    ],
)
def test_wrong_use_is_one_line(arguments, says: str, run, data) -> None:
    done = run("ensemble", *OWN, *arguments)
    assert done.code in (1, 2)
    assert done.out == ""
    assert says in done.error


def test_train_says_what_an_ensemble_is_for(run, data) -> None:
    done = run("train", "--recipe", "abaw3-va")
    assert done.code == 2
    assert "use `avaffect ensemble --recipe abaw3-va`" in done.error


def test_help_is_quick_and_names_the_price(run) -> None:
    before = set(sys.modules)
    done = run("ensemble", "--help")
    assert done.code == 0
    assert "25 trainings" in " ".join(done.out.split())
    # The default is one that can be waited for.
    assert len(load_ensemble(DEFAULT_ENSEMBLE).all_members) * 5 == 5
    assert not {"torch", "pydantic"} & (set(sys.modules) - before)
    assert DEFAULT_ENSEMBLE in ensemble_names()


def test_ensembles_are_listed_and_shown(run, data) -> None:
    done = run("recipes", "list")
    assert "abaw3-va  (ensemble by stack: va)" in done.out.splitlines()
    shown = run("recipes", "show", "abaw3-au-vote")
    assert shown.code == 0
    (data / "mine.yaml").write_text(shown.out)
    # It can be begun with: what fails is the data.
    done = run("ensemble", "--recipe", "mine.yaml", *OWN)
    assert "trains 'au', but the data is labelled with va" in done.error
    done = run("recipes", "show", "abaw3-au-vote", "--set", "train.lr=1")
    assert done.code == 2
    assert "is an ensemble" in done.error
