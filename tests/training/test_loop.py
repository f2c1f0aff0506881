"""The loop: interrupted anywhere it ends the same, and it learns what there is to learn."""

import json
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from avaffect.datasets.clip import Clip, Dataset
from avaffect.errors import FeatureError, TrainingError, UsageError
from avaffect.networks.checkpoint import load_checkpoint
from avaffect.progress import Notice
from avaffect.recipes.library import choose
from avaffect.training import loop, precision, setup
from avaffect.training.setup import Setup

EVERYTHING = (
    "train.ema=0.8",
    "train.warmup=5",
    "train.modality_dropout=0.3",
    "train.augment={stretch: 0.2, noise: 0.1, column_dropout: 0.1, feature_masks: 1,"
    " feature_mask: 2, time_masks: 1, time_mask: 3, mixup: 0.4}",
    "train.clip_norm=1",
)


@pytest.fixture
def after_batch(monkeypatch: pytest.MonkeyPatch):
    """A list of functions that are called behind each batch."""
    called = []
    add = loop._Sums.add

    def counting(self, loss, parts, windows):
        add(self, loss, parts, windows)
        for action in called:
            action()

    monkeypatch.setattr(loop._Sums, "add", counting)
    return called


class Press:
    """Sends a signal behind the batch of a number, counted from 1."""

    def __init__(self, at, number=signal.SIGINT, times=1):
        self.at, self.number, self.times = at, number, times
        self.batches = 0

    def __call__(self):
        self.batches += 1
        if self.batches == self.at:
            for _ in range(self.times):
                os.kill(os.getpid(), self.number)


def lines(out):
    """The log without what the clock says."""
    rows = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if k not in ("seconds", "waiting")} for row in rows]


def same(first, second):
    assert first.keys() == second.keys()
    return all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(
    ("changes", "tasks"),
    [
        ((*EVERYTHING, "train.schedule=cosine", "train.optimiser=adamw"), ("va",)),
        ((*EVERYTHING, "train.schedule=plateau", "train.schedule_factor=0.5",
          "train.schedule_epochs=1", "train.optimiser=rmsprop"), ("va", "au")),
        (("train.sampling=balanced", "train.schedule=step", "train.schedule_epochs=2",
          "train.schedule_factor=0.5", "train.optimiser=sgd", "train.momentum=0.9"), ("expr",)),
        (("train.schedule=cosine_restarts", "train.schedule_epochs=1", "train.warmup=4",
          "train.schedule_factor=2", "train.amp=bf16", "train.optimiser=adam"), ("va", "expr")),
    ],
)  # fmt: skip
def test_interrupted_and_resumed_equals_uninterrupted(
    changes, tasks, recipe, fit, weights, tmp_path: Path, after_batch
) -> None:
    chosen = recipe(*changes, "train.epochs=4", tasks=tasks)
    whole = fit(chosen, tmp_path / "whole", seed=3)
    steps = whole.epochs[0].windows // 8 + 1
    out = tmp_path / "parts"
    # In the middle of an epoch, behind an epoch's last batch, and behind an epoch.
    for after in (2, steps, steps - 1):
        after_batch[:] = [Press(after)]
        with pytest.raises(KeyboardInterrupt):
            fit(chosen, out, seed=3, resume=True)
    after_batch.clear()

    def stop(epoch):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(chosen, out, seed=3, resume=True, on_epoch=stop)
    parts = fit(chosen, out, seed=3, resume=True)
    for name in ("best", "last"):
        assert same(weights(tmp_path / "whole" / name), weights(out / name))
    assert lines(out) == lines(tmp_path / "whole")
    assert [e.losses for e in parts.epochs] == [e.losses for e in whole.epochs]
    assert [e.scores for e in parts.epochs] == [e.scores for e in whole.epochs]
    assert parts.checkpoint.metrics == whole.checkpoint.metrics


def test_interrupted_runs_stop_where_asked(recipe, fit, tmp_path: Path, after_batch) -> None:
    before = [signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)]
    for number in (signal.SIGINT, signal.SIGTERM):
        press = Press(2, number)
        after_batch[:] = [press]
        with pytest.raises(KeyboardInterrupt):
            fit(recipe(), tmp_path / str(number))
        assert press.batches == 2
        state = torch.load(tmp_path / str(number) / "last/state.pt", weights_only=True)
        assert (state["place"]["epoch"], state["place"]["batch"]) == (0, 2)
    assert [signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_second_ctrl_c_stops_at_once(recipe, fit, tmp_path: Path, after_batch) -> None:
    after_batch[:] = [Press(2, times=2)]
    with pytest.raises(KeyboardInterrupt):
        fit(recipe(), tmp_path)
    assert not (tmp_path / "last").exists()


def test_killed_between_saving_an_epoch_and_its_log(
    recipe, fit, weights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = fit(recipe(), tmp_path / "whole")
    written = loop.History.write
    calls = []

    def killed(self, wanted=True):
        calls.append(len(self.epochs))
        if len(self.epochs) == 2:
            raise SystemExit
        written(self, wanted)

    with monkeypatch.context() as patch:
        patch.setattr(loop.History, "write", killed)
        with pytest.raises(SystemExit):
            fit(recipe(), tmp_path / "killed")
    assert calls == [0, 1, 2]
    assert len(lines(tmp_path / "killed")) == 1
    resumed = fit(recipe(), tmp_path / "killed", resume=True)
    assert lines(tmp_path / "killed") == lines(tmp_path / "whole")
    assert same(weights(resumed.folder), weights(whole.folder))


def test_killed_between_the_best_and_the_last(
    recipe, fit, weights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The best may be of an epoch that the state does not know of yet, or torn."""
    whole = fit(recipe(), tmp_path / "whole")
    saved = loop.save_checkpoint

    def killed(folder, checkpoint, network):
        if folder.name == "last" and checkpoint.epoch == 2:
            (tmp_path / "killed/best/checkpoint.json").write_text("{")
            raise SystemExit
        saved(folder, checkpoint, network)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "save_checkpoint", killed)
        with pytest.raises(SystemExit):
            fit(recipe(), tmp_path / "killed")
    resumed = fit(recipe(), tmp_path / "killed", resume=True)
    assert whole.checkpoint.epoch == resumed.checkpoint.epoch > 1
    assert same(weights(resumed.folder), weights(whole.folder))


def test_a_run_that_takes_long_saves_in_between(
    recipe, fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after_batch
) -> None:
    monkeypatch.setattr(loop, "_SAVE_EVERY_S", 0.0)
    seen = []

    def look():
        path = tmp_path / "last/state.pt"
        place = torch.load(path, weights_only=True)["place"] if path.is_file() else {}
        seen.append((place.get("epoch"), place.get("batch")))

    after_batch[:] = [look]
    fit(recipe("train.epochs=1"), tmp_path)
    assert seen[:3] == [(None, None), (0, 1), (0, 2)]


def test_the_seed_decides_everything(recipe, fit, weights, tmp_path: Path) -> None:
    chosen = recipe(*EVERYTHING, "train.epochs=1")
    torch.manual_seed(1)
    first = fit(chosen, tmp_path / "one", seed=1)
    torch.manual_seed(2)
    again = fit(chosen, tmp_path / "again", seed=1, workers=1)
    other = fit(chosen, tmp_path / "other", seed=2)
    assert same(weights(first.folder), weights(again.folder))
    assert first.epochs[0].losses == again.epochs[0].losses
    assert not same(weights(first.folder), weights(other.folder))


def test_finished_runs_are_not_trained_again(recipe, fit, weights, tmp_path: Path) -> None:
    done = fit(recipe(), tmp_path)
    before = weights(tmp_path / "last")
    shown = []
    again = fit(recipe(), tmp_path, resume=True, on_epoch=shown.append)
    assert not shown
    assert (again.epochs, again.folder) == (done.epochs, done.folder)
    assert same(weights(tmp_path / "last"), before)


def test_resuming_into_nothing_starts(recipe, fit, tmp_path: Path) -> None:
    assert len(fit(recipe("train.epochs=1"), tmp_path, resume=True).epochs) == 1


def test_stops_early_when_the_score_no_longer_rises(
    recipe, fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([0.1, 0.3, 0.2, 0.3, 0.25, 0.9])
    monkeypatch.setattr(
        loop, "validate", lambda *a, **k: dict.fromkeys(("score", "va"), next(scores))
    )
    done = fit(recipe("train.epochs=6", "train.patience=3"), tmp_path)
    assert (done.stopped_early, len(done.epochs), done.checkpoint.epoch) == (True, 5, 2)
    assert done.checkpoint.metrics["score"] == 0.3
    assert load_checkpoint(tmp_path / "last")[0].epoch == 5
    # A resumed run that has stopped goes no further.
    again = fit(recipe("train.epochs=6", "train.patience=3"), tmp_path, resume=True)
    assert len(again.epochs) == 5


def test_select_last(recipe, fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = iter([0.5, 0.1])
    monkeypatch.setattr(loop, "validate", lambda *a, **k: {"score": next(scores)})
    (tmp_path / "best").mkdir()  # of some earlier run
    done = fit(recipe("train.epochs=2", "train.select=last"), tmp_path)
    assert (done.folder, done.checkpoint.epoch) == (tmp_path / "last", 2)


def test_without_validation_the_last_epoch_is_selected(
    recipe, fit, dataset: Dataset, tmp_path: Path
) -> None:
    data = replace(dataset, clips=dataset.of("train"))
    done = fit(recipe("train.patience=1"), tmp_path, data)
    assert (done.stopped_early, done.checkpoint.epoch, done.checkpoint.metrics) == (False, 3, {})
    assert all(epoch.scores == {} for epoch in done.epochs)


def test_validation_without_labels_has_no_score(
    recipe, fit, dataset: Dataset, tmp_path: Path
) -> None:
    bare = tuple(
        replace(clip, labels={}) if clip.split == "val" else clip for clip in dataset.clips
    )
    done = fit(recipe(), tmp_path, replace(dataset, clips=bare))
    assert np.isnan(done.epochs[-1].scores["score"])
    assert lines(tmp_path)[-1]["scores"]["score"] is None


@pytest.mark.parametrize("changes", [["train.lr=1e30"], ["train.optimiser=sgd", "train.lr=1e38"]])
def test_a_loss_that_is_no_number_is_explained(changes, recipe, fit, tmp_path: Path) -> None:
    chosen = recipe("tasks.va.terms={mse: 1e30}", *changes)
    with pytest.raises(TrainingError, match=r"not a number any more in epoch .*lower train\.lr"):
        fit(chosen, tmp_path)


def test_a_task_without_labels_is_explained(recipe, fit, dataset: Dataset, tmp_path: Path) -> None:
    bare = tuple(
        replace(c, labels={t: v for t, v in c.labels.items() if t == "va"}) for c in dataset.clips
    )
    data = Dataset(bare, {"va": dataset.targets["va"]})
    with pytest.raises(UsageError, match="trains 'expr', but the data is labelled with va"):
        fit(recipe(tasks=("va", "expr")), tmp_path, data)
    assert not tmp_path.joinpath("last").exists()


def test_no_labelled_frame_is_explained(recipe, fit, dataset: Dataset, tmp_path: Path) -> None:
    bare = tuple(replace(clip, labels={}) for clip in dataset.clips)
    with pytest.raises(UsageError, match="no labelled frame"):
        fit(recipe(), tmp_path, replace(dataset, clips=bare))


def test_missing_features_are_explained(recipe, fit, tmp_path: Path) -> None:
    with pytest.raises(FeatureError, match="'clip0' has no features called 'mesh'"):
        fit(recipe("branches.face.features=[mesh]"), tmp_path)


def test_clips_labelled_for_some_tasks_only(recipe, fit, dataset: Dataset, tmp_path: Path) -> None:
    tasks = ("va", "expr", "au")
    clips = tuple(
        replace(clip, labels={tasks[i % 3]: clip.labels[tasks[i % 3]]})
        for i, clip in enumerate(dataset.clips)
    )
    chosen = recipe("train.sampling=balanced", tasks=tasks)
    done = fit(chosen, tmp_path, replace(dataset, clips=clips))
    assert all(np.isfinite(list(epoch.losses.values())).all() for epoch in done.epochs)
    scores = done.epochs[-1].scores
    assert scores["score"] == pytest.approx(scores["va"] + scores["expr"] + scores["au"])


@pytest.mark.parametrize("amp", ["bf16", "fp16"])
def test_half_precision_on_the_cpu(amp: str, recipe, fit, tmp_path: Path, half_precision) -> None:
    half_precision(amp)
    notices = []
    done = fit(recipe(f"train.amp={amp}"), tmp_path, on_event=notices.append)
    assert all(np.isfinite(epoch.losses["loss"]) for epoch in done.epochs)
    full = fit(recipe("train.amp=none"), tmp_path / "full")
    assert done.epochs[0].losses["loss"] == pytest.approx(full.epochs[0].losses["loss"], abs=0.05)
    assert done.epochs[0].losses != full.epochs[0].losses
    texts = [notice.text for notice in notices if isinstance(notice, Notice)]
    assert any(text.startswith("device: CPU") and amp[-2:] in text for text in texts)


def test_a_processor_without_half_precision_trains_in_float32(
    recipe, fit, weights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "cpu_computes_in", lambda half: False)
    notices = []
    asked = fit(recipe("train.amp=bf16"), tmp_path / "asked", on_event=notices.append)
    full = fit(recipe("train.amp=none"), tmp_path / "full")
    assert same(weights(asked.folder), weights(full.folder))
    warnings = [notice.text for notice in notices if isinstance(notice, Notice) and notice.warning]
    assert len([text for text in warnings if "float32" in text]) == 1


def test_gradients_are_clipped(
    recipe, fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    norms = []
    step = torch.optim.SGD.step

    def spy(self, *args, **kwargs):
        found = [p.grad for group in self.param_groups for p in group["params"]]
        norms.append(float(torch.nn.utils.get_total_norm([g for g in found if g is not None])))
        return step(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.SGD, "step", spy)
    for limit in (0, 1e-3):
        fit(recipe("train.optimiser=sgd", f"train.clip_norm={limit}", "train.epochs=1"), tmp_path)
    half = len(norms) // 2
    assert min(norms[:half]) > 1e-2
    assert max(norms[half:]) <= 1e-3 * (1 + 1e-4)


def test_the_average_is_what_is_scored_and_saved(recipe, fit, weights, tmp_path: Path) -> None:
    """One step an epoch, so that the average can be followed by hand."""
    chosen = recipe("train.batch_size=1000", "train.select=last", "train.epochs=1")
    steps = []
    for epochs in (1, 2, 3):
        plain = replace(chosen, train=replace(chosen.train, epochs=epochs))
        steps.append(weights(fit(plain, tmp_path / f"plain{epochs}").folder))
    averaged = replace(chosen, train=replace(chosen.train, epochs=3, ema=0.75))
    found = weights(fit(averaged, tmp_path / "ema").folder)
    for name, value in found.items():
        if value.is_floating_point():
            first, second, third = (step[name] for step in steps)
            expected = 0.75 * (0.75 * first + 0.25 * second) + 0.25 * third
            torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-6)


def test_everything_torch_is_left_as_it_was(recipe, fit, tmp_path: Path) -> None:
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.benchmark = True
    fit(recipe("train.epochs=1"), tmp_path)
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = False


def test_what_is_on_disk(recipe, fit, tmp_path: Path) -> None:
    done = fit(recipe(), tmp_path / "run")
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == [
        "best", "curves.png", "last", "log.jsonl"
    ]  # fmt: skip
    for name in ("best", "last"):
        held = {path.name for path in (tmp_path / "run" / name).iterdir()}
        state = {"state.pt"} if name == "last" else set()
        assert held == {"network.safetensors", "checkpoint.json"} | state
    rows = lines(tmp_path / "run")
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert rows[-1]["scores"] == done.epochs[-1].scores
    assert all(0 <= epoch.waiting <= 1 and epoch.seconds > 0 for epoch in done.epochs)
    chosen = load_checkpoint(tmp_path / "run")[0]
    assert chosen.metrics == max((e.scores for e in done.epochs), key=lambda s: s["score"])
    assert chosen.data["clips"]["val"] == ["clip10", "clip11", "clip12"]
    assert chosen.versions["torch"]


def learner(number, frames=60, noise=False):
    """Valence follows the voice, arousal the face; or neither follows anything."""
    rng = np.random.default_rng((11, number))
    voice, face = (rng.normal(size=(frames, 4)).astype(np.float32) for _ in range(2))
    va = np.tanh(np.stack([voice[:, 0], face[:, 0]], 1))
    if noise:
        va = rng.uniform(-1, 1, (frames, 2))
    arrays = {"audio": voice, "has_sound": np.ones(frames, bool), "face": face}
    return arrays, va.astype(np.float32)


def learnable(memory, noise=False):
    clips = []
    for number in range(28):
        arrays, va = learner(number, noise=noise)
        split = "train" if number < 20 else "val"
        clips.append(Clip(f"c{number}", f"c{number}", memory(arrays), {"va": va}, split))
    return Dataset(tuple(clips), {"va": ("valence", "arousal")})


@pytest.fixture(scope="module")
def memory(dataset: Dataset):
    return type(dataset.clips[0].features)


def test_fused_learns_what_each_modality_knows(recipe, fit, memory, tmp_path: Path) -> None:
    data = learnable(memory)
    chosen = recipe("train.epochs=6", "train.lr=3e-2", "branches.voice.layers.0.dropout=0")
    scores = {}
    for which in (("audio",), ("video",), ("audio", "video")):
        out = tmp_path / "".join(which)
        scores[which] = fit(choose(chosen, which), out, data).checkpoint.metrics
    fused, voice, face = scores["audio", "video"], scores["audio",], scores["video",]
    assert min(fused["va CCC valence"], fused["va CCC arousal"]) > 0.8
    assert voice["va CCC valence"] > 0.8 > 0.2 > abs(voice["va CCC arousal"])
    assert face["va CCC arousal"] > 0.8 > 0.2 > abs(face["va CCC valence"])
    assert fused["score"] > max(voice["score"], face["score"]) + 0.2


def test_noise_is_not_learned(recipe, fit, memory, tmp_path: Path) -> None:
    chosen = recipe("train.epochs=4", "train.lr=3e-2", "train.select=last")
    done = fit(chosen, tmp_path, learnable(memory, noise=True))
    assert abs(done.checkpoint.metrics["score"]) < 0.15


def test_state_of_another_run_is_refused(recipe, fit, tmp_path: Path) -> None:
    from avaffect.errors import CheckpointError

    fit(recipe("train.epochs=1"), tmp_path)
    for changed in (recipe("train.ema=0.5"), recipe("branches.face.layers.0.units=[5]")):
        with pytest.raises(CheckpointError, match="damaged or of another run"):
            fit(changed, tmp_path, resume=True)
    shutil.copy(tmp_path / "log.jsonl", tmp_path / "last/state.pt")
    with pytest.raises(CheckpointError, match="damaged or of another run"):
        fit(recipe("train.epochs=1"), tmp_path, resume=True)


@pytest.mark.parametrize("change", ["train.augment.vtlp=0.1", "train.augment.gain_db=1"])
def test_voices_are_changed_in_decibels_only(change: str, recipe) -> None:
    from avaffect.training.setup import require_raw_voice

    name = next(n for n, branch in recipe().branches.items() if branch.modality == "audio")
    clip = f"branches.{name}.normalise=clip"
    raw = f"branches.{name}.features=[audio]"
    require_raw_voice(recipe(raw, change))
    require_raw_voice(recipe(raw, clip))
    with pytest.raises(UsageError, match="vtlp and gain_db cannot follow"):
        require_raw_voice(recipe(raw, clip, change))


def test_changed_data_is_not_gone_on_with(recipe, fit, dataset: Dataset, tmp_path: Path) -> None:
    fit(recipe("train.epochs=1"), tmp_path)
    clips = list(dataset.clips)
    changed = {task: labels.copy() for task, labels in clips[0].labels.items()}
    changed["va"][:] = 0.9
    clips[0] = replace(clips[0], labels=changed)
    with pytest.raises(UsageError, match=r"not what the run in .* began with"):
        fit(recipe("train.epochs=1"), tmp_path, replace(dataset, clips=tuple(clips)), resume=True)


def test_a_resumed_run_fetches_nothing_to_start_from(
    recipe, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(Setup, "_load_pretrained", lambda self, *given: asked.append(1))
    chosen = recipe("train.epochs=1")
    clips = dataset.of("train"), dataset.of("val")
    loop.train(chosen, dataset, *clips, tmp_path, device="cpu", resume=True)
    assert asked == [1]
    loop.train(chosen, dataset, *clips, tmp_path, device="cpu", resume=True)
    assert asked == [1]


def test_a_resumed_run_goes_on_in_its_own_precision(
    recipe, fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the processor that it has come to would choose."""
    fit(recipe("train.epochs=1"), tmp_path)
    path = tmp_path / "last/state.pt"
    state = torch.load(path, weights_only=True)
    assert state["place"]["amp"] == "none"
    asked = []
    real = setup.choose_precision
    monkeypatch.setattr(
        setup, "choose_precision", lambda word, *more: asked.append(word) or real(word, *more)
    )
    fit(recipe("train.epochs=2"), tmp_path, resume=True)
    assert asked == ["none"]
    # One of an earlier version does not say, and chooses anew; a recipe that says, decides.
    del state["place"]["amp"]
    torch.save(state, path)
    fit(recipe("train.epochs=2"), tmp_path, resume=True)
    fit(recipe("train.epochs=2", "train.amp=none"), tmp_path, resume=True)
    assert asked[1:] == ["auto", "none"]


def test_deterministic_without_filling_new_memory() -> None:
    before = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    with loop.deterministic():
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    assert torch.utils.deterministic.fill_uninitialized_memory == before  # type: ignore[attr-defined]


def test_the_average_of_recurrent_weights_lies_in_one_piece() -> None:
    flattened = []

    class Spy(torch.nn.GRU):
        def flatten_parameters(self):
            flattened.append(id(self))

    module = Spy(2, 2)
    del flattened[:]
    average = loop._average(module, 0.5)
    assert flattened[-1:] == [id(average.module)]
