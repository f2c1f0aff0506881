"""Heads: pooling against literal computations, bounds, precision."""

import copy

import pytest
import torch

from avaffect.networks.blocks import MaskedBatchNorm
from avaffect.networks.heads import POOLS, TaskHead
from avaffect.recipes.recipe import Head
from avaffect.tasks.va import VA

# By pool, what comes out of 5 features.
SIZES = {"mean": 5, "attention": 5, "statistics": 15, "attentive_statistics": 10}


@pytest.fixture
def frames():
    """Windows, where they are seen; of the last nothing is."""
    torch.manual_seed(0)
    x, seen = torch.randn(4, 6, 5) - 2, torch.rand(4, 6) > 0.4
    seen[0], seen[1, 2:], seen[3] = True, False, False
    seen[1, 0] = True
    return x, seen


def test_no_pool_is_a_row_a_frame(frames) -> None:
    x, seen = frames
    assert POOLS["none"](5)(x, seen) is x


@pytest.mark.parametrize("kind", list(SIZES))
def test_pools(kind, frames) -> None:
    x, seen = frames
    pool = POOLS[kind](5)
    out = pool(x, seen)
    for b in range(3):
        rows = x[b][seen[b]]
        if kind == "mean":
            expected = rows.mean(0)
        elif kind == "attention":
            scores = torch.exp(pool.score(rows)[:, 0])
            expected = (scores[:, None] / scores.sum() * rows).sum(0)
        elif kind == "attentive_statistics":
            weights = torch.exp(pool.score(rows))
            weights = weights / weights.sum()
            mean = (weights * rows).sum(0)
            spread = (weights * (rows - mean) ** 2).sum(0)
            expected = torch.cat([mean, (spread + 1e-5).sqrt()])
        else:
            spread = rows.var(0, unbiased=False)
            expected = torch.cat([rows.mean(0), (spread + 1e-5).sqrt(), rows.amax(0)])
        torch.testing.assert_close(out[b, 0], expected, rtol=1e-4, atol=1e-5)
    assert out.shape == (4, 1, pool.size) == (4, 1, SIZES[kind])
    assert torch.isfinite(out).all()
    # What is not seen changes nothing.
    other = x.masked_fill(~seen[..., None], 1e3)
    torch.testing.assert_close(pool(other, seen)[:3], out[:3])


@pytest.mark.parametrize("kind", ["mean", "statistics"])
def test_pools_of_nothing_are_small_numbers(kind: str, frames) -> None:
    x, seen = frames
    assert POOLS[kind](5)(x, seen)[3].abs().max() < 0.01


def test_a_pooled_window_holds_for_all_its_frames(frames) -> None:
    for kind in SIZES:
        out = TaskHead(5, 3, Head(pool=kind))(*frames)
        assert out.shape == (4, 6, 3)
        assert (out == out[:, :1]).all()


def test_values_are_bounded_and_logits_are_not(frames) -> None:
    x, seen = frames
    bounded, free = TaskHead(5, 2, Head(), squash=VA.squash), TaskHead(5, 2, Head())
    free.load_state_dict(bounded.state_dict())
    torch.testing.assert_close(bounded(x, seen), torch.tanh(free(x, seen)))
    assert bounded(x * 1000, seen).abs().max() <= 1
    assert free(x * 1000, seen).abs().max() > 100
    assert bounded.layers is None


def test_layers_of_a_head(frames) -> None:
    x, seen = frames
    config = Head(units=(4, 3), activation="prelu", dropout=0.25, norm="batch")
    head = TaskHead(5, 2, config, squash=VA.squash)
    assert [tuple(layer.weight.shape) for layer in head.layers.layers] == [(4, 5), (3, 4)]
    assert [part.dropout.p for part in head.layers.after] == [0.25, 0.25]
    assert all(isinstance(part.batch, MaskedBatchNorm) for part in head.layers.after)
    assert (head.out.in_features, head.out.out_features) == (3, 2)
    # Batch norm counts the seen frames.
    outs, means = [], []
    for values in (x, x.masked_fill(~seen[..., None], 1e3)):
        twin = copy.deepcopy(head)
        torch.manual_seed(1)
        outs.append(twin(values, seen)[seen])
        means.append(twin.layers.after[0].batch.running_mean)
    torch.testing.assert_close(*outs)
    torch.testing.assert_close(*means)


def test_dropout_and_norm_behind_the_pool(frames) -> None:
    x, seen = frames
    head = TaskHead(5, 2, Head(pool="mean", out_norm="layer", out_dropout=0.5))
    assert not torch.allclose(head(x, seen), head(x, seen))
    mean = POOLS["mean"](5)(x, seen)
    head.eval()
    norm = torch.nn.functional.layer_norm(mean, (5,))
    torch.testing.assert_close(head(x, seen), head.out(norm).expand(-1, 6, -1))


def test_the_last_layer_is_in_full_precision(frames) -> None:
    x, seen = frames
    head = TaskHead(5, 2, Head(pool="mean"))
    with torch.autocast("cpu", torch.bfloat16):
        out = head(x, seen)
    assert out.dtype == torch.float32
    torch.testing.assert_close(out, head(x, seen), rtol=1e-6, atol=1e-6)
