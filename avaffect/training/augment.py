"""Changes to training windows, drawn anew each time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache

import torch
from torch import Tensor

from avaffect.config import SAMPLE_RATE, AudioConfig
from avaffect.errors import UsageError
from avaffect.recipes.training import Augment
from avaffect.windows.batch import Batch

_AUDIO = AudioConfig()


def mixing(windows: int, alpha: float) -> tuple[float, Tensor]:
    """How much of itself a window keeps, at least half, and which window it is mixed with.

    One share for a batch, from Beta(alpha, alpha) (Zhang et al. 2018, as in its code).
    """
    # In double precision, lest both draws of a small alpha become the smallest number there is.
    first, second = torch._standard_gamma(torch.tensor([alpha, alpha]).double()).tolist()
    share = first / (first + second)
    return max(share, 1 - share), torch.randperm(windows)


def stretch(batch: Batch, most: float) -> Batch:
    """Play each window faster or slower; what then lies beyond its end is cut off.

    Features are interpolated between neighbouring frames, labels and masks taken from the nearest.
    A window that was made faster ends earlier: the rest does not exist.

    Args:
        batch: the windows.
        most: the largest change of speed.
    """
    windows, frames = batch.exists.shape
    device = batch.exists.device
    speed = 1 + most * (2 * torch.rand(windows, 1, device=device) - 1)
    length = batch.exists.sum(1, keepdim=True)
    at = torch.arange(frames, device=device)[None] * speed
    exists = at <= length - 1
    at = at.clamp(max=frames - 1)
    low = at.floor().long()
    high = (low + 1).clamp(max=frames - 1)
    share = (at - low)[..., None]
    nearest = at.round().long()

    def interpolated(x: Tensor) -> Tensor:
        x = x.float()
        # NaN stands for nothing; half of nothing is nothing.
        return torch.lerp(_frames(x, low), _frames(x, high), share)

    def picked(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: _frames(value, nearest) for name, value in values.items()}

    seen = {
        name: _frames(mask, low) & _frames(mask, high) & exists
        for name, mask in batch.seen.items()
    }
    valid = {
        task: mask & (exists if mask.ndim == 2 else exists[..., None])
        for task, mask in picked(batch.valid).items()
    }
    return replace(
        batch,
        inputs={name: interpolated(x) for name, x in batch.inputs.items()},
        seen=seen,
        exists=exists,
        targets=picked(batch.targets),
        valid=valid,
    )


def _frames(x: Tensor, at: Tensor) -> Tensor:
    """Of x [B, T] or [B, T, F] the frames ``at``, int64 [B, T]."""
    if x.ndim == 2:
        return x.gather(1, at)
    return x.gather(1, at[..., None].expand(-1, -1, x.shape[2]))


def perturb_voice(x: Tensor, config: Augment) -> Tensor:
    """Another speaker, another distance: change the array ``audio`` as the store holds it.

    Args:
        x: float [B, T, 168], 40 MFCC and 128 log-mel bands in decibels.
        config: its ``vtlp`` and ``gain_db``.

    Returns:
        float32, as ``x``; the MFCC are those of the changed bands.

    Raises:
        UsageError: another number of features.
    """
    if not config.vtlp and not config.gain_db:
        return x
    if x.shape[2] != _AUDIO.n_mfcc + _AUDIO.n_mels:
        raise UsageError(
            f"vtlp and gain_db want {_AUDIO.n_mfcc} MFCC and {_AUDIO.n_mels} mel bands, not "
            f"{x.shape[2]} features",
            "set train.augment.vtlp=0 and train.augment.gain_db=0",
        )
    windows, device = len(x), x.device
    with torch.autocast(device.type, enabled=False):  # half precision has no hundredths here
        bands = x[..., _AUDIO.n_mfcc :].float()
        if config.vtlp:
            warp = torch.exp(config.vtlp * (2 * torch.rand(windows, device=device) - 1))
            bands = bands @ warp_bands(warp)
        if config.gain_db:
            bands = bands + config.gain_db * torch.randn(windows, 1, 1, device=device)
        return torch.cat((bands @ _cosines(device), bands), dim=-1)


def warp_bands(warp: Tensor) -> Tensor:
    """Matrices that read each mel band at its centre frequency divided by ``warp``.

    Args:
        warp: float [B], factors of frequency.

    Returns:
        float32 [B, M, M], to be multiplied from the right.
    """
    import librosa

    bands, top = _AUDIO.n_mels, SAMPLE_RATE / 2
    hertz = librosa.mel_frequencies(bands + 2, fmin=0, fmax=top)[1:-1]
    mel = librosa.hz_to_mel(hertz / warp.cpu().double().numpy()[:, None])
    at = torch.from_numpy(mel / librosa.hz_to_mel(top) * (bands + 1) - 1).to(warp)
    at = at.clamp(0, bands - 1 - 1e-3)
    low = at.floor().long()
    share = at - low
    matrix = torch.zeros(len(warp), bands, bands, device=warp.device)
    matrix.scatter_add_(1, low[:, None], (1 - share)[:, None])
    return matrix.scatter_add_(1, low[:, None] + 1, share[:, None])


@cache
def _cosines(device: torch.device) -> Tensor:
    """float32 [M, n_mfcc], the orthonormal DCT-II that makes MFCC of mel bands."""
    from torchaudio.functional import create_dct

    cosines: Tensor = create_dct(_AUDIO.n_mfcc, _AUDIO.n_mels, norm="ortho").to(device)
    return cosines


def augment(x: Tensor, seen: Tensor, config: Augment) -> Tensor:
    """Change standardised windows.

    Args:
        x: float32 [B, T, F].
        seen: bool [B, T]; frames that are not seen stay zero.
        config: how.

    Returns:
        As ``x``.
    """
    windows, frames, width = x.shape
    if config.noise:
        x = x + config.noise * torch.randn_like(x)
    if config.column_dropout:
        kept = torch.rand(windows, 1, width, device=x.device) >= config.column_dropout
        x = x * kept / (1 - config.column_dropout)
    for _ in range(config.feature_masks):
        x = x * ~_spans(windows, width, config.feature_mask, x.device)[:, None, :]
    for _ in range(config.time_masks):
        x = x * ~_spans(windows, frames, config.time_mask, x.device)[:, :, None]
    return x * seen[..., None]


def _spans(windows: int, size: int, longest: int, device: torch.device) -> Tensor:
    """bool [windows, size], a span of 0 to ``longest`` places in each, anywhere."""
    longest = min(longest, size)
    length = torch.randint(0, longest + 1, (windows, 1), device=device)
    start = (torch.rand(windows, 1, device=device) * (size - length + 1)).long()
    at = torch.arange(size, device=device)[None]
    return (at >= start) & (at < start + length)
