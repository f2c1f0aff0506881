"""The state of a run, and how it is asked to stop."""

import pickle
from pathlib import Path

import pytest
import torch

from avaffect.errors import CheckpointError
from avaffect.training.state import STATE, begun_precision, load_state, save_state


def parts(value):
    module = torch.nn.Linear(2, 2)
    with torch.no_grad():
        module.weight.fill_(value)
    optimiser = torch.optim.Adam(module.parameters(), lr=value)
    module(torch.ones(1, 2)).sum().backward()
    optimiser.step()
    return {"module": module, "optimiser": optimiser}


def test_round_trip(tmp_path: Path) -> None:
    first, second = parts(0.5), parts(0.25)
    save_state(tmp_path, first, {"epoch": 3, "rows": [{"x": 1.5}]})
    assert load_state(tmp_path, second) == {"epoch": 3, "rows": [{"x": 1.5}]}
    assert torch.equal(first["module"].weight, second["module"].weight)
    assert second["optimiser"].param_groups[0]["lr"] == 0.5
    both = [first["optimiser"].state_dict()["state"], second["optimiser"].state_dict()["state"]]
    assert all(torch.equal(both[0][0][name], both[1][0][name]) for name in both[0][0])


def test_nothing_there(tmp_path: Path) -> None:
    assert load_state(tmp_path, {}) is None


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return Path.touch, (Path(self.path),)


@pytest.mark.parametrize("damage", ["truncated", "empty", "other parts", "other shapes", "trap"])
def test_damage_is_refused(damage: str, tmp_path: Path) -> None:
    save_state(tmp_path, parts(1), {})
    path, wanted = tmp_path / STATE, parts(1)
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:-100])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "other parts":
        wanted = {"module": wanted["module"]}
    elif damage == "other shapes":
        wanted["module"] = torch.nn.Linear(3, 3)
    else:
        torch.save({"parts": Trap(tmp_path / "opened"), "place": {}}, path)
    with pytest.raises(CheckpointError, match="damaged or of another run"):
        load_state(tmp_path, wanted)
    path.write_bytes(pickle.dumps(Trap(tmp_path / "opened")))
    with pytest.raises(CheckpointError, match="damaged or of another run"):
        load_state(tmp_path, wanted)
    assert not (tmp_path / "opened").exists()


def test_a_scaler_that_was_not_in_use_begins_anew(tmp_path: Path) -> None:
    """A run of float32 or bfloat16 goes on where float16 wants one."""
    idle, needed = (torch.amp.GradScaler("cpu", enabled=on) for on in (False, True))
    save_state(tmp_path, {"scaler": idle}, {"epoch": 1})
    assert load_state(tmp_path, {"scaler": needed}) == {"epoch": 1}
    assert needed.get_scale() == torch.amp.GradScaler("cpu").get_scale()
    # The other way round nothing is lost either.
    save_state(tmp_path, {"scaler": needed}, {"epoch": 2})
    assert load_state(tmp_path, {"scaler": idle}) == {"epoch": 2}


def test_what_a_run_computes_in(tmp_path: Path) -> None:
    assert begun_precision(tmp_path) is None
    for place, expected in (({}, None), ({"amp": "bf16"}, "bf16"), ({"amp": 3}, None)):
        save_state(tmp_path, {}, place)
        assert begun_precision(tmp_path) == expected
    (tmp_path / STATE).write_bytes(b"PK damaged")
    assert begun_precision(tmp_path) is None
