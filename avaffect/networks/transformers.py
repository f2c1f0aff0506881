"""Blocks of attention; see ``networks.blocks`` for what a block takes and gives."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from avaffect.errors import UsageError
from avaffect.networks.attention import Attention, DecoderLayer, EncoderLayer, distances, unseen
from avaffect.recipes.blocks import EncoderDecoder, LocalAttention, Transformer

# Turns a window of the fastest of the learned positions; the slowest has one half.
_FASTEST = 50.0


class TransformerBlock(nn.Module):
    """Transformer encoder layers (pre-norm) that attend to seen frames only.

    Attributes:
        size: width of what it gives.
    """

    def __init__(self, width: int, config: Transformer) -> None:
        super().__init__()
        size = self.size = config.size or width
        _require_heads(size, config.heads)
        self.enter = nn.Identity() if config.size is None else nn.Linear(width, size)
        self.layers = nn.ModuleList(
            EncoderLayer(size, config.heads, config.feedforward, config.dropout)
            for _ in range(config.layers)
        )
        self.leave = nn.LayerNorm(size)

    def forward(self, x: Tensor, exists: Tensor, seen: Tensor) -> Tensor:
        ignored = unseen(seen)
        x = self.enter(x)
        x = x + _positions(x.shape[1], self.size, x.device).to(x.dtype)
        for layer in self.layers:
            x = layer(x, ignored)
        out: Tensor = self.leave(x)
        return out


class EncoderDecoderBlock(nn.Module):
    """A whole transformer: the encoder reads the block's input, the decoder the target.

    Both see the seen frames only. (The code of Nguyen et al., ABAW3, inverts its padding mask, so
    that self-attention there sees the first frame and padding; not copied.)

    Args:
        width: of the input.
        config: the settings.
        target: width of the target, None where the input is its own target.

    Attributes:
        size: width of what it gives.

    Raises:
        UsageError: ``heads`` do not divide the width.
    """

    def __init__(self, width: int, config: EncoderDecoder, target: int | None = None) -> None:
        super().__init__()
        size = self.size = config.size or width
        _require_heads(size, config.heads)
        self.causal = config.causal
        self.enter = nn.Identity() if size == width else nn.Linear(width, size)
        fits = target is None or target == size
        self.enter_target = None if fits else nn.Linear(int(target or 0), size)
        self.position = TimePosition(size) if config.position == "time" else None
        settings = (size, config.heads, config.feedforward, config.dropout)
        self.encoder = nn.ModuleList(EncoderLayer(*settings) for _ in range(config.layers))
        self.decoder = nn.ModuleList(DecoderLayer(*settings) for _ in range(config.layers))
        self.encoder_norm, self.leave = nn.LayerNorm(size), nn.LayerNorm(size)

    def forward(
        self, x: Tensor, exists: Tensor, seen: Tensor, target: Tensor | None = None
    ) -> Tensor:
        ignored = unseen(seen)
        memory = self.enter(x)
        y = memory if target is None else target
        if target is not None and self.enter_target is not None:
            y = self.enter_target(target)
        if self.position is not None:
            places = self.position(exists)
            memory, y = memory + places.to(memory.dtype), y + places.to(y.dtype)
        for layer in self.encoder:
            memory = layer(memory, ignored)
        memory = self.encoder_norm(memory)
        later = distances(y) > 0 if self.causal else None
        for layer in self.decoder:
            y = layer(y, memory, ignored, later)
        out: Tensor = self.leave(y)
        return out


class TimePosition(nn.Module):
    """Sines and cosines of a frame's place in its window, 0 to 1, of learned frequencies.

    Args:
        size: how many.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        half = (size + 1) // 2
        rate = torch.logspace(math.log10(0.5), math.log10(_FASTEST), half)
        self.rate = nn.Parameter(2 * math.pi * rate)
        self.size = size
        self.dropout = nn.Dropout(0.1)

    def forward(self, exists: Tensor) -> Tensor:
        """float32 [B, T, size] for windows of so many frames (bool [B, T])."""
        last = exists.float().sum(1, keepdim=True).clamp(min=2) - 1
        place = torch.arange(exists.shape[1], device=exists.device)[None] / last
        angle = place[..., None] * self.rate.float()
        both = torch.cat((torch.sin(angle), torch.cos(angle)), dim=-1)[..., : self.size]
        out: Tensor = self.dropout(both)
        return out


class LocalAttentionBlock(nn.Module):
    """Self-attention to a neighbourhood of seen frames, behind a norm and beside a shortcut.

    Attributes:
        size: width of what it gives, that of the input.
    """

    def __init__(self, width: int, config: LocalAttention) -> None:
        super().__init__()
        self.size = width
        _require_heads(width, config.heads)
        self.behind = config.window - 1 if config.causal else config.window // 2
        self.ahead = 0 if config.causal else config.window // 2
        self.layers = nn.ModuleList(
            Attention(width, config.heads, config.dropout) for _ in range(config.layers)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(config.layers))
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, exists: Tensor, seen: Tensor) -> Tensor:
        ignored, distance = unseen(seen), distances(x)
        apart = (distance > self.ahead) | (distance < -self.behind)
        for attention, norm in zip(self.layers, self.norms, strict=True):
            normed = norm(x)
            x = x + self.dropout(attention(normed, normed, ignored, apart))
        return x


def _require_heads(size: int, heads: int) -> None:
    if size % heads:
        raise UsageError(
            f"{heads} attention heads do not divide a width of {size}",
            "set the block's heads to a divisor, or its size",
        )


def _positions(length: int, size: int, device: torch.device) -> Tensor:
    """float32 [length, size], sines and cosines (Vaswani et al. 2017, section 3.5)."""
    at = torch.arange(length, dtype=torch.float32, device=device)[:, None]
    half = (size + 1) // 2
    rate = torch.exp(torch.arange(half, device=device) * (-math.log(10000.0) / half))
    return torch.cat((torch.sin(at * rate), torch.cos(at * rate)), dim=1)[:, :size]
