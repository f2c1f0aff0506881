"""Losses of valence/arousal, expressions and action units, over valid cells only.

Shapes, here B sequences of T frames:

====  ==================================  ==========================  =================
task  output                              target                      valid
====  ==================================  ==========================  =================
va    values [B, T, V] in [-1, 1]         float [B, T, V]             bool [B, T, V]
expr  logits [B, T, C]                    int64 [B, T]                bool [B, T]
au    logits [B, T, U]                    0 and 1, any type, [B,T,U]  bool [B, T, U]
====  ==================================  ==========================  =================

A cell that is not valid changes neither a value nor a gradient, whatever it or the output holds
there, NaN included. Without any valid cell a loss is 0 with a gradient of zeros, so that all
processes of a distributed run still have one. Computed in float32 at least; nothing here makes the
device wait for the host.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from avaffect.errors import UnknownNameError, UsageError
from avaffect.labels import OTHER
from avaffect.recipes.training import Loss
from avaffect.tasks.registry import task_named
from avaffect.training.balance import LabelWeights, bin_edges

# Keeps a CCC of constants finite and its gradient bounded; a deviation of 1e-4 is far below what
# annotators resolve.
_TINY_VARIANCE = 1e-8


def mse(output: Tensor, target: Tensor, valid: Tensor, weights: Tensor | None = None) -> Tensor:
    """Mean squared error.

    Args:
        output: float [B, T, V].
        target: float [B, T, V].
        valid: bool [B, T, V].
        weights: [B, T, V], factors of the cells' errors. As in Yang's code the sum is divided by
            the number of cells, not by the sum of weights, whose mean over all frames is 1.

    Returns:
        Scalar.
    """
    output, target = _masked(output, target, valid)
    errors = (output - target).square()
    return _mean(errors if weights is None else errors * weights, valid)


def mae(output: Tensor, target: Tensor, valid: Tensor, weights: Tensor | None = None) -> Tensor:
    """Mean absolute error; see :func:`mse`."""
    output, target = _masked(output, target, valid)
    errors = (output - target).abs()
    return _mean(errors if weights is None else errors * weights, valid)


def ccc(
    output: Tensor,
    target: Tensor,
    valid: Tensor,
    weights: Tensor | None = None,
    over: str = "batch",
) -> Tensor:
    """1 - CCC with population moments, the mean of the dimensions.

    A dimension (in ``sequence``: of a sequence) with fewer than two valid cells does not count.
    Where both sides are constant the CCC is 1 if they are equal, else about 0.

    Args:
        output: float [B, T, V].
        target: float [B, T, V].
        valid: bool [B, T, V].
        weights: [B, T, V], positive: means, variances and the covariance are weighted by it.
        over: ``batch`` takes one CCC over all cells; ``sequence`` takes one a sequence, averaged
            by the number of valid cells: the CCC of a few frames is little more than chance, and
            a window cut short by the end of its video should not weigh as much as a full one.

    Returns:
        Scalar in [0, 2].
    """
    output, target = _masked(output, target, valid)
    share = valid.to(output.dtype) if weights is None else _keep(weights, valid)
    if over == "batch":
        output, target, share, valid = (
            each.flatten(0, 1)[None] for each in (output, target, share, valid)
        )
    share = share / _or_one(share.sum(1, keepdim=True))
    mean_x = (share * output).sum(1, keepdim=True)
    mean_y = (share * target).sum(1, keepdim=True)
    x, y = output - mean_x, target - mean_y
    covariance = (share * x * y).sum(1)
    spread = (share * (x * x + y * y)).sum(1) + (mean_x - mean_y).squeeze(1).square()
    concordance = (2 * covariance + _TINY_VARIANCE) / (spread + _TINY_VARIANCE)

    cells = valid.sum(1)
    cells = (cells * (cells > 1)).to(output.dtype)
    per_dimension = (cells * (1 - concordance)).sum(0) / _or_one(cells.sum(0))
    return _mean(per_dimension, cells.sum(0) > 0)


def cross_entropy(
    output: Tensor,
    target: Tensor,
    valid: Tensor,
    weights: Tensor | None = None,
    smoothing: float = 0.0,
) -> Tensor:
    """Cross-entropy of classes, the weighted mean, as ``torch.nn.functional.cross_entropy``.

    Args:
        output: logits [B, T, C].
        target: int64 [B, T].
        valid: bool [B, T].
        weights: [C], of the classes.
        smoothing: share of the target that is spread evenly over all classes.

    Returns:
        Scalar.
    """
    surprise, weight, classes = _surprise(output, target, valid, weights)
    own = surprise.gather(-1, classes[..., None])[..., 0] * weight
    every = surprise if weights is None else surprise * weights
    return _mean((1 - smoothing) * own + smoothing * every.mean(-1), valid, weight)


def focal(
    output: Tensor,
    target: Tensor,
    valid: Tensor,
    weights: Tensor | None = None,
    gamma: float = 2.0,
) -> Tensor:
    """Focal loss of classes, -(1 - p)^gamma log p with p of the true class (Lin et al. 2017).

    Args:
        output: logits [B, T, C].
        target: int64 [B, T].
        valid: bool [B, T].
        weights: [C], of the classes; the mean is weighted by it, as in :func:`cross_entropy`.
        gamma: not negative; 0 gives the cross-entropy.

    Returns:
        Scalar.
    """
    surprise, weight, classes = _surprise(output, target, valid, weights)
    own = surprise.gather(-1, classes[..., None])[..., 0]
    # The root of 0, for a gamma below 1, has no finite gradient.
    doubt = (-torch.expm1(-own)).clamp(min=1e-12)
    return _mean(doubt**gamma * own * weight, valid, weight)


def bce(output: Tensor, target: Tensor, valid: Tensor, weights: Tensor | None = None) -> Tensor:
    """Binary cross-entropy of units.

    Args:
        output: logits [B, T, U].
        target: 0 and 1, [B, T, U].
        valid: bool [B, T, U].
        weights: [U], of each unit's positive cells.

    Returns:
        Scalar, the mean over cells.
    """
    return binary_focal(output, target, valid, weights, gamma=0.0)


def binary_focal(
    output: Tensor,
    target: Tensor,
    valid: Tensor,
    weights: Tensor | None = None,
    gamma: float = 2.0,
    alpha: float | None = None,
) -> Tensor:
    """Focal loss of units, -alpha_t (1 - p_t)^gamma log p_t (Lin et al. 2017, equation 5).

    p_t is the probability of what is true, p of a positive and 1 - p of a negative cell.

    Args:
        output: logits [B, T, U].
        target: 0 and 1, [B, T, U].
        valid: bool [B, T, U].
        weights: [U], of each unit's positive cells, besides ``alpha``.
        gamma: not negative.
        alpha: weight of positive cells, 1 - alpha that of negative ones; None: 1 for both.

    Returns:
        Scalar, the mean over cells.
    """
    output, target = _masked(output, target, valid)
    towards = output * (2 * target - 1)
    # log p_t and log(1 - p_t), neither of which ever becomes -inf or loses its gradient.
    losses = -functional.logsigmoid(towards) * torch.exp(gamma * functional.logsigmoid(-towards))
    if alpha is not None:
        losses = losses * (alpha * target + (1 - alpha) * (1 - target))
    if weights is not None:
        losses = losses * (weights * target + (1 - target))
    return _mean(losses, valid)


def dice(output: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Soft Dice of classes: 1 - mean of 2 TP / (2 TP + FP + FN) over the classes that occur.

    Counts are of probabilities (softmax), as a count of decisions has no gradient.
    Source: Wang et al. (USTC, ABAW5), expression loss.

    Args:
        output: logits [B, T, C].
        target: int64 [B, T].
        valid: bool [B, T].

    Returns:
        Scalar in [0, 1].
    """
    output, classes = _masked_classes(output, target, valid)
    truth = functional.one_hot(classes, output.shape[-1])
    return _dice(output.softmax(-1), truth, valid[..., None])


def binary_dice(output: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Soft Dice of units (sigmoid), over those that are active somewhere; see :func:`dice`.

    Args:
        output: logits [B, T, U].
        target: 0 and 1, [B, T, U].
        valid: bool [B, T, U].

    Returns:
        Scalar in [0, 1].
    """
    output, target = _masked(output, target, valid)
    return _dice(output.sigmoid(), target, valid)


Term = Callable[[Tensor, Tensor, Tensor, Tensor | None, Loss], Tensor]
"""(output, target, valid, weights, configuration) to a scalar."""

LOSSES: dict[str, dict[str, Term]] = {
    "mse": {"values": lambda x, y, ok, w, c: mse(x, y, ok, w)},
    "mae": {"values": lambda x, y, ok, w, c: mae(x, y, ok, w)},
    "ccc": {"values": lambda x, y, ok, w, c: ccc(x, y, ok, w, c.over)},
    "cross_entropy": {"classes": lambda x, y, ok, w, c: cross_entropy(x, y, ok, w, c.smoothing)},
    "bce": {"units": lambda x, y, ok, w, c: bce(x, y, ok, w)},
    "focal": {
        "classes": lambda x, y, ok, w, c: focal(x, y, ok, w, c.gamma),
        "units": lambda x, y, ok, w, c: binary_focal(x, y, ok, w, c.gamma, c.alpha),
    },
    "dice": {
        "classes": lambda x, y, ok, w, c: dice(x, y, ok),
        "units": lambda x, y, ok, w, c: binary_dice(x, y, ok),
    },
}
"""By the name of the term, then the kind of task it is for."""


class TaskLoss(nn.Module):
    """The weighted sum of a task's terms; :func:`build_loss` makes one."""

    weights: Tensor | None
    bins: Tensor | None
    edges: Tensor | None

    def __init__(self, task: str, config: Loss, weights: LabelWeights) -> None:
        super().__init__()
        self.config = config
        ours = task_named(task)
        self.terms = {name: LOSSES[name][ours.kind] for name in config.terms}
        per_target = {"classes": weights.classes, "units": weights.units}.get(ours.kind)
        bins = weights.bins if ours.kind == "values" else None
        edges = None if bins is None else bin_edges(bins.shape[1], ours.low, ours.high)[1:-1]
        for name, value in {"weights": per_target, "bins": bins, "edges": edges}.items():
            buffer = None if value is None else torch.from_numpy(value.copy())
            self.register_buffer(name, buffer, persistent=False)

    def forward(self, output: Tensor, target: Tensor, valid: Tensor) -> Tensor:
        """Scalar loss; shapes as in the module's docstring."""
        weights = self.weights
        if self.config.other_threshold is not None:
            # What no threshold decides is decided among the others: Other's own output is unused.
            valid, output = valid & (target != OTHER), output[..., :OTHER]
            weights = None if weights is None else weights[:OTHER]
        if self.bins is not None and self.edges is not None:
            # NaN falls into the last bin, and is masked out later.
            bin_of = torch.bucketize(target.to(self.edges).contiguous(), self.edges, right=True)
            weights = self.bins[torch.arange(len(self.bins), device=target.device), bin_of]
        terms = (
            self.config.terms[name] * term(output, target, valid, weights, self.config)
            for name, term in self.terms.items()
        )
        return torch.stack(list(terms)).sum()


def build_loss(task: str, config: Loss, weights: LabelWeights) -> TaskLoss:
    """A task's loss: (output, target, valid) to a scalar, without ``config.weight``.

    Args:
        task: ``va``, ``expr`` or ``au``.
        config: its terms and their settings.
        weights: of its labels, see :func:`avaffect.training.balance.label_weights`.

    Raises:
        UnknownNameError: there is no such term.
        UsageError: a term is not for this task.
    """
    for name in config.terms:
        if name not in LOSSES:
            raise UnknownNameError("loss", name, LOSSES)
        kind = task_named(task).kind
        if kind not in LOSSES[name]:
            fitting = ", ".join(name for name, kinds in LOSSES.items() if kind in kinds)
            raise UsageError(f"the loss '{name}' is not for '{task}'", f"choose among {fitting}")
    return TaskLoss(task, config, weights)


def multi_task_loss(
    losses: Mapping[str, nn.Module],
    configs: Mapping[str, Loss],
    outputs: Mapping[str, Tensor],
    targets: Mapping[str, Tensor],
    valid: Mapping[str, Tensor],
    log_variances: Mapping[str, Tensor] | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """The sum of the tasks' losses, each times its ``weight``.

    A task that ``targets`` lacks adds 0, but keeps its output in the graph: a distributed run
    waits for a gradient of every parameter.

    With log variances s of the tasks (Kendall, Gal and Cipolla 2018, equations 7 and 10), the
    loss L of a task of values becomes exp(-s) / 2 L + s / 2, that of classes or units
    exp(-s) L + s / 2; both only where the batch has a valid cell of the task, so that a task that
    is seldom labelled is not taken for a certain one.

    Args:
        losses: by task, of :func:`build_loss`.
        configs: by task.
        outputs: by task, what the network gives.
        targets: by task; may lack tasks.
        valid: of the same tasks as ``targets``.
        log_variances: by task, scalars that are learnt; None for fixed weights alone.

    Returns:
        Scalar; by task that the batch has, its loss before ``weight``, detached (0 if it has no
        valid cell).
    """
    parts, values = [], {}
    for task, loss in losses.items():
        output = outputs[task]
        if task in targets:
            value = loss(output, targets[task], valid[task])
            values[task] = value.detach()
            if log_variances is not None:
                value = uncertain(value, log_variances[task], task, valid[task].any())
            parts.append(configs[task].weight * value)
        else:
            nowhere = torch.zeros((), dtype=torch.bool, device=output.device)
            parts.append(_keep(_precise(output), nowhere).sum())
            if log_variances is not None:
                parts.append(_keep(log_variances[task], nowhere))
    return torch.stack(parts).sum(), values


def uncertain(loss: Tensor, log_variance: Tensor, task: str, known: Tensor) -> Tensor:
    """A task's loss, weighted by what is learnt of its uncertainty; see :func:`multi_task_loss`.

    Args:
        loss: scalar.
        log_variance: scalar.
        task: its name; of values the loss is halved.
        known: bool, whether any cell of the task is valid; if not, the result is 0.

    Returns:
        Scalar.
    """
    half = 0.5 if task_named(task).kind == "values" else 1.0
    return _keep(half * torch.exp(-log_variance) * loss + 0.5 * log_variance, known)


def _surprise(
    output: Tensor, target: Tensor, valid: Tensor, weights: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """-log p [B, T, C], weights of the true classes [B, T], the classes [B, T]."""
    output, classes = _masked_classes(output, target, valid)
    surprise = -output.log_softmax(-1)
    weight = surprise.new_ones(classes.shape) if weights is None else weights[classes]
    return surprise, weight, classes


def _dice(chance: Tensor, truth: Tensor, valid: Tensor) -> Tensor:
    chance, truth = _keep(chance, valid).flatten(0, 1), _keep(truth, valid).flatten(0, 1)
    both, positives = (chance * truth).sum(0), truth.sum(0)
    # 2 TP + FP + FN is the sum of all chances and all positives.
    return _mean(1 - 2 * both / _or_one(chance.sum(0) + positives), positives > 0)


def _masked(output: Tensor, target: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    output = _precise(output)
    return _keep(output, valid), _keep(target.to(output.dtype), valid)


def _masked_classes(output: Tensor, target: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    return _keep(_precise(output), valid[..., None]), _keep(target, valid)


def _precise(values: Tensor) -> Tensor:
    return values if values.dtype == torch.float64 else values.float()


def _keep(values: Tensor, valid: Tensor) -> Tensor:
    """Zero where not valid; a product would keep NaN, here and in the gradient."""
    return torch.where(valid, values, torch.zeros_like(values))


def _mean(values: Tensor, valid: Tensor, weights: Tensor | None = None) -> Tensor:
    """Sum over valid cells by their number, or by the sum of their weights; 0 without any."""
    count = valid if weights is None else _keep(weights, valid)
    return _keep(values, valid).sum() / _or_one(count.sum().to(values.dtype))


def _or_one(divisor: Tensor) -> Tensor:
    return torch.where(divisor > 0, divisor, torch.ones_like(divisor))
