import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy
import pytest

from avaffect.errors import UnknownNameError, UsageError
from avaffect.models import device
from avaffect.models.device import (
    Device,
    choose_device,
    device_index,
    device_kind,
    has_nvidia_driver,
)


def pretend(
    monkeypatch, *, built: str | None, works: bool, gpus: int = 1, kernels: bool = True
) -> None:
    """A machine with an NVIDIA driver, so many GPUs and a torch of this kind."""

    def zeros(count, device):
        if not kernels:
            raise RuntimeError("CUDA error: no kernel image is available.\nMore of it.")
        return numpy.zeros(count)

    torch = SimpleNamespace(
        zeros=lambda count, device: SimpleNamespace(add=lambda more: zeros(count, device)),
        __version__="9.9",
        version=SimpleNamespace(cuda=built),
        cuda=SimpleNamespace(
            is_available=lambda: works,
            get_device_name=lambda number=0: "NVIDIA " + "XYZ"[number],
            device_count=lambda: gpus,
        ),
    )
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setattr(device, "has_nvidia_driver", lambda: True)


def test_cpu_names_its_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2})
    assert choose_device("cpu") == Device("cpu", "CPU, 3 cores")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {5})
    assert choose_device("cpu") == Device("cpu", "CPU, 1 core")


def test_auto_takes_a_gpu_that_works(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, built="13.0", works=True)
    assert choose_device("auto") == choose_device("cuda") == Device("cuda", "NVIDIA X")
    assert choose_device("cpu").name == "cpu"


def test_one_of_several_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, built="13.0", works=True, gpus=2)
    assert choose_device("gpu") == choose_device("cuda") == Device("cuda", "NVIDIA X")
    second = choose_device("cuda:1")
    assert second == choose_device("gpu:1") == Device("cuda:1", "NVIDIA Y (GPU 1 of 2)")
    assert (device_kind(second.name), device_index(second.name)) == ("cuda", 1)
    assert (device_kind("cuda"), device_index("cuda")) == ("cuda", None)
    assert choose_device(second.name) == second


@pytest.mark.parametrize(
    ("gpus", "message"),
    [(1, "there is no GPU 2: this machine has 1 GPU, cuda:0"), (2, "2 GPUs, cuda:0 to cuda:1")],
)
def test_a_gpu_beyond_the_last(monkeypatch: pytest.MonkeyPatch, gpus: int, message: str) -> None:
    pretend(monkeypatch, built="13.0", works=True, gpus=gpus)
    with pytest.raises(UsageError, match=message):
        choose_device("cuda:2")


def test_a_number_of_a_gpu_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "has_nvidia_driver", lambda: False)
    with pytest.raises(UsageError, match="no NVIDIA driver is loaded"):
        choose_device("gpu:1")


@pytest.mark.parametrize(
    ("built", "reason"),
    [(None, "torch 9.9 is built without CUDA"), ("13.0", "torch finds no GPU")],
)
def test_a_gpu_that_does_not_work(
    monkeypatch: pytest.MonkeyPatch, built: str | None, reason: str
) -> None:
    pretend(monkeypatch, built=built, works=False)
    assert choose_device("auto").name == "cpu"
    with pytest.raises(UsageError, match=reason):
        choose_device("cuda")


@pytest.mark.parametrize("name", ["cuda", "cuda:0"])
def test_a_gpu_that_torch_was_not_built_for(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    pretend(monkeypatch, built="13.0", works=True, kernels=False)
    assert choose_device("auto").name == "cpu"
    with pytest.raises(
        UsageError, match=r"torch 9.9 does not run on NVIDIA X \(.*no kernel image"
    ):
        choose_device(name)


def test_no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "has_nvidia_driver", lambda: False)
    assert choose_device("auto").name == "cpu"
    with pytest.raises(UsageError, match="no NVIDIA driver"):
        choose_device("cuda")


def test_another_word() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'cuda'"):
        choose_device("cudo")


def test_the_driver_is_told_by_its_files(tmp_path: Path) -> None:
    assert not has_nvidia_driver(tmp_path)
    (tmp_path / "proc/driver/nvidia").mkdir(parents=True)
    assert has_nvidia_driver(tmp_path)


def test_torch_is_not_imported_without_need() -> None:
    script = (
        "import sys; from avaffect.models import device\n"
        "device.has_nvidia_driver = lambda: False\n"
        "device.choose_device('auto'); device.choose_device('cpu')\n"
        "print('torch' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "False\n"


def test_a_driver_without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """`auto` is the processor, and no error: the core has no torch."""
    monkeypatch.setattr(device, "has_nvidia_driver", lambda: True)
    monkeypatch.setattr(device, "is_installed", lambda module: False)
    assert choose_device("auto").name == "cpu"
    with pytest.raises(
        UsageError, match=r"torch, which finds it, is not .* 'avaffect\[features\]'"
    ):
        choose_device("cuda")
