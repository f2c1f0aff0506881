"""From a batch to a loss: what is judged, modality dropout and mixup, by plain arithmetic."""

import numpy as np
import pytest
import torch

from avaffect.networks.network import AffectNetwork
from avaffect.training.augment import mixing
from avaffect.training.balance import LabelWeights
from avaffect.training.losses import build_loss
from avaffect.training.objective import Objective
from avaffect.windows.cut import cut
from avaffect.windows.reader import WindowReader

ALIKE = LabelWeights()
WIDTHS = {"va": 2, "expr": 3, "au": 2}
OFF = "branches.voice.layers.0.dropout=0"


@pytest.fixture
def made(recipe, dataset):
    """Objective and batch of a recipe with changes."""

    def make(*changes, tasks=("va", "expr", "au")):
        chosen = recipe(OFF, *changes, tasks=tasks)
        clips = dataset.of("train")
        widths = {task: WIDTHS[task] for task in tasks}
        reader = WindowReader(
            clips, chosen.branches, cut([clip.frames for clip in clips], 12, 4), widths
        )
        torch.manual_seed(0)
        network = AffectNetwork(chosen, reader.widths, widths)
        losses = {t: build_loss(t, config, ALIKE) for t, config in chosen.tasks.items()}
        return Objective(network, losses), reader[list(range(len(reader)))]

    return make


def test_the_loss_is_the_weighted_sum_over_valid_cells(made):
    objective, batch = made("tasks.va.weight=2", "tasks.va.terms={mse: 1}", "tasks.au.weight=0.5")
    loss, parts = objective(batch)
    outputs = objective.network(batch.inputs, batch.seen, batch.exists)
    va, told = outputs["va"].detach().numpy(), batch.targets["va"].numpy()
    valid = batch.valid["va"].numpy()
    assert 0 < valid.sum() < valid.size
    per_dimension = [np.mean((va - told)[..., d][valid[..., d]] ** 2) for d in (0, 1)]
    assert parts["va"] == pytest.approx(np.mean(per_dimension), rel=1e-2)
    assert loss.item() == pytest.approx(2 * parts["va"] + parts["expr"] + 0.5 * parts["au"])
    assert not any(part.requires_grad for part in parts.values())
    loss.backward()
    grads = [one.grad for one in objective.network.parameters()]
    assert all(grad is not None and torch.isfinite(grad).all() for grad in grads)


def test_frames_whose_only_modality_was_dropped_are_not_judged(made):
    objective, batch = made(tasks=("expr",))
    network = objective.network
    dropped = {"voice": batch.seen["voice"], "face": batch.seen["face"] & False}
    network.drop_modalities = lambda seen, chance, generator=None: dropped
    loss, _ = objective(batch)
    outputs = network(batch.inputs, dropped, batch.exists)
    judged = batch.valid["expr"] & batch.seen["voice"]
    assert 0 < judged.sum() < batch.valid["expr"].sum()
    expected = torch.nn.functional.cross_entropy(
        outputs["expr"][judged], batch.targets["expr"][judged]
    )
    torch.testing.assert_close(loss, expected)


def test_modality_dropout_changes_training_and_not_the_batch(made):
    plain, batch = made()
    dropping, _ = made("train.modality_dropout=0.9")
    before = {name: one.clone() for name, one in batch.seen.items()}
    torch.manual_seed(0)
    assert dropping(batch)[0] != plain(batch)[0]
    assert all(torch.equal(one, before[name]) for name, one in batch.seen.items())


def test_mixup_by_hand(made):
    objective, batch = made("train.augment.mixup=0.5", tasks=("expr",))
    network = objective.network.eval()
    torch.manual_seed(5)
    loss, _ = objective(batch)
    torch.manual_seed(5)
    share, other = mixing(len(batch), 0.5)
    assert 0.5 <= share < 1
    features = network.standardise(batch.inputs, batch.seen)
    mixed = {name: share * x + (1 - share) * x[other] for name, x in features.items()}
    seen = {name: one | one[other] for name, one in batch.seen.items()}
    logits = network.decide(mixed, seen, batch.exists | batch.exists[other])["expr"]
    surprise = -logits.log_softmax(-1)
    expected = 0.0
    for weight, order in ((share, torch.arange(len(batch))), (1 - share, other)):
        target, valid = batch.targets["expr"][order], batch.valid["expr"][order]
        picked = surprise.gather(2, target.clamp(min=0)[..., None])[..., 0]
        expected += weight * picked[valid].mean()
    torch.testing.assert_close(loss, expected)
