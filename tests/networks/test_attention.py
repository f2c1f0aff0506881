"""Attention: torch's, with the same weights."""

import pytest
import torch
from torch import nn

from avaffect.networks.attention import Attention, EncoderLayer


@pytest.fixture
def pair():
    """Ours and torch's with the same weights."""
    torch.manual_seed(0)
    ours, theirs = Attention(8, 2, 0.0), nn.MultiheadAttention(8, 2, batch_first=True)
    parts = (ours.query, ours.key, ours.value)
    theirs.in_proj_weight.data = torch.cat([part.weight for part in parts])
    theirs.in_proj_bias.data = torch.cat([part.bias for part in parts])
    theirs.out_proj.load_state_dict(ours.out.state_dict())
    return ours, theirs


@pytest.mark.parametrize("length", [1, 5, 12])
def test_it_is_torchs(pair, length: int) -> None:
    ours, theirs = pair
    x, keys = torch.randn(3, length, 8), torch.randn(3, 7, 8)
    ignored = torch.rand(3, 7) < 0.5
    ignored[:, 2] = False
    assert ignored.any()
    expected, _ = theirs(x, keys, keys, key_padding_mask=ignored)
    torch.testing.assert_close(ours(x, keys, ignored), expected)


def test_what_is_ignored_has_no_weight_and_no_gradient(pair) -> None:
    ours, _ = pair
    x, keys = torch.randn(2, 5, 8), torch.randn(2, 7, 8, requires_grad=True)
    ignored = torch.zeros(2, 7, dtype=torch.bool)
    ignored[:, 3] = True
    out = ours(x, keys, ignored)
    out.sum().backward()
    assert (keys.grad[:, 3] == 0).all()
    assert (keys.grad[:, 2] != 0).any()
    other = keys.detach().clone()
    other[:, 3] = 100
    torch.testing.assert_close(ours(x, other, ignored), out)


def test_all_ignored_is_finite(pair) -> None:
    out = pair[0](torch.randn(2, 5, 8), torch.randn(2, 7, 8), torch.ones(2, 7, dtype=torch.bool))
    assert torch.isfinite(out).all()


def test_dropout_is_for_training_only() -> None:
    torch.manual_seed(0)
    layer = EncoderLayer(8, 2, 16, 0.5)
    x, none = torch.randn(2, 5, 8), torch.zeros(2, 5, dtype=torch.bool)
    assert not torch.allclose(layer(x, none), layer(x, none))
    attention = layer.attention
    assert not torch.allclose(attention(x, x, none), attention(x, x, none))
    layer.eval()
    torch.testing.assert_close(layer(x, none), layer(x, none))
