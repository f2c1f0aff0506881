"""Train starter-1-voice, which tells the emotion of a voice, on RAVDESS; measure and export it.

    python starter_training/voice.py --ravdess path/to/ravdess_speech --out DIR

reads manifest.csv (path, subject, sex, label, intensity, statement, fold5, av_key) and the takes.
It leaves in DIR the sounds' features, a net for each fold by actor and one for all actors, what
the folds' nets say of the actors that they have not heard (`oof.npz`), `figures.json`,
`reliability.png`, and ONNX files. `--onnx` also puts that of all actors where the package keeps
it. What is there already is taken, so DIR is for one choice of options; a training that was
interrupted goes on.

RAVDESS is studio speech: each take is also heard in rooms, noise and codecs (voice_sounds.py). The
net makes windows relative to their own loudness, so that the distance to the microphone does not
matter (voice_net.py).
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from voice_figures import draw_reliability, figures
from voice_net import LENGTH, Heard, Training, VoiceNet, export, train, window_logits
from voice_sounds import (
    RATE_HZ,
    STEP,
    Scene,
    Sound,
    degraded_scene,
    finished,
    load_take,
    mel_rows,
    speech_span,
    training_scene,
)

from avaffect.files.atomic import atomic_path, write_json

EXPRESSION = {
    "neutral": "Neutral",
    "calm": "Neutral",
    "happy": "Happiness",
    "sad": "Sadness",
    "angry": "Anger",
    "fearful": "Fear",
    "disgust": "Disgust",
    "surprised": "Surprise",
}
LABELS = tuple(EXPRESSION)
HOP_S = 0.5
PAIR_SHARE = 0.5
BABBLE_VOICES = 20
Logits = NDArray[np.float32]
LICENCE = "CC-BY-NC-SA-4.0"
TRAINED_ON = (
    "RAVDESS speech, 24 actors (Livingstone and Russo 2018, doi 10.5281/zenodo.1188976), "
    "CC BY-NC-SA 4.0"
)


@dataclass(frozen=True)
class Takes:
    """The manifest, a row a take.

    Attributes:
        key, sex, intensity: str [N].
        actor, fold, label: int64 [N]; labels are numbers in LABELS.
        paths: the files.
    """

    key: NDArray[np.str_]
    sex: NDArray[np.str_]
    intensity: NDArray[np.str_]
    actor: NDArray[np.int64]
    fold: NDArray[np.int64]
    label: NDArray[np.int64]
    paths: tuple[Path, ...]

    @classmethod
    def read(cls, folder: Path) -> Takes:
        with (folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        return cls(
            np.array([row["av_key"] for row in rows]),
            np.array([row["sex"] for row in rows]),
            np.array([row["intensity"] for row in rows]),
            np.array([int(row["subject"]) for row in rows]),
            np.array([int(row["fold5"]) for row in rows]),
            np.array([LABELS.index(row["label"]) for row in rows]),
            tuple(folder / row["path"] for row in rows),
        )

    def partners(self, take: int) -> NDArray[np.int64]:
        """Other takes of the same emotion and intensity by the same actor."""
        same = (
            (self.actor == self.actor[take])
            & (self.label == self.label[take])
            & (self.intensity == self.intensity[take])
        )
        same[take] = False
        return np.flatnonzero(same)


def prepare(takes: Takes, out: Path, copies: int, seed: int) -> tuple[list[Path], Path]:
    """Features of the clean takes and of ``copies`` of each in scenes, and of the tests' copies.

    What babbles comes from takes of the same fold, so that no fold hears another's voices.
    """
    paths = [out / f"copy-{i}.npz" for i in range(copies + 1)]
    held = out / "degraded.npz"
    if all(path.exists() for path in (*paths, held)):
        return paths, held
    sounds = [load_take(path.read_bytes()) for path in takes.paths]
    spans = [speech_span(sound) for sound in sounds]
    voices = [sound[slice(*span)] for sound, span in zip(sounds, spans, strict=True)]

    def around(take: int, rng: np.random.Generator) -> list[Sound]:
        others = np.flatnonzero(
            (takes.fold == takes.fold[take]) & (takes.actor != takes.actor[take])
        )
        count = min(BABBLE_VOICES, len(others))
        return [voices[i] for i in rng.choice(others, count, replace=False)]

    def scene(copy: int, take: int) -> Scene:
        rng = np.random.default_rng([seed, copy, take])
        mine = [voices[take]]
        if rng.random() < PAIR_SHARE:
            mine.append(voices[rng.choice(takes.partners(take))])
        return training_scene(mine, around(take, rng), rng)

    def degraded(take: int) -> Scene:
        rng = np.random.default_rng([seed, 1 << 20, take])
        return degraded_scene(sounds[take], around(take, rng), rng)

    numbers = range(len(sounds))
    if not paths[0].exists():
        _write(paths[0], [Scene(*pair) for pair in zip(sounds, spans, strict=True)])
    if not held.exists():
        _write(held, finished([degraded(take) for take in numbers]))
    for copy, path in enumerate(paths[1:], start=1):
        if not path.exists():
            _write(path, finished([scene(copy, take) for take in numbers]))
            print(f"{path.name} of {copies}", flush=True)
    return paths, held


def _write(path: Path, scenes: list[Scene]) -> None:
    mel = [mel_rows(scene.sound) for scene in scenes]
    with atomic_path(path) as temporary:
        np.savez(
            temporary,
            mel=np.concatenate(mel),
            rows=np.array([len(one) for one in mel]),
            speech=np.array([scene.speech for scene in scenes]) // STEP,
        )


def trained(
    name: str,
    mine: NDArray[np.int64],
    takes: Takes,
    heard: Heard,
    arguments: argparse.Namespace,
) -> VoiceNet:
    """The net of a name, trained on the takes ``mine`` as far as it is not yet."""
    net, config = VoiceNet(len(LABELS)), Training(epochs=arguments.epochs)
    place = arguments.out / f"{name}.pt"
    for epoch, loss in train(net, heard, mine, takes.label, place, config, arguments.seed):
        print(f"{name}: epoch {epoch}, loss {loss:.4f}", flush=True)
    return net


def out_of_fold(takes: Takes, nets: dict[str, VoiceNet], heard: Heard) -> list[Logits]:
    """For each take what the net of its fold says of its windows in the first copy."""
    hop = round(HOP_S * RATE_HZ)
    said = [np.zeros((0, len(LABELS)), np.float32)] * len(takes.key)
    for fold in np.unique(takes.fold):
        mine = np.flatnonzero(takes.fold == fold).tolist()
        found = window_logits(nets[f"fold-{fold}"], heard, 0, mine, hop)
        for take, logits in zip(mine, found, strict=True):
            said[take] = logits
    return said


def inputs_sha(folder: Path) -> str:
    """Of what determines the weights: the manifest and the scripts."""
    here = Path(__file__).parent
    digest = hashlib.sha256((folder / "manifest.csv").read_bytes())
    for name in ("voice.py", "voice_net.py", "voice_sounds.py"):
        digest.update((here / name).read_bytes())
    return digest.hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--ravdess", type=Path, required=True, help="folder with manifest.csv")
    parser.add_argument("--out", type=Path, required=True, help="folder for everything made")
    parser.add_argument("--onnx", type=Path, help="also write the net of all actors there")
    parser.add_argument("--copies", type=int, default=6, help="scenes of each take")
    parser.add_argument("--epochs", type=int, default=Training.epochs)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    takes = Takes.read(arguments.ravdess)
    paths, held = prepare(takes, arguments.out / "sounds", arguments.copies, arguments.seed)
    heard = Heard.read(paths)

    nets = {
        f"fold-{fold}": trained(
            f"fold-{fold}", np.flatnonzero(takes.fold != fold), takes, heard, arguments
        )
        for fold in np.unique(takes.fold)
    }
    said = {
        "clean": out_of_fold(takes, nets, heard),
        "degraded": out_of_fold(takes, nets, Heard.read([held])),
    }
    result = figures(takes, said, LABELS, EXPRESSION)
    write_json(arguments.out / "figures.json", result)
    draw_reliability(takes, said, arguments.out / "reliability.png")
    _write_oof(takes, said, arguments.out / "oof.npz")
    for kind in said:
        print(kind, {k: result[kind][k] for k in ("accuracy", "macro F1")})

    nets["all"] = trained("all", np.arange(len(takes.key)), takes, heard, arguments)
    metadata = {
        "rate_hz": json.dumps(RATE_HZ),
        "window_s": json.dumps(LENGTH / RATE_HZ),
        "hop_s": json.dumps(HOP_S),
        "classes": json.dumps([EXPRESSION[label] for label in LABELS]),
        "labels": json.dumps(LABELS),
        "temperature": json.dumps(result["temperature"]),
        "licence": json.dumps(LICENCE),
        "trained_on": json.dumps(TRAINED_ON),
        "date": json.dumps(date.today().isoformat()),
        "inputs_sha256": json.dumps(inputs_sha(arguments.ravdess)),
    }
    for name, net in nets.items():
        difference = export(net, arguments.out / f"{name}.onnx", metadata)
        print(f"{name}.onnx differs from PyTorch by at most {difference:.1g}")
    if arguments.onnx:
        export(nets["all"], arguments.onnx, metadata)
        print(f"written: {arguments.onnx}")


def _write_oof(takes: Takes, said: dict[str, list[Logits]], path: Path) -> None:
    """A take's logits are the means of its windows'."""
    with atomic_path(path) as temporary:
        np.savez(
            temporary,
            av_key=takes.key,
            actor=takes.actor,
            sex=takes.sex,
            intensity=takes.intensity,
            label=takes.label,
            labels=np.array(LABELS),
            fold=takes.fold,
            logits=np.stack([one.mean(0) for one in said["clean"]]),
            logits_degraded=np.stack([one.mean(0) for one in said["degraded"]]),
            windows=np.concatenate(said["clean"]),
            windows_degraded=np.concatenate(said["degraded"]),
            window_take=np.repeat(np.arange(len(takes.key)), [len(one) for one in said["clean"]]),
        )


if __name__ == "__main__":
    main()
