"""The net of starter-2-voice and how it is trained: several corpora, one net.

The net is starter-1-voice's (voice_net.py) with a ninth output, arousal. New are what it hears
(:meth:`MultiNet.columns`), which takes it hears how often, and that what a corpus cannot say of a
class is left out of the loss.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from voice_corpora import LABELS, Take, arousal_ranks
from voice_net import DEEPEST_DB, LENGTH, MELS, SILENCE_DB, VOICE_BANDS, Heard, VoiceNet
from voice_sounds import NOISES, SAMPLE_RATE, mel_rows

from avaffect.files.atomic import write_bytes
from avaffect.recipes.training import Augment
from avaffect.training.augment import augment, warp_bands

WEIGHT = {"ravdess": 1.0, "nemo": 1.0, "casia": 1.0, "tess": 1 / 3}
EMOTIONS = len(LABELS)
FORBIDDEN = -1e4
# The state is kept every so many steps.
BLOCK = 100


@dataclass(frozen=True)
class Training:
    """How the net is trained.

    Attributes:
        steps: batches in all; the rate falls as a cosine.
        batch, lr, weight_decay, warmup, clip_norm, smoothing: as their names say.
        arousal: weight of arousal's loss.
        stretch: windows are played up to this share faster or slower.
        vtlp: log of the largest change of the vocal tract's length.
        tilt_db: deviation of the slope over the bands; waves have a third of it.
        noisy: chance of noise behind the voice, at 3 to 30 dB.
        clean: chance of the clean take at first, and from ``clean_until`` of the steps on.
        augment: what is done to standardised columns.
    """

    steps: int = 4800
    batch: int = 64
    lr: float = 3e-3
    weight_decay: float = 0.05
    warmup: int = 200
    clip_norm: float = 5.0
    smoothing: float = 0.1
    arousal: float = 0.5
    stretch: float = 0.15
    vtlp: float = 0.12
    tilt_db: float = 3.0
    noisy: float = 0.4
    clean: tuple[float, float] = (0.9, 0.3)
    clean_until: float = 0.3
    augment: Augment = field(
        default_factory=lambda: Augment(
            noise=0.1,
            column_dropout=0.1,
            feature_masks=1,
            feature_mask=24,
            time_masks=2,
            time_mask=15,
        )
    )


class MultiNet(VoiceNet):
    """From raw sound features to 8 logits of emotions and one of arousal.

    Args:
        share: of the window's mean spectrum is taken off: what microphone, room and speaker add to
            every row. At 1 nothing of it is left, at 0 it is starter-1-voice's input.
        size: channels.
    """

    def __init__(self, share: float = 0.5, size: int = 128) -> None:
        super().__init__(EMOTIONS + 1, size)
        self.share = share

    def columns(self, mel: Tensor) -> Tensor:
        """See :meth:`VoiceNet.columns`; less ``share`` of the mean of the rows with voice."""
        row = torch.pow(10.0, mel[..., VOICE_BANDS] / 10).mean(2, keepdim=True)
        level = 10 * torch.log10(row.mean(1, keepdim=True))
        loud = torch.sigmoid((10 * torch.log10(row.clamp(min=1e-12)) - level + 10) / 3)
        mel = (mel - level).clamp(min=DEEPEST_DB)
        mean = (loud * mel).sum(1, keepdim=True) / loud.sum(1, keepdim=True)
        mel = mel - self.share * mean
        return torch.cat((mel @ self.cosines, mel), dim=-1)

    def draw(self, lessons: Lessons, batch: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """int64 [batch], the takes of one step."""
        return rng.choice(len(lessons.label), batch, p=lessons.chance)


@dataclass(frozen=True)
class Lessons:
    """What is taught, a row a take.

    Attributes:
        label: int64 [N], of ``LABELS``.
        speaker: int64 [N], a number a speaker.
        arousal: float32 [N], 0..1.
        allowed: bool [N, 8], the emotions that the take's corpus knows.
        chance: float64 [N], how often a take is drawn; sums to one over those to train on.
    """

    label: NDArray[np.int64]
    speaker: NDArray[np.int64]
    arousal: NDArray[np.float32]
    allowed: NDArray[np.bool_]
    chance: NDArray[np.float64]

    @classmethod
    def of(cls, takes: Sequence[Take], mine: NDArray[np.bool_]) -> Lessons:
        """Corpora by ``WEIGHT``, within one all speakers alike, within those all emotions."""
        label = np.array([LABELS.index(take.label) for take in takes])
        speaker = np.array([take.speaker for take in takes])
        corpus = np.array([take.corpus for take in takes])
        chance, allowed = np.zeros(len(takes)), np.zeros((len(takes), EMOTIONS), bool)
        for name in np.unique(corpus):
            inside = corpus == name
            allowed[inside] = np.isin(np.arange(EMOTIONS), label[inside])
            people = np.unique(speaker[inside & mine])
            for person in people:
                hers = mine & (speaker == person)
                kinds = np.unique(label[hers])
                for kind in kinds:
                    same = hers & (label == kind)
                    chance[same] = WEIGHT[name] / len(people) / len(kinds) / same.sum()
        arousal = arousal_ranks(
            [take.speaker for take in takes],
            [take.label for take in takes],
            [take.intensity for take in takes],
        )
        number = np.unique(speaker, return_inverse=True)[1]
        return cls(label, number, arousal, allowed, chance / chance.sum())


@cache
def noise_bank(count: int = 60, seconds: float = 4.0, seed: int = 5) -> Tensor:
    """float32 [count, rows, 128], noises in decibels over their own mean power."""
    rng = np.random.default_rng(seed)
    kinds = [name for name in NOISES if name != "babble"]
    out = []
    for i in range(count):
        sound = NOISES[kinds[i % len(kinds)]](round(seconds * SAMPLE_RATE), [], rng)
        mel = mel_rows(sound / (np.abs(sound).max() + 1e-9)).astype(np.float32)
        out.append(mel - 10 * np.log10(np.power(10, mel[:, VOICE_BANDS] / 10).mean()))
    return torch.from_numpy(np.stack(out))


def with_noise(mel: Tensor, chance: float, generator: torch.Generator) -> Tensor:
    """Some windows [B, T, 128] with noise 3 to 30 dB below their level: powers add up."""
    bank, count = noise_bank(), len(mel)
    drawn = torch.rand(count, 2, generator=generator)
    which = torch.randint(len(bank), (count,), generator=generator)
    start = torch.randint(bank.shape[1] - LENGTH + 1, (count,), generator=generator)
    noise = torch.stack(
        [bank[i, s : s + LENGTH] for i, s in zip(which.tolist(), start.tolist(), strict=True)]
    )
    power = torch.pow(10.0, mel / 10)
    level = 10 * torch.log10(power[..., VOICE_BANDS].mean((1, 2)) + 1e-12)
    gain = level - (3 + 27 * drawn[:, 0])
    gain = torch.where(drawn[:, 1] < chance, gain, torch.full_like(gain, -300.0))
    return 10 * torch.log10(power + torch.pow(10.0, (noise + gain[:, None, None]) / 10) + 1e-12)


def tilted(mel: Tensor, deviation: float, generator: torch.Generator) -> Tensor:
    """As through another microphone: a slope over the bands, and slow waves."""
    at = torch.linspace(-1, 1, MELS)
    shapes = torch.stack([at, *(torch.cos(math.pi * k * (at + 1) / 2) for k in (2, 3, 4))])
    weights = torch.randn(len(mel), len(shapes), generator=generator)
    weights = weights * torch.tensor([deviation, *[deviation / 3] * 3])
    return mel + (weights @ shapes)[:, None]


def drawn(
    heard: Heard,
    takes: NDArray[np.int64],
    clean: float,
    config: Training,
    rng: np.random.Generator,
) -> Tensor:
    """float32 [B, LENGTH, 128]; where a take is in no scene, it is heard clean."""
    out = []
    for take in takes:
        scenes = [copy for copy in range(1, len(heard.mel)) if heard.speech[copy, take].any()]
        copy = 0 if not scenes or rng.random() < clean else int(rng.choice(scenes))
        out.append(heard.drawn_one(copy, int(take), config.stretch, rng))
    return torch.from_numpy(np.stack(out)).clamp(min=SILENCE_DB)


def losses(said: Tensor, lessons: Lessons, rows: NDArray[np.int64], config: Training) -> Tensor:
    """Cross entropy over the emotions that a take's corpus knows, and arousal's."""
    allowed = torch.from_numpy(lessons.allowed[rows])
    logs = functional.log_softmax(said[:, :EMOTIONS].masked_fill(~allowed, FORBIDDEN), dim=1)
    label = torch.from_numpy(lessons.label[rows])
    right = logs.gather(1, label[:, None])[:, 0]
    even = (logs * allowed).sum(1) / allowed.sum(1)
    emotion = -((1 - config.smoothing) * right + config.smoothing * even).mean()
    arousal = functional.binary_cross_entropy_with_logits(
        said[:, EMOTIONS], torch.from_numpy(lessons.arousal[rows])
    )
    return emotion + config.arousal * arousal


def train(
    net: MultiNet, heard: Heard, lessons: Lessons, place: Path, config: Training, seed: int
) -> Iterator[tuple[int, float]]:
    """Train; the state is kept at ``place`` every ``BLOCK`` steps; it goes on from what is there.

    Yields:
        Steps done and the mean loss since the state was kept last.
    """
    torch.manual_seed(seed)
    for module in net.modules():
        if callable(reset := getattr(module, "reset_parameters", None)):
            reset()
    optimiser = torch.optim.AdamW(
        net.parameters(), config.lr, betas=(0.9, 0.99), weight_decay=config.weight_decay
    )
    step = 0
    if place.exists():
        state = torch.load(place, weights_only=True)
        net.load_state_dict(state["net"])
        optimiser.load_state_dict(state["optimiser"])
        step = state["step"]
    else:
        rng = np.random.default_rng(seed)
        rows = rng.choice(len(lessons.label), 600, p=lessons.chance)
        with torch.inference_mode():
            columns = net.columns(drawn(heard, rows, 0.5, config, rng)).flatten(0, 1).double()
        net.mean.copy_(columns.mean(0))
        net.deviation.copy_(columns.std(0).clamp(min=1e-3))
    net.train()
    while step < config.steps:
        generator = torch.manual_seed(1_000_003 * (seed + 1) + step)
        rng = np.random.default_rng([seed, step])
        total, block = 0.0, min(BLOCK, config.steps - step)
        for _ in range(block):
            first, last = config.clean
            clean = first + (last - first) * min(1.0, step / (config.clean_until * config.steps))
            for group in optimiser.param_groups:
                group["lr"] = (
                    config.lr
                    * min(1.0, (step + 1) / config.warmup)
                    * (1 + math.cos(math.pi * step / config.steps))
                    / 2
                )
            rows = net.draw(lessons, config.batch, rng)
            mel = with_noise(drawn(heard, rows, clean, config, rng), config.noisy, generator)
            warp = torch.exp(config.vtlp * (2 * torch.rand(len(mel), generator=generator) - 1))
            mel = tilted(mel @ warp_bands(warp), config.tilt_db, generator)
            x = net.standardise(net.columns(mel))
            x = augment(x, torch.ones_like(x[..., 0], dtype=torch.bool), config.augment)
            loss = losses(net.classify(x), lessons, rows, config)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), config.clip_norm)
            optimiser.step()
            total += float(loss.detach())
            step += 1
        buffer = io.BytesIO()
        state = {
            "net": net.state_dict(),
            "optimiser": optimiser.state_dict(),
            "step": step,
            "share": net.share,
        }
        torch.save(state, buffer)
        write_bytes(place, buffer.getvalue())
        yield step, total / block
    net.eval()
