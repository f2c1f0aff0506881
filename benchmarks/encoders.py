"""What encoders by name cost: size, frames a second of CPU time, peak memory, each on one thread.

The nets have their true shapes and random weights: speed and memory do not hang on what weights
are. Nothing is fetched. Each runs in a process of its own; the time is the process's CPU time, so
that other work on the machine hardly counts.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

# By name, the side of faces that is timed; None for sound.
NETS: dict[str, int | None] = {
    "timm:vit_small_patch14_dinov2.lvd142m": 112,
    "timm:vit_base_patch14_dinov2.lvd142m": 112,
    "timm:vit_base_patch16_clip_224.openai": 224,
    "timm:vit_base_patch16_224.mae": 224,
    "timm:convnext_tiny.fb_in22k": 112,
    "timm:resnet50.a1_in1k": 112,
    "torchaudio:WAV2VEC2_BASE": None,
    "torchaudio:HUBERT_BASE": None,
    "torchaudio:WAVLM_BASE_PLUS": None,
    "torchaudio:WAVLM_LARGE": None,
}
FPS = 30.0
FACES, SOUND_S = 16, 16.0


def timed(call: Callable[[], object]) -> float:
    """Seconds of CPU time of the second call; the first one warms up."""
    call()
    began = time.process_time()
    call()
    return time.process_time() - began


def pictures(name: str, side: int) -> tuple[Any, float]:
    """The net, and frames a second."""
    import timm
    import torch

    from avaffect.networks.hub import Weights
    from avaffect.networks.picture_encoders import PictureEncoder

    options: dict[str, Any] = {"img_size": side} if "vit" in name else {}
    net = timm.create_model(name, pretrained=False, num_classes=0, **options).eval()
    size, mean = net.num_features, (0.5, 0.5, 0.5)
    device = torch.device("cpu")
    encoder = PictureEncoder(Weights(name, "random"), net, side, size, mean, mean, device)
    faces = np.random.default_rng(0).integers(0, 256, (FACES, 112, 112, 3), np.uint8)
    seen = np.ones(FACES, bool)
    return net, FACES / timed(lambda: encoder(faces, seen))


def sound(name: str) -> tuple[Any, float]:
    """The net, and frames a second of a video at 30 frames a second."""
    import soundfile
    import torch
    import torchaudio

    from avaffect.networks.hub import Weights
    from avaffect.networks.sound_encoders import SoundEncoder

    bundle = getattr(torchaudio.pipelines, name)
    make = torchaudio.models.wavlm_model if "WAVLM" in name else torchaudio.models.wav2vec2_model
    net = make(**{**bundle._params, "aux_num_out": None}).eval()
    width = bundle._params["encoder_embed_dim"]
    encoder = SoundEncoder(
        Weights(name, "random"),
        lambda wave: net.extract_features(wave)[0],
        None,
        width,
        torch.device("cpu"),
    )
    times = np.arange(0, SOUND_S, 1 / FPS)
    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder) / "noise.wav"
        noise = np.random.default_rng(0).normal(0, 0.1, round(SOUND_S * 16000))
        soundfile.write(wav, noise.astype(np.float32), 16000)
        seconds = timed(lambda: list(encoder.vectors(wav, times)))
    return net, len(times) / seconds


def measure(name: str, side: int | None) -> dict[str, Any]:
    """The figures of one net, in this process."""
    import torch

    torch.set_num_threads(1)
    kind, _, own = name.partition(":")
    net, speed = sound(own) if side is None else pictures(own, side)
    values = sum(parameter.numel() for parameter in net.parameters())
    width = getattr(net, "num_features", None) or _width(own)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "kind": kind,
        "parameters": values,
        "width": width,
        "frames_per_s": speed,
        "peak_mb": peak,
    }


def _width(name: str) -> int:
    import torchaudio

    return int(getattr(torchaudio.pipelines, name)._params["encoder_embed_dim"])


def row(name: str, side: int | None, found: dict[str, Any]) -> str:
    """A line of the table."""
    millions = found["parameters"] / 1e6
    return (
        f"| `{name}` | {'sound' if side is None else f'{side} px'} | {millions:.0f} M, "
        f"{4 * millions:.0f} MB | {found['width']} | {found['frames_per_s']:.1f} | "
        f"{found['peak_mb'] / 1000:.1f} GB |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="of these alone, such as timm:resnet50.a1_in1k")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one, NETS[options.one])))
        return
    print("| name | of | size | values a frame | frames a second of CPU time | peak memory |")
    print("|---|---|---|---|---|---|")
    for name in options.names or NETS:
        command = [sys.executable, __file__, "--one", name]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found = json.loads(done.stdout.splitlines()[-1])
        print(row(name, NETS[name], found), flush=True)


if __name__ == "__main__":
    main()
