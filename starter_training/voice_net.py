"""The net of starter-1-voice, windows of sounds for it, and how it is trained."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.fft import dct
from torch import Tensor, nn
from torch.nn import functional

from avaffect.config import AudioConfig
from avaffect.files.atomic import atomic_path, write_bytes
from avaffect.networks.heads import AttentiveStatisticsPool
from avaffect.recipes.training import Augment
from avaffect.training.augment import augment, warp_bands

MFCC, MELS = AudioConfig().n_mfcc, AudioConfig().n_mels
SILENCE_DB = -100.0
# A window's level is that of its bands from 200 to 4000 Hz: rumble and hiss are no voice.
VOICE_BANDS = slice(8, 100)
# What lies deeper below the level says more of the recording than of the voice.
DEEPEST_DB = -60.0
LENGTH = 150
# At least so many rows (0.8 s) of speech are in a window, or all that there is.
SPEECH_ROWS = 40
TILT_DB = 2.0


@dataclass(frozen=True)
class Training:
    """How the net is trained; what is not here is as in the recipe ``speech-gru``."""

    epochs: int = 70
    batch: int = 32
    lr: float = 3e-3
    weight_decay: float = 0.05
    warmup: int = 200
    clip_norm: float = 5.0
    smoothing: float = 0.1
    stretch: float = 0.1
    vtlp: float = 0.1
    # Scenes come little by little: at first most takes are clean.
    clean: tuple[float, float] = (0.9, 0.3)
    clean_until: float = 0.3
    augment: Augment = Augment(  # noqa: RUF009
        noise=0.1, column_dropout=0.1, feature_masks=1, feature_mask=16, time_masks=1, time_mask=15
    )


class Residual(nn.Module):
    """Two convolutions beside a shortcut, [B, C, T]."""

    def __init__(self, size: int, dropout: float) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            nn.Conv1d(size, size, 3, padding=1, bias=False),
            nn.BatchNorm1d(size),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Conv1d(size, size, 3, padding=1, bias=False),
            nn.BatchNorm1d(size),
        )

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(x + self.inner(x))


class VoiceNet(nn.Module):
    """From raw sound features to logits, gain left out.

    As the recipe ``speech-gru``: convolutions that make one row of eight, a BiGRU beside a
    shortcut, attentive statistics. Windows are whole, so nothing is masked.

    Args:
        classes: how many there are.
    """

    cosines: Tensor
    mean: Tensor
    deviation: Tensor

    def __init__(self, classes: int, size: int = 128) -> None:
        super().__init__()
        transform = dct(np.eye(MELS), type=2, norm="ortho", axis=-1)[:, :MFCC]
        self.register_buffer("cosines", torch.from_numpy(transform.astype(np.float32)))
        self.register_buffer("mean", torch.zeros(MFCC + MELS))
        self.register_buffer("deviation", torch.ones(MFCC + MELS))
        self.convolutions = nn.Sequential(
            nn.Conv1d(MFCC + MELS, size, 5, stride=2, padding=2, bias=False),
            nn.BatchNorm1d(size),
            nn.ReLU(),
            nn.MaxPool1d(2),
            Residual(size, 0.15),
            Residual(size, 0.15),
            nn.MaxPool1d(2),
            Residual(size, 0.15),
        )
        self.gru = nn.GRU(size, size // 2, batch_first=True, bidirectional=True)
        self.dropout = nn.Dropout(0.2)
        self.pool = AttentiveStatisticsPool(size)
        self.head = nn.Sequential(
            nn.BatchNorm1d(2 * size), nn.Dropout(0.3), nn.Linear(2 * size, classes)
        )

    def columns(self, mel: Tensor) -> Tensor:
        """MFCC and mel bands relative to the window's level, [B, T, 168], of decibels [B, T, 128].

        The level is the mean power in time, so that silence around the voice hardly matters.
        """
        power = torch.pow(10.0, mel[..., VOICE_BANDS] / 10).mean((1, 2), keepdim=True)
        mel = (mel - 10 * torch.log10(power)).clamp(min=DEEPEST_DB)
        return torch.cat((mel @ self.cosines, mel), dim=-1)

    def standardise(self, columns: Tensor) -> Tensor:
        """Within 10 deviations of the training set's mean."""
        return ((columns - self.mean) / self.deviation).clamp(-10, 10)

    def forward(self, features: Tensor) -> Tensor:
        """Logits float32 [B, classes] of the array ``audio``, float32 [B, T, 168]."""
        return self.classify(self.standardise(self.columns(features[..., MFCC:])))

    def classify(self, x: Tensor) -> Tensor:
        """Logits of standardised columns."""
        x = self.convolutions(x.transpose(1, 2)).transpose(1, 2)
        x = x + self.dropout(self.gru(x)[0])
        seen = torch.ones_like(x[..., 0], dtype=torch.bool)
        return self.head(self.pool(x, seen)[:, 0])


@dataclass(frozen=True)
class Heard:
    """N takes in some copies: the first is clean, what is around others is in the sounds.

    Attributes:
        mel: by copy, float16 [rows, 128], all takes one after the other.
        ends: int64 [C, N], where each take's rows end.
        speech: int64 [C, N, 2], first row of the voice and the one behind its last.
    """

    mel: tuple[NDArray[np.float16], ...]
    ends: NDArray[np.int64]
    speech: NDArray[np.int64]

    @classmethod
    def read(cls, paths: Sequence[Path]) -> Heard:
        """Of files with ``mel``, ``rows`` and ``speech``, a copy each."""
        files = [np.load(path, allow_pickle=False) for path in paths]
        return cls(
            tuple(file["mel"] for file in files),
            np.stack([np.cumsum(file["rows"]) for file in files]),
            np.stack([file["speech"] for file in files]),
        )

    def rows(self, copy: int, take: int) -> NDArray[np.float16]:
        """float16 [n, 128], the whole of a take."""
        end = self.ends[copy]
        return self.mel[copy][end[take - 1] if take else 0 : end[take]]

    def window(
        self, copy: int, take: int, start: float, speed: float = 1.0
    ) -> NDArray[np.float32]:
        """float32 [LENGTH, 128] from row ``start`` on, faster by ``speed``; silence beyond."""
        rows = self.rows(copy, take)
        at = start + np.arange(LENGTH) * speed
        low = np.floor(at).astype(np.int64)
        share = (at - low)[:, None].astype(np.float32)
        inside = (low >= 0) & (low < len(rows) - 1)
        low = np.clip(low, 0, len(rows) - 2)
        out = rows[low] * (1 - share) + rows[low + 1] * share
        out[~inside] = SILENCE_DB
        return out

    def drawn(
        self, takes: NDArray[np.int64], stretch: float, clean: float, rng: np.random.Generator
    ) -> Tensor:
        """float32 [B, LENGTH, 128], a window of each take.

        A half of them holds all of the voice that a window can hold, the others at least 0.8 s.

        Args:
            takes: int64 [B].
            stretch: a window is played up to this share faster or slower.
            clean: chance of the clean copy.
            rng: draws everything.
        """
        out = []
        for take in takes:
            copy = 0 if rng.random() < clean else int(rng.integers(1, len(self.mel)))
            speed = 1 + stretch * rng.uniform(-1, 1)
            span = LENGTH * speed
            begin, end = self.speech[copy, take]
            most = min(end - begin, span)
            need = most if rng.random() < 0.5 else min(most, SPEECH_ROWS)
            start = rng.uniform(begin + need - span, end - need)
            if rng.random() < 0.5:  # not beyond the sound, where it is longer than a window
                room = len(self.rows(copy, take)) - 1 - span
                start = min(max(start, 0.0), max(room, 0.0))
            out.append(self.window(copy, take, start, speed))
        return torch.from_numpy(np.stack(out))


def tilted(mel: Tensor, generator: torch.Generator) -> Tensor:
    """As through another microphone: a slope over the bands, and slow waves."""
    at = torch.linspace(-1, 1, MELS)
    shapes = torch.stack([at, *(torch.cos(math.pi * k * (at + 1) / 2) for k in (2, 3, 4))])
    weights = torch.randn(len(mel), len(shapes), generator=generator)
    weights = weights * torch.tensor([TILT_DB, *[TILT_DB / 3] * 3])
    return mel + (weights @ shapes)[:, None]


def train(
    net: VoiceNet,
    heard: Heard,
    takes: NDArray[np.int64],
    labels: NDArray[np.int64],
    place: Path,
    config: Training,
    seed: int,
) -> Iterator[tuple[int, float]]:
    """Train on ``takes``; each epoch is kept at ``place``, whence it goes on if it is there.

    Args:
        net: of which the weights are drawn anew.
        heard: all takes.
        takes: int64 [M], those to train on.
        labels: int64 [N], the class of each of all takes.
        place: file of the state.
        config: how.
        seed: of weights, order and augmentation; an epoch's depend on its number alone.

    Yields:
        Epochs done and the mean loss of the last one.
    """
    torch.manual_seed(seed)
    for module in net.modules():
        if callable(reset := getattr(module, "reset_parameters", None)):
            reset()
    optimiser = torch.optim.AdamW(
        net.parameters(), config.lr, betas=(0.9, 0.99), weight_decay=config.weight_decay
    )
    counts = np.bincount(labels[takes], minlength=labels.max() + 1)
    weight = torch.from_numpy((len(takes) / len(counts) / counts).astype(np.float32))
    epoch = 0
    if place.exists():
        state = torch.load(place, weights_only=True)
        net.load_state_dict(state["net"])
        optimiser.load_state_dict(state["optimiser"])
        epoch = state["epoch"]
    else:
        _set_statistics(net, heard.drawn(takes, 0.0, 0.5, np.random.default_rng(seed)))
    steps = -(-len(takes) // config.batch)
    while epoch < config.epochs:
        net.train()
        generator = torch.manual_seed(1_000_003 * (seed + 1) + epoch)
        rng = np.random.default_rng([seed, epoch])
        first, last = config.clean
        clean = first + (last - first) * min(1.0, epoch / (config.clean_until * config.epochs))
        total = 0.0
        for i, rows in enumerate(np.array_split(rng.permutation(takes), steps)):
            for group in optimiser.param_groups:
                group["lr"] = _rate(config, epoch * steps + i, config.epochs * steps)
            x = _augmented(net, heard.drawn(rows, config.stretch, clean, rng), config, generator)
            loss = functional.cross_entropy(
                net.classify(x),
                torch.from_numpy(labels[rows]),
                weight,
                label_smoothing=config.smoothing,
            )
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), config.clip_norm)
            optimiser.step()
            total += float(loss.detach()) * len(rows)
        epoch += 1
        _keep(place, net, optimiser, epoch)
        yield epoch, total / len(takes)
    net.eval()


def _rate(config: Training, step: int, steps: int) -> float:
    """Linear warm-up, then a cosine down to nothing."""
    return (
        config.lr
        * min(1.0, (step + 1) / config.warmup)
        * (1 + math.cos(math.pi * step / steps))
        / 2
    )


def _augmented(net: VoiceNet, mel: Tensor, config: Training, generator: torch.Generator) -> Tensor:
    """Another vocal tract, another microphone; then what the recipe does to standardised rows."""
    warp = torch.exp(config.vtlp * (2 * torch.rand(len(mel), generator=generator) - 1))
    x = net.standardise(net.columns(tilted(mel @ warp_bands(warp), generator)))
    return augment(x, torch.ones_like(x[..., 0], dtype=torch.bool), config.augment)


def _set_statistics(net: VoiceNet, mel: Tensor) -> None:
    with torch.inference_mode():
        columns = net.columns(mel).flatten(0, 1).double()
    net.mean.copy_(columns.mean(0))
    net.deviation.copy_(columns.std(0).clamp(min=1e-3))


def _keep(place: Path, net: VoiceNet, optimiser: torch.optim.Optimizer, epoch: int) -> None:
    buffer = io.BytesIO()
    state = {"net": net.state_dict(), "optimiser": optimiser.state_dict(), "epoch": epoch}
    torch.save(state, buffer)
    write_bytes(place, buffer.getvalue())


def window_starts(rows: int, hop: int) -> NDArray[np.int64]:
    """First rows of the windows that avaffect.sound.voice takes of a whole sound."""
    last = rows - LENGTH
    if last <= 0:
        return np.array([-(-last // 2)], np.int64)
    return np.unique(np.append(np.arange(0, last, hop), last))


def window_logits(
    net: VoiceNet, heard: Heard, copy: int, takes: Sequence[int], hop: int
) -> list[NDArray[np.float32]]:
    """For each take float32 [W, classes], what the net says of its windows."""
    net.eval()
    out = []
    with torch.inference_mode():
        for take in takes:
            starts = window_starts(len(heard.rows(copy, take)), hop)
            mel = torch.from_numpy(np.stack([heard.window(copy, take, s) for s in starts]))
            out.append(net(functional.pad(mel, (MFCC, 0))).numpy())
    return out


def export(net: VoiceNet, path: Path, metadata: dict[str, str]) -> float:
    """Write ONNX for any number of windows and rows; gives the largest difference from PyTorch.

    Raises:
        ValueError: they differ; nothing is written.
    """
    import onnx
    import onnxruntime

    net.eval()
    example = torch.randn(2, LENGTH, MFCC + MELS)
    with atomic_path(path) as temporary:
        with warnings.catch_warnings():
            # The tracer warns of shapes that it takes as constants; the check below is for that.
            warnings.simplefilter("ignore")
            torch.onnx.export(
                net,
                (example,),
                str(temporary),
                input_names=["features"],
                output_names=["logits"],
                dynamic_axes={"features": {0: "windows", 1: "rows"}, "logits": {0: "windows"}},
                opset_version=17,
                dynamo=False,
            )
        model = onnx.load(str(temporary))
        onnx.helper.set_model_props(model, metadata)
        onnx.checker.check_model(model)
        onnx.save(model, str(temporary))
        session = onnxruntime.InferenceSession(str(temporary), providers=["CPUExecutionProvider"])
        worst = 0.0
        for i, (windows, rows) in enumerate([(1, LENGTH), (3, LENGTH), (2, 2 * LENGTH), (1, 61)]):
            drawn = torch.Generator().manual_seed(i)
            x = 30 * torch.randn(windows, rows, MFCC + MELS, generator=drawn) - 50
            with torch.inference_mode():
                ours = net(x).numpy()
            (theirs,) = session.run(None, {"features": x.numpy()})
            worst = max(worst, float(np.abs(ours - theirs).max()))
        if not worst < 1e-3:
            raise ValueError(f"ONNX Runtime and PyTorch differ by {worst:.2g}")
    return worst
