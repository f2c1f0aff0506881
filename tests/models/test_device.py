import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from avaffect.errors import UnknownNameError, UsageError
from avaffect.models import device
from avaffect.models.device import Device, choose_device, has_nvidia_driver


def pretend(monkeypatch, *, built: str | None, works: bool) -> None:
    """A machine with an NVIDIA driver and a torch of this kind."""
    torch = SimpleNamespace(
        __version__="9.9",
        version=SimpleNamespace(cuda=built),
        cuda=SimpleNamespace(is_available=lambda: works, get_device_name=lambda: "NVIDIA X"),
    )
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setattr(device, "has_nvidia_driver", lambda: True)


def test_cpu_names_its_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2})
    assert choose_device("cpu") == Device("cpu", "CPU, 3 cores")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {5})
    assert choose_device("cpu") == Device("cpu", "CPU, 1 core")


def test_auto_takes_a_gpu_that_works(monkeypatch):
    pretend(monkeypatch, built="13.0", works=True)
    assert choose_device("auto") == choose_device("cuda") == Device("cuda", "NVIDIA X")
    assert choose_device("cpu").name == "cpu"


@pytest.mark.parametrize(
    ("built", "reason"),
    [(None, "torch 9.9 is built without CUDA"), ("13.0", "torch finds no GPU")],
)
def test_a_gpu_that_does_not_work(monkeypatch, built, reason):
    pretend(monkeypatch, built=built, works=False)
    assert choose_device("auto").name == "cpu"
    with pytest.raises(UsageError, match=reason):
        choose_device("cuda")


def test_no_driver(monkeypatch):
    monkeypatch.setattr(device, "has_nvidia_driver", lambda: False)
    assert choose_device("auto").name == "cpu"
    with pytest.raises(UsageError, match="no NVIDIA driver"):
        choose_device("cuda")


def test_another_word():
    with pytest.raises(UnknownNameError, match="did you mean 'cuda'"):
        choose_device("cudo")


def test_the_driver_is_told_by_its_files(tmp_path):
    assert not has_nvidia_driver(tmp_path)
    (tmp_path / "proc/driver/nvidia").mkdir(parents=True)
    assert has_nvidia_driver(tmp_path)


def test_torch_is_not_imported_without_need():
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
