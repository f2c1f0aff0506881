"""The command ``features``."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from avaffect.config import AnalysisConfig
from avaffect.networks.checkpoint import Checkpoint, save_checkpoint
from avaffect.preprocessing.run import preprocess
from avaffect.recipes.library import parse_recipe
from avaffect.store.provenance import relevant_settings
from avaffect.store.subject import SubjectFeatures

# Faces of 32 pixels, which the nets take as they are.
SMALL = AnalysisConfig(encoders=(), audio=None)
SMALL = replace(SMALL, faces=replace(SMALL.faces, crop_size=32))
NET = "mobilenet_v2"


@pytest.fixture(scope="module")
def made(clip: Path, tmp_path_factory: pytest.TempPathFactory):
    """``face.mp4``, preprocessed. Not to be changed: copy it."""
    return preprocess(clip, tmp_path_factory.mktemp("made"), SMALL).folder.root


@pytest.fixture
def prepared(made, tmp_path: Path):
    return shutil.copytree(made, tmp_path / "prepared")


def save(folder, branch, width, **facts):
    tree = {"name": "eye", "branches": {"face": branch}, "tasks": {"va": {"terms": {"ccc": 1}}}}
    checkpoint = Checkpoint(parse_recipe(tree, ""), {"va": ("valence",)}, {"face": width}, **facts)
    torch.manual_seed(0)
    save_checkpoint(folder / "best", checkpoint, checkpoint.build())
    return folder


@pytest.fixture
def run_folder(tmp_path: Path):
    """The run of a network with random weights that looks at pictures."""
    net = {"kind": "backbone", "net": NET, "size": 32, "pretrained": False}
    branch = {"features": ["faces"], "encoder": net}
    return save(tmp_path / "run", branch, 32 * 32 * 3, features=relevant_settings(SMALL.to_dict()))


def values(folder, name=NET):
    return SubjectFeatures.open(folder / "features/face").array(name)


def test_one_folder(run, run_folder, prepared) -> None:
    done = run("features", prepared, "--backbone", run_folder, "--device", "cpu")
    assert done.code == 0, done.err
    header, row = done.out.splitlines()
    assert header.split() == ["input", "frames", "with", "face", "subjects", "outcome"]
    assert row.split() == ["prepared", "12", "12", "face", "ok", f"({NET}", "in", f"{prepared})"]
    assert "device: CPU" in done.err
    first = values(prepared)
    assert (first.shape, first.dtype) == ((12, 1280), np.float16)
    assert np.isfinite(first).all()
    again = run("features", prepared, "--backbone", run_folder)
    assert again.out.splitlines()[1].endswith(f"ok ({NET}: nothing to do)")
    mine = run("features", prepared, "--backbone", run_folder, "--name", "mine", "--branch",
               "face", "-q")  # fmt: skip
    assert (mine.code, mine.out, mine.err) == (0, "", "")
    np.testing.assert_array_equal(values(prepared, "mine"), first)


def test_a_folder_of_many(run, run_folder, made, tmp_path: Path) -> None:
    for name in ("a", "b"):
        shutil.copytree(made, tmp_path / "many" / name)
    (tmp_path / "many/notes").mkdir()
    done = run("features", tmp_path / "many", tmp_path / "many/a", "--backbone", run_folder)
    assert done.code == 0, done.err
    assert [line.split()[0] for line in done.out.splitlines()[1:]] == ["a", "b"]
    assert "[2/2]" in done.err
    shutil.rmtree(tmp_path / "many/a/cropped_aligned")
    done = run("features", tmp_path / "many", "--backbone", run_folder, "--name", "two")
    assert done.code == 1
    assert "lacks pictures of the aligned faces" in done.err
    assert done.error == "avaffect: 1 of 2 inputs failed (1 failed); 1 done"
    assert len(values(tmp_path / "many/b", "two")) == 12


def test_then_a_model_that_reads_it(run, run_folder, prepared, clip: Path, tmp_path: Path) -> None:
    assert run("features", prepared, "--backbone", run_folder).code == 0
    sha256 = json.loads((run_folder / "best/checkpoint.json").read_text())["sha256"]
    branch = {"features": [NET], "layers": [{"kind": "gru", "units": [4]}], "normalise": "none"}
    facts = {"backbones": {NET: f"{NET}:face:{sha256}"}}
    reader = save(tmp_path / "reader", branch, 1280, features=facts)
    out = tmp_path / "out"
    done = run("predict", prepared, "--checkpoint", reader, "--task", "va", "-o", out)
    assert done.code == 0, done.err
    assert len((out / "VA_Estimation_Challenge/face.txt").read_text().splitlines()) == 13
    refused = run("predict", clip, "--checkpoint", reader, "--task", "va", "-o", out)
    assert refused.code == 2
    assert (
        f"then `avaffect features` with --name {NET} and, as --backbone, the one of its training"
        in refused.error
    )


def test_pictures_are_predicted_from_a_video(
    run, run_folder, prepared, clip: Path, tmp_path: Path
) -> None:
    for source, out in ((clip, "video"), (prepared, "folder")):
        arguments = ("--checkpoint", run_folder, "--task", "va", "-o", tmp_path / out)
        done = run("predict", source, *arguments)
        assert done.code == 0, done.err
    first, second = (
        (tmp_path / out / "VA_Estimation_Challenge/face.txt").read_bytes()
        for out in ("video", "folder")
    )
    assert first == second


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["nowhere", "--backbone", "run"], 2, "'nowhere' holds nothing preprocessed"),
        (["", "--backbone", "run"], 2, "'' holds nothing preprocessed"),
        (["prepared"], 2, "give --backbone or --from"),
        (["prepared", "--backbone", "nothing"], 2, "there is no checkpoint 'nothing'"),
        (["prepared", "--backbone", "prepared"], 1, "holds no checkpoint"),
        (["prepared", "--backbone", "run", "--branch", "fase"], 2, "did you mean 'face'?"),
        (["prepared", "--backbone", "run", "--name", "audio"], 2, "choose another one with"),
        (["prepared", "--backbone", "resnet18", "--offline"], 1, "resnet18"),
        (["prepared", "--backbone", "run", "--device", "tpu"], 2, "no device is called 'tpu'"),
    ],
)
def test_wrong_use(
    arguments,
    code: int,
    words: str,
    run,
    run_folder,
    prepared,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AVAFFECT_CACHE", str(tmp_path / "cache"))
    done = run("features", *arguments)
    assert (done.code, words in done.error) == (code, True), done.err
    assert SubjectFeatures.open(prepared / "features/face").names == ("face_pose",)
