"""Fusions: literal computations, and what is not seen."""

import pytest
import torch

from avaffect.networks.fusion import FUSIONS, Concatenate, CrossAttention, Gated
from avaffect.recipes.recipe import Fusion

WIDTHS = (3, 5, 2)


@pytest.fixture
def parts():
    """Branches of other widths, and where they are seen; of one frame none is."""
    torch.manual_seed(0)
    branches = [torch.randn(4, 6, width) for width in WIDTHS]
    seen = [torch.rand(4, 6) > 0.4 for _ in WIDTHS]
    for mask in seen:
        mask[0, 0] = False
        mask[0, 1] = True
    return branches, seen


def test_concatenation(parts) -> None:
    branches, seen = parts
    fusion = Concatenate(WIDTHS, Fusion())
    out = fusion(branches, seen)
    assert fusion.size == 10
    expected = torch.cat([x.masked_fill(~s[..., None], 0) for x, s in zip(*parts, strict=True)], 2)
    torch.testing.assert_close(out, expected)
    assert list(fusion.parameters()) == []


def test_gates_are_a_softmax_over_those_seen(parts) -> None:
    branches, seen = parts
    fusion = Gated(WIDTHS, Fusion("gated", 4))
    out = fusion(branches, seen)
    assert (fusion.size, out.shape) == (4, (4, 6, 4))
    for b in range(4):
        for t in range(6):
            there = [i for i in range(3) if seen[i][b, t]]
            if not there:
                assert (out[b, t] == 0).all()
                continue
            gates = torch.cat([fusion.gates[i](branches[i][b, t]) for i in there])
            weights = torch.exp(gates) / torch.exp(gates).sum()
            torch.testing.assert_close(weights.sum(), torch.tensor(1.0))
            values = [fusion.enter[i](branches[i][b, t]) for i in there]
            expected = sum(w * v for w, v in zip(weights, values, strict=True))
            torch.testing.assert_close(out[b, t], expected)


def test_gates_sum_to_one_where_anything_is_seen(parts) -> None:
    """Branches that agree are given back as they are."""
    branches, seen = parts
    fusion = Gated(WIDTHS, Fusion("gated", 4))
    for enter in fusion.enter:
        torch.nn.init.zeros_(enter.weight)
        enter.bias.data = torch.tensor([1.0, 2, 3, 4])
    out = fusion(branches, seen)
    anything = torch.stack(seen).any(0)
    torch.testing.assert_close(
        out[anything], torch.tensor([1.0, 2, 3, 4]).expand_as(out[anything])
    )
    assert (out[~anything] == 0).all()


def test_cross_attention_is_the_literal_one(parts) -> None:
    branches, seen = parts
    seen[0][1] = seen[1][2] = seen[2][2] = False
    fusion = CrossAttention(WIDTHS, Fusion("cross_attention", 4, 2)).eval()
    out = fusion(branches, seen)
    assert (fusion.size, out.shape) == (12, (4, 6, 12))
    for b in range(4):
        values = [enter(x[b]) for enter, x in zip(fusion.enter, branches, strict=True)]
        expected = []
        for i in range(3):
            keys = torch.cat([values[j][seen[j][b]] for j in range(3) if j != i])
            heard = torch.zeros(6, 4)
            if len(keys):
                none = torch.zeros(1, len(keys), dtype=torch.bool)
                heard = fusion.attention[i](values[i][None], keys[None], none)[0]
            own = fusion.norms[i](values[i] + heard)
            expected.append(own.masked_fill(~seen[i][b][:, None], 0))
        torch.testing.assert_close(out[b], torch.cat(expected, dim=1))


def test_one_branch_attends_to_itself(parts) -> None:
    (x, *_), (seen, *_) = parts
    fusion = CrossAttention(WIDTHS[:1], Fusion("cross_attention", 4, 2)).eval()
    value = fusion.enter[0](x)
    expected = fusion.norms[0](value + fusion.attention[0](value, value, ~seen))
    torch.testing.assert_close(fusion([x], [seen])[seen], expected[seen])


@pytest.mark.parametrize("kind", list(FUSIONS))
def test_what_is_not_seen_and_its_gradient(kind, parts) -> None:
    branches, seen = parts
    fusion = FUSIONS[kind](WIDTHS, Fusion(kind, 4, 2))
    inputs = [x.clone().requires_grad_() for x in branches]
    out = fusion(inputs, seen)
    out.square().sum().backward()
    other = [x.masked_fill(~s[..., None], 1e3) for x, s in zip(*parts, strict=True)]
    torch.testing.assert_close(fusion(other, seen), out)
    for x, there in zip(inputs, seen, strict=True):
        assert (x.grad[~there] == 0).all()
        assert (x.grad[there] != 0).any()


@pytest.mark.parametrize("kind", list(FUSIONS))
def test_dropout_is_for_training_only(kind, parts) -> None:
    fusion = FUSIONS[kind](WIDTHS, Fusion(kind, 4, 2, dropout=0.5))
    assert not torch.allclose(fusion(*parts), fusion(*parts))
    fusion.eval()
    torch.testing.assert_close(fusion(*parts), fusion(*parts))
