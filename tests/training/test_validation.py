"""What is written of the validation clips scores as the log says, and can be read again."""

import shutil
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from avaffect.challenge.editions import edition_named
from avaffect.challenge.mtl import read_mtl
from avaffect.challenge.text import read_annotations, write_annotations
from avaffect.datasets.clip import Clip, Dataset
from avaffect.files.npy import ArraySpec
from avaffect.files.table import read_table
from avaffect.metrics.evaluation import score_pairs
from avaffect.metrics.pairs import read_pairs
from avaffect.networks.checkpoint import Checkpoint, save_checkpoint
from avaffect.progress import Notice
from avaffect.recipes.library import parse_recipe
from avaffect.training.loop import Trained
from avaffect.training.processes import Processes
from avaffect.training.score import validate
from avaffect.training.validation import (
    intervals_of,
    is_challenge,
    scores_of,
    write_validation,
)
from avaffect.windows.cut import cut
from avaffect.windows.reader import WindowReader

EIGHT = edition_named("abaw8")
ONE = Processes(0, 1, torch.device("cpu"), "CPU")
LOSSES = {"va": {"mse": 1}, "expr": {"cross_entropy": 1}, "au": {"bce": 1}}
TARGETS = {"va": ("valence", "arousal"), "expr": EIGHT.expressions, "au": EIGHT.action_units}


class Memory:
    """Features in memory."""

    def __init__(self, values):
        self._values, self.frames = values, len(values)
        self.specs = {"x": ArraySpec((4,), "float32")}

    def array(self, name, start=0, stop=None):
        return self._values[start:stop]


def clip(name, number, frames, unseen=(), targets=TARGETS):
    rng = np.random.default_rng(number)
    x = rng.normal(size=(frames, 4)).astype(np.float32)
    x[list(unseen)] = np.nan
    labels = {
        "va": rng.uniform(-1, 1, (frames, len(targets.get("va", ())))).astype(np.float32),
        "expr": rng.integers(-1, max(1, len(targets.get("expr", ()))), frames),
        "au": rng.integers(0, 2, (frames, len(targets.get("au", ())))).astype(np.int8),
    }
    # The challenge leaves out whole frames.
    labels["va"][:3], labels["au"][2:4] = np.nan, -1
    return Clip(name, name, Memory(x), {task: labels[task] for task in targets}, "val")


@pytest.fixture
def made(tmp_path: Path):
    """Writes the files of clips, by a network with random weights; its scores."""

    def make(clips, targets=TARGETS, edition="abaw8", per_clip=False, events=None, group=None):
        branch = {"modality": "video", "features": ["x"], "layers": [{"kind": "gru"}]}
        recipe = parse_recipe(
            {
                "name": "tiny",
                "branches": {"face": branch},
                "tasks": {task: {"terms": LOSSES[task]} for task in targets},
                "window": {"length": 8, "overlap": 3},
            },
            "",
        )
        torch.manual_seed(5)
        checkpoint = Checkpoint(recipe, targets, {"face": 4}, per_clip)
        network = checkpoint.build()
        with torch.no_grad():
            for head in network.heads.values():
                head[0].out.weight.mul_(6)  # predictions that differ from frame to frame
        save_checkpoint(tmp_path / "c", checkpoint, network)
        dataset = Dataset(tuple(clips), targets, per_clip)
        trained = Trained(tmp_path / "c", checkpoint, (), False)
        listen = (lambda event: None) if events is None else events.append
        run = tmp_path / "run"
        write_validation(run, trained, dataset, clips, edition, "cpu", listen, group)
        windows = cut([clip.frames for clip in clips], 8, 3)
        sizes = {task: len(names) for task, names in targets.items()}
        reader = WindowReader(clips, recipe.branches, windows, sizes)
        return validate(network, reader, targets, ONE, per_clip=per_clip)

    return make


def annotate(folder, clips, task, edition="abaw8"):
    for clip in clips:
        labels = clip.labels[task]
        labels = np.nan_to_num(labels.astype(float), nan=-5) if task == "va" else labels
        write_annotations(folder / f"{clip.name}.txt", labels.astype(labels.dtype), task, edition)


@pytest.mark.parametrize("task", ["va", "expr", "au"])
def test_evaluate_gives_the_score_of_the_log(task: str, made, tmp_path: Path) -> None:
    clips = [clip("a", 1, 30), clip("b_left", 2, 21), clip("b_right", 3, 5)]
    scores = made(clips)
    annotate(tmp_path / "annotations", clips, task)
    pairs = read_pairs(tmp_path / "run/validation", tmp_path / "annotations", task, "abaw8").pairs
    assert [(pair.subject, len(pair.predicted)) for pair in pairs] == [
        ("a", 30), ("b_left", 21), ("b_right", 5)
    ]  # fmt: skip
    found = score_pairs(pairs, task, "abaw8", resamples=100)
    # Valence and arousal are written with four decimals.
    assert found.score == pytest.approx(scores[task], abs=1e-3 if task == "va" else 1e-9)
    assert abs(scores[task]) > 1e-3


class Shared(Processes):
    """Processes that hand on what they gather by a list, the last one first."""

    handed: ClassVar[list[Any]] = []

    def gather(self, value):
        self.handed.insert(0, value)
        return [*self.handed]


def test_processes_share_the_clips_and_the_first_one_writes(made, tmp_path: Path) -> None:
    """Else all others wait for it, on NCCL for no more than its patience."""
    clips = [clip(name, i, 9 + i) for i, name in enumerate("abcde")]
    run = tmp_path / "run/validation"
    made(clips)
    alone = {path: path.read_bytes() for path in run.rglob("*.txt")}
    assert len(alone) == 15
    shutil.rmtree(run)
    cpu = torch.device("cpu")
    made(clips, group=Shared(1, 2, cpu, "CPU"))
    assert not run.exists()
    made(clips, group=Shared(0, 2, cpu, "CPU"))
    first, second = Shared.handed
    assert [[predicted.clip for predicted in share] for share in (first, second)] == [
        [0, 2, 4],
        [1, 3],
    ]
    assert {path: path.read_bytes() for path in run.rglob("*.txt")} == alone


def test_files_have_a_row_a_frame_and_tables_everything(made, tmp_path: Path) -> None:
    clips = [clip("a", 1, 30, unseen=[0, 1, 15, 29]), clip("nobody", 2, 6, unseen=range(6))]
    events = []
    made(clips, events=events)
    root = tmp_path / "run/validation"
    assert sorted(path.name for path in root.iterdir()) == [
        *sorted(EIGHT.folders[task] for task in TARGETS), "tables"
    ]  # fmt: skip
    for task in TARGETS:
        rows = read_annotations(root / EIGHT.folders[task] / "a.txt", task)
        assert len(rows) == 30
        assert (rows != (-5 if task == "va" else -1)).all()  # filled, as `predict` does
        rows = read_annotations(root / EIGHT.folders[task] / "nobody.txt", task)
        assert (rows == (-5 if task == "va" else -1)).all()
    columns, about = read_table(root / "tables/a.parquet")
    assert (about["clip"], about["model"]) == ("a", "tiny")
    assert columns["frame"].tolist() == list(range(1, 31))
    assert np.flatnonzero(~columns["seen_face"]).tolist() == [0, 1, 15, 29]
    labels = clips[0].labels
    np.testing.assert_array_equal(columns["label_expression"], labels["expr"])
    np.testing.assert_array_equal(columns["label_arousal"], labels["va"][:, 1])
    np.testing.assert_array_equal(columns["label_AU12"], labels["au"][:, 6])
    total = sum(columns[f"p_{name}"] for name in EIGHT.expressions)
    np.testing.assert_allclose(total[columns["seen_face"]], 1, atol=1e-5)
    for name in ("valence", "p_Fear", "AU12_p"):
        np.testing.assert_array_equal(np.isnan(columns[name]), ~columns["seen_face"])
    assert events[-1].finished
    assert [event.done for event in events] == [1, 2]


def test_seven_classes_for_the_editions_that_have_them(made, tmp_path: Path) -> None:
    targets = {"expr": edition_named("abaw1").expressions}
    assert len(targets["expr"]) == 7
    clips = [clip("a", 1, 25, unseen=[4], targets=targets)]
    scores = made(clips, targets, "abaw1")
    folder = edition_named("abaw1").folders["expr"]
    rows = read_annotations(tmp_path / "run/validation" / folder / "a.txt", "expr", "abaw1")
    true, seen = clips[0].labels["expr"], np.arange(25) != 4
    use = seen & (true >= 0)
    assert np.mean(rows[use] == true[use]) == pytest.approx(scores["expr accuracy"])
    assert (rows >= 0).all()


@pytest.mark.parametrize(
    ("targets", "edition"),
    [
        ({"va": ("valence",)}, "abaw8"),
        ({"va": ("arousal", "valence")}, "abaw8"),
        ({"expr": ("calm", "happy")}, "abaw8"),
        ({"expr": EIGHT.expressions[:7]}, "abaw8"),
        ({"au": ("AU1", "AU2")}, "abaw8"),
    ],
)
def test_other_targets_are_no_challenge_files(targets, edition: str, made, tmp_path: Path) -> None:
    made([clip("a", 1, 9, targets=targets)], targets, edition)
    assert [path.name for path in (tmp_path / "run/validation").iterdir()] == ["tables"]
    ((task, names),) = targets.items()
    assert not is_challenge(task, names, edition)


def test_whole_clips(made, tmp_path: Path) -> None:
    targets = {"expr": ("calm", "happy"), "va": ("valence",)}
    clips = []
    for number, unseen in enumerate(([], [2, 3], range(10))):
        short = clip(f"c{number}", number, 10, unseen=unseen, targets=targets)
        labels = {"expr": np.full(10, number % 2), "va": np.full((10, 1), 0.5, np.float32)}
        clips.append(Clip(short.name, "someone", short.features, labels, "val"))
    scores = made(clips, targets, per_clip=True)
    text = (tmp_path / "run/validation/clips.csv").read_text().splitlines()
    head, *rows = [line.split(",") for line in text]
    assert head == ["clip", "group", "predicted", "label", "p_calm", "p_happy", "valence"]
    assert [row[0] for row in rows] == ["c0", "c1", "c2"]
    assert [row[3] for row in rows] == ["calm", "happy", "calm"]
    assert (rows[2][2], rows[2][4]) == ("", "nan")  # nobody was ever seen
    for row, short in zip(rows[:2], clips, strict=False):
        columns, _ = read_table(tmp_path / f"run/validation/tables/{short.name}.parquet")
        assert float(row[4]) == pytest.approx(np.nanmean(columns["p_calm"]), abs=1e-5)
        assert float(row[6]) == pytest.approx(np.nanmean(columns["valence"]), abs=1e-5)
        assert row[2] == ("calm" if float(row[4]) > float(row[5]) else "happy")
    right = [row[2] == row[3] for row in rows[:2]]
    assert np.mean(right) == pytest.approx(scores["expr accuracy"])


def test_names_that_no_file_can_have(made, tmp_path: Path) -> None:
    events = []
    made([clip("../escaped", 1, 9), clip("ok", 2, 9)], events=events)
    assert not list(tmp_path.rglob("*escaped*"))
    assert [path.name for path in (tmp_path / "run/validation/tables").iterdir()] == ["ok.parquet"]
    notes = [event for event in events if isinstance(event, Notice)]
    assert [(note.text, note.warning) for note in notes] == [
        ("1 clips have names that no file can have", True)
    ]


@pytest.mark.parametrize(
    ("edition", "written"), [("abaw7", True), ("abaw3", True), ("abaw8", False)]
)
def test_the_multi_task_file(edition: str, written: bool, made, tmp_path: Path) -> None:
    """All three tasks in one file, whose score is the sum of theirs; the others' files too."""
    clips = [clip("a", 1, 30), clip("b", 2, 25)]
    made(clips, edition=edition)
    path = tmp_path / "run/validation/MTL_Challenge/MTL_predictions.txt"
    assert path.is_file() == written
    if not written:
        return
    subjects = read_mtl(path)
    assert [len(subjects[name].frames) for name in ("a", "b")] == [30, 25]
    folder = tmp_path / "run/validation" / edition_named("abaw8").folders["va"]
    alone = read_annotations(folder / "a.txt", "va", "abaw8")
    np.testing.assert_array_equal(subjects["a"].va, alone)


def test_no_multi_task_file_of_two_tasks(made, tmp_path: Path) -> None:
    two = {task: TARGETS[task] for task in ("va", "au")}
    made([clip("a", 1, 9, targets=two)], two, "abaw7")
    assert not (tmp_path / "run/validation/MTL_Challenge").exists()


def test_intervals_are_over_groups_of_the_clips_that_have_the_task() -> None:
    """Clips without labels of a task have no pair, and shift no group."""
    clips, pairs = [], []
    for at in range(24):
        truth = np.sin(np.arange(20) / 3 + at).astype(np.float32)[:, None]
        labels = {"va": truth} if at % 2 else {}
        features = Memory(np.zeros((20, 4), np.float32))
        clips.append(Clip(f"c{at}", f"g{at // 2 if at < 22 else 0}", features, labels))
        if labels:
            pairs.append((truth + (at % 5) * 0.1, truth))
    found = intervals_of({"va": pairs}, clips, {"va": ("valence",)})["va"]
    # Twelve clips with labels; the last one is of the first group.
    assert found.videos == 11
    assert found.low < scores_of({"va": pairs}, {"va": ("valence",)})["va"] < found.high
