"""Losses against torch, torchvision, scikit-learn, numpy and by property."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score, log_loss, mean_absolute_error, mean_squared_error
from torch.nn import functional
from torchvision.ops import sigmoid_focal_loss

from avaffect.errors import UnknownNameError, UsageError
from avaffect.metrics import scores
from avaffect.recipes.library import load_recipe
from avaffect.recipes.training import Loss
from avaffect.training.balance import LabelWeights, bin_edges, label_weights, lds_weights
from avaffect.training.losses import (
    LOSSES,
    bce,
    binary_dice,
    binary_focal,
    build_loss,
    ccc,
    cross_entropy,
    dice,
    focal,
    mae,
    mse,
    multi_task_loss,
    uncertain,
)

TASK_OF = {"values": "va", "classes": "expr", "units": "au"}
PAIRS = [(name, TASK_OF[kind]) for name, kinds in LOSSES.items() for kind in kinds]
WIDTH = {"va": 2, "expr": 4, "au": 3}
ALIKE = LabelWeights()
WEIGHTS = LabelWeights(
    classes=np.array([0.5, 1, 2, 0.5], np.float32),
    units=np.array([4, 1, 0.5], np.float32),
    bins=np.array([[0.5, 1, 2, 1], [3, 1, 0.2, 0.5]], np.float32),
)
TASKS = {
    "va": Loss({"ccc": 1}, weight=2.0),
    "expr": Loss({"focal": 1}),
    "au": Loss({"bce": 1}, weight=0.5),
}
SETTINGS = [
    {},
    {"over": "sequence", "gamma": 0.0, "smoothing": 0.1, "alpha": 0.75},
    {"gamma": 0.5, "alpha": 0.25},
]

seeds = st.integers(0, 2**32 - 1)


def make_batch(
    task, seed=0, sequences=3, frames=7, dtype=torch.float32, share=0.7
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Output, target and mask of a task; invalid targets coded as in clips."""
    rng = torch.Generator().manual_seed(seed)
    width = WIDTH[task]
    output = torch.randn(sequences, frames, width, generator=rng, dtype=dtype)
    shape = (sequences, frames) if task == "expr" else (sequences, frames, width)
    valid = torch.rand(shape, generator=rng) < share
    if task == "va":
        target = torch.rand(shape, generator=rng, dtype=dtype) * 2 - 1
        return output.tanh(), torch.where(valid, target, torch.nan), valid
    high = width if task == "expr" else 2
    target = torch.randint(0, high, shape, generator=rng)
    target = torch.where(valid, target, -1)
    return output, target if task == "expr" else target.to(torch.int8), valid


def term(name, task, weights=ALIKE, **settings):
    return build_loss(task, Loss({name: 1.0}, **settings), weights)


def value_and_gradient(loss, output, target, valid):
    output = output.clone().requires_grad_()
    value = loss(output, target, valid)
    (gradient,) = torch.autograd.grad(value, output)
    return value.detach(), gradient


@pytest.mark.parametrize("weights", [ALIKE, WEIGHTS], ids=["alike", "weighted"])
@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize(("name", "task"), PAIRS)
class TestEveryTerm:
    def test_gradient(self, name, task, settings, weights) -> None:
        loss = term(name, task, weights, **settings)
        output, target, valid = make_batch(task, dtype=torch.float64)
        output.requires_grad_()
        assert torch.autograd.gradcheck(lambda x: loss(x, target, valid), output)

    @pytest.mark.parametrize("junk", [np.nan, np.inf, 1e30])
    def test_masked_cells_change_nothing(self, name, task, settings, weights, junk) -> None:
        loss = term(name, task, weights, **settings)
        output, target, valid = make_batch(task)
        cells = valid if valid.ndim == 3 else valid[..., None].expand_as(output)
        value, gradient = value_and_gradient(loss, output, target, valid)
        assert value > 0
        assert not gradient[~cells].any()
        assert gradient[cells].any()

        output = torch.where(cells, output, junk)
        if task == "va":
            target = torch.where(valid, target, junk)
        else:
            target = torch.where(valid, target, 99)
        again, same = value_and_gradient(loss, output, target, valid)
        assert torch.equal(again, value)
        assert torch.equal(same, gradient)

    def test_nothing_valid(self, name, task, settings, weights) -> None:
        loss = term(name, task, weights, **settings)
        output, target, valid = make_batch(task, share=0.0)
        value, gradient = value_and_gradient(loss, output * torch.nan, target, valid)
        assert value == 0
        assert torch.equal(gradient, torch.zeros_like(output))

    @pytest.mark.parametrize("scale", [0, 1e2, 1e30])
    @pytest.mark.parametrize("kind", ["constant", "varied", "right"])
    def test_finite_for_extremes(
        self, name, task, settings, weights, kind: str, scale: float
    ) -> None:
        loss = term(name, task, weights, **settings)
        output, target, valid = make_batch(task, share=1.1)
        if kind == "constant":
            target = torch.full_like(target, 1)
        if kind == "right":
            output = 2.0 * (functional.one_hot(target, 4) if task == "expr" else target) - 1
        # Values of VA are bounded, logits are not.
        output = output * (min(scale, 1) if task == "va" else scale)
        value, gradient = value_and_gradient(loss, output, target, valid)
        assert torch.isfinite(value)
        assert torch.isfinite(gradient).all()
        assert value >= 0

    def test_does_not_wait_for_the_device(self, name, task, settings, weights) -> None:
        """Whatever needs a value on the host fails on tensors without values."""
        loss = term(name, task, weights, **settings).to("meta")
        output, target, valid = (each.to("meta") for each in make_batch(task))
        value, _ = value_and_gradient(loss, output, target, valid)
        assert value.shape == ()

    def test_half_precision_outputs(self, name, task, settings, weights) -> None:
        loss = term(name, task, weights, **settings)
        output, target, valid = make_batch(task)
        output = output.bfloat16()
        value, gradient = value_and_gradient(loss, output, target, valid)
        assert value.dtype == torch.float32
        assert gradient.dtype == torch.bfloat16
        assert torch.equal(value, loss(output.float(), target, valid))


class TestRegression:
    @given(seeds)
    def test_against_scikit_learn(self, seed) -> None:
        output, target, valid = make_batch("va", seed)
        valid[0, 0, 0], target[0, 0, 0] = True, 0.5
        x, y = output[valid].numpy(), target[valid].numpy()
        assert float(mse(output, target, valid)) == pytest.approx(mean_squared_error(y, x))
        assert float(mae(output, target, valid)) == pytest.approx(mean_absolute_error(y, x))

    def test_weighted_by_hand(self) -> None:
        output = torch.zeros(1, 3, 1)
        target = torch.tensor([1.0, 0.5, torch.nan]).view(1, 3, 1)
        weights = torch.tensor([2.0, 0.4, torch.nan]).view(1, 3, 1)
        valid = target.isfinite()
        # (2 * 1 + .4 * .25) / 2 cells and (2 * 1 + .4 * .5) / 2
        assert float(mse(output, target, valid, weights)) == pytest.approx(1.05)
        assert float(mae(output, target, valid, weights)) == pytest.approx(1.1)


class TestCcc:
    @given(seeds)
    def test_batch_is_the_challenges_metric(self, seed) -> None:
        output, target, valid = make_batch("va", seed)
        expected = [
            1 - scores.ccc(output[..., d][valid[..., d]], target[..., d][valid[..., d]])
            for d in (0, 1)
        ]
        assert float(ccc(output, target, valid)) == pytest.approx(np.mean(expected), abs=1e-5)

    @given(seeds)
    def test_sequences_count_by_their_valid_cells(self, seed) -> None:
        output, target, valid = make_batch("va", seed, share=0.5)
        means = []
        for d in (0, 1):
            values, cells = [], []
            for x, y, ok in zip(output[..., d], target[..., d], valid[..., d], strict=True):
                if ok.sum() >= 2:
                    values.append(1 - scores.ccc(x[ok], y[ok]))
                    cells.append(int(ok.sum()))
            if cells:
                means.append(np.average(values, weights=cells))
        found = float(ccc(output, target, valid, over="sequence"))
        assert found == pytest.approx(np.mean(means) if means else 0, abs=1e-5)

    def test_weighted_against_numpy(self) -> None:
        output, target, valid = make_batch("va", 3, dtype=torch.float64)
        weights = torch.rand(output.shape, generator=torch.Generator().manual_seed(1)) + 0.1
        expected = []
        for d in (0, 1):
            x, y, w = (each[..., d][valid[..., d]].numpy() for each in (output, target, weights))
            (xx, xy), (_, yy) = np.cov(x, y, ddof=0, aweights=w)
            shift = np.average(x, weights=w) - np.average(y, weights=w)
            expected.append(1 - 2 * xy / (xx + yy + shift**2))
        found = ccc(output, target, valid, weights)
        assert float(found) == pytest.approx(np.mean(expected), abs=1e-6)

    def test_a_weight_of_three_is_a_cell_thrice(self) -> None:
        output, target, valid = make_batch("va", 5, sequences=1, share=1.1)
        weights = torch.ones_like(output)
        weights[:, 2] = 3
        order = [0, 1, 2, 2, 2, 3, 4, 5, 6]
        thrice = ccc(output[:, order], target[:, order], valid[:, order])
        assert float(ccc(output, target, valid, weights)) == pytest.approx(float(thrice))

    @given(seeds, st.sampled_from(["batch", "sequence"]))
    def test_of_x_with_x_is_one(self, seed, over) -> None:
        _, target, valid = make_batch("va", seed)
        assert float(ccc(target.nan_to_num(), target, valid, over=over)) == pytest.approx(
            0, abs=1e-6
        )

    @given(seeds, st.floats(0.05, 1), st.sampled_from([0.3, 0.7, 1.5, 3]))
    def test_shift_and_scale_raise_the_loss(self, seed, shift, scale) -> None:
        _, target, valid = make_batch("va", seed, share=1.1)
        centred = target - target.mean((0, 1))
        assert ccc(target + shift, target, valid) > 1e-4
        assert ccc(centred * scale, centred, valid) > 1e-2
        # By the formula, for equal means: CCC = 2 s / (1 + s^2).
        expected = 1 - 2 * scale / (1 + scale**2)
        assert float(ccc(centred * scale, centred, valid)) == pytest.approx(expected, abs=1e-4)

    @given(seeds)
    def test_order_of_frames_does_not_matter(self, seed) -> None:
        output, target, valid = make_batch("va", seed)
        order = torch.randperm(21, generator=torch.Generator().manual_seed(seed))
        shuffled = (each.flatten(0, 1)[order].view(3, 7, 2) for each in (output, target, valid))
        assert float(ccc(*shuffled)) == pytest.approx(float(ccc(output, target, valid)), abs=1e-5)

    def test_far_from_zero(self) -> None:
        """Means are subtracted first: E[x^2] - E[x]^2 has no digit left here."""
        x = torch.linspace(0, 1, 50).view(1, 50, 1)
        y = x.flip(1) * 0.5 + x
        valid = torch.ones_like(x, dtype=torch.bool)
        near, far = ccc(x, y, valid), ccc(x + 1000, y + 1000, valid)
        assert float(far) == pytest.approx(float(near), abs=1e-3)

    def test_constants(self) -> None:
        flat = torch.full((2, 5, 1), 0.3)
        valid = torch.ones_like(flat, dtype=torch.bool)
        assert float(ccc(flat, flat, valid)) == pytest.approx(0, abs=1e-6)
        assert float(ccc(flat, flat + 0.5, valid)) == pytest.approx(1, abs=1e-6)
        varied = torch.linspace(-1, 1, 10).view(2, 5, 1)
        assert float(ccc(varied, flat, valid)) == pytest.approx(1, abs=1e-6)

    def test_one_cell_is_too_few(self) -> None:
        output, target, valid = make_batch("va", share=1.1)
        valid[..., 1] = False
        valid[0, 0, 1] = True
        first = ccc(output[..., :1], target[..., :1], valid[..., :1])
        value, gradient = value_and_gradient(ccc, output, target, valid)
        assert float(value) == pytest.approx(float(first))
        assert not gradient[..., 1].any()


class TestClasses:
    @given(seeds, st.booleans(), st.sampled_from([0.0, 0.1, 0.5]))
    def test_cross_entropy_is_torchs(self, seed, weighted, smoothing) -> None:
        output, target, valid = make_batch("expr", seed)
        valid[0, 0], target[0, 0] = True, 2
        weights = torch.from_numpy(WEIGHTS.classes) if weighted else None
        expected = functional.cross_entropy(
            output.flatten(0, 1),
            target.flatten(),
            weight=weights,
            ignore_index=-1,
            label_smoothing=smoothing,
        )
        found = cross_entropy(output, target, valid, weights, smoothing)
        assert float(found) == pytest.approx(float(expected), rel=1e-5)

    def test_cross_entropy_against_scikit_learn(self) -> None:
        output, target, valid = make_batch("expr", 1)
        chances = output[valid].softmax(-1).double().numpy()
        expected = log_loss(
            target[valid],
            chances / chances.sum(1, keepdims=True),
            labels=range(4),
            sample_weight=WEIGHTS.classes[target[valid]],
        )
        found = cross_entropy(output, target, valid, torch.from_numpy(WEIGHTS.classes))
        assert float(found) == pytest.approx(expected, rel=1e-5)

    @given(seeds, st.booleans())
    def test_focal_of_gamma_zero_is_cross_entropy(self, seed, weighted) -> None:
        output, target, valid = make_batch("expr", seed)
        weights = torch.from_numpy(WEIGHTS.classes) if weighted else None
        expected = cross_entropy(output, target, valid, weights)
        found = focal(output, target, valid, weights, gamma=0.0)
        assert float(found) == pytest.approx(float(expected), rel=1e-6)

    def test_focal_by_hand(self) -> None:
        # p = .8 of class 0 (weight 1) and p = .4 of class 1 (weight 3), a third frame is masked.
        output = torch.tensor([[[0.8, 0.2], [0.6, 0.4], [0.5, 0.5]]]).log()
        target = torch.tensor([[0, 1, -1]])
        found = focal(output, target, target >= 0, torch.tensor([1.0, 3.0]), gamma=2.0)
        expected = (0.2**2 * -np.log(0.8) + 3 * 0.6**2 * -np.log(0.4)) / 4
        assert float(found) == pytest.approx(expected, rel=1e-5)

    @given(seeds)
    def test_dice_of_certain_outputs_is_one_minus_f1(self, seed) -> None:
        output, target, valid = make_batch("expr", seed)
        valid[0, 0], target[0, 0] = True, 2
        decided = functional.one_hot(output.argmax(-1), 4) * 1000.0
        occur = target[valid].unique()
        expected = f1_score(
            target[valid], output.argmax(-1)[valid], labels=occur, average="macro", zero_division=0
        )
        assert float(dice(decided, target, valid)) == pytest.approx(1 - expected, abs=1e-6)

    def test_dice_by_hand(self) -> None:
        # Class 0: TP .8, FP .4, FN .2; class 1: TP .6, FP .2, FN .4; class 2 does not occur.
        output = torch.tensor([[[0.8, 0.2, 1e-9], [0.4, 0.6, 1e-9]]]).log()
        target = torch.tensor([[0, 1]])
        found = dice(output, target, target >= 0)
        assert float(found) == pytest.approx(1 - (1.6 / 2.2 + 1.2 / 1.8) / 2, rel=1e-5)


class TestUnits:
    @given(seeds, st.booleans())
    def test_bce_is_torchs(self, seed, weighted) -> None:
        output, target, valid = make_batch("au", seed)
        valid[0, 0, 0], target[0, 0, 0] = True, 1
        weights = torch.from_numpy(WEIGHTS.units) if weighted else None
        expected = functional.binary_cross_entropy_with_logits(
            output, target.clamp(0).float(), pos_weight=weights, reduction="none"
        )[valid].mean()
        assert float(bce(output, target, valid, weights)) == pytest.approx(float(expected))

    @given(seeds, st.sampled_from([None, 0.25, 0.75]), st.sampled_from([0.0, 1.0, 2.0, 3.5]))
    def test_focal_is_torchvisions(self, seed, alpha, gamma) -> None:
        output, target, valid = make_batch("au", seed)
        valid[0, 0, 0], target[0, 0, 0] = True, 1
        expected = sigmoid_focal_loss(
            output[valid],
            target[valid].float(),
            alpha=-1 if alpha is None else alpha,
            gamma=gamma,
            reduction="mean",
        )
        found = binary_focal(output, target, valid, gamma=gamma, alpha=alpha)
        assert float(found) == pytest.approx(float(expected), rel=1e-4)

    def test_focal_by_hand(self) -> None:
        # p = .7 where positive, p = .4 where negative: p_t = .7 and .6. Weight 5 of positives.
        output = torch.logit(torch.tensor([[[0.7], [0.4]]]))
        target = torch.tensor([[[1], [0]]])
        valid = target >= 0
        found = binary_focal(output, target, valid, torch.tensor([5.0]), gamma=2.0, alpha=0.75)
        expected = 5 * 0.75 * 0.3**2 * -np.log(0.7) + 0.25 * 0.4**2 * -np.log(0.6)
        assert float(found) == pytest.approx(expected / 2, rel=1e-5)

    def test_confident_errors_keep_their_gradient(self) -> None:
        output = torch.tensor([[[-200.0]]])
        target = torch.ones(1, 1, 1)
        value, gradient = value_and_gradient(binary_focal, output, target, target > 0)
        assert float(value) == 200
        assert float(gradient) == -1

    @given(seeds)
    def test_dice_of_certain_outputs_is_one_minus_f1(self, seed) -> None:
        output, target, valid = make_batch("au", seed)
        valid[0, 0, 0], target[0, 0, 0] = True, 1
        f1 = [
            f1_score(target[..., u][ok], output[..., u][ok] > 0, zero_division=0)
            for u, ok in enumerate(valid.unbind(-1))
            if (target[..., u][ok] == 1).any()
        ]
        found = binary_dice(output.sign() * 1000, target, valid)
        assert float(found) == pytest.approx(1 - np.mean(f1), abs=1e-6)


class TestBuildLoss:
    def test_sum_of_terms(self) -> None:
        output, target, valid = make_batch("va")
        config = Loss({"mse": 0.5, "ccc": 2.0, "mae": 0.0}, weight=3.0, over="sequence")
        expected = 0.5 * mse(output, target, valid) + 2 * ccc(
            output, target, valid, over="sequence"
        )
        found = build_loss("va", config, LabelWeights())(output, target, valid)
        assert found.shape == ()
        assert float(found) == pytest.approx(float(expected))

    def test_every_setting_reaches_its_term(self) -> None:
        weights = {
            t: torch.from_numpy(w) for t, w in (("expr", WEIGHTS.classes), ("au", WEIGHTS.units))
        }
        expr, au = make_batch("expr"), make_batch("au")
        for name, settings, batch, expected in [
            (
                "cross_entropy",
                {"smoothing": 0.2},
                expr,
                cross_entropy(*expr, weights["expr"], 0.2),
            ),
            ("focal", {"gamma": 1.5}, expr, focal(*expr, weights["expr"], 1.5)),
            ("focal", {"gamma": 1, "alpha": 0.9}, au, binary_focal(*au, weights["au"], 1, 0.9)),
            ("bce", {}, au, bce(*au, weights["au"])),
        ]:
            task = "expr" if batch is expr else "au"
            assert torch.equal(term(name, task, WEIGHTS, **settings)(*batch), expected)

    @pytest.mark.parametrize("name", ["mse", "mae", "ccc"])
    def test_lds_weights_each_value_by_its_bin(self, name: str) -> None:
        output, target, valid = make_batch("va", 2)
        target[0, 0], valid[0, 0] = torch.tensor([-1.0, 1.0]), True  # the outermost edges
        counts = [[4, 50, 9, 0], [1, 1, 80, 3]]
        bins = np.stack([lds_weights(row, "inverse", 3, 1.0) for row in counts])
        cells = torch.ones_like(target)
        for index in np.ndindex(*target.shape):
            if valid[index]:
                # Equal quarters of [-1, 1]; 1 itself is in the last.
                cells[index] = float(bins[index[2], min(int((target[index] + 1) / 0.5), 3)])
        function = {"mse": mse, "mae": mae, "ccc": ccc}[name]
        found = term(name, "va", LabelWeights(bins=bins))(output, target, valid)
        assert float(found) == pytest.approx(float(function(output, target, valid, cells)))
        assert float(found) != pytest.approx(float(function(output, target, valid)))

    @given(st.integers(1, 40), st.lists(st.floats(-1, 1, width=32), min_size=1))
    def test_bins_are_those_that_were_counted(self, bins, values) -> None:
        loss = term("mae", "va", LabelWeights(bins=np.arange(1, bins + 1, dtype=np.float32)[None]))
        for value in [*values, *bin_edges(bins).tolist()]:
            target = torch.tensor([[[value]]])
            number = np.histogram([np.float32(value)], bin_edges(bins))[0].argmax() + 1
            found = loss(target + 1, target, torch.ones_like(target, dtype=torch.bool))
            assert round(float(found)) == number

    def test_weights_move_with_the_module(self) -> None:
        for task in WIDTH:
            loss = build_loss(task, Loss({"mse" if task == "va" else "focal": 1}), WEIGHTS)
            assert loss.to("meta")._buffers
            devices = {b.device.type for b in loss.buffers()}
            assert devices == {"meta"}
            assert not loss.state_dict()

    def test_unknown_term(self) -> None:
        with pytest.raises(UnknownNameError, match="cross_entropy"):
            build_loss("expr", Loss({"cross_entrpy": 1}), LabelWeights())

    @pytest.mark.parametrize(
        ("name", "task", "fitting"),
        [
            ("ccc", "expr", "cross_entropy, focal, dice"),
            ("cross_entropy", "au", "bce, focal, dice"),
            ("dice", "va", "mse, mae, ccc"),
        ],
    )
    def test_term_of_another_task(self, name: str, task: str, fitting: str) -> None:
        with pytest.raises(UsageError, match=f"not for '{task}'.*{fitting}"):
            build_loss(task, Loss({name: 1}), LabelWeights())


# Of the twelve units in Aff-Wild2's training set, one over the authors' vector by its mean.
SHARES = (0.13, 0.09, 0.15, 0.24, 0.38, 0.34, 0.24, 0.03, 0.02, 0.03, 0.62, 0.1)


def test_the_weighted_loss_of_abaw3_does_not_call_all_units_present() -> None:
    """Of all predictions that do not look at the picture the best ones follow the frequencies."""
    config = load_recipe("abaw3-au-weighted-loss").tasks["au"]
    labels = (np.arange(1000)[:, None] < 1000 * np.array(SHARES)).astype(np.int8)
    loss = build_loss("au", config, label_weights("au", config, [labels], len(SHARES)))
    chances = torch.linspace(0.01, 0.99, 99)
    target = torch.from_numpy(labels).float()[None]
    best = []
    for unit in range(len(SHARES)):
        alone = torch.zeros_like(target, dtype=torch.bool)
        alone[..., unit] = True
        costs = [loss(p.logit().expand(target.shape), target, alone) for p in chances]
        best.append(float(chances[torch.stack(costs).argmin()]))
    assert max(best) < 0.5
    assert best[SHARES.index(0.62)] == max(best)
    assert max(best) - min(best) > 0.05


class TestMultiTask:
    def run(self, *without):
        batches = {task: make_batch(task) for task in TASKS}
        losses = {task: build_loss(task, c, LabelWeights()) for task, c in TASKS.items()}
        outputs = {task: batch[0].requires_grad_() for task, batch in batches.items()}
        there = [task for task in batches if task not in without]
        targets = {task: batches[task][1] for task in there}
        valid = {task: batches[task][2] for task in there}
        total, values = multi_task_loss(losses, TASKS, outputs, targets, valid)
        total.backward()
        with torch.no_grad():
            expected = {t: losses[t](outputs[t], targets[t], valid[t]) for t in there}
        return total.detach(), values, outputs, expected

    def test_weighted_sum(self) -> None:
        total, values, outputs, expected = self.run()
        assert values.keys() == expected.keys()
        for task, value in values.items():
            assert not value.requires_grad
            assert torch.equal(value, expected[task])
        by_hand = 2 * expected["va"] + expected["expr"] + 0.5 * expected["au"]
        assert float(total) == pytest.approx(float(by_hand))
        assert all(output.grad.any() for output in outputs.values())

    def test_task_that_the_batch_lacks(self) -> None:
        total, values, outputs, expected = self.run("expr", "au")
        assert list(values) == ["va"]
        assert float(total) == pytest.approx(2 * float(expected["va"]))
        for task in ("expr", "au"):
            assert torch.equal(outputs[task].grad, torch.zeros_like(outputs[task]))

    def test_batch_without_any_task(self) -> None:
        total, values, outputs, _ = self.run("va", "expr", "au")
        assert total == 0
        assert values == {}
        assert all(output.grad is not None for output in outputs.values())


@pytest.mark.parametrize(("task", "half"), [("va", 0.5), ("expr", 1.0), ("au", 1.0)])
def test_uncertainty_by_hand(task: str, half: float) -> None:
    """exp(-s) L + s / 2, of values exp(-s) / 2 L + s / 2 (Kendall et al. 2018, 7 and 10)."""
    s = torch.tensor(0.7, requires_grad=True)
    loss = uncertain(torch.tensor(3.0), s, task, torch.tensor(True))
    assert loss.item() == pytest.approx(half * np.exp(-0.7) * 3 + 0.35)
    loss.backward()
    assert s.grad is not None
    assert s.grad.item() == pytest.approx(0.5 - half * np.exp(-0.7) * 3)
    # The best s for a loss that does not change: the larger the loss, the less it counts.
    best = torch.tensor(np.log(2 * half * 3), requires_grad=True)
    uncertain(torch.tensor(3.0), best, task, torch.tensor(True)).backward()
    assert best.grad is not None
    assert best.grad.item() == pytest.approx(0, abs=1e-6)


def test_a_task_without_labels_learns_no_uncertainty() -> None:
    """Neither where the batch lacks the task nor where no cell of it is valid."""
    losses = {task: build_loss(task, config, ALIKE) for task, config in TASKS.items()}
    batches = {task: make_batch(task, 3) for task in TASKS}
    outputs = {task: batch[0].requires_grad_() for task, batch in batches.items()}
    targets = {task: batches[task][1] for task in ("va", "expr")}
    valid = {"va": batches["va"][2], "expr": torch.zeros_like(batches["expr"][2])}
    variances = {task: torch.tensor(1.5, requires_grad=True) for task in TASKS}
    total, parts = multi_task_loss(losses, TASKS, outputs, targets, valid, variances)
    expected = 2 * (0.5 * np.exp(-1.5) * parts["va"].item() + 0.75)
    assert total.item() == pytest.approx(expected, rel=1e-5)
    total.backward()
    grads = {task: s.grad for task, s in variances.items()}
    assert all(grad is not None for grad in grads.values())
    assert grads["va"].item() != 0
    assert grads["expr"].item() == grads["au"].item() == 0
