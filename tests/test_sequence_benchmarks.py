"""The benchmarks on real sequences, on small generated files of the same layout."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from fixtures.benchmarks import benchmark

from avaffect.files.table import write_table
from avaffect.metrics.scores import accuracy, ccc, confusion, macro_f1
from avaffect.training.run import RunConfig

LISTENERS, STORIES, ROWS = 6, 3, 200


@pytest.fixture(scope="module")
def paired() -> ModuleType:
    return benchmark("paired")


@pytest.fixture(scope="module")
def empathy() -> Iterator[ModuleType]:
    module = benchmark("empathy")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "PARTS", {module.NEW: "3x3", module.KNOWN: "3"})
        patch.setattr(module, "INNER", {module.NEW: (2, 2), module.KNOWN: 2})
        yield module


@pytest.fixture(scope="module")
def ravdess() -> ModuleType:
    return benchmark("ravdess")


def test_a_score_and_its_intervals(paired: ModuleType) -> None:
    """The mean of a value a clip; people differ, their clips do not."""
    values = np.repeat(np.arange(12.0), 5)
    people = [str(int(value)) for value in values]
    said = paired.Said.of([[np.array([value, 1.0]) for value in values]] * 2)
    found = paired.estimate(said, people, lambda sums: sums[..., 0] / sums[..., 1])
    assert found.value == pytest.approx(5.5)
    assert found.spread == 0
    (low, high), (below, above) = found.clips, found.people
    assert below < low < 5.5 < high < above
    # Normal approximation: sd 3.45 over 60 clips, over 12 people.
    assert high - low == pytest.approx(2 * 1.96 * 3.45 / 60**0.5, rel=0.1)
    assert above - below == pytest.approx(2 * 1.96 * 3.45 / 12**0.5, rel=0.1)


def test_a_difference_is_drawn_together(paired: ModuleType) -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=40)
    people = [f"p{i}" for i in range(40)]

    def said(*seeds: np.ndarray) -> object:
        return paired.Said.of([[np.array([value, 1.0]) for value in some] for some in seeds])

    def score(sums: np.ndarray) -> np.ndarray:
        return sums[..., 0] / sums[..., 1]

    one, other = said(values + 0.2, values), said(values)
    found = paired.difference(one, other, people, score)
    assert found.value == pytest.approx(0.1)
    assert found.clips == pytest.approx((0.1, 0.1))
    assert found.text(signed=True) == "+.100 [+.100, +.100]"
    few = paired.estimate(said(values[:9]), people[:9], score)
    assert few.text(2) == f"{paired.shown(few.value, 2)} [-, -]"
    assert [paired.shown(value) for value in (-0.1234, 1.5, float("nan"))] == [
        "-.123",
        "1.500",
        "-",
    ]


@pytest.fixture(scope="module")
def listeners(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """OMG-Empathy's layout: one feature tells the valence with much noise, the others nothing."""
    root = tmp_path_factory.mktemp("omg")
    (root / "features_train").mkdir()
    rng = np.random.default_rng(1)
    names = "polarity,image_valence,emo_watson,opensmile_valence,opensmile_arousal"
    facts = ["path,subject,story"]
    for listener in range(1, LISTENERS + 1):
        for story in range(1, STORIES + 1):
            x = rng.normal(size=(ROWS, 5))
            y = 0.8 * np.sin(np.arange(ROWS) / 25 + listener + story)
            x[:, 0] += y
            lines = [f"index,valence,seconds,words,{names}"]
            lines += [
                f"{i},{y[i]:.4f},{i / 25:.2f},a," + ",".join(f"{v:.4f}" for v in x[i])
                for i in range(ROWS)
            ]
            lines[3] = lines[3].replace(f"{x[2, 1]:.4f}", "")
            name = f"Subject_{listener}_Story_{story}.csv"
            (root / "features_train" / name).write_text("\n".join(lines) + "\n")
            facts.append(f"omg/{name},{listener},{story}")
    (root / "manifest.csv").write_text("\n".join(facts) + "\n")
    return root


@pytest.fixture(scope="module")
def omg(empathy: ModuleType, listeners: Path, tmp_path_factory: pytest.TempPathFactory) -> object:
    out = tmp_path_factory.mktemp("out")
    # At each 2nd row, so that there is something to learn from.
    empathy.thin(listeners / "features_train", out / "tables", 2)
    return empathy.Data(listeners, out)


def test_tables_are_thinned(empathy: ModuleType, listeners: Path, tmp_path: Path) -> None:
    empathy.thin(listeners / "features_train", tmp_path / "thin")
    whole, thin = (
        (folder / "Subject_1_Story_2.csv").read_text().splitlines()
        for folder in (listeners / "features_train", tmp_path / "thin")
    )
    assert thin == [whole[0], *whole[1::10]]


def test_runs_of_empathy(empathy: ModuleType, omg) -> None:
    config: RunConfig
    for length in empathy.LENGTHS:
        config = omg.config(length, empathy.NEW, 1)
        rows = config.recipe.window.length
        assert rows == max(length, 10)
        assert rows * config.recipe.train.batch_size == pytest.approx(empathy.BATCH, rel=0.05)
        assert not config.recipe.train.chooses
        kinds = [layer.kind for layer in config.recipe.branches["table"].layers]
        assert kinds == ["mlp", "mlp" if length == 1 else "gru"]
    assert "stimulus=story" in config.data.columns
    assert "stimulus=story" not in omg.config(10, empathy.KNOWN, 0).data.columns


def test_linear_models_of_unheard_stories(empathy: ModuleType, omg) -> None:
    clips, folds = omg.parts[empathy.NEW]
    assert len(folds.numbers) == 9
    found, widths = empathy.linear(folds, clips, (2, 2))
    truth = {clip.name: empathy.valence(clip) for clip in clips}
    assert found.keys() == {empathy.RIDGE, empathy.SCALED}
    assert all(said.keys() == truth.keys() for of in found.values() for said in of.values())
    assert set(widths.values()) <= set(empathy.WIDTHS)
    scores = {
        name: np.mean([ccc(values, truth[clip]) for clip, values in said[0.0].items()])
        for name, said in found.items()
    }
    assert 0.1 < scores[empathy.RIDGE] < scores[empathy.SCALED]
    # What is said smoothed is what `predict --smooth` would make of what is said.
    said, name = found[empathy.RIDGE], clips[0].name
    again = empathy.smoothed(said[0.0][name], 4.0)
    np.testing.assert_allclose(said[4.0][name], again, atol=1e-5)


def test_scores_are_those_of_the_challenge(empathy: ModuleType, ravdess: ModuleType) -> None:
    rng = np.random.default_rng(3)
    said, truth = ({name: rng.normal(size=50) + shift for name in "ab"} for shift in (0.2, 0.0))
    sums = np.sum(empathy.sums(said, truth), axis=0)
    assert empathy.by_clip(sums) == pytest.approx(
        np.mean([ccc(said[name], truth[name]) for name in "ab"])
    )
    x, y = (np.concatenate([values["a"], values["b"]]) for values in (said, truth))
    assert empathy.together(sums) == pytest.approx(ccc(x, y))
    counts = confusion(rng.integers(0, 3, 90), rng.integers(0, 3, 90), 4)
    flat = np.stack([counts.ravel(), 2 * counts.ravel()]).astype(float)
    assert [*map(ravdess.accuracy, flat)] == pytest.approx([accuracy(counts)] * 2)
    assert [*map(ravdess.macro_f1, flat)] == pytest.approx([macro_f1(counts)] * 2)


def test_tables_of_empathy(empathy: ModuleType, omg) -> None:
    """Networks whose folds are not all there are left out; the others stand beside the ridges."""
    clips, folds = omg.parts[empathy.NEW]
    for number in folds.numbers:
        for clip in folds.split(clips, number)[1]:
            for length in (10, 30)[: 1 if number == 0 else 2]:
                where = omg.run_of(length, empathy.NEW, 0) / f"fold-{number}"
                table = where / "validation/tables" / f"{clip.name}.parquet"
                write_table(table, {"valence": empathy.valence(clip).astype(np.float32)}, {})
    text = empathy.tables(omg, 1)
    assert "| 4 s | 1 | 1.000 [-, -]" in text
    assert "\n| 12 s |" not in text
    assert f"| 4 s - {empathy.SCALED}, not smoothed | +" in text
    assert f"| {empathy.KNOWN} - {empathy.NEW}: {empathy.RIDGE} |" in text


CLASSES = ("angry", "calm", "happy")


@pytest.fixture(scope="module")
def takes(ravdess: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> object:
    """RAVDESS' layout: the units tell one class, the sound another."""
    root = tmp_path_factory.mktemp("ravdess")
    rng = np.random.default_rng(2)
    rows, names, values = ["path,subject,label,fold5,av_key"], [], []
    for actor in range(12):
        for number, label in enumerate(CLASSES * 2):
            take = f"{actor:02}-{number}"
            rows.append(f"Actor_{actor}/{take}.ogg,{actor},{label},{actor % 5},key-{take}")
            names.append(f"key-{take}")
            values.append(rng.normal(size=ravdess.UNITS + 4) + 3 * (label == "happy"))
            store = root / "voices" / take / "features" / take
            store.mkdir(parents=True)
            sound = rng.normal(size=(13, ravdess.SOUND + 2)) + 2 * (label == "angry")
            np.save(store / "audio-0.npy", sound.astype(np.float32))
    (root / "manifest.csv").write_text("\n".join(rows) + "\n")
    np.savez(root / "units.npz", names=np.array(names), X=np.stack(values))
    (root / "out").mkdir()
    return ravdess.Data(root, root / "units.npz", root / "voices", root / "out", full=False)


def test_rows_are_averaged(ravdess: ModuleType) -> None:
    rows = np.arange(12, dtype=np.float32).reshape(6, 2)
    np.testing.assert_array_equal(ravdess.thinned(rows, 4), [[3, 4], [9, 10]])


def test_tables_of_takes(ravdess: ModuleType, takes) -> None:
    clip = takes.clips[0]
    table = clip.features.array("table")
    assert table.shape == (3, ravdess.SOUND + ravdess.UNITS)
    assert (table[:, ravdess.SOUND :] == table[0, ravdess.SOUND :]).all()
    assert takes.folds.numbers == (0, 1, 2, 3, 4)
    for name in ravdess.NETS:
        config = takes.config(name, 0)
        assert config.folds == "given"
        assert not config.recipe.train.chooses
    takes.nets = takes.nets | ravdess.FULL
    for name in ravdess.FULL:
        branches = takes.config(name, 0).recipe.branches
        assert ("units" in branches) is ("units" in name)
    takes.nets = ravdess.NETS


def test_tables_of_ravdess(ravdess: ModuleType, takes) -> None:
    """The sound tells angry from the rest, the units happy, both all."""
    for name in ("sound", "units"):
        for number in takes.folds.numbers:
            lines = ["clip," + ",".join(f"p_{each}" for each in takes.classes)]
            for clip in takes.folds.split(takes.clips, number)[1]:
                right = takes.classes[clip.labels["expr"][0]]
                sure = "angry" if name == "sound" else "happy"
                cells = [0.9 if each == right == sure else 0.1 for each in takes.classes]
                if right != sure:
                    cells = [0.1 if each == sure else 0.4 for each in takes.classes]
                lines.append(f"{clip.name}," + ",".join(map(str, cells)))
            folder = takes.run_of(name, 0) / f"fold-{number}" / "validation"
            folder.mkdir(parents=True)
            (folder / "clips.csv").write_text("\n".join(lines) + "\n")
    said = takes.said(1)
    found = {name: ravdess.accuracy(some.sums.sum(axis=(0, 1))) for name, some in said.items()}
    assert found["linear: both"] > max(found["linear: sound"], found["linear: units"]) + 0.1
    assert found[f"net: {ravdess.LATE}"] == 1
    text = ravdess.tables(takes, 1)
    assert f"| net: {ravdess.LATE} | 1 | 1.000 [1.000, 1.000] | 1.000 to 1.000 | 1.000" in text
    assert "| net: both |" not in text
    assert f"| net: {ravdess.LATE} - net: " in text
    assert "| net: units - linear: units |" in text
