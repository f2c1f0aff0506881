"""Attention over frames.

torch's own modules fix the number of frames when they are exported to ONNX; these do not.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Attention(nn.Module):
    """Scaled dot-product attention with several heads (Vaswani et al. 2017, section 3.2).

    Args:
        size: width of queries, keys and output.
        heads: must divide ``size``.
        dropout: on the weights.
    """

    def __init__(self, size: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.query, self.key, self.value, self.out = (nn.Linear(size, size) for _ in range(4))

    def forward(self, x: Tensor, keys: Tensor, ignored: Tensor) -> Tensor:
        """What each frame of ``x`` [B, T, size] gathers from ``keys`` [B, S, size].

        Args:
            x: queries.
            keys: keys and values.
            ignored: bool [B, S], keys to leave out; a window must keep at least one.

        Returns:
            As ``x``.
        """
        query = self._split(self.query(x))
        key, value = self._split(self.key(keys)), self._split(self.value(keys))
        # Finite, since the half precisions' infinities turn into NaN on some devices.
        bias = torch.zeros_like(ignored, dtype=query.dtype).masked_fill(ignored, -1e4)
        gathered = functional.scaled_dot_product_attention(
            query,
            key,
            value,
            bias[:, None, None],
            dropout_p=self.dropout if self.training else 0.0,
        )
        joined = gathered.transpose(1, 2).reshape(x.shape[0], x.shape[1], -1)
        out: Tensor = self.out(joined)
        return out

    def _split(self, x: Tensor) -> Tensor:
        """[B, heads, T, size / heads]."""
        return x.reshape(x.shape[0], x.shape[1], self.heads, -1).transpose(1, 2)


class EncoderLayer(nn.Module):
    """Self-attention and two dense layers, each behind a norm and beside a shortcut.

    Args:
        size: width.
        heads: must divide ``size``.
        feedforward: width between the dense layers.
        dropout: on weights, inside the dense layers and on what joins the shortcut.
    """

    def __init__(self, size: int, heads: int, feedforward: int, dropout: float) -> None:
        super().__init__()
        self.attention = Attention(size, heads, dropout)
        self.norms = nn.ModuleList(nn.LayerNorm(size) for _ in range(2))
        self.dense = nn.Sequential(
            nn.Linear(size, feedforward),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(feedforward, size),
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, ignored: Tensor) -> Tensor:
        """[B, T, size] from the same; ``ignored`` bool [B, T]."""
        normed = self.norms[0](x)
        x = x + self.dropout(self.attention(normed, normed, ignored))
        return x + self.dropout(self.dense(self.norms[1](x)))
