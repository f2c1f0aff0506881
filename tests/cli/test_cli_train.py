"""``avaffect train`` on own tables: what is printed, exit codes, and Ctrl-C."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from avaffect.cli.train import train as command
from avaffect.training import loop

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


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The folder, also the current one, of six clips of three people; labels as challenge's."""
    rng = np.random.default_rng(0)
    for folder in ("features", "labels", "annotations"):
        (tmp_path / folder).mkdir()
    facts = ["clip,person,part"]
    for i in range(6):
        x = rng.normal(size=(24 + i, 3))
        y = np.tanh(x[:, :2]).round(3)
        for folder, names, rows in (
            ("features/clip{}.csv", "a,b,c", x),
            ("labels/clip{}.csv", "v,r", y),
            ("annotations/clip{}.txt", "valence,arousal", y),
        ):
            text = "\n".join(",".join(f"{value:.5f}" for value in row) for row in rows)
            (tmp_path / folder.format(i)).write_text(f"{names}\n{text}\n")
        facts.append(f"clip{i},p{i % 3},{'val' if i >= 4 else 'train'}")
    (tmp_path / "clips.csv").write_text("\n".join(facts) + "\n")
    (tmp_path / "small.yaml").write_text(RECIPE)
    (tmp_path / "annotations/clip0.txt").rename(tmp_path / "clip0.txt")
    for i in range(1, 4):
        (tmp_path / f"annotations/clip{i}.txt").unlink()
    monkeypatch.chdir(tmp_path)
    return tmp_path


OWN = ["--features", "features", "--labels", "labels", "--clips", "clips.csv",
       "--column", "clip=clip", "--column", "valence=v", "--column", "arousal=r",
       "--column", "group=person", "--recipe", "small.yaml", "--device", "cpu"]  # fmt: skip
SPLIT = [*OWN, "--column", "split=part"]


def test_from_tables_to_an_evaluated_model(run, data) -> None:
    done = run("train", *SPLIT, "-o", "run")
    assert done.code == 0
    head, first, second, last, sure = done.out.splitlines()
    assert head.split() == ["epoch", "lr", "loss", "CCC", "CCC", "valence", "CCC", "arousal",
                            "windows/s"]  # fmt: skip
    assert [line.split()[0] for line in (first, second)] == ["1", "2"]
    log = [json.loads(line) for line in (data / "run/log.jsonl").read_text().splitlines()]
    assert float(second.split()[3]) == pytest.approx(log[1]["scores"]["va"], abs=1e-4)
    best = max(row["scores"]["score"] for row in log)
    assert last.startswith(f"score {best:.4f} (epoch ")
    assert sure == "CCC: 2 groups, fewer than 10 say too little for an interval"
    assert "its best epoch was chosen on: somewhat optimistic" in done.err
    assert "device: CPU" in done.err
    assert "recipe: small (video)" in done.err
    assert "the predictions for the validation clips are in run/validation" in done.err
    assert not set("\r\x1b") & set(done.err)
    # The files of the validation clips get the same score.
    done = run("evaluate", "run/validation", "annotations", "-t", "va", "--json", "e.json",
               "--resamples", 100)  # fmt: skip
    assert done.code == 0
    assert json.loads((data / "e.json").read_text())["score"] == pytest.approx(best, abs=1e-3)


def test_quiet_prints_nothing(run, data) -> None:
    done = run("train", *SPLIT, "-o", "run", "-q")
    assert (done.code, done.out, done.err) == (0, "", "")
    assert (data / "run/best/checkpoint.json").is_file()


def test_folds_are_summed_up(run, data) -> None:
    done = run("train", *OWN, "--folds", "leave-one-out", "-o", "run", "-t", "va",
               "--set", "train.epochs=1")  # fmt: skip
    assert done.code == 0
    lines = done.out.splitlines()
    assert [line for line in lines if line.startswith("fold-") and ":" not in line] == [
        "fold-0", "fold-1", "fold-2"
    ]  # fmt: skip
    assert sum(line.startswith("fold-") and ": score" in line for line in lines) == 3
    summary = json.loads((data / "run/summary.json").read_text())
    mean, sd = summary["mean"]["va"], summary["sd"]["va"]
    start = f"CCC: mean {mean:.4f}, sd {sd:.4f} over folds; all held-out clips together "
    assert [line for line in lines if line.startswith(start)]
    assert "are in run/fold-N/validation" in done.err
    few = {"low": None, "high": None, "videos": 1}
    assert summary["fold_intervals"] == {f"fold-{at}": {"va": few} for at in range(3)}
    of_few = "CCC: 1 group, fewer than 10 say too little for an interval"
    assert [line for line in lines if line.endswith(of_few)] == [
        f"fold-{at}: {of_few}" for at in range(3)
    ]
    done = run("train", "--resume", "-o", "run", "--fold", 1)
    assert done.code == 0
    assert "epoch" not in done.out.splitlines()[0]


def test_resume_goes_on_with_the_runs_own_settings(run, data) -> None:
    assert run("train", *SPLIT, "-o", "run", "--seed", 4, "--set", "train.lr=0.02").code == 0
    before = (data / "run/log.jsonl").read_text()
    done = run("train", "--resume", "-o", "run", "--device", "cpu", "--workers", 0)
    assert done.code == 0
    assert (data / "run/log.jsonl").read_text() == before
    saved = json.loads((data / "run/run.json").read_text())
    assert (saved["seed"], saved["recipe"]["train"]["lr"]) == (4, 0.02)


def test_a_run_in_the_way(run, data) -> None:
    assert run("train", *SPLIT, "-o", "run", "-q").code == 0
    done = run("train", *SPLIT, "-o", "run")
    assert (done.code, "--resume goes on with it" in done.error) == (2, True)
    assert run("train", *SPLIT, "-o", "run", "-q", "--overwrite", "--seed", 1).code == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "there are no annotations of task 'va' in '.'"),
        (["--labels", "labels"], "own labels need --features"),
        ([*SPLIT, "--data", "."], "--data and --labels exclude each other"),
        ([*SPLIT, "--set", "train.lrr=1"], "did you mean 'train.lr'?"),
        ([*SPLIT, "--set", "train.lr"], "is no change"),
        ([*SPLIT, "--set", "train.lr=fast"], "train.lr"),
        ([*SPLIT, "--recipe", "abaw1-av-gur"], "did you mean 'abaw1-av-gru'?"),
        ([*SPLIT, "-m", "audio"], "no branch for 'audio'"),
        ([*SPLIT, "-t", "vb"], "no task is called 'vb'"),
        ([*SPLIT, "-t", "expr"], "choose --task va"),
        ([*SPLIT, "--folds", "1"], "is no way to make folds"),
        ([*OWN, "--folds", "4"], "3 groups cannot make 4 folds"),
        ([*SPLIT, "--fold", "-1"], "not in the range"),
        ([*OWN, "--folds", "3", "--fold", "3"], "there is no fold 3"),
        ([*OWN, "--column", "valence=v"], "given twice"),
        ([*SPLIT, "--edition", "abaw99"], "abaw"),
        (["--resume", "-o", "nowhere"], "there is no run in 'nowhere'"),
        (["--resume", "--recipe", "small.yaml"], "--recipe does not go with --resume"),
        (["--resume", "-t", "va"], "--task does not go with --resume"),
        (["--resume", "--set", "train.lr=1"], "--set does not go with --resume"),
        (["--resume", "--overwrite"], "--overwrite does not go with --resume"),
        (["--resume", "--seed", "0"], "--seed does not go with --resume"),
    ],
)
def test_wrong_use_is_one_line(arguments, says: str, run, data) -> None:
    done = run("train", *arguments)
    assert done.code == 2, done.err
    assert says in done.error


def test_a_mistake_does_not_stand_in_the_way(run, data) -> None:
    for wrong in (["-t", "expr"], ["--folds", "9"], ["--clips", "nowhere.csv"]):
        assert run("train", *SPLIT, *wrong, "-o", "run").code == 2
    assert run("train", *SPLIT, "-o", "run", "-q").code == 0
    best = (data / "run/best/network.safetensors").read_bytes()
    for wrong in (["--folds", "9"], ["--clips", "nowhere.csv"]):
        assert run("train", *SPLIT, *wrong, "-o", "run", "--overwrite").code == 2
    assert (data / "run/best/network.safetensors").read_bytes() == best


@pytest.mark.parametrize(
    ("prepare", "says"),
    [
        (lambda data: (data / "labels/clip0.csv").write_text("v,r\n0.1,x\n"), "is no number"),
        (lambda data: (data / "labels/clip0.csv").write_text("v,r\n0.1,7\n"), "outside [-1, 1]"),
        (lambda data: (data / "run").write_text("a file in the way"), "run"),
        (lambda data: (data / "small.yaml").write_text("branches: 3"), "recipe"),
    ],
)
def test_failed_work_is_one_line(prepare, says: str, run, data) -> None:
    prepare(data)
    # `-o` names a file: click refuses that as wrong use.
    done = run("train", *SPLIT, "-o", "run")
    assert done.code == (2 if (data / "run").is_file() else 1)
    assert says in done.error


def test_ctrl_c_saves_and_the_run_goes_on(run, data, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("train", *SPLIT, "-o", "whole", "-q").code == 0
    add, batches = loop._Sums.add, []

    def press(self, loss, parts, windows):
        add(self, loss, parts, windows)
        batches.append(windows)
        if len(batches) == 2:
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(loop._Sums, "add", press)
        done = run("train", *SPLIT, "-o", "run")
    assert done.code == 130
    assert "interrupted; all is saved, `avaffect train --resume -o" in done.error
    assert (data / "run/last/state.pt").is_file()
    assert run("train", "--resume", "-o", "run", "-q").code == 0
    resumed, whole = (data / name / "best/network.safetensors" for name in ("run", "whole"))
    assert resumed.read_bytes() == whole.read_bytes()


def test_other_processes_are_silent(run, data, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    done = run("train", *SPLIT, "-o", "run")
    assert (done.out, [line for line in done.err.splitlines() if "recipe" in line]) == ("", [])


def test_the_module_is_the_command(data) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "avaffect", "recipes", "show", "abaw1-av-gur"],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("avaffect: no recipe is called 'abaw1-av-gur'")


def test_every_option_has_a_help_text() -> None:
    assert all(option.help for option in command.params)


def test_folds_in_two_processes(run, data) -> None:
    """Each fold after the first one used to wait for ever."""
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    arguments = [*OWN, "--folds", "2", "-o", "two", "--set", "train.epochs=1"]
    done = subprocess.run(
        [*start, "-m", "avaffect", "train", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("fold-1: score") == 1  # the first process alone talks
    assert done.stderr.count("the predictions for") == 1
    scores = json.loads((data / "two/summary.json").read_text())["folds"]
    assert list(scores) == ["fold-0", "fold-1"]
    assert (data / "two/fold-1/validation/tables").is_dir()
