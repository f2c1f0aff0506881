"""Classifiers of the extremes beside the regression."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from avaffect.networks.polarity import PolarityHead, decided, polarity_of
from avaffect.recipes.recipe import Polarity


def test_arousal_reads_the_features_of_valence_and_not_the_other_way_round() -> None:
    torch.manual_seed(0)
    head = PolarityHead(4, 2, Polarity(units=(16,)))
    x, seen = torch.randn(2, 5, 4), torch.ones(2, 5, dtype=torch.bool)
    values, logits = head(x, seen)
    assert values.shape == (2, 5, 2)
    assert logits.shape == (2, 5, 2, 3)
    assert values.abs().max() <= 1
    values[..., 1].sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in head.hidden[0].parameters())
    head.zero_grad()
    head(x, seen)[0][..., 0].sum().backward()
    assert not any(p.grad.any() for p in head.hidden[1].parameters())
    assert all(p.grad is None for p in head.looks.parameters())


@given(st.lists(st.floats(-1, 1), min_size=1), st.data())
def test_extremes_are_decided_and_the_rest_is_the_regression(values, data) -> None:
    chosen = data.draw(st.lists(st.integers(0, 2), min_size=len(values), max_size=len(values)))
    logits = torch.nn.functional.one_hot(torch.tensor(chosen), 3).float()
    found = decided(torch.tensor(values, dtype=torch.float64), logits)
    expected = np.where(np.array(chosen) == 1, values, np.array(chosen) - 1)
    np.testing.assert_array_equal(found.numpy(), expected)


def test_classes_of_targets() -> None:
    target = torch.tensor([-1.0, -0.999, 0.0, 0.999, 1.0])
    assert polarity_of(target).tolist() == [0, 1, 1, 1, 2]
