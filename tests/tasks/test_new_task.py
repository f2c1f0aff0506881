"""A new task is one object and its line in the registry: here they are, and everything else works.

``engagement`` is one value in 0..1. It is learned from own tables, validated, predicted by the
command line, written as table and text, read back and scored.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from avaffect import evaluate
from avaffect.challenge.text import read_annotations, write_challenge
from avaffect.cli.main import avaffect
from avaffect.datasets.columns import parse_columns
from avaffect.datasets.table_labels import TableLabels
from avaffect.datasets.tables import read_any
from avaffect.files.table import read_table
from avaffect.metrics.arrays import score_arrays
from avaffect.networks.checkpoint import read_checkpoint
from avaffect.predicting.read_back import open_predictions
from avaffect.predictions.missing import fill
from avaffect.predictions.prediction import Prediction
from avaffect.preprocessing.run import preprocess
from avaffect.recipes.library import parse_recipe
from avaffect.tasks.kinds import Classes, Units, Values
from avaffect.tasks.registry import TASKS
from avaffect.tasks.task import Task
from avaffect.training.run import DataConfig, RunConfig, run

RATE = 16_000
EDITION = "abaw10"
ENGAGEMENT = Values(
    name="engagement",
    title="engagement",
    targets=("engagement",),
    folder="Engagement",
    low=0.0,
    high=1.0,
)
POSTURE = Classes(
    name="posture",
    title="posture",
    targets=("leaning", "upright", "turned"),
    folder="Posture",
)
GESTURES = Units(name="gestures", title="gestures", targets=("nod", "shrug"), folder="Gestures")
RECIPE = {
    "name": "ear",
    "branches": {
        "voice": {
            "modality": "audio",
            "features": ["audio"],
            "layers": [{"kind": "mlp", "units": [4]}],
        }
    },
    "tasks": {"engagement": {"terms": {"ccc": 1}}},
    "window": {"length": 10},
    "train": {"epochs": 2, "batch_size": 4, "lr": 1e-2},
}


def register(monkeypatch: pytest.MonkeyPatch, *tasks: Task) -> None:
    for task in tasks:
        monkeypatch.setitem(TASKS, task.name, task)


def make_sound(path: Path, number: int) -> None:
    clock = np.arange(2 * RATE) / RATE
    loud = 0.1 + 0.4 * np.abs(np.sin((1 + number) * clock))
    soundfile.write(path, loud * np.sin(2 * np.pi * (200 + 100 * number) * clock), RATE)


def test_a_value_is_learned_predicted_written_and_scored(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    register(monkeypatch, ENGAGEMENT)
    (tmp_path / "labels").mkdir()
    truth = tmp_path / "truth" / "Engagement"
    truth.mkdir(parents=True)
    splits, header = ["clip,split"], "engaged,x\n"
    for number in range(4):
        sound = tmp_path / f"clip{number}.wav"
        make_sound(sound, number)
        folder = preprocess(sound, tmp_path / "features" / sound.stem)
        rows = [f"{0.5 + 0.4 * np.sin(row / 7 + number):.3f}" for row in range(folder.frames)]
        lines = "".join(f"{row}\n" for row in rows)
        (tmp_path / f"labels/{sound.stem}.csv").write_text(header + lines.replace("\n", ",0\n"))
        (truth / f"{sound.stem}.txt").write_text("engagement\n" + lines)
        splits.append(f"{sound.stem},{'val' if number == 3 else 'train'}")
    (tmp_path / "clips.csv").write_text("\n".join(splits) + "\n")

    data = DataConfig(
        features=str(tmp_path / "features"),
        labels=str(tmp_path / "labels"),
        clips=str(tmp_path / "clips.csv"),
        columns=("clip=clip", "split=split", "engagement=engaged"),
    )
    out = tmp_path / "run"
    result = run(RunConfig(parse_recipe(RECIPE, "here"), data), out, device="cpu")
    assert set(result.scores) >= {"score", "engagement", "engagement CCC engagement"}
    assert np.isfinite(result.scores["engagement"])
    checkpoint = read_checkpoint(out / "best")
    assert checkpoint.targets == {"engagement": ("engagement",)}
    table, _ = read_table(out / "validation/tables/clip3.parquet")
    assert table["engagement"].min() >= 0
    assert table["engagement"].max() <= 1
    known = table["label_engagement"]
    expected, _ = score_arrays(
        "engagement", [(table["engagement"][:, None], known[:, None])], ("engagement",)
    )
    assert result.scores["engagement"] == pytest.approx(expected, abs=1e-5)

    predicted = tmp_path / "said"
    options = ["--checkpoint", str(out), "--task", "engagement", "--device", "cpu"]
    args = ["predict", str(tmp_path / "clip3.wav"), *options, "-o", str(predicted)]
    avaffect.main(args=args, prog_name="avaffect", standalone_mode=False, obj=False)
    (back,) = [open_predictions(predicted, EDITION).read("clip3")]
    assert back.tasks == ("engagement",)
    values = back.values["engagement"][:, 0]
    assert values.min() >= 0
    assert values.max() <= 1
    columns, _ = read_table(predicted / "tables/clip3.parquet")
    np.testing.assert_array_equal(columns["engagement"], values)
    text = predicted / "Engagement/clip3.txt"
    assert text.read_text().splitlines()[0] == "engagement"
    read = read_annotations(text, "engagement", EDITION)
    assert read.shape == (len(back), 1)
    np.testing.assert_allclose(read[:, 0], fill(back).values["engagement"][:, 0], atol=5.1e-5)

    scored = evaluate(predicted, tmp_path / "truth", "engagement", partial=True)
    labels = read_annotations(truth / "clip3.txt", "engagement", EDITION)
    expected, parts = score_arrays("engagement", [(read, labels)], ("engagement",))
    assert scored.score == pytest.approx(expected, abs=1e-9)
    assert list(scored.parts) == list(parts) == ["CCC engagement"]


@pytest.mark.parametrize("task", [ENGAGEMENT, POSTURE, GESTURES], ids=lambda task: task.kind)
def test_a_task_of_any_kind_goes_to_table_and_text_and_back(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, task: Task
) -> None:
    register(monkeypatch, task)
    frames, width = 20, len(task.targets)
    rng = np.random.default_rng(5)
    values = rng.uniform(0, 1, (frames, width)).astype(np.float32)
    if task.flat:
        values /= values.sum(axis=1, keepdims=True)
    values[3:5] = np.nan
    prediction = Prediction(
        "clip",
        "m",
        np.arange(frames) / 30,
        np.ones(frames),
        np.ones(frames),
        values={task.name: values, "expr": np.eye(8)[np.arange(frames) % 8]},
    )
    assert prediction.tasks == ("expr", task.name)
    assert Prediction.from_columns(prediction.columns(), "clip", "m") == prediction
    path = write_challenge(prediction, task.name, tmp_path, EDITION)
    assert path == tmp_path / task.folder / "clip.txt"
    rows = read_annotations(path, task.name, EDITION)
    np.testing.assert_allclose(rows, task.to_rows(prediction.labels(task.name)), atol=5.1e-5)
    assert (rows[3:5] == task.invalid).all()
    only = open_predictions(tmp_path, EDITION).read("clip")
    assert only.tasks == (task.name,)
    np.testing.assert_allclose(only.labels(task.name), task.decide(task.certain(rows)), atol=1e-6)


def test_labels_of_any_kind_come_from_own_tables(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    register(monkeypatch, ENGAGEMENT, POSTURE, GESTURES)
    (tmp_path / "a.csv").write_text("e,p,n,s\n0.25,upright,1,0\n,,,\n1,leaning,0,1\n")
    pairs = ["engagement=e", "posture=p", "nod=n", "shrug=s"]
    columns = parse_columns(pairs)
    assert parse_columns(columns.pairs()) == columns
    found = TableLabels.read(read_any(tmp_path / "a.csv"), columns)
    taken = found.at(np.arange(3), {"posture": POSTURE.targets})
    np.testing.assert_array_equal(taken["engagement"], np.float32([[0.25], [np.nan], [1]]))
    assert taken["posture"].tolist() == [1, -1, 0]
    assert taken["gestures"].tolist() == [[1, 0], [-1, -1], [0, 1]]
    for name, labels in taken.items():
        assert labels.dtype == TASKS[name].dtype
        assert TASKS[name].fault(labels) == ""


def test_without_its_line_nobody_knows_it() -> None:
    assert "engagement" not in TASKS
    with pytest.raises(KeyError, match="engagement"):
        parse_columns(["engagement=e"])
