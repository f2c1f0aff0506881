"""Nothing of ours opens a network socket or writes into the home, except a fetch of weights.

Each command runs in a fresh home and, where the kernel allows, in a network namespace of its own
that has no route. There the kernel itself counts every attempt to reach another host, also those
of native code (IPv4 and IPv6, TCP, UDP and name look-ups). What is not seen: netlink and Unix
sockets, which leave no machine.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from avaffect.models.cache import cache_folder

RECIPE = """
branches:
  table:
    modality: video
    features: [table]
    layers: [{kind: mlp, units: [4]}]
tasks: {va: {terms: {ccc: 1}}}
window: {length: 10, overlap: 5}
train: {epochs: 1, batch_size: 8, lr: 0.01}
"""
# Runs a command, then prints how often the kernel found no route to another host.
COUNT = """
import os, re, subprocess, sys
done = subprocess.run(sys.argv[1:])
head, values = re.findall(r"^Ip: (.*)$", open("/proc/net/snmp").read(), re.MULTILINE)
tried = int(dict(zip(head.split(), values.split()))["OutNoRoutes"])
if os.path.exists("/proc/net/snmp6"):
    tried += int(re.search(r"Ip6OutNoRoutes\\s+(\\d+)", open("/proc/net/snmp6").read())[1])
print("tried:", tried)
sys.exit(done.returncode)
"""
ASK = """
import socket
try: socket.create_connection(("192.0.2.1", 80), 2)
except OSError: pass
"""
PYTHON = [sys.executable, "-c"]


def alone(home: Path, *command: str, namespace: bool) -> tuple[int | None, set[str]]:
    """Run ``command``: attempts to reach another host (None: not counted), files in the home."""
    home.mkdir(exist_ok=True)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("XDG_", "ORT_"))}
    settings = {"HOME": str(home), "AVAFFECT_CACHE": str(cache_folder())}
    before = ["unshare", "-rn", *PYTHON, COUNT] if namespace else []
    done = subprocess.run(
        [*before, *command],
        env=kept | settings,
        cwd=home.parent,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    tried = int(done.stdout.rpartition("tried:")[2]) if namespace else None
    return tried, {str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def namespace(tmp_path_factory: pytest.TempPathFactory) -> bool:
    """Whether attempts can be counted here."""
    if not shutil.which("unshare"):
        return False
    try:
        tried, _ = alone(tmp_path_factory.mktemp("a") / "home", *PYTHON, ASK, namespace=True)
    except AssertionError:
        return False
    return bool(tried)


@pytest.fixture(scope="module")
def clip(sample, ffmpeg, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "face.mp4"
    small = ["-vf", "scale=200:200", "-frames:v", 8, "-t", 8 / 25, "-crf", "16"]
    ffmpeg("-i", sample("one_person.mp4"), *small, path)
    return path


@pytest.fixture(scope="module")
def weights() -> None:
    """All weights of the commands below are fetched: what the network was asked for."""
    from avaffect.models.fetch import model_path

    for name in ("blazeface-full", "face-landmarker", "silero-vad"):
        model_path(name)


AVAFFECT = [sys.executable, "-m", "avaffect"]


@pytest.mark.parametrize("command", ["predict", "preprocess --encoder starter-2-face"])
def test_a_video(weights: None, clip: Path, tmp_path: Path, namespace: bool, command: str) -> None:
    whole = [*AVAFFECT, *command.split(), "--offline", str(clip), "-o", str(tmp_path / "out")]
    tried, files = alone(tmp_path / "home", *whole, namespace=namespace)
    assert not tried
    assert files == set()
    assert (tmp_path / "out").exists()


def test_training_and_export(tmp_path: Path, namespace: bool) -> None:
    import numpy as np

    for folder in ("features", "labels"):
        (tmp_path / folder).mkdir()
    rng = np.random.default_rng(0)
    for i in range(4):
        for folder, names in (("features", "a,b,c"), ("labels", "valence,arousal")):
            rows = rng.uniform(-1, 1, (20, names.count(",") + 1))
            text = "\n".join(",".join(f"{value:.3f}" for value in row) for row in rows)
            (tmp_path / folder / f"clip{i}.csv").write_text(f"{names}\n{text}\n")
    facts = [f"clip{i},p{i},{'train' if i < 3 else 'val'}" for i in range(4)]
    (tmp_path / "clips.csv").write_text("\n".join(["clip,person,part", *facts]) + "\n")
    (tmp_path / "small.yaml").write_text(RECIPE)
    train = (
        "train --features features --labels labels --clips clips.csv --column clip=clip "
        "--column valence=valence --column arousal=arousal --column group=person "
        "--column split=part --recipe small.yaml --device cpu -o run"
    )
    for command in (train, "export run -o net.onnx"):
        whole = [*AVAFFECT, *command.split()]
        tried, files = alone(tmp_path / "home", *whole, namespace=namespace)
        assert not tried
        # The curves' library keeps a list of the fonts that are installed.
        assert {file for file in files if not file.startswith(".cache/matplotlib/")} == set()


@pytest.mark.parametrize("first", ["avaffect.config", "avaffect.models.session"])
def test_the_library(tmp_path: Path, namespace: bool, first: str) -> None:
    script = f"import {first}, onnxruntime"
    tried, files = alone(tmp_path / "home", *PYTHON, script, namespace=namespace)
    assert not tried
    assert files == set()


def test_a_users_own_setting_does_not_switch_it_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script = (
        "import os; os.environ['ORT_DISABLE_TELEMETRY'] = '0'\n"
        "import avaffect; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    )
    done = subprocess.run([*PYTHON, script], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"


def test_whoever_imports_onnx_runtime_imports_ours_first() -> None:
    """Scripts too: the package sets the switch when it is imported."""
    root = Path(__file__).parents[1]
    for folder in ("avaffect", "cli", "starter_training", "benchmarks", "sample_media"):
        for path in (root / folder).rglob("*.py"):
            lines = [line.strip() for line in path.read_text("utf-8").splitlines()]
            theirs = [i for i, line in enumerate(lines) if line.startswith("import onnxruntime")]
            inside = folder in ("avaffect", "cli")
            ours = [i for i, line in enumerate(lines) if line.startswith("from avaffect")]
            assert not theirs or inside or (ours and ours[0] < theirs[0]), path
