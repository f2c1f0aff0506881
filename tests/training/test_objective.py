"""From a batch to a loss: what is judged, modality dropout and mixup, by plain arithmetic."""

import numpy as np
import pytest
import torch

from avaffect.datasets.clip import Dataset
from avaffect.networks.network import AffectNetwork
from avaffect.recipes.library import parse_recipe
from avaffect.training.augment import mixing
from avaffect.training.balance import LabelWeights
from avaffect.training.losses import build_loss
from avaffect.training.objective import Objective
from avaffect.windows.batch import Batch
from avaffect.windows.cut import cut
from avaffect.windows.reader import WindowReader

ALIKE = LabelWeights()
WIDTHS = {"va": 2, "expr": 3, "au": 2}
OFF = "branches.voice.layers.0.dropout=0"


@pytest.fixture
def made(recipe, dataset: Dataset):
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


def test_the_loss_is_the_weighted_sum_over_valid_cells(made) -> None:
    objective, batch = made("tasks.va.weight=2", "tasks.va.terms={mse: 1}", "tasks.au.weight=0.5")
    loss, parts = objective(batch)
    outputs = objective.network(batch.inputs, batch.seen, batch.exists)
    va, true = outputs["va"].detach().numpy(), batch.targets["va"].numpy()
    valid = batch.valid["va"].numpy()
    assert 0 < valid.sum() < valid.size
    per_dimension = [np.mean((va - true)[..., d][valid[..., d]] ** 2) for d in (0, 1)]
    assert parts["va"] == pytest.approx(np.mean(per_dimension), rel=1e-2)
    assert loss.item() == pytest.approx(2 * parts["va"] + parts["expr"] + 0.5 * parts["au"])
    assert not any(part.requires_grad for part in parts.values())
    loss.backward()
    grads = [parameter.grad for parameter in objective.network.parameters()]
    assert all(grad is not None and torch.isfinite(grad).all() for grad in grads)


def test_frames_whose_only_modality_was_dropped_are_not_judged(made) -> None:
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


def test_modality_dropout_changes_training_and_not_the_batch(made) -> None:
    plain, batch = made()
    dropping, _ = made("train.modality_dropout=0.9")
    before = {name: mask.clone() for name, mask in batch.seen.items()}
    torch.manual_seed(0)
    assert dropping(batch)[0] != plain(batch)[0]
    assert all(torch.equal(mask, before[name]) for name, mask in batch.seen.items())


def test_mixup_by_hand(made) -> None:
    objective, batch = made("train.augment.mixup=0.5", tasks=("expr",))
    network = objective.network.eval()
    torch.manual_seed(5)
    loss, _ = objective(batch)
    torch.manual_seed(5)
    share, other = mixing(len(batch), 0.5)
    assert 0.5 <= share < 1
    features = network.standardise(batch.inputs, batch.seen)
    mixed = {name: share * x + (1 - share) * x[other] for name, x in features.items()}
    seen = {name: mask | mask[other] for name, mask in batch.seen.items()}
    logits = network.decide(mixed, seen, batch.exists | batch.exists[other])["expr"]
    surprise = -logits.log_softmax(-1)
    expected = 0.0
    for weight, order in ((share, torch.arange(len(batch))), (1 - share, other)):
        target, valid = batch.targets["expr"][order], batch.valid["expr"][order]
        picked = surprise.gather(2, target.clamp(min=0)[..., None])[..., 0]
        expected += weight * picked[valid].mean()
    torch.testing.assert_close(loss, expected)


# The papers' ways: heads beside the main ones, polarity, class Other, pictures.

CHAIN = {
    "first": {"features": ["a"], "layers": [{"kind": "mlp", "units": [5]}], "fused": False},
    "second": {"input": "first", "layers": [{"kind": "mlp", "units": [6]}]},
    "third": {"input": "first", "layers": [{"kind": "mlp", "units": [4]}]},
}
SINGLE = {"a": {"features": ["a"], "layers": [{"kind": "mlp", "units": [8]}]}}
NET = {"kind": "backbone", "net": "mobilenet_v2", "pretrained": False, "size": 32}


def an_objective(branches, task="va", terms=None, loss=None, **more):
    tree = {
        "name": "paper",
        "branches": branches,
        "tasks": {task: {"terms": terms or {"mse": 1}, **(loss or {})}},
        **more,
    }
    recipe = parse_recipe(tree, "'paper'")
    torch.manual_seed(0)
    outputs = {task: {"va": 2, "expr": 8, "au": 3}[task]}
    network = AffectNetwork(recipe, {name: 4 for name in recipe.roots}, outputs)
    losses = {task: build_loss(task, recipe.tasks[task], ALIKE)}
    return Objective(network, losses)


def a_batch(objective, targets, inputs=None, frames=6):
    """Two windows, of which one frame is not seen."""
    chance = torch.Generator().manual_seed(2)
    roots = objective.network.recipe.roots
    rows = torch.randn(2, frames, 4, generator=chance) if inputs is None else inputs
    there = torch.ones(2, frames, dtype=torch.bool)
    there[1, 2] = False
    valid = {
        task: there if x.ndim == 2 else there[..., None].expand_as(x)
        for task, x in targets.items()
    }
    place = torch.zeros(2, dtype=torch.int64)
    return Batch(
        dict.fromkeys(roots, rows),
        dict.fromkeys(roots, there),
        torch.ones_like(there),
        targets,
        valid,
        place,
        place,
    )


def values(frames=6):
    """Between the extremes; both reach them in a frame or two."""
    va = torch.rand(2, frames, 2, generator=torch.Generator().manual_seed(4)) * 1.6 - 0.8
    va[0, 0, 0], va[0, 1, 0], va[1, 0, 1] = 1.0, -1.0, 1.0
    return va


@pytest.mark.parametrize("fusion", ["concat", "stacked"])
def test_the_loss_is_the_mean_over_the_main_and_the_auxiliary_heads(fusion: str) -> None:
    objective = an_objective(CHAIN, auxiliary=["second", "third"], fusion={"kind": fusion})
    batch = a_batch(objective, {"va": values()})
    loss, parts = objective(batch)
    network = objective.network
    features = network.standardise(batch.inputs, batch.seen)
    out = network.outputs(features, batch.seen, batch.exists)
    every = [out.main["va"], out.auxiliary["second"]["va"], out.auxiliary["third"]["va"]]
    seen = batch.valid["va"]
    errors = [(predicted - batch.targets["va"])[seen].square().mean() for predicted in every]
    assert len({round(error.item(), 6) for error in errors}) == 3
    torch.testing.assert_close(loss, torch.stack(errors).mean())
    torch.testing.assert_close(parts["va"], errors[0].detach())


def gradients(objective, part):
    """The largest gradient of the parts of the head whose names begin so."""
    head = objective.network.heads["va"][0]
    return [parameter.grad.abs().max() for parameter in getattr(head, part).parameters()]


def test_polarity_is_trained_alone_at_first() -> None:
    objective = an_objective(SINGLE, terms={"ccc": 1}, polarity={"epochs": 2, "units": [8]})
    batch = a_batch(objective, {"va": values()})
    for objective.epoch, alone in ((0, True), (1, True), (2, False)):
        objective.zero_grad()
        loss, parts = objective(batch)
        loss.backward()
        expected = parts["polarity"] if alone else parts["polarity"] + parts["va"]
        torch.testing.assert_close(loss.detach(), expected)
        for part in ("hidden", "values"):
            # Zeros and not None: a distributed run waits for every gradient.
            assert all((gradient == 0) == alone for gradient in gradients(objective, part))
        for part in ("looks", "classifiers"):
            assert all(gradient > 0 for gradient in gradients(objective, part))


def test_polarity_by_hand() -> None:
    objective = an_objective(SINGLE, polarity={"epochs": 0, "units": [8], "weight": 0.5})
    va = values()
    batch = a_batch(objective, {"va": va})
    loss, _ = objective(batch)
    network = objective.network
    features = network.standardise(batch.inputs, batch.seen)
    out = network.outputs(features, batch.seen, batch.exists)
    seen = batch.valid["va"]
    classes = torch.where(va == 1, 2, torch.where(va == -1, 0, 1))
    doubt = torch.nn.functional.cross_entropy(out.polarity[seen], classes[seen])
    between = seen & (classes == 1)
    assert between.sum() == seen.sum() - 3
    error = (out.main["va"] - va)[between].square().mean()
    torch.testing.assert_close(loss, error + 0.5 * doubt)


def test_extremes_change_nothing_of_the_regression() -> None:
    objective = an_objective(SINGLE, terms={"ccc": 1}, polarity={"epochs": 0, "units": [8]})
    kept, turned = values(), values()
    turned[kept.abs() == 1] *= -1
    found = []
    for va in (kept, turned):
        objective.zero_grad()
        loss, parts = objective(a_batch(objective, {"va": va}))
        loss.backward()
        grads = [p.grad for p in objective.network.heads["va"][0].values.parameters()]
        found.append((parts, torch.cat([grad.flatten() for grad in grads])))
    (first, mine), (second, theirs) = found
    assert first["va"] == second["va"] and torch.equal(mine, theirs)
    assert first["polarity"] != second["polarity"]


def test_without_labels_polarity_has_gradients_of_zero() -> None:
    objective = an_objective(SINGLE, terms={"ccc": 1}, polarity={"epochs": 1, "units": [8]})
    batch = a_batch(objective, {})
    for objective.epoch in (0, 1):
        objective.zero_grad()
        loss, _ = objective(batch)
        loss.backward()
        assert loss == 0
        assert all((parameter.grad == 0).all() for parameter in objective.network.parameters())


def test_other_threshold_leaves_out_the_class_other() -> None:
    classes = torch.tensor([[0, 7, 3, 1, 7, 6], [2, 5, 4, 7, 7, 7]])
    terms = {"cross_entropy": 1, "dice": 1}
    objective = an_objective(SINGLE, "expr", terms, loss={"other_threshold": 0.4})
    loss, _ = objective(a_batch(objective, {"expr": classes}))
    batch = a_batch(objective, {"expr": classes})
    batch.valid["expr"] = batch.valid["expr"] & (classes != 7)
    expected, _ = objective(batch)
    torch.testing.assert_close(loss, expected)
    trained = an_objective(SINGLE, "expr", terms)
    assert trained(a_batch(trained, {"expr": classes}))[0] != loss
    # Nothing but Other teaches nothing.
    loss, _ = objective(a_batch(objective, {"expr": torch.full((2, 6), 7)}))
    assert loss == 0


@pytest.mark.parametrize("term", ["cross_entropy", "focal", "dice"])
def test_other_threshold_does_not_train_the_output_of_other(term: str) -> None:
    classes = torch.tensor([[0, 7, 3, 1, 7, 6], [2, 5, 4, 7, 0, 0]])
    weights = LabelWeights(classes=np.arange(1, 9, dtype=np.float32))
    loss = {"other_threshold": 0.4}
    objective = an_objective(SINGLE, "expr", {term: 1}, loss=loss)
    objective.losses["expr"] = build_loss("expr", objective.network.recipe.tasks["expr"], weights)
    objective(a_batch(objective, {"expr": classes}))[0].backward()
    (out,) = (head.out for head in objective.network.heads["expr"])
    for parameter in (out.weight, out.bias):
        assert (parameter.grad[7] == 0).all()
        assert all(parameter.grad[number].abs().sum() > 0 for number in range(7))


def pictures(frames=6):
    drawn = torch.Generator().manual_seed(7)
    still = torch.randint(0, 256, (2, 1, 32, 32, 3), generator=drawn)
    return still.expand(-1, frames, -1, -1, -1).to(torch.uint8).contiguous()


AUGMENT = {"flip": 0.5, "rotation": 20, "crop": 0.3, "brightness": 0.3, "hue": 0.1}


def read_by_encoders(objective, batch):
    """By branch, the pictures that its encoder gets in a step."""
    found = {}

    def note(name):
        def encode(module, arguments):
            found[name] = arguments[0].clone()

        return encode

    hooks = [
        branch.encoder.register_forward_pre_hook(note(name))
        for name, branch in objective.network.branches.items()
    ]
    loss, _ = objective(batch)
    for hook in hooks:
        hook.remove()
    return found, loss


def test_pictures_are_changed_once_for_all_branches_and_frames() -> None:
    branches = {name: {"features": ["faces"], "encoder": NET} for name in ("one", "two")}
    objective = an_objective(branches, train={"augment": AUGMENT}).train()
    batch = a_batch(objective, {"va": values()}, pictures())
    before = batch.inputs["one"].clone()
    torch.manual_seed(1)
    found, loss = read_by_encoders(objective, batch)
    assert torch.isfinite(loss)
    assert torch.equal(found["one"], found["two"])
    # A still film stays still, and each window has changed in its own way.
    assert (found["one"] == found["one"][:, :1]).all()
    changed = found["one"] - before
    assert changed[0].abs().mean() > 1 and changed[1].abs().mean() > 1
    assert torch.equal(batch.inputs["one"], before)
    again, _ = read_by_encoders(objective, batch)
    assert not torch.equal(again["one"], found["one"])


def test_mixup_of_pictures() -> None:
    branches = {"one": {"features": ["faces"], "encoder": NET}}
    terms = {"cross_entropy": 1}
    objective = an_objective(branches, "expr", terms, train={"augment": {"mixup": 0.5}}).train()
    classes = torch.arange(12).reshape(2, 6) % 8
    batch = a_batch(objective, {"expr": classes}, pictures())
    seed = next(s for s in range(20) if _swapped(s))
    torch.manual_seed(seed)
    found, loss = read_by_encoders(objective, batch)
    loss.backward()
    assert torch.isfinite(loss)
    torch.manual_seed(seed)
    share, other = mixing(2, 0.5)
    faces = batch.inputs["one"].float()
    torch.testing.assert_close(found["one"], share * faces + (1 - share) * faces[other])


def _swapped(seed):
    torch.manual_seed(seed)
    share, other = mixing(2, 0.5)
    return other.tolist() == [1, 0] and 0.5 < share < 0.9


def test_uncertainty_is_learnt_beside_the_network(made) -> None:
    """Off it has no parameters; on, each task has one that starts as a weight of 1 (va: .5)."""
    plain, batch = made()
    assert list(plain.log_variances) == []
    assert len(list(plain.parameters())) == len(list(plain.network.parameters()))
    objective, batch = made("train.weighting=uncertainty")
    loss, parts = objective(batch)
    _, each = plain(batch)
    expected = 0.5 * each["va"] + each["expr"] + each["au"]
    assert loss.item() == pytest.approx(float(expected), rel=1e-5)
    assert parts["va log variance"] == 0
    loss.backward()
    grads = {task: s.grad.item() for task, s in objective.log_variances.items()}
    assert grads["expr"] == pytest.approx(0.5 - float(each["expr"]), rel=1e-5)
