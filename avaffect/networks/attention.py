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

    def forward(
        self, x: Tensor, keys: Tensor, ignored: Tensor, apart: Tensor | None = None
    ) -> Tensor:
        """The values that each frame of ``x`` [B, T, size] gathers from ``keys`` [B, S, size].

        Args:
            x: queries.
            keys: keys and values.
            ignored: bool [B, S], keys to leave out; a window must keep at least one.
            apart: bool [T, S], pairs of query and key that do not see each other. A query that is
                left without any key gathers something finite and meaningless.

        Returns:
            As ``x``.
        """
        query = self._split(self.query(x))
        key, value = self._split(self.key(keys)), self._split(self.value(keys))
        # Finite, since the half precisions' infinities turn into NaN on some devices.
        out_of_sight = ignored[:, None, None]
        if apart is not None:
            out_of_sight = out_of_sight | apart[None, None]
        bias = torch.zeros_like(out_of_sight, dtype=query.dtype).masked_fill(out_of_sight, -1e4)
        gathered = functional.scaled_dot_product_attention(
            query, key, value, bias, dropout_p=self.dropout if self.training else 0.0
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
        self.dense = _dense(size, feedforward, dropout)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, ignored: Tensor) -> Tensor:
        """[B, T, size] from the same; ``ignored`` bool [B, T]."""
        normed = self.norms[0](x)
        x = x + self.dropout(self.attention(normed, normed, ignored))
        return x + self.dropout(self.dense(self.norms[1](x)))


class DecoderLayer(nn.Module):
    """An :class:`EncoderLayer` that attends to an encoder's output between its two halves.

    Args:
        size: width.
        heads: must divide ``size``.
        feedforward: width between the dense layers.
        dropout: as in :class:`EncoderLayer`.
    """

    def __init__(self, size: int, heads: int, feedforward: int, dropout: float) -> None:
        super().__init__()
        self.attention = Attention(size, heads, dropout)
        self.across = Attention(size, heads, dropout)
        self.norms = nn.ModuleList(nn.LayerNorm(size) for _ in range(3))
        self.dense = _dense(size, feedforward, dropout)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: Tensor, memory: Tensor, ignored: Tensor, later: Tensor | None = None
    ) -> Tensor:
        """[B, T, size] from the same and the encoder's [B, T, size].

        Args:
            x: what is decoded.
            memory: what the encoder gives.
            ignored: bool [B, T], frames that neither attends to.
            later: bool [T, T], see :class:`Attention`, for the self-attention.
        """
        normed = self.norms[0](x)
        x = x + self.dropout(self.attention(normed, normed, ignored, later))
        x = x + self.dropout(self.across(self.norms[1](x), memory, ignored))
        return x + self.dropout(self.dense(self.norms[2](x)))


def distances(like: Tensor) -> Tensor:
    """int64 [T, T] for ``like`` [B, T, ...]: how many frames a key (column) is behind a query."""
    at = torch.arange(like.shape[1], device=like.device)
    return at[None, :] - at[:, None]


def unseen(seen: Tensor) -> Tensor:
    """bool [B, T], the frames to leave out; of a window without a seen frame all but the first,
    since attention to nothing would be NaN."""
    first = torch.zeros_like(seen)
    first[:, 0] = True
    return ~(seen | (first & ~seen.any(1, keepdim=True)))


def _dense(size: int, feedforward: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(size, feedforward),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(feedforward, size),
    )
