"""The two lower layers of Resemblyzer's speaker encoder, and what is read from them.

What is there all the time is taken for noise and taken off first: the encoder hears power and not
decibels, and noise makes all speech alike to it.

Resemblyzer 0.1.4 (Resemble AI, Apache-2.0; the wheel holds the weights) tells speakers apart:
three layers of LSTM over 40 mel bands, trained on LibriSpeech and VoxCeleb (GE2E). Its second
layer still knows how something is said; the third knows only who says it.

    python -m pip download resemblyzer==0.1.4 --no-deps -d work
    unzip work/resemblyzer-0.1.4-*.whl resemblyzer/pretrained.pt -d work
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from avaffect.sound.front_end import mel_edges
from avaffect.sound.mel_power import BANDS, SIZE

UNITS = 256
WIDTH = 2 * UNITS
# Mean square of the speech that the encoder hears: it was trained at about this level.
LEVEL = 10 ** (-25 / 10)
# A row counts as speech the more, the less it lies below the window's mean power.
BELOW_DB, SOFT_DB = 12.0, 2.0
# In each band noise is what the mean over so many rows (0.15 s) falls below in one of so many.
# This share of the power stays: a vowel held throughout is no noise.
ROWS, ONE_IN, LEFT = 15, 10, 0.01
# Deeper than this no row is: a share of nothing at all could not be told in float32.
DEEPEST_DB = -40.0


class Encoder(nn.Module):
    """What one window of sound is like: mean and deviation of the second layer's units.

    Only rows with voice count, and the window's loudness does not matter.
    """

    widths: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.LSTM(BANDS, UNITS, 2, batch_first=True)
        edges = torch.from_numpy(mel_edges(BANDS)).float()
        # Both sides of the spectrum; of Hann's window, 3/8 of the mean square is left.
        whole = 2 / (SIZE * SIZE * 3 / 8)
        self.register_buffer("widths", (edges[2:] - edges[:-2]) / 2 * whole)

    @classmethod
    def pretrained(cls, path: Path) -> Encoder:
        """With the weights of ``resemblyzer/pretrained.pt``."""
        # The file also holds the optimiser's state, all tensors.
        state = torch.load(path, map_location="cpu", weights_only=True)["model_state"]
        out = cls()
        kept = {name: state[f"lstm.{name}"] for name in out.layers.state_dict()}
        out.layers.load_state_dict(kept)
        return out.eval()

    def forward(self, power: Tensor) -> Tensor:
        """Float32 [B, WIDTH] of mel power [B, T, BANDS]."""
        power = torch.maximum(power - noise(power), LEFT * power)
        square = power @ self.widths
        level = square.mean(1, keepdim=True) + 1e-12
        below = (10 * torch.log10(square / level + 1e-6)).clamp(min=DEEPEST_DB)
        share = torch.sigmoid((below + BELOW_DB) / SOFT_DB)
        share = share / share.sum(1, keepdim=True)
        loud = (share * square).sum(1, keepdim=True) + 1e-12
        units = self.layers(power * (LEVEL / loud)[..., None])[0]
        mean = (share[..., None] * units).sum(1)
        square = (share[..., None] * (units - mean[:, None]) ** 2).sum(1)
        return torch.cat((mean, torch.sqrt(square + 1e-8)), dim=1)


def noise(power: Tensor) -> Tensor:
    """Float32 [B, 1, BANDS] of mel power [B, T, BANDS]: what is always there of a band."""
    mean = nn.functional.avg_pool1d(
        power.transpose(1, 2), ROWS, 1, ROWS // 2, count_include_pad=False
    )
    rising = mean.sort(dim=2).values
    return rising.select(2, power.shape[1] // ONE_IN)[:, None]
