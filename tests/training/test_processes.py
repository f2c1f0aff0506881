"""Two processes on the CPU: one result, each clip scored once, files written once, no hang."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from avaffect.datasets.clip import Dataset
from avaffect.errors import UsageError
from avaffect.models.device import Device
from avaffect.networks.checkpoint import load_checkpoint
from avaffect.training.loop import _Sums
from avaffect.training.processes import Processes, processes
from avaffect.training.score import validate
from avaffect.training.setup import targets_of
from avaffect.windows.cut import cut
from avaffect.windows.reader import WindowReader

HERE = Path(__file__).parents[1]
ONE = Processes(0, 1, torch.device("cpu"), "CPU")

LEARN = ("train.epochs=5", "train.ema=0.5", "train.modality_dropout=0.2", "train.batch_size=4")
# There are 19 windows: one is left over, which the second process would lack.
ODD = ("train.batch_size=18", "train.epochs=3", "fusion.kind=late", "train.modality_dropout=0.5",
       "train.augment.mixup=0.3")  # fmt: skip
RUNS = {
    "learn": {"changes": LEARN},
    "whole": {"changes": ODD, "tasks": ["va", "expr"]},
    "stopped": {"changes": ODD, "tasks": ["va", "expr"], "stop": 2, "out": "parts"},
    "resumed": {"changes": ODD, "tasks": ["va", "expr"], "resume": True, "out": "parts"},
}

# What each process does, one run after the other; it leaves what it saw in a file of its own.
SCRIPT = """
import dataclasses, json, os, sys
sys.path.insert(0, sys.argv[1])
import torch
from fixtures.trained import LOSSES, TREE, make_dataset
from avaffect.recipes.library import change_recipe, parse_recipe
from avaffect.training import loop, score

folder, runs = loop.Path(sys.argv[2]), json.loads(sys.argv[3])
rank = int(os.environ["RANK"])
saw = {}
pair_of, validate, add = score.pair_of, loop.validate, loop._Sums.add

def spy_pair(task, predicted, labels, *, per_clip):
    saw["scored"].append([task, predicted.clip])
    return pair_of(task, predicted, labels, per_clip=per_clip)

def spy_validate(network, *args, **kwargs):
    scores = validate(network, *args, **kwargs)
    saw["weights"] = {n: v.double().sum().item() for n, v in network.state_dict().items()}
    saw["scores"] = scores
    return scores

def spy_add(self, loss, parts, windows):
    saw["steps"].append(windows)
    add(self, loss, parts, windows)
    # One process alone is asked to stop.
    if rank == 1 and len(saw["steps"]) == run.get("stop"):
        os.kill(os.getpid(), 2)

score.pair_of, loop.validate, loop._Sums.add = spy_pair, spy_validate, spy_add
torch.distributed.init_process_group("gloo")
data = make_dataset()
# One clip has no labels of valence and arousal: some batch of some process has none.
first = dataclasses.replace(data.clips[0], labels={"expr": data.clips[0].labels["expr"]})
partly = dataclasses.replace(data, clips=(first, *data.clips[1:]))
every = {}
for name, run in runs.items():
    tasks = run.get("tasks", ["va"])
    tree = TREE | {"tasks": {task: {"terms": LOSSES[task]} for task in tasks}}
    recipe = change_recipe(parse_recipe(tree, ""), run["changes"])
    chosen = data if tasks == ["va"] else partly
    saw = every[name] = {"steps": [], "scored": [], "shown": 0, "code": 0}
    def shown(epoch):
        saw["shown"] += 1
    try:
        loop.train(recipe, chosen, chosen.of("train"), chosen.of("val"),
                   folder / run.get("out", name), device="cpu", on_epoch=shown,
                   resume=run.get("resume", False))
    except KeyboardInterrupt:
        saw["code"] = 130
(folder / f"rank{rank}.json").write_text(json.dumps(every))
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory):
    """The folder of the runs, and what both processes saw, by run."""
    folder = tmp_path_factory.mktemp("two")
    script = folder / "script.py"
    script.write_text(SCRIPT)
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*start, str(script), str(HERE), str(folder), json.dumps(RUNS)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = [json.loads((folder / f"rank{rank}.json").read_text()) for rank in (0, 1)]
    return folder, {name: [process[name] for process in found] for name in RUNS}


def test_the_batch_is_shared_and_each_clip_scored_once(ran) -> None:
    first, second = ran[1]["learn"]
    # Four batches of four, two windows each, and one of three.
    assert first["steps"] == 5 * [2, 2, 2, 2, 2]
    assert second["steps"] == 5 * [2, 2, 2, 2, 1]
    assert (first["scored"], second["scored"]) == (5 * [["va", 0], ["va", 2]], 5 * [["va", 1]])
    assert (first["shown"], second["shown"]) == (5, 0)


@pytest.mark.parametrize("name", RUNS)
def test_both_have_the_same_network_and_scores(name, ran) -> None:
    first, second = ran[1][name]
    assert first.get("weights") == second.get("weights")
    assert first.get("scores") == second.get("scores")


def test_scores_are_those_of_one_process(ran, dataset: Dataset) -> None:
    folder, saw = ran
    checkpoint, network = load_checkpoint(folder / "learn/last")
    clips = dataset.of("val")
    windows = cut([clip.frames for clip in clips], 12, 4)
    reader = WindowReader(clips, checkpoint.recipe.branches, windows, {"va": 2})
    alone = validate(network, reader, targets_of(checkpoint.recipe, dataset), ONE)
    assert alone == saw["learn"][0]["scores"]
    log = [json.loads(line) for line in (folder / "learn/log.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in log] == [1, 2, 3, 4, 5]
    assert log[-1]["scores"] == alone


def test_two_learn_about_what_one_does(ran, recipe, fit, tmp_path: Path) -> None:
    _, saw = ran
    alone = [epoch.scores["score"] for epoch in fit(recipe(*LEARN), tmp_path).epochs]
    assert saw["learn"][0]["scores"]["score"] == pytest.approx(alone[-1], abs=0.1)
    assert min(saw["learn"][0]["scores"]["score"], alone[-1]) > alone[0] + 0.2


def test_a_window_too_many_hangs_nobody(ran) -> None:
    assert [process["steps"] for process in ran[1]["whole"]] == [3 * [9], 3 * [9]]


def test_interrupted_and_resumed_equals_uninterrupted(ran, weights) -> None:
    folder, saw = ran
    assert [process["code"] for process in saw["stopped"]] == [130, 130]
    assert [process["steps"] for process in saw["stopped"]] == [[9, 9], [9, 9]]
    assert [process["steps"] for process in saw["resumed"]] == [[9], [9]]
    assert saw["resumed"][0]["scores"] == saw["whole"][0]["scores"]
    parts, whole = weights(folder / "parts/last"), weights(folder / "whole/last")
    assert all(torch.equal(parts[name], whole[name]) for name in whole)


def test_one_process_needs_no_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    module = torch.nn.BatchNorm1d(1)
    with processes("cpu") as group:
        assert (group.rank, group.world, group.first) == (0, 1, True)
        assert group.device == torch.device("cpu")
        assert group.wrap(module) is module
        assert group.gather("x") == ["x"]
        assert group.any(True)
        assert not group.any(False)
        group.wait()
    assert not torch.distributed.is_initialized()


def pretend_gpus(monkeypatch) -> list[torch.device]:
    """As on a machine with GPUs; gives the list of those that were made the current one."""
    monkeypatch.setattr(
        "avaffect.training.processes.choose_device", lambda choice: Device(choice, "GPU")
    )
    current: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "set_device", current.append)
    return current


def test_one_process_on_the_gpu_that_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    current = pretend_gpus(monkeypatch)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with processes("cuda:1") as group:
        assert group.device == torch.device("cuda", 1)
    assert current == [torch.device("cuda", 1)]


def test_several_processes_do_not_share_one_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_gpus(monkeypatch)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with (
        pytest.raises(UsageError, match='"cuda:1" names one GPU for 2 processes'),
        processes("cuda:1"),
    ):
        pass


def test_more_processes_than_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_gpus(monkeypatch)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with (
        pytest.raises(UsageError, match="no GPU for process 2 of this machine, it has 1"),
        processes("cuda"),
    ):
        pass


def test_the_group_knows_its_gpu_and_is_patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten minutes, NCCL's own, are over before one process has looked at all of Aff-Wild2."""
    current, asked = pretend_gpus(monkeypatch), {}
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    group = torch.distributed
    monkeypatch.setattr(group, "init_process_group", lambda name, **more: asked.update(more))
    monkeypatch.setattr(group, "get_rank", lambda: 1)
    monkeypatch.setattr(group, "destroy_process_group", lambda: None)
    with processes("cuda") as found:
        assert (found.rank, found.device) == (1, torch.device("cuda", 1))
    assert current == [asked["device_id"]] == [torch.device("cuda", 1)]
    assert asked["timeout"].total_seconds() > 3600


def test_votes_are_read_a_step_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that no step waits for the word of the others."""
    waited, others = [], iter([0.0, 1.0, 0.0, 0.0])

    class Work:
        def __init__(self, number):
            self.wait = lambda: waited.append(number)

    numbers = iter(range(9))

    def reduce(vote, operation, async_op):
        assert async_op
        vote.fill_(max(vote.item(), next(others)))
        return Work(next(numbers))

    monkeypatch.setattr(torch.distributed, "all_reduce", reduce)
    votes = Processes(0, 2, torch.device("cpu"), "CPU").votes()
    assert [votes.any(flag) for flag in (True, False, False, False)] == [False, True, True, False]
    assert waited == [0, 1, 2]


def test_the_vote_of_one_process_counts_at_once() -> None:
    votes = ONE.votes()
    assert votes.any(True) and not votes.any(False)


def test_losses_of_an_epoch_are_those_of_all_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    sums = _Sums()
    sums.add(torch.tensor(2.0), {"va": torch.tensor(1.0)}, 3)
    assert sums.means(ONE) == {"loss": 2.0, "va": 1.0}
    both = Processes(0, 2, torch.device("cpu"), "CPU")
    other = (1, {"loss": 6.0, "expr": 8.0})
    monkeypatch.setattr(Processes, "gather", lambda self, value: [value, other])
    assert sums.means(both) == {"loss": 3.0, "va": 0.75, "expr": 2.0}
