"""From features of one's own to the challenge's zip, by commands alone."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fixtures.hidden import run_without
from fixtures.prepared import RATE, make_prepared

from avaffect.challenge.text import write_annotations
from avaffect.store.subject import SubjectFeatures

TRAIN, VAL, TEST = ("a", "b_left", "b_right", "c"), ("d", "e"), ("t1", "t2_left")
FRAMES = {"a": 40, "b_left": 40, "b_right": 40, "c": 39, "d": 40, "e": 30, "t1": 24, "t2_left": 31}
SHORT = ("--set", "train.epochs=2", "--set", "window.length=16", "--set", "window.overlap=4",
         "--device", "cpu")  # fmt: skip
TASK = ("--task", "va")


def values(name: str) -> np.ndarray:
    """Three features of a clip, of which valence and arousal are two."""
    rng = np.random.default_rng(sum(map(ord, name)))
    return np.tanh(rng.normal(size=(FRAMES[name], 3))).astype(np.float32)


def openface(path: Path, name: str, rows: int) -> None:
    """A CSV as OpenFace writes it, of two columns of features; nobody is seen in frame 3."""
    lines = ["frame, face_id, timestamp, confidence, success, AU01_r, AU12_r"]
    for row, (first, second) in enumerate(np.resize(values(name)[:, :2], (rows, 2)), start=1):
        lines.append(f"{row}, 0, {(row - 1) / RATE:.3f}, 1, {int(row != 3)}, {first}, {second}")
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Annotations of six subjects, two test subjects, a template; features in three folders."""
    root = tmp_path_factory.mktemp("entrant")
    for split, names in (("Train_Set", TRAIN), ("Validation_Set", VAL)):
        annotations = root / "Aff-Wild2/annotations/VA_Estimation_Challenge" / split
        for name in names:
            # One row more than frames, as most of the true files have.
            labels = np.vstack([values(name)[:, :2], [[0, 0]]])
            write_annotations(annotations / f"{name}.txt", labels, "va")
    for folder in ("expnet", "openface", "voice"):
        (root / folder).mkdir()
    for name in FRAMES:
        np.save(root / "expnet" / f"{name}.npy", values(name))
        openface(root / "openface" / f"{name}.csv", name, FRAMES[name] - (name == "c"))
        video = name.partition("_")[0]
        np.savez_compressed(root / "voice" / f"{video}.npz", voice=values(name)[:, 1:])
    rows = [f"{name}/{frame:05},0,0" for name in TEST for frame in range(1, FRAMES[name] + 2)]
    text = "\n".join(["image_location,valence,arousal", *rows, ""]).replace(",0,0", ".jpg,0,0")
    (root / "ABAW_VA_test_set_sample.txt").write_text(text)
    for folder, names in (("test_expnet", TEST), ("test_openface", TEST)):
        (root / folder).mkdir()
        for name in names:
            (source,) = (root / folder.removeprefix("test_")).glob(f"{name}.*")
            (root / folder / source.name).write_bytes(source.read_bytes())
    return root


def zipped(run: Callable, root: Path, out: Path) -> dict[str, list[str]]:
    """What the checked zip holds of the predictions in ``out``, rows by subject."""
    template = root / "ABAW_VA_test_set_sample.txt"
    target = out.parent / "va.zip"
    form = (*TASK, "--edition", "abaw6", "--template", template)
    done = run("submit", out, *form, "-o", target)
    assert done.code == 0, done.err
    assert run("submit", "--check", target, *form).code == 0
    with zipfile.ZipFile(target) as archive:
        (name,) = archive.namelist()
        rows = archive.read(name).decode().splitlines()[1:]
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row.partition("/")[0], []).append(row)
    return found


def test_tables_alone_from_npy_to_the_zip(run: Callable, root: Path, tmp_path: Path) -> None:
    made = tmp_path / "run"
    done = run("train", "--data", root / "Aff-Wild2", "--features", root / "expnet", *TASK,
               "--recipe", "table-gru", "-o", made, *SHORT)  # fmt: skip
    assert done.code == 0, done.err
    assert "6 of 6 label files have more rows than there are frames (+1: 6)" in done.err
    assert f"avaffect predict --checkpoint {made / 'best'} --features FOLDER" in done.err
    facts = json.loads((made / "best/checkpoint.json").read_text())
    assert facts["data"]["clips"] == {"train": list(TRAIN), "val": list(VAL)}
    out = tmp_path / "out"
    done = run(
        "predict", "--checkpoint", made, "--features", root / "test_expnet", *TASK, "-o", out
    )
    assert done.code == 0, done.err
    assert sorted(path.stem for path in (out / "VA_Estimation_Challenge").iterdir()) == [*TEST]
    rows = zipped(run, root, out)
    # The template lists a frame more than there are.
    assert {name: len(some) for name, some in rows.items()} == {n: FRAMES[n] + 1 for n in TEST}
    again = run("predict", "--checkpoint", made, "--features", root / "test_expnet", *TASK,
                "-o", out)  # fmt: skip
    assert again.table.count("already done") == 2
    two = run("predict", "--checkpoint", made, "--features", root / "test_expnet", *TASK,
              "-o", out, "--jobs", 2)  # fmt: skip
    assert (two.code, "read by one process, not by several: leave out --jobs" in two.error) == (
        2,
        True,
    )


def test_the_store_and_several_folders_fused(run: Callable, root: Path, tmp_path: Path) -> None:
    for name in FRAMES:
        video = name.partition("_")[0]
        names = [other for other in FRAMES if other.partition("_")[0] == video]
        make_prepared(tmp_path / "prepared" / video, FRAMES[name], *names)
    recipe = tmp_path / "mine.yaml"
    layers = "layers: [{kind: gru, units: [4]}]"
    recipe.write_text(
        "branches:\n"
        f"  sound: {{modality: audio, features: [audio], {layers}}}\n"
        f"  units: {{features: [openface], {layers}}}\n"
        f"  face: {{features: [deep], {layers}}}\n"
        f"  own_voice: {{modality: audio, features: [voice_net], {layers}}}\n"
        "tasks: {va: {terms: {ccc: 1}}}\n"
    )
    made = tmp_path / "run"
    done = run("train", "--data", root / "Aff-Wild2", "--features", tmp_path / "prepared",
               "--features", root / "openface", "--features", f"deep={root / 'expnet'}",
               "--features", f"voice_net={root / 'voice'}", "--column", "features=AU*,0,1,2",
               "--recipe", recipe, "-o", made, *SHORT)  # fmt: skip
    # A column of one folder is none of another.
    assert done.code == 2
    assert "no column of" in done.error
    more = ("--features", root / "openface", "--features", f"deep={root / 'expnet'}",
            "--features", f"voice_net={root / 'voice'}")  # fmt: skip
    done = run("train", "--data", root / "Aff-Wild2", "--features", tmp_path / "prepared", *more,
               "--recipe", recipe, "-o", made, *SHORT)  # fmt: skip
    assert done.code == 0, done.err
    assert (
        f"avaffect predict PREPARED --checkpoint {made / 'best'} --features openface=FOLDER "
        "--features deep=FOLDER --features voice_net=FOLDER"
    ) in done.err
    tests = [tmp_path / "prepared" / name.partition("_")[0] for name in TEST]
    done = run("predict", *tests, "--checkpoint", made, *TASK, "-o", tmp_path / "out", *more)
    assert done.code == 0, done.err
    assert {name: len(rows) for name, rows in zipped(run, root, tmp_path / "out").items()} == {
        name: FRAMES[name] + 1 for name in TEST
    }
    # Under other names it says what is missing.
    done = run("predict", *tests, "--checkpoint", made, "--features", root / "expnet")
    assert (done.code, "name the folder as the array" in done.error) == (2, True)


def test_into_the_store_by_command(run: Callable, root: Path, tmp_path: Path) -> None:
    for name in ("a", "c"):
        make_prepared(tmp_path / "prepared" / name, FRAMES[name])
    done = run("features", tmp_path / "prepared", "--from", root / "openface", "--columns", "AU*")
    assert done.code == 0, done.err
    assert "openface in" in done.table
    found = SubjectFeatures.open(tmp_path / "prepared/a/features/a").array("openface")
    expected = values("a")[:, :2].copy()
    expected[2] = np.nan
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    last = SubjectFeatures.open(tmp_path / "prepared/c/features/c").array("openface")[-1]
    assert np.isnan(last).all()
    done = run("features", tmp_path / "prepared", "--from", root / "openface", "--columns", "AU*")
    assert done.table.count("openface: nothing to do") == 2
    for words, message in (
        ((), "give --backbone or --from"),
        (("--from", root / "expnet", "--backbone", "resnet18"), "give --backbone or --from"),
        (("--backbone", "resnet18", "--rate", "3"), "--rate is for features of your own"),
        (("--from", root / "expnet", "--name", "audio"), "choose another one with --name"),
        (("--from", root / "nowhere"), "there is no folder"),
    ):
        done = run("features", tmp_path / "prepared", *words)
        assert (done.code, message in done.error) == (2, True), done.err


def test_other_columns_than_in_training(run: Callable, root: Path, tmp_path: Path) -> None:
    (tmp_path / "wide").mkdir()
    np.save(tmp_path / "wide/t1.npy", np.zeros((9, 4), np.float32))
    made = tmp_path / "run"
    features = ("--features", root / "expnet", "--recipe", "table-gru")
    done = run("train", "--data", root / "Aff-Wild2", *features, *TASK, "-o", made, *SHORT)
    assert done.code == 0, done.err
    wide = ("--checkpoint", made, "--features", tmp_path / "wide", "-o", tmp_path / "out")
    done = run("predict", *wide)
    assert done.code == 1
    assert "has 4 columns, and others in 'table' have 3 features" in done.error
    done = run("predict", "--checkpoint", made, "--features", "ligth")
    assert (done.code, "did you mean 'light'?" in done.error) == (2, True)
    done = run("predict", *wide[2:])
    assert (done.code, "name it by --checkpoint" in done.error) == (2, True)


def test_without_any_extra_own_files_are_stored_and_an_encoder_is_refused(
    root: Path, tmp_path: Path
) -> None:
    prepared = tmp_path / "prepared/a"
    make_prepared(prepared, FRAMES["a"])
    code = """
import contextlib
from avaffect.cli.main import main
sys.stderr = sys.stdout
prepared, own = sys.argv[1:]
for more in (("--from", own), ("--backbone", "timm:resnet18")):
    sys.argv = ["avaffect", "features", prepared, *more]
    with contextlib.suppress(SystemExit):
        main()
"""
    *_, last = run_without(code, str(prepared), str(root / "expnet")).splitlines()
    assert "an encoder by name needs torch, which is not installed" in last
    assert last.endswith("run `pip install 'avaffect[features]'`")
    assert "expnet" in SubjectFeatures.open(prepared / "features/a").names
