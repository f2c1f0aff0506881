"""Blocks: each against torch's own module with the same weights, masks included."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from avaffect.networks.blocks import (
    ACTIVATIONS,
    BLOCKS,
    DenseBlock,
    LastPReLU,
    MaskedBatchNorm,
    build_block,
    lengthen,
    shorten,
)
from avaffect.recipes.blocks import Dense, Recurrent, Tcn, Transformer

LENGTHS = torch.tensor([9, 4, 1, 7])
EXISTS = torch.arange(9)[None] < LENGTHS[:, None]


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def windows(width=5):
    return torch.randn(4, 9, width)


def after_layers(block):
    return [[type(module) for module in after.children()] for after in block.after]


# Batch norm.


@pytest.mark.parametrize("share", [1.0, 0.6, 0.1])
def test_batch_norm_is_torchs_over_the_seen_frames(share: float) -> None:
    ours, theirs = MaskedBatchNorm(5), nn.BatchNorm1d(5)
    for norm in (ours, theirs):
        norm.weight.data = torch.linspace(0.5, 2, 5)
        norm.bias.data = torch.linspace(-1, 1, 5)
    for _ in range(3):
        x = (torch.randn(4, 9, 5) * 3 + 7).requires_grad_()
        other = x.detach().clone().requires_grad_()
        seen = torch.rand(4, 9) < share
        seen[0, :2] = True
        found, expected = ours(x, seen)[seen], theirs(other[seen])
        torch.testing.assert_close(found, expected)
        torch.testing.assert_close(ours.running_mean, theirs.running_mean)
        torch.testing.assert_close(ours.running_var, theirs.running_var)
        weights = torch.randn_like(found)
        (found * weights).sum().backward()
        (expected * weights).sum().backward()
        torch.testing.assert_close(x.grad, other.grad, rtol=1e-4, atol=1e-5)
    ours.eval()
    theirs.eval()
    torch.testing.assert_close(ours(x, seen)[seen], theirs(other[seen]))


def test_batch_norm_without_a_mask_counts_all() -> None:
    ours, theirs = MaskedBatchNorm(5), nn.BatchNorm1d(5)
    x = torch.randn(4, 9, 5)
    torch.testing.assert_close(ours(x).flatten(0, 1), theirs(x.flatten(0, 1)))


@pytest.mark.parametrize("count", [0, 1])
def test_batch_norm_of_too_few_frames_is_that_of_evaluation(count: int) -> None:
    norm = MaskedBatchNorm(5)
    norm(torch.randn(4, 9, 5) * 3 + 7)
    before = [buffer.clone() for buffer in norm.buffers()]
    x = torch.randn(4, 9, 5, requires_grad=True)
    seen = torch.zeros(4, 9, dtype=torch.bool)
    seen[2, :count] = True
    out = norm(x, seen)
    assert all((a == b).all() for a, b in zip(before, norm.buffers(), strict=True))
    torch.testing.assert_close(out, norm.eval()(x, seen))
    out.sum().backward()
    assert torch.isfinite(x.grad).all()


def test_batch_norm_computes_in_full_precision() -> None:
    norm = MaskedBatchNorm(1)
    out = norm(torch.full((4, 300, 1), 60000.0).half() + torch.randn(4, 300, 1).half())
    assert out.dtype == torch.float32
    assert torch.isfinite(out).all()


# Activations and what follows a layer.


def test_prelu_has_a_slope_a_unit() -> None:
    prelu = LastPReLU(3)
    assert prelu.weight.tolist() == [0, 0, 0]
    prelu.weight.data = torch.tensor([0.0, 0.5, -2.0])
    x = torch.tensor([[[-1.0, -1, -1], [2, 2, 2]]])
    assert prelu(x).tolist() == [[[0, -0.5, 2], [2, 2, 2]]]
    torch.testing.assert_close(
        prelu(x), functional.prelu(x.transpose(1, 2), prelu.weight).transpose(1, 2)
    )


def test_activations() -> None:
    x = torch.randn(2, 3, 4)
    expected = {
        "none": x,
        "relu": x.clamp(min=0),
        "prelu": x.clamp(min=0),
        "gelu": functional.gelu(x),
        "tanh": x.tanh(),
    }
    assert ACTIVATIONS.keys() == expected.keys()
    for name, make in ACTIVATIONS.items():
        torch.testing.assert_close(make(4)(x), expected[name])


def test_activation_then_dropout_then_norm() -> None:
    config = Dense(units=(4,), activation="prelu", dropout=0.5, norm="batch")
    block = build_block(3, config)
    assert after_layers(block) == [[LastPReLU, nn.Dropout, MaskedBatchNorm]]
    assert block.after[0].dropout.p == 0.5
    after, x, seen = block.after[0], torch.randn(4, 9, 4), EXISTS
    state = torch.get_rng_state()
    found = after(x, seen)
    torch.set_rng_state(state)
    dropped = functional.dropout(x.clamp(min=0), 0.5)
    rows = dropped[seen]
    expected = (dropped - rows.mean(0)) / (rows.var(0, unbiased=False) + 1e-5).sqrt()
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    ("norm", "kind"), [("batch", MaskedBatchNorm), ("layer", nn.LayerNorm), ("none", None)]
)
def test_norms(norm: str, kind) -> None:
    block = build_block(3, Dense(units=(4,), norm=norm))
    norms = {type(module) for module in block.modules()} & {MaskedBatchNorm, nn.LayerNorm}
    assert norms == ({kind} if kind else set())


# Blocks.


def test_every_kind_is_built() -> None:
    kinds = ["mlp", "gru", "bigru", "lstm", "bilstm", "tcn", "transformer"]
    assert list(BLOCKS) == [*kinds, "encoder_decoder", "local_attention", "up_down"]
    made = {
        "mlp": Dense(units=(4, 6)),
        **{kind: Recurrent(kind, (4, 6)) for kind in kinds[1:5]},
        "tcn": Tcn(units=(4, 6)),
        "transformer": Transformer(size=6, heads=2),
    }
    for kind, config in made.items():
        block = build_block(5, config)
        out = block(windows(), EXISTS, EXISTS)
        size = 12 if kind.startswith("bi") else 6
        assert block.size == size
        assert out.shape == (4, 9, size)


def test_dense_layers_are_applied_to_each_frame() -> None:
    block = build_block(5, Dense(units=(4, 3), activation="tanh"))
    x = windows()
    assert isinstance(block, DenseBlock)
    first, second = block.layers
    expected = torch.stack([torch.tanh(second(torch.tanh(first(row)))) for row in x.flatten(0, 1)])
    torch.testing.assert_close(block(x, EXISTS, EXISTS), expected.reshape(4, 9, 3))


def copy_weights(block, theirs):
    """Into torch's own stack of layers from ours."""
    ways = [("", block.forwards), ("_reverse", block.backwards)]
    for suffix, layers in ways[: 2 if len(block.backwards) else 1]:
        for i, layer in enumerate(layers):
            for name, weight in layer.named_parameters():
                target = getattr(theirs, name.replace("_l0", f"_l{i}{suffix}"))
                assert target.shape == weight.shape
                target.data.copy_(weight)


@pytest.mark.parametrize("kind", ["gru", "bigru", "lstm", "bilstm"])
def test_recurrent_layers_are_torchs_with_packed_sequences(kind: str) -> None:
    block = build_block(5, Recurrent(kind, (4, 4)))
    stack = nn.GRU if "gru" in kind else nn.LSTM
    theirs = stack(5, 4, 2, batch_first=True, bidirectional=kind.startswith("bi"))
    copy_weights(block, theirs)
    assert sum(p.numel() for p in block.parameters()) == sum(
        p.numel() for p in theirs.parameters()
    )
    x = windows()
    packed = pack_padded_sequence(x, LENGTHS, batch_first=True, enforce_sorted=False)
    expected, _ = pad_packed_sequence(theirs(packed)[0], batch_first=True)
    torch.testing.assert_close(block(x, EXISTS, EXISTS)[EXISTS], expected[EXISTS])


@pytest.mark.parametrize("kind", ["lstm", "bigru"])
def test_recurrent_layers_with_shortcuts(kind: str) -> None:
    block = build_block(5, Recurrent(kind, (3, 3), residual=True, activation="tanh"))
    assert [type(skip) for skip in block.skips] == [nn.Linear, nn.Identity]
    plain = build_block(5, Recurrent(kind, (3,), activation="tanh"))
    second = build_block(block.size, Recurrent(kind, (3,), activation="tanh"))
    for layer, reference in enumerate((plain, second)):
        for ours, theirs in (
            (block.forwards, reference.forwards),
            (block.backwards, reference.backwards),
        ):
            if len(ours):
                theirs[0].load_state_dict(ours[layer].state_dict())
    x = windows()
    middle = plain(x, EXISTS, EXISTS) + block.skips[0](x)
    expected = second(middle, EXISTS, EXISTS) + middle
    torch.testing.assert_close(block(x, EXISTS, EXISTS)[EXISTS], expected[EXISTS])


def literal_convolution(x, layer, dilation, before):
    out = torch.zeros(len(x), layer.out_channels)
    for t in range(len(x)):
        for k in range(layer.kernel_size[0]):
            at = t - before + k * dilation
            if 0 <= at < len(x):
                out[t] += layer.weight[:, :, k] @ x[at]
    return out + layer.bias


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("dilate", [False, True])
@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_convolutions_are_the_literal_ones(kernel: int, dilate: bool, causal: bool) -> None:
    config = Tcn(units=(4, 4, 3), kernel=kernel, dilate=dilate, causal=causal, activation="tanh")
    block = build_block(5, config)
    assert [type(skip) for skip in block.skips] == [nn.Linear, nn.Identity, nn.Linear]
    x = windows()
    found = block(x, EXISTS, EXISTS)
    for b, length in enumerate(LENGTHS.tolist()):
        expected = x[b, :length]
        for i, layer in enumerate(block.layers):
            dilation = 2**i if dilate else 1
            before = (kernel - 1) * dilation // (1 if causal else 2)
            expected = block.skips[i](expected) + torch.tanh(
                literal_convolution(expected, layer, dilation, before)
            )
        torch.testing.assert_close(found[b, :length], expected)


@pytest.mark.parametrize("pool", [2, 3])
def test_pooling_takes_the_largest_of_frames_in_a_row(pool: int) -> None:
    config = Tcn(units=(4, 3), activation="none")
    plain, pooled = (build_block(5, replace(config, pool=n)) for n in (1, pool))
    pooled.load_state_dict(plain.state_dict())
    assert (plain.stride, pooled.stride) == (1, pool**2)
    x = windows()
    found = pooled(x, EXISTS, EXISTS)
    assert found.shape == (4, -(-9 // pool**2), 3)
    for b, length in enumerate(LENGTHS.tolist()):
        expected = x[b, :length]
        for i in range(2):
            layer, skip = plain.layers[i], plain.skips[i]
            expected = skip(expected) + literal_convolution(expected, layer, 2**i, 2**i)
            expected = torch.stack([part.amax(0) for part in expected.split(pool)])
        torch.testing.assert_close(found[b, : len(expected)], expected)
        assert (found[b, len(expected) :] == 0).all()


def test_several_convolutions_a_layer() -> None:
    config = Tcn(units=(4, 5), depth=2, kernel=3, activation="tanh", causal=True)
    block = build_block(5, config)
    assert [layer.dilation for layer in block.layers] == [(1,), (1,), (2,), (2,)]
    assert len(block.skips) == 2
    x = windows()
    found = block(x, EXISTS, EXISTS)
    assert (block.size, block.stride) == (5, 1)
    for b, length in enumerate(LENGTHS.tolist()):
        expected = x[b, :length]
        for i in range(2):
            entry = expected
            for layer in block.layers[2 * i : 2 * i + 2]:
                convolved = literal_convolution(expected, layer, 2**i, 2 * 2**i)
                expected = torch.tanh(convolved)
            expected = expected + block.skips[i](entry)
        torch.testing.assert_close(found[b, :length], expected)


def test_shortening_and_lengthening() -> None:
    mask = torch.tensor([[True, False, False, False, False, True, False]])
    assert shorten(mask, 2).tolist() == [[True, False, True, False]]
    assert shorten(mask, 3).tolist() == [[True, True, False]]
    assert shorten(mask, 1).tolist() == mask.tolist()
    x = torch.arange(6.0).reshape(1, 3, 2)
    assert lengthen(x, 2, 5)[0, :, 0].tolist() == [0, 0, 2, 2, 4]
    assert lengthen(x, 2, 5)[0, :, 1].tolist() == [1, 1, 3, 3, 5]


def test_convolutions_without_shortcuts() -> None:
    block = build_block(4, Tcn(units=(4,), residual=False))
    assert len(block.skips) == 0
    x = torch.randn(1, 6, 4)
    full = torch.ones(1, 6, dtype=torch.bool)
    expected = functional.relu(literal_convolution(x[0], block.layers[0], 1, 1))
    torch.testing.assert_close(block(x, full, full)[0], expected)


def positions(length, size):
    """Sines, then cosines, of rates that fall geometrically from 1 towards 1/10000."""
    half = size // 2
    table = torch.zeros(length, size)
    for t in range(length):
        for i in range(half):
            angle = torch.tensor(t / 10000 ** (i / half))
            table[t, i], table[t, half + i] = torch.sin(angle), torch.cos(angle)
    return table


def test_transformer_layers_are_torchs() -> None:
    config = Transformer(size=8, layers=2, heads=2, feedforward=12, dropout=0)
    block = build_block(5, config).eval()
    seen = EXISTS & (torch.rand(4, 9) > 0.3)
    seen[:, 0] = True
    x = windows()
    expected = block.enter(x) + positions(9, 8)
    for ours in block.layers:
        theirs = nn.TransformerEncoderLayer(8, 2, 12, 0, norm_first=True, batch_first=True)
        attention, own = theirs.self_attn, ours.attention
        parts = (own.query, own.key, own.value)
        attention.in_proj_weight.data = torch.cat([part.weight for part in parts])
        attention.in_proj_bias.data = torch.cat([part.bias for part in parts])
        attention.out_proj.load_state_dict(own.out.state_dict())
        theirs.linear1.load_state_dict(ours.dense[0].state_dict())
        theirs.linear2.load_state_dict(ours.dense[3].state_dict())
        theirs.norm1.load_state_dict(ours.norms[0].state_dict())
        theirs.norm2.load_state_dict(ours.norms[1].state_dict())
        expected = theirs(expected, src_key_padding_mask=~seen)
    torch.testing.assert_close(block(x, EXISTS, seen), block.leave(expected))


@pytest.mark.parametrize("size", [1, 2, 7])
def test_transformers_of_odd_sizes_and_long_windows(size: int) -> None:
    block = build_block(5, Transformer(size=size, heads=1, layers=1)).eval()
    full = torch.ones(2, 700, dtype=torch.bool)
    out = block(torch.randn(2, 700, 5), full, full)
    assert out.shape == (2, 700, size)
    assert torch.isfinite(out).all()


def test_transformers_know_the_order_of_frames() -> None:
    block = build_block(5, Transformer(size=8, heads=2, dropout=0)).eval()
    x = torch.randn(1, 9, 5)
    full = torch.ones(1, 9, dtype=torch.bool)
    turned = block(x.flip(1), full, full).flip(1)
    assert not torch.allclose(turned, block(x, full, full), atol=1e-3)


# The order of the steps, against torch's own layers in that order.


def test_dense_steps_in_mimamo_nets_order() -> None:
    config = Dense("mlp", (6, 3), "relu", 0.5, "batch", ("dropout", "dense", "norm", "activation"))
    block = build_block(5, config)
    layers = []
    for layer, after in zip(block.layers, block.after, strict=True):
        layers += [nn.Dropout(0.5), layer, nn.BatchNorm1d(layer.out_features), nn.ReLU()]
        assert layers[-2].weight.shape == after.batch.weight.shape
    x, seen = windows(), torch.ones(4, 9, dtype=torch.bool)
    for train in (True, False):
        plain = nn.Sequential(*layers).train(train)
        torch.manual_seed(1)
        found = block.train(train)(x, EXISTS, seen)
        torch.manual_seed(1)
        expected = plain(x.flatten(0, 1)).reshape(found.shape)
        torch.testing.assert_close(found, expected)
        assert found.min() == 0  # the activation is last


def test_norm_before_dropout() -> None:
    """The statistics are then those of what no dropout has touched."""
    x, seen = windows(), torch.ones(4, 9, dtype=torch.bool)
    found = []
    for dropout in (0.0, 0.5):
        torch.manual_seed(0)
        order = ("dense", "activation", "norm", "dropout")
        block = build_block(5, Dense("mlp", (8,), "relu", dropout, "batch", order))
        assert bool((block(x, EXISTS, seen) == 0).any()) == bool(dropout)
        found.append(block.after[0].batch.running_mean)
    torch.testing.assert_close(*found)


@pytest.mark.parametrize("kind", ["gru", "bilstm"])
def test_dropout_between_recurrent_layers_only(kind: str) -> None:
    seen = torch.ones(4, 9, dtype=torch.bool)
    for units, last, drops in (((4,), False, False), ((4, 4), False, True), ((4,), True, True)):
        block = build_block(5, Recurrent(kind, units, last_dropout=last, dropout=0.9))
        x = windows()
        trained, applied = (block.train(mode)(x, EXISTS, seen) for mode in (True, False))
        assert torch.allclose(trained, applied) != drops
        # Nothing of the last layer's output is zero where it is not dropped.
        assert bool((trained == 0).any()) == last


@pytest.mark.parametrize("kind", ["gru", "bigru", "lstm", "bilstm"])
def test_recurrent_layers_compute_in_float32_under_autocast(kind: str) -> None:
    """On CUDA they would compute in float16, of which a small loss leaves no gradient."""
    block = build_block(5, Recurrent(kind, (4, 3)))
    x, seen = windows(), torch.ones(4, 9, dtype=torch.bool)
    found = []
    for half in (False, True):
        block.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            out = block(x.bfloat16() if half else x.bfloat16().float(), EXISTS, seen)
        assert out.dtype == torch.float32
        (1e-3 * out.square().sum()).backward()
        grads = [parameter.grad.clone() for parameter in block.parameters()]
        found.append([out.detach(), *grads])
    for plain, mixed in zip(*found, strict=True):
        torch.testing.assert_close(mixed, plain)
