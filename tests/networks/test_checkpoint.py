"""Checkpoints: what comes back, and what is refused without being opened."""

import json
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from avaffect.errors import CheckpointError, InputNotFoundError, OutputError, UsageError
from avaffect.networks import checkpoint as checkpoints
from avaffect.networks.checkpoint import (
    FACTS,
    WEIGHTS,
    Checkpoint,
    checkpoint_folder,
    load_checkpoint,
    save_checkpoint,
)
from avaffect.networks.network import Statistics


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return Path.touch, (Path(self.path),)


@pytest.fixture
def checkpoint(recipe):
    return Checkpoint(
        recipe=recipe("train.lr=3e-4", tasks=("va", "expr", "au")),
        targets={"va": ("valence",), "expr": ("calm", "sad", "Wut"), "au": ("AU4", "AU12")},
        widths={"voice": 3, "face": 4},
        per_clip=True,
        features={"sound_rate": 50.0},
        data={"clips": {"train": ["a"], "val": []}},
        metrics={"score": 0.25, "va": float("nan")},
        epoch=7,
        versions={"torch": "2", "none": None},
    )


@pytest.fixture
def saved(checkpoint, tmp_path: Path):
    """Its folder; the network has statistics and steps behind it."""
    torch.manual_seed(0)
    network = checkpoint.build()
    mean = torch.arange(3.0).numpy()
    network.set_statistics({"voice": Statistics(mean, mean + 1)})
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += torch.randn_like(parameter)
        for name, parameter in network.named_buffers():
            if "running" in name:
                parameter.uniform_(1, 2)
    save_checkpoint(tmp_path / "c", checkpoint, network)
    return tmp_path / "c", network


def edit(folder, **changes):
    facts = json.loads((folder / FACTS).read_text())
    (folder / FACTS).write_text(json.dumps(facts | changes))


def test_round_trip(saved, checkpoint) -> None:
    folder, network = saved
    found, loaded = load_checkpoint(folder)
    assert found == replace(checkpoint, metrics={"score": 0.25, "va": None})
    assert not loaded.training
    assert loaded.state_dict().keys() == network.state_dict().keys()
    for name, value in network.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name
    network.eval()
    inputs = {"voice": torch.randn(2, 12, 3), "face": torch.randn(2, 12, 4)}
    there = torch.ones(2, 12, dtype=torch.bool)
    seen = dict.fromkeys(inputs, there)
    for task, output in network(inputs, seen, there).items():
        assert torch.equal(loaded(inputs, seen, there)[task], output)
    assert {path.name for path in folder.iterdir()} == {FACTS, WEIGHTS}


def test_saving_again_replaces(saved, checkpoint) -> None:
    folder, network = saved
    before = load_file(folder / WEIGHTS)
    with torch.no_grad():
        next(network.parameters()).zero_()
    save_checkpoint(folder, replace(checkpoint, epoch=8), network)
    found, _ = load_checkpoint(folder)
    assert found.epoch == 8
    assert any(
        not torch.equal(tensor, before[name])
        for name, tensor in load_file(folder / WEIGHTS).items()
    )


def test_every_way_to_name_it(saved, tmp_path: Path) -> None:
    folder, _ = saved
    run = tmp_path / "run"
    run.mkdir()
    folder.rename(run / "last")
    for place in (run, run / "last", run / "last" / FACTS, run / "last" / WEIGHTS, str(run)):
        assert checkpoint_folder(Path(place)) == run / "last"
    (run / "last").rename(run / "best")
    assert checkpoint_folder(run) == run / "best"


def test_a_torn_checkpoint_is_recognised(saved, checkpoint) -> None:
    """The two files are renamed one after the other."""
    folder, network = saved
    old = (folder / WEIGHTS).read_bytes()
    with torch.no_grad():
        next(network.parameters()).zero_()
    save_checkpoint(folder, checkpoint, network)
    (folder / WEIGHTS).write_bytes(old)
    with pytest.raises(
        CheckpointError, match=r"is not the file that 'checkpoint\.json' describes"
    ):
        load_checkpoint(folder)


@pytest.mark.parametrize("damage", ["truncated", "flipped", "missing", "empty"])
def test_damaged_weights(saved, damage: str) -> None:
    folder, _ = saved
    path = folder / WEIGHTS
    data = bytearray(path.read_bytes())
    if damage == "missing":
        path.unlink()
    else:
        data[-1] ^= 1
        path.write_bytes({"truncated": data[:-4], "flipped": data, "empty": b""}[damage])
    with pytest.raises(CheckpointError, match="train again"):
        load_checkpoint(folder)


def digest(folder):
    import hashlib

    return hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()


def test_weights_that_are_not_this_networks(saved) -> None:
    folder, _ = saved
    tensors = load_file(folder / WEIGHTS)
    name = "branches.face.mean"
    for changed in (
        {k: v for k, v in tensors.items() if k != name},
        tensors | {"more": torch.zeros(1)},
        tensors | {name: torch.zeros(1)},
    ):
        save_file(changed, folder / WEIGHTS)
        edit(folder, sha256=digest(folder))
        with pytest.raises(CheckpointError, match="damaged"):
            load_checkpoint(folder)
    (folder / WEIGHTS).write_bytes(b"\xff" * 100)
    edit(folder, sha256=digest(folder))
    with pytest.raises(CheckpointError, match=r"is damaged|is missing"):
        load_checkpoint(folder)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "3", '"x"', "{}", "\xff\xfe", "[" * 100_000]
)
def test_damaged_facts(saved, text: str) -> None:
    folder, _ = saved
    (folder / FACTS).write_bytes(text.encode("latin-1"))
    with pytest.raises(CheckpointError, match="damaged or not written by avaffect"):
        load_checkpoint(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"recipe": 3},
        {"targets": {"va": ["valence"]}},
        {"targets": {"va": 1, "expr": [], "au": []}},
        {"widths": {"voice": 3}},
        {"widths": {"voice": "x", "face": 4}},
        {"widths": {"voice": -3, "face": 4}},
        {"widths": []},
        {"epoch": None},
        {"features": []},
        {"data": "x"},
        {"metrics": None},
        {"versions": 1},
    ],
)
def test_facts_that_make_no_sense(saved, changes) -> None:
    folder, _ = saved
    edit(folder, **changes)
    with pytest.raises(CheckpointError, match="damaged or not written by avaffect"):
        load_checkpoint(folder)


def test_a_recipe_of_another_time(saved) -> None:
    folder, _ = saved
    recipe = json.loads((folder / FACTS).read_text())["recipe"]
    for changed in ({}, recipe | {"head": {"pool": "new"}}, recipe | {"new": 1}):
        edit(folder, recipe=changed)
        with pytest.raises(CheckpointError, match="does not fit this avaffect"):
            load_checkpoint(folder)


def test_a_key_too_few(saved) -> None:
    folder, _ = saved
    facts = json.loads((folder / FACTS).read_text())
    for name in facts:
        (folder / FACTS).write_text(json.dumps({k: v for k, v in facts.items() if k != name}))
        with pytest.raises(CheckpointError, match="damaged or not written by avaffect"):
            load_checkpoint(folder)


def test_a_later_version(saved) -> None:
    folder, _ = saved
    edit(folder, version=2)
    with pytest.raises(CheckpointError, match="is of version 2, this avaffect reads 1"):
        load_checkpoint(folder)


@pytest.mark.parametrize(
    "name", ["model.pt", "model.pth", "MODEL.PT", "a.ckpt", "a.pkl", "a.pickle", "pytorch.bin"]
)
def test_pickles_are_refused_and_never_opened(name: str, tmp_path: Path) -> None:
    mark = tmp_path / "opened"
    (tmp_path / "m").mkdir()
    with (tmp_path / "m" / name).open("wb") as file:
        pickle.dump(Trap(mark), file)
    with pytest.raises(CheckpointError, match=r"run any code when it is opened.*avaffect train"):
        load_checkpoint(tmp_path / "m" / name)
    with pytest.raises(CheckpointError, match=f"'{name}' would need unpickling"):
        load_checkpoint(tmp_path / "m")
    assert not mark.exists()
    pickle.loads((tmp_path / "m" / name).read_bytes())  # noqa: S301 - the trap would have worked
    assert mark.exists()


def test_a_pickle_in_place_of_the_weights(saved, tmp_path: Path) -> None:
    folder, _ = saved
    mark = tmp_path / "opened"
    for name in (WEIGHTS, FACTS):
        (folder / name).write_bytes(pickle.dumps(Trap(mark)))
        with pytest.raises(CheckpointError):
            load_checkpoint(folder)
    assert not mark.exists()


def test_another_librarys_safetensors(tmp_path: Path) -> None:
    save_file({"encoder.weight": torch.zeros(2, 2)}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    for place in (tmp_path, tmp_path / "model.safetensors"):
        with pytest.raises(CheckpointError, match="holds no checkpoint of avaffect's"):
            load_checkpoint(place)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(InputNotFoundError, match="there is no checkpoint"):
        load_checkpoint(tmp_path / "nothing")
    with pytest.raises(CheckpointError, match="holds no checkpoint"):
        load_checkpoint(tmp_path)


def test_where_nothing_can_be_written(saved, checkpoint, tmp_path: Path) -> None:
    _, network = saved
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        save_checkpoint(tmp_path / "file", checkpoint, network)


def test_a_run_of_folds_asks_for_one(tmp_path: Path) -> None:
    (tmp_path / "fold-0" / "best").mkdir(parents=True)
    with pytest.raises(UsageError, match=r"holds a model a fold: name one, e\.g\. .*fold-0"):
        checkpoint_folder(tmp_path)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_no_numbers_are_refused(value, checkpoint, tmp_path: Path) -> None:
    network = checkpoint.build()
    with torch.no_grad():
        next(network.parameters()).view(-1)[-1] = value
    save_checkpoint(tmp_path, checkpoint, network)
    with pytest.raises(CheckpointError, match="are no finite numbers"):
        load_checkpoint(tmp_path)


def test_what_is_loaded_is_what_was_hashed(saved, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if another file takes its place in between: it is read once."""
    folder, _ = saved
    good = load_file(folder / WEIGHTS)
    read = checkpoints.read_bytes

    def read_and_exchange(path, most):
        content = read(path, most)
        save_file({name: tensor + 1 for name, tensor in good.items()}, path)
        return content

    monkeypatch.setattr(checkpoints, "read_bytes", read_and_exchange)
    _, network = load_checkpoint(folder)
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, good[name])


def test_a_file_of_weights_that_is_far_too_large_is_not_read(
    saved, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = saved
    monkeypatch.setattr(checkpoints, "_HEADER_BYTES", 0)
    monkeypatch.setattr(checkpoints, "_VALUE_BYTES", 1)
    with pytest.raises(CheckpointError, match="has more than"):
        load_checkpoint(folder)
