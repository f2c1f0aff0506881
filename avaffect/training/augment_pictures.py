"""Changes to the pictures of training windows, one and the same for all frames of a window."""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

from avaffect.recipes.training import Augment

# Frames at a time: a CPU's cache holds few, a GPU wants many.
_AT_A_TIME = {"cpu": 8}
_MANY = 512
# Luma, and the two axes of colour, of red, green and blue (NTSC's YIQ).
_YIQ = ((0.299, 0.587, 0.114), (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))


def augment_pictures(pictures: Tensor, config: Augment) -> Tensor:
    """Turn, crop, mirror and colour windows, as by ``config``'s fields from ``flip`` to ``hue``.

    Each window draws its own change, from PyTorch's global generator. A crop, of the picture's
    shape unless ``aspect`` allows another, may lie anywhere in the turned picture; what lies
    outside of a picture looks like its border.
    Colours change in the order brightness, contrast (about each picture's own mean luma),
    saturation, hue (a turn in the colour plane of YIQ, which keeps the luma), and are cut to
    0..255 once, at the end.

    Args:
        pictures: uint8 or float [B, T, S, S, 3], RGB in 0..255.
        config: how much.

    Returns:
        float32 [B, T, S, S, 3] in 0..255; ``pictures`` as they are where nothing is asked for.
    """
    with torch.autocast(pictures.device.type, enabled=False):  # half precision has no 256 steps
        return _augmented(pictures, config)


def _augmented(pictures: Tensor, config: Augment) -> Tensor:
    count, frames, size = pictures.shape[:3]
    grid = _grid(count, size, config, pictures.device)
    colour = _colour(count, config, pictures.device)
    if grid is None and colour is None:
        return pictures.float()
    out = torch.empty(pictures.shape, device=pictures.device)
    step = _AT_A_TIME.get(pictures.device.type, _MANY)
    # Short windows together, long ones in pieces: beside the result, memory is that of ``step``
    # frames.
    together = max(1, step // max(frames, 1))
    for first in range(0, count, together):
        windows = slice(first, first + together)
        for start in range(0, frames, step):
            part = windows, slice(start, start + step)
            x = pictures[part].float()
            if grid is not None:
                x = _sampled(x, grid[windows])
            if colour is not None:
                x = _coloured(x, colour[0][windows], colour[1][windows])
            out[part] = x
    return out


def _spread(count: int, most: float, device: torch.device) -> Tensor:
    """float32 [count], anywhere from -most to most."""
    return most * (2 * torch.rand(count, device=device) - 1)


def _grid(count: int, size: int, config: Augment, device: torch.device) -> Tensor | None:
    """float32 [count, size, size, 2], where in a picture each pixel comes from; None as is."""
    if not (config.flip or config.rotation or config.crop):
        return None
    mirror, scale = torch.ones(count, device=device), torch.ones(count, 2, device=device)
    angle = torch.zeros(count, device=device)
    centre = torch.zeros(count, 2, device=device)
    if config.flip:
        mirror = torch.where(torch.rand(count, device=device) < config.flip, -1.0, 1.0)
    if config.rotation:
        angle = _spread(count, math.radians(config.rotation), device)
    if config.crop:
        scale = (1 - config.crop * torch.rand(count, device=device)).sqrt()[:, None].expand(-1, 2)
        if config.aspect > 1:
            wider = (_spread(count, math.log(config.aspect), device) / 2).exp()
            scale = (scale * torch.stack((wider, 1 / wider), -1)).clamp(max=1)
        centre = (1 - scale) * (2 * torch.rand(count, 2, device=device) - 1)
    cos, sin = angle.cos(), angle.sin()
    # Of the result's points: mirrored, brought into the crop, and turned with it.
    turn = torch.stack((cos, -sin, sin, cos), -1).reshape(count, 2, 2)
    within = torch.stack((scale[:, 0] * mirror, scale[:, 1]), -1)[:, None] * turn
    affine = torch.cat((within, turn @ centre[..., None]), -1)
    return functional.affine_grid(affine, [count, 1, size, size], align_corners=False)


def _sampled(x: Tensor, grid: Tensor) -> Tensor:
    """Of x [B, T, S, S, 3] the places ``grid`` [B, S, S, 2] of every frame."""
    # All frames of a window as channels of one picture: they share their places.
    maps = x.permute(0, 1, 4, 2, 3).flatten(1, 2)
    maps = functional.grid_sample(maps, grid, padding_mode="border", align_corners=False)
    return maps.unflatten(1, (x.shape[1], 3)).permute(0, 1, 3, 4, 2)


def _colour(count: int, config: Augment, device: torch.device) -> tuple[Tensor, Tensor] | None:
    """What changes colours: [count, 3, 3], by which they are multiplied from the right, and
    [count, 3], which times a picture's mean colour is added to it; None leaves them as they are.

    As nothing is cut off in between, the four steps are one: the last two keep greys.
    """
    if not (config.brightness or config.contrast or config.saturation or config.hue):
        return None
    most = (config.brightness, config.contrast, config.saturation, 2 * math.pi * config.hue)
    light, contrast, strength, angle = (
        _spread(count, limit, device) if limit else torch.zeros(count, device=device)
        for limit in most
    )
    yiq, back = _yiq(device)
    turn = torch.zeros(count, 3, 3, device=device)
    turn[:, 0, 0] = 1
    turn[:, 1, 1] = turn[:, 2, 2] = (1 + strength) * angle.cos()
    turn[:, 2, 1] = (1 + strength) * angle.sin()
    turn[:, 1, 2] = -turn[:, 2, 1]
    matrix = (back @ turn @ yiq).mT
    light = 1 + light[:, None]
    contrast = contrast[:, None]
    return (light * (1 + contrast))[..., None] * matrix, -light * contrast * yiq[0]


@cache
def _yiq(device: torch.device) -> tuple[Tensor, Tensor]:
    """float32 [3, 3], the axes of luma and colour, and the way back."""
    yiq = torch.tensor(_YIQ)
    return yiq.to(device), yiq.inverse().to(device)


def _coloured(x: Tensor, matrix: Tensor, share: Tensor) -> Tensor:
    """Of x [B, T, S, S, 3] the colours changed by ``matrix`` [B, 3, 3] and ``share`` [B, 3]."""
    added = x.mean((2, 3)) @ share[..., None]
    y = (x.flatten(1, 3) @ matrix).view(x.shape)
    return (y + added[..., None, None]).clamp(0, 255)
