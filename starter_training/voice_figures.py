"""How good a voice net is, by what it says of actors that it has not heard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avaffect.arrays import softmax
from avaffect.metrics.calibration import calibration_error, fit_temperature, reliability

Array = NDArray[np.float64]
Labels = NDArray[np.int64]

DRAWS = 2000
WORST = 15


def confusion(truth: Labels, guess: Labels, classes: int) -> NDArray[np.int64]:
    """int64 [C, C], a row a true class."""
    flat = np.bincount(truth * classes + guess, minlength=classes * classes)
    return flat.reshape(classes, classes)


def macro_f1(table: NDArray[np.int64]) -> float:
    """The mean F1 of the classes that occur or are said."""
    there = table.sum(0) + table.sum(1)
    return float((2 * np.diag(table)[there > 0] / there[there > 0]).mean())


def accuracy(table: NDArray[np.int64]) -> float:
    return float(np.trace(table) / table.sum())


SCORES = {"accuracy": accuracy, "macro F1": macro_f1}


def merged(chances: Array, names: Sequence[str]) -> tuple[Array, Labels]:
    """Probabilities of the distinct names, and each class's number among them."""
    distinct, number = np.unique(names, return_inverse=True)
    return chances @ np.eye(len(distinct))[number], number


def scored(
    truth: Labels, guess: Labels, classes: int, fold: Labels, actor: Labels, seed: int = 0
) -> dict[str, Any]:
    """Scores over all takes with intervals over actors, and their spread over folds."""
    tables = {
        a: confusion(truth[actor == a], guess[actor == a], classes) for a in np.unique(actor)
    }
    stack = np.stack(list(tables.values()))
    rng = np.random.default_rng(seed)
    drawn = [stack[rng.integers(len(stack), size=len(stack))].sum(0) for _ in range(DRAWS)]
    folds = [confusion(truth[fold == k], guess[fold == k], classes) for k in np.unique(fold)]
    out: dict[str, Any] = {}
    for name, score in SCORES.items():
        by_fold = [score(table) for table in folds]
        out[name] = {
            "all takes": round(score(stack.sum(0)), 4),
            "95 % over actors": np.quantile([score(table) for table in drawn], [0.025, 0.975])
            .round(4)
            .tolist(),
            "mean over folds": round(float(np.mean(by_fold)), 4),
            "sd over folds": round(float(np.std(by_fold, ddof=1)), 4),
            "folds": np.round(by_fold, 4).tolist(),
        }
    return out


def of_kind(
    takes: Any,
    said: Sequence[NDArray[np.float32]],
    temperatures: Mapping[int, float],
    labels: Sequence[str],
    names: Sequence[str],
) -> dict[str, Any]:
    """All figures of one copy of the takes; a temperature a fold, fitted on the others."""
    truth, classes = takes.label, len(labels)
    mean = np.stack([one.mean(0) for one in said])
    guess = mean.argmax(1)
    table = confusion(truth, guess, classes)
    out = scored(truth, guess, classes, takes.fold, takes.actor)
    by_probability = np.stack([softmax(one).mean(0) for one in said]).argmax(1)
    centred = np.stack([one[len(one) // 2] for one in said]).argmax(1)
    _, number = merged(np.eye(classes), names)
    chances, _ = merged(softmax(mean), names)
    windows, of, hot = flattened(takes, said, temperatures)
    cold = softmax(np.concatenate(said))
    out |= {
        "as expressions (neutral and calm one)": scored(
            number[truth], chances.argmax(1), chances.shape[1], takes.fold, takes.actor
        ),
        "mean probability of windows instead of mean logits": {
            name: round(score(confusion(truth, by_probability, classes)), 4)
            for name, score in SCORES.items()
        },
        "middle window alone": {
            name: round(score(confusion(truth, centred, classes)), 4)
            for name, score in SCORES.items()
        },
        "F1": {
            label: round(float(2 * table[i, i] / (table[i].sum() + table[:, i].sum())), 4)
            for i, label in enumerate(labels)
        },
        "by sex": {
            str(sex): {
                name: round(score(confusion(truth[mine], guess[mine], classes)), 4)
                for name, score in SCORES.items()
            }
            for sex in np.unique(takes.sex)
            for mine in [takes.sex == sex]
        },
        "by intensity": {
            str(one): round(float((guess == truth)[takes.intensity == one].mean()), 4)
            for one in np.unique(takes.intensity)
        },
        "accuracy by actor": {
            str(one): round(float((guess == truth)[takes.actor == one].mean()), 4)
            for one in np.unique(takes.actor)
        },
        "confusion (rows are true)": table.tolist(),
        "calibration of windows": {
            "windows": len(of),
            "ECE before": round(calibration_error(cold, truth[of]), 4),
            "ECE after": round(calibration_error(hot, truth[of]), 4),
            "ECE after, as expressions": round(
                calibration_error(merged(hot, names)[0], number[truth[of]]), 4
            ),
            "log loss before": round(log_loss(cold, truth[of]), 4),
            "log loss after": round(log_loss(hot, truth[of]), 4),
            "window accuracy": round(float((windows.argmax(1) == truth[of]).mean()), 4),
        },
        "worst": worst(takes, mean, labels),
    }
    return out


def flattened(
    takes: Any, said: Sequence[NDArray[np.float32]], temperatures: Mapping[int, float]
) -> tuple[NDArray[np.float32], Labels, Array]:
    """Logits of all windows, each one's take, and probabilities by its fold's temperature."""
    of = np.repeat(np.arange(len(said)), [len(one) for one in said])
    windows = np.concatenate(said)
    divisor = np.array([temperatures[int(k)] for k in takes.fold[of]])
    return windows, of, softmax(windows / divisor[:, None])


def log_loss(chances: Array, truth: Labels) -> float:
    return float(-np.log(np.maximum(chances[np.arange(len(truth)), truth], 1e-12)).mean())


def worst(takes: Any, logits: NDArray[np.float32], labels: Sequence[str]) -> list[dict[str, Any]]:
    """The takes whose true label was believed least."""
    chances = softmax(logits)
    right = chances[np.arange(len(chances)), takes.label]
    return [
        {
            "take": str(takes.key[i]),
            "actor": int(takes.actor[i]),
            "is": labels[takes.label[i]],
            "said": labels[int(chances[i].argmax())],
            "probability said": round(float(chances[i].max()), 3),
            "probability true": round(float(right[i]), 5),
        }
        for i in np.argsort(right)[:WORST]
    ]


def temperatures(
    takes: Any, said: Mapping[str, Sequence[NDArray[np.float32]]]
) -> tuple[float, dict[int, float]]:
    """Of all folds together, and for each fold that of the others.

    Fitted on the windows of clean and degraded takes, half and half.
    """
    counts = [len(one) for one in said["clean"]]
    of = np.repeat(np.arange(len(counts)), counts)
    logits = np.concatenate([np.concatenate(one) for one in said.values()])
    of = np.tile(of, len(said))
    weight = 1 / np.array(counts, float)[of]
    fold, truth = takes.fold[of], takes.label[of]
    whole = fit_temperature(logits, truth, weight)
    return whole, {
        int(k): fit_temperature(logits[fold != k], truth[fold != k], weight[fold != k])
        for k in np.unique(fold)
    }


def figures(
    takes: Any,
    said: Mapping[str, Sequence[NDArray[np.float32]]],
    labels: Sequence[str],
    expression: Mapping[str, str],
) -> dict[str, Any]:
    """Everything.

    Args:
        takes: the manifest (starter_training/voice.py).
        said: by copy (clean, degraded), a take's logits float32 [W, C] of its windows.
        labels: the classes' names.
        expression: what each is as an expression.
    """
    whole, others = temperatures(takes, said)
    names = [expression[label] for label in labels]
    return {
        "split": "5 folds by actor; last epoch; nothing was chosen on the takes that are scored "
        "but for one short trial on fold 0",
        "decision": "highest mean of the logits of a take's windows of 3 s, 0.5 s apart",
        "degraded": "room of RT60 .3-.7 s, noise of one of six kinds at 10 dB, Opus at 16 kbit/s",
        "labels": list(labels),
        "temperature": round(whole, 4),
        "temperature by fold": {str(k): round(v, 4) for k, v in others.items()},
        **{kind: of_kind(takes, one, others, labels, names) for kind, one in said.items()},
    }


def draw_reliability(
    takes: Any, said: Mapping[str, Sequence[NDArray[np.float32]]], path: Path
) -> None:
    """A reliability diagram of windows, before and after, a panel a copy."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    from avaffect.files.atomic import atomic_path

    _, others = temperatures(takes, said)
    figure, panels = plt.subplots(1, len(said), figsize=(5 * len(said), 4.6), squeeze=False)
    for panel, (kind, one) in zip(panels[0], said.items(), strict=True):
        windows, of, hot = flattened(takes, one, others)
        truth = takes.label[of]
        for text, chances in (("before", softmax(windows)), ("after", hot)):
            there = [one for one in reliability(chances, truth) if one.count > 20]
            error = calibration_error(chances, truth)
            panel.plot(
                [one.confidence for one in there],
                [one.accuracy for one in there],
                "o-",
                label=f"{text}, ECE {error:.3f}",
            )
        panel.plot([0, 1], [0, 1], color="0.7", linewidth=1)
        panel.set(title=f"{kind}: windows of unheard actors", xlabel="highest probability")
        panel.set(ylabel="share that is right", xlim=(0, 1), ylim=(0, 1))
        panel.legend()
    figure.tight_layout()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120)
    plt.close(figure)
