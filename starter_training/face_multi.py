"""Train the face net of starter-2: expression, valence, arousal and units from one face.

    python starter_training/face_multi.py --faces work/faces \\
        --start model-0000.params --out work/face

MobileFaceNet from a million identities, fine-tuned on FER+, RAF-DB and AffectNet together: AdamW
along one cosine, the weights' moving average. Stop it at any time (Ctrl-C or SIGTERM): the same
command goes on from where it was. ``--without rafdb`` leaves a set out, to test on it a net that
never saw it. ``--teachers`` learns from finished nets as well, ``--window small`` and ``--fade 2``
make faster nets. ``--init net.pt --rate 3e-4`` trains a finished net longer, as a run of its
own. Uses a GPU where there is one. On CPU about 12 minutes an epoch. Writes

    work/face/state.pt     all that is needed to go on, every few minutes
    work/face/net.pt       the averaged weights, after each epoch
    work/face/log.jsonl    a line an epoch: losses, and figures on each set's validation part
"""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from face_batches import Batch, Batches
from face_data import load_all
from face_scores import all_figures
from face_sets import SETS
from mobile_face_net import WINDOWS, FaceNet, Said
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader

from avaffect.files.atomic import atomic_path

KEEP_EVERY = 240.0  # seconds
# A logit that no softmax sees.
NEVER = -1e4


@dataclass(frozen=True)
class Plan:
    """How to train; a run keeps its plan, and goes on only with the same one.

    Attributes:
        epochs, steps, batch: an epoch is so many steps of so many faces.
        rate: the learning rate at its highest; it rises for ``warmup`` steps, then falls along a
            cosine.
        decay: AdamW's weight decay, not of biases and slopes.
        average: how much of the moving average of the weights stays at each step.
        frozen: so many layers of the trunk stay as they were.
        spoilt: the share of pictures that are spoilt.
        values, units: weights of their losses beside the expressions'.
        window: what the net looks at, a key of ``WINDOWS``.
        without: a set to leave out, or "".
        fade: PReLU's slopes fade to none over so many epochs, and then the net is one of ReLUs,
            which runs in two thirds of the time; 0 leaves the slopes as they are. Every layer
            learns then.
        taught: how much the teachers' opinions count beside the labels, where there are teachers.
        seed: of everything.
    """

    epochs: int = 12
    steps: int = 600
    batch: int = 64
    rate: float = 6e-4
    warmup: int = 300
    decay: float = 0.03
    average: float = 0.998
    frozen: int = 5
    spoilt: float = 0.8
    values: float = 0.5
    units: float = 1.0
    window: str = "face"
    without: str = ""
    fade: float = 0.0
    taught: float = 1.0
    seed: int = 0


def losses(said: Said, batch: Batch) -> dict[str, Tensor]:
    """The loss of each task over those faces of which something is known; 0 where none is."""
    logits = said.expression.masked_fill(~batch.asked, NEVER)
    expression = -(batch.target * logits.log_softmax(1)).sum(1).mean()
    valued = torch.isfinite(batch.values).all(1)
    coded = torch.isfinite(batch.units).all(1)
    nothing = said.va.sum() * 0
    return {
        "expression": expression,
        "values": value_loss(said.va[valued], batch.values[valued])
        if valued.sum() > 1
        else nothing,
        "units": functional.binary_cross_entropy_with_logits(said.units[coded], batch.units[coded])
        if coded.any()
        else nothing,
    }


def value_loss(said: Tensor, true: Tensor) -> Tensor:
    """1 - CCC, the mean of both dimensions over the batch, and the squared error."""
    a, b = said - said.mean(0), true - true.mean(0)
    distance = (said.mean(0) - true.mean(0)) ** 2
    agreement = 2 * (a * b).mean(0) / ((a**2).mean(0) + (b**2).mean(0) + distance + 1e-6)
    return (1 - agreement).mean() + functional.mse_loss(said, true)


class Teachers:
    """The mean opinion of some nets."""

    def __init__(self, nets: Sequence[FaceNet]) -> None:
        self._nets = [net.eval() for net in nets]

    def __call__(self, faces: Tensor) -> Said:
        """Probabilities of expressions and units, and values, of faces [B, 3, S, S]."""
        with torch.no_grad():
            each = [net(_resized(faces, net.window.side)) for net in self._nets]
        return Said(
            torch.stack([said.expression.softmax(1) for said in each]).mean(0),
            torch.stack([said.va for said in each]).mean(0),
            torch.stack([said.units.sigmoid() for said in each]).mean(0),
        )


def taught_loss(said: Said, teachers: Said) -> Tensor:
    """How far the net is from what its teachers say, in all three."""
    expression = -(teachers.expression * said.expression.log_softmax(1)).sum(1).mean()
    units = functional.binary_cross_entropy_with_logits(said.units, teachers.units)
    return expression + value_loss(said.va, teachers.va) + units


def _resized(faces: Tensor, side: int) -> Tensor:
    if faces.shape[-1] == side:
        return faces
    return functional.interpolate(faces, (side, side), mode="bilinear", antialias=True)


class Run:
    """A training run: the net, its optimiser, the averaged weights and how far it is.

    Args:
        plan: how to train.
        start: the MobileFaceNet's ``.params`` file; None starts at random.
        device: ``cpu`` or ``cuda``.
        teachers: finished nets whose opinions of the same faces are learnt as well.
    """

    def __init__(
        self, plan: Plan, start: Path | None, device: str, teachers: Sequence[FaceNet] = ()
    ) -> None:
        torch.manual_seed(plan.seed)
        self.plan, self.step, self.device = plan, 0, device
        self.net = FaceNet(start, WINDOWS[plan.window]).to(
            device, memory_format=torch.channels_last
        )
        self.net.freeze(0 if plan.fade else plan.frozen)
        self.slopes = self.net.slopes()
        self.teachers = Teachers([net.to(device) for net in teachers]) if teachers else None
        learnt = [value for value in self.net.parameters() if value.requires_grad]
        self.optimiser = torch.optim.AdamW(
            [
                {"params": [v for v in learnt if v.ndim > 1], "weight_decay": plan.decay},
                {"params": [v for v in learnt if v.ndim <= 1], "weight_decay": 0.0},
            ],
            lr=plan.rate,
        )
        self.learnt = learnt
        self.named = {name for name, v in self.net.named_parameters() if v.requires_grad}
        self.average = {name: value.clone() for name, value in self.net.state_dict().items()}

    @property
    def last(self) -> int:
        return self.plan.epochs * self.plan.steps

    def rate(self) -> float:
        """The learning rate of the step that comes."""
        warm = min(1.0, (self.step + 1) / self.plan.warmup)
        return self.plan.rate * warm * (1 + math.cos(math.pi * self.step / self.last)) / 2

    def learn(self, batch: Batch) -> dict[str, float]:
        """One step; the loss of each task."""
        # Dropout's chance belongs to the step, like the pictures'.
        torch.manual_seed(self.plan.seed * 1_000_003 + self.step)
        self.net.train()
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate()
        if self.plan.fade:
            left = max(0.0, 1 - self.step / (self.plan.fade * self.plan.steps))
            self.net.bend([slope * left for slope in self.slopes])
        batch = batch.to(self.device)
        faces = batch.faces.permute(0, 3, 1, 2).float()
        said = self.net(faces)
        each = losses(said, batch)
        loss = each["expression"]
        loss = loss + self.plan.values * each["values"] + self.plan.units * each["units"]
        if self.teachers is not None:
            each["taught"] = taught_loss(said, self.teachers(faces))
            loss = loss + self.plan.taught * each["taught"]
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.learnt, 2.0)
        self.optimiser.step()
        rate = 1 - min(self.plan.average, (1 + self.step) / (10 + self.step))
        for name, value in self.net.state_dict().items():
            # Slopes are set and not learnt: their average would never be none.
            self.average[name].lerp_(value, rate if name in self.named else 1.0)
        self.step += 1
        return {name: float(value.detach()) for name, value in each.items()}

    def averaged(self) -> FaceNet:
        """The net with the averaged weights, for inference."""
        net = FaceNet(None, self.net.window).to(self.device)
        net.load_state_dict(self.average)
        return net.eval().to(memory_format=torch.channels_last)

    def begin_at(self, net: FaceNet) -> None:
        """Take a finished net's weights, before the first step."""
        self.net.load_state_dict(net.state_dict())
        self.average = {name: value.clone() for name, value in self.net.state_dict().items()}

    def save(self, path: Path) -> None:
        with atomic_path(path) as target:
            torch.save(
                {
                    "plan": asdict(self.plan),
                    "step": self.step,
                    "net": self.net.state_dict(),
                    "optimiser": self.optimiser.state_dict(),
                    "average": self.average,
                },
                target,
            )

    def load(self, path: Path) -> None:
        """Go on from what :meth:`save` wrote."""
        saved = torch.load(path, weights_only=True, map_location=self.device)
        # A plan from before a field was added has its default.
        if Plan(**saved["plan"]) != self.plan:
            raise SystemExit(f"{path} is of another plan: take another --out, or the same plan")
        self.net.load_state_dict(saved["net"])
        self.optimiser.load_state_dict(saved["optimiser"])
        self.average, self.step = saved["average"], saved["step"]


def save_net(run: Run, path: Path) -> None:
    """The averaged weights alone, with the plan that made them."""
    with atomic_path(path) as target:
        torch.save({"plan": asdict(run.plan), "step": run.step, "net": run.average}, target)


def load_net(path: Path) -> FaceNet:
    """The net that :func:`save_net` wrote, for inference on the CPU."""
    saved = torch.load(path, weights_only=True, map_location="cpu")
    net = FaceNet(None, WINDOWS[saved["plan"]["window"]])
    net.load_state_dict(saved["net"])
    return net.eval().to(memory_format=torch.channels_last)


def plan_of(path: Path) -> Plan:
    """The plan of the net that :func:`save_net` wrote."""
    return Plan(**torch.load(path, weights_only=True, map_location="cpu")["plan"])


def train(run: Run, faces: Path, out: Path) -> None:
    """Train to the end of the plan, or until a signal says to stop."""
    stop: list[int] = []
    for kind in (signal.SIGTERM, signal.SIGINT):
        signal.signal(kind, lambda number, _: stop.append(number))
    sets = load_all(faces)
    state = out / "state.pt"
    if state.exists():
        run.load(state)
    plan, cuda = run.plan, run.device == "cuda"
    shown = {name: each for name, each in sets.items() if name != plan.without}
    batches = Batches(
        shown, plan.batch, run.net.window.side, plan.spoilt, plan.seed, run.step, run.last
    )
    loader = DataLoader(
        batches, batch_size=None, num_workers=8 if cuda else 1, worker_init_fn=_quiet
    )
    seen: list[dict[str, float]] = []
    began = kept = time.monotonic()
    for batch in loader:
        seen.append(run.learn(batch))
        ends = run.step % plan.steps == 0
        if ends or stop or time.monotonic() - kept > KEEP_EVERY:
            run.save(state)
            kept = time.monotonic()
        if run.step % 50 == 0 and not ends:
            print(f"step {run.step}/{run.last}: {_mean(seen[-50:])}", flush=True)
        if ends:
            save_net(run, out / "net.pt")
            line = {
                "epoch": run.step // plan.steps,
                "seconds": round(time.monotonic() - began),
                "loss": _mean(seen),
                "validation": all_figures(run.averaged(), sets, "validation"),
            }
            with (out / "log.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
            print(json.dumps(line), flush=True)
            seen, began = [], time.monotonic()
        if stop:
            print(f"stopped at step {run.step}; the same command goes on from here", flush=True)
            return


def _mean(seen: list[dict[str, float]]) -> dict[str, float]:
    return {key: round(float(np.mean([one[key] for one in seen])), 4) for key in seen[0]}


def _quiet(_: int) -> None:
    """A worker leaves signals to the process that trains, and uses one thread."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    torch.set_num_threads(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--faces", type=Path, required=True, help="what face_points.py wrote")
    parser.add_argument("--start", type=Path, required=True, help="MobileFaceNet's .params file")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=Plan.epochs)
    parser.add_argument("--window", choices=WINDOWS, default=Plan.window)
    parser.add_argument("--without", choices=SETS, default="", help="leave this set out")
    parser.add_argument("--fade", type=float, default=Plan.fade, help="epochs to fade PReLUs in")
    parser.add_argument("--teachers", type=Path, nargs="*", default=[], help="net.pt files")
    parser.add_argument("--init", type=Path, help="a finished net.pt to train longer")
    parser.add_argument("--rate", type=float, default=Plan.rate, help="the highest learning rate")
    parser.add_argument("--seed", type=int, default=Plan.seed)
    parser.add_argument("--threads", type=int, default=int(os.environ.get("OMP_NUM_THREADS", 1)))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    plan = Plan(
        epochs=options.epochs,
        window=options.window,
        without=options.without,
        fade=options.fade,
        rate=options.rate,
        seed=options.seed,
    )
    device = "cuda" if torch.cuda.is_available() else "cpu"
    teachers = [load_net(path) for path in options.teachers]
    run = Run(plan, options.start, device, teachers)
    if options.init is not None:
        run.begin_at(load_net(options.init))
    train(run, options.faces, options.out)


if __name__ == "__main__":
    main()
