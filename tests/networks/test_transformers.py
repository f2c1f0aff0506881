"""Blocks of attention: who sees whom, and against torch's own transformer."""

import pytest
import torch
from torch import nn

from avaffect.errors import UsageError
from avaffect.networks.attention import DecoderLayer, EncoderLayer
from avaffect.networks.blocks import build_block
from avaffect.networks.transformers import TimePosition
from avaffect.recipes.blocks import EncoderDecoder, LocalAttention

EVERY = torch.ones(2, 9, dtype=torch.bool)
# Not the same in all features, which a norm would take away.
STEP = torch.tensor([3.0, -2.0, 0.0, 1.0, -4.0, 2.0])


def windows(frames=9, width=6, seed=0):
    return torch.randn(2, frames, width, generator=torch.Generator().manual_seed(seed))


def depends(block, at, *, target=None, seen=EVERY):
    """Frames of the output that change where frame ``at`` of the input does."""
    block.eval()
    x, y = windows(), windows()
    y[:, at] += STEP
    extra = () if target is None else (target,)
    changed = (block(x, EVERY, seen, *extra) - block(y, EVERY, seen, *extra)).abs().amax((0, 2))
    return torch.nonzero(changed > 1e-6)[:, 0].tolist()


def block_of(config, width=6, target=None):
    torch.manual_seed(0)
    return build_block(width, config, target)


@pytest.mark.parametrize(
    ("causal", "window", "at", "expected"),
    [
        (True, 3, 4, [4, 5, 6]),
        (True, 1, 4, [4]),
        (False, 3, 4, [3, 4, 5]),
        (False, 5, 0, [0, 1, 2]),
        (True, 4, 8, [8]),
    ],
)
def test_local_attention_reaches_its_window(causal: bool, window: int, at: int, expected) -> None:
    config = LocalAttention(window=window, layers=1, causal=causal)
    assert depends(block_of(config), at) == expected


def test_two_layers_reach_twice_as_far() -> None:
    assert depends(block_of(LocalAttention(window=3, layers=2)), 4) == [2, 3, 4, 5, 6]


def test_a_wide_window_is_plain_attention() -> None:
    config = LocalAttention(window=99, layers=1)
    block = block_of(config).eval()
    x = windows()
    plain = x + block.layers[0](block.norms[0](x), block.norms[0](x), ~EVERY)
    torch.testing.assert_close(block(x, EVERY, EVERY), plain)


@pytest.mark.parametrize(
    "config",
    [
        LocalAttention(window=3, heads=2),
        EncoderDecoder(layers=1, heads=2, feedforward=8, dropout=0),
        EncoderDecoder(size=4, layers=1, heads=2, feedforward=8, dropout=0, position="time"),
    ],
)
def test_what_is_not_seen_changes_nothing_and_everything_is_a_number(config) -> None:
    block = block_of(config).eval()
    seen = EVERY.clone()
    seen[:, 3] = False
    x, y = windows(), windows()
    y[:, 3] += 100
    first, second = block(x, EVERY, seen), block(y, EVERY, seen)
    torch.testing.assert_close(first[seen], second[seen])
    assert torch.isfinite(block(x, EVERY, torch.zeros_like(seen))).all()


def test_padding_changes_nothing() -> None:
    config = EncoderDecoder(layers=2, heads=2, feedforward=8, position="time")
    block = block_of(config).eval()
    exists = torch.ones(2, 12, dtype=torch.bool)
    exists[:, 9:] = False
    x = windows(12)
    torch.testing.assert_close(
        block(x, exists, exists)[:, :9], block(x[:, :9], EVERY, EVERY), rtol=1e-4, atol=1e-5
    )


def test_the_decoder_reads_its_target_and_the_encoder_the_input() -> None:
    config = EncoderDecoder(layers=1, heads=2, feedforward=8, dropout=0)
    block = block_of(config, target=5).eval()
    assert block.size == 6
    target = windows(width=5, seed=1)
    # Through the encoder every frame reaches every other.
    assert depends(block, 4, target=target) == list(range(9))
    other = target.clone()
    other[:, 2] += STEP[:5]
    x = windows()
    assert (block(x, EVERY, EVERY, target) - block(x, EVERY, EVERY, other)).abs().max() > 1e-3


def test_a_causal_decoder_sees_no_later_frames() -> None:
    config = EncoderDecoder(layers=1, heads=2, feedforward=8, dropout=0, causal=True)
    block = block_of(config, target=6).eval()
    target = windows(seed=1)
    other = target.clone()
    other[:, 4] += STEP
    x = windows()
    changed = (block(x, EVERY, EVERY, target) - block(x, EVERY, EVERY, other)).abs().amax((0, 2))
    assert torch.nonzero(changed > 1e-6)[:, 0].tolist() == [4, 5, 6, 7, 8]


def test_heads_must_divide() -> None:
    with pytest.raises(UsageError, match="4 attention heads do not divide a width of 6"):
        block_of(EncoderDecoder(heads=4))
    with pytest.raises(UsageError, match="do not divide"):
        block_of(LocalAttention(heads=4))


def test_the_layers_are_those_of_torch() -> None:
    """With torch's weights ours give what its pre-norm layers give."""
    torch.manual_seed(0)
    theirs = nn.TransformerDecoderLayer(6, 2, 8, 0.0, batch_first=True, norm_first=True).eval()
    ours = DecoderLayer(6, 2, 8, 0.0).eval()
    _put_attention(ours.attention, theirs.self_attn)
    _put_attention(ours.across, theirs.multihead_attn)
    _put_dense(ours.dense, theirs)
    for mine, norm in zip(ours.norms, (theirs.norm1, theirs.norm2, theirs.norm3), strict=True):
        mine.load_state_dict(norm.state_dict())
    x, memory = windows(), windows(seed=2)
    ignored = ~EVERY
    ignored[0, 7:] = True
    expected = theirs(x, memory, tgt_key_padding_mask=ignored, memory_key_padding_mask=ignored)
    torch.testing.assert_close(ours(x, memory, ignored), expected, rtol=1e-4, atol=1e-5)

    coder = nn.TransformerEncoderLayer(6, 2, 8, 0.0, batch_first=True, norm_first=True).eval()
    our_coder = EncoderLayer(6, 2, 8, 0.0).eval()
    _put_attention(our_coder.attention, coder.self_attn)
    _put_dense(our_coder.dense, coder)
    for mine, norm in zip(our_coder.norms, (coder.norm1, coder.norm2), strict=True):
        mine.load_state_dict(norm.state_dict())
    with torch.enable_grad():  # torch's fast path takes other roads
        expected = coder(x, src_key_padding_mask=ignored)
    torch.testing.assert_close(our_coder(x, ignored), expected, rtol=1e-4, atol=1e-5)


def _put_attention(mine, other):
    with torch.no_grad():
        for layer, weight, bias in zip(
            (mine.query, mine.key, mine.value),
            other.in_proj_weight.chunk(3),
            other.in_proj_bias.chunk(3),
            strict=True,
        ):
            layer.weight.copy_(weight)
            layer.bias.copy_(bias)
    mine.out.load_state_dict(other.out_proj.state_dict())


def _put_dense(mine, other):
    mine[0].load_state_dict(other.linear1.state_dict())
    mine[3].load_state_dict(other.linear2.state_dict())


def test_positions_go_from_nought_to_one_in_every_window() -> None:
    torch.manual_seed(0)
    position = TimePosition(5).eval()
    long, short = torch.ones(1, 11, dtype=torch.bool), torch.ones(1, 11, dtype=torch.bool)
    short[:, 6:] = False
    a, b = position(long), position(short)
    assert a.shape == (1, 11, 5)
    # The sixth of eleven and the third of six frames... are at half and two fifths.
    torch.testing.assert_close(a[0, 10], b[0, 5])
    torch.testing.assert_close(a[0, 2], b[0, 1])
    assert torch.isfinite(position(torch.zeros(1, 3, dtype=torch.bool))).all()
    position.train()
    position(long).sum().backward()
    assert position.rate.grad.abs().sum() > 0
