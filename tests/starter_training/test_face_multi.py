"""Training the face net of starter-2: batches, losses, and a run that was interrupted."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "starter_training"))
sys.path.insert(0, str(Path(__file__).parent))

import face_multi
import made_up_faces
from face_batches import Batch, Batches
from face_data import load_all
from face_multi import Plan, Run, losses, value_loss
from mobile_face_net import WINDOWS, FaceNet, Said

from avaffect.metrics.scores import ccc

PLAN = Plan(epochs=2, steps=2, batch=6, warmup=1, window="small")


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory):
    return made_up_faces.write_sets(tmp_path_factory.mktemp("faces"))


@pytest.fixture(scope="module")
def sets(faces):
    return load_all(faces)


def batches(sets, seed=0, first=0, last=40, size=8):
    return Batches(sets, size, 32, 0.8, seed, first, last)


def test_training_pictures_are_of_the_training_part_and_no_twins(sets) -> None:
    for each in sets.values():
        rows = each.rows("train")
        assert (each.labels.split[rows] == "train").all()
        assert not each.twin[rows].any()
        assert len(each.labels.split) - 1 not in rows


def test_a_batch_depends_on_seed_and_step_alone(sets) -> None:
    whole, later = batches(sets), batches(sets, first=7)
    for mine, same in zip(vars(whole[9]).values(), vars(later[2]).values(), strict=True):
        torch.testing.assert_close(mine, same, equal_nan=True)
    assert not torch.equal(whole[9].faces, whole[10].faces)
    assert not torch.equal(whole[9].faces, batches(sets, seed=1)[9].faces)


def test_a_set_is_asked_only_for_the_classes_it_knows(sets) -> None:
    batch = batches({"rafdb": sets["rafdb"]})[0]
    assert batch.asked[:, :7].all()
    assert not batch.asked[:, 7].any()
    assert (batch.target[:, 7] == 0).all()
    torch.testing.assert_close(batch.target.sum(1), torch.ones(8))


def test_without_a_set_nothing_of_it_is_shown(sets) -> None:
    batch = batches({"ferplus": sets["ferplus"]}, size=30)[0]
    assert torch.isnan(batch.values).all()
    # Only the set of seven classes has values.
    assert torch.isfinite(batches(sets, size=30)[0].values).any()


def test_units_are_read_only_where_the_whole_face_is_seen(sets) -> None:
    assert np.isfinite(sets["ferplus"].units).all()
    assert np.isnan(sets["rafdb"].units).all()


def outputs_of(count):
    return Said(
        torch.randn(count, 8, requires_grad=True),
        torch.randn(count, 2, requires_grad=True),
        torch.randn(count, 12, requires_grad=True),
    )


def batch_of(count, values, units):
    return Batch(
        torch.zeros(count, 32, 32, 3, dtype=torch.uint8),
        torch.eye(8)[torch.arange(count) % 7],
        torch.arange(8).expand(count, 8) < 7,
        values,
        units,
    )


def test_what_is_not_known_and_not_asked_teaches_nothing() -> None:
    outputs = outputs_of(4)
    batch = batch_of(4, torch.full((4, 2), torch.nan), torch.full((4, 12), torch.nan))
    sum(losses(outputs, batch).values()).backward()
    assert (outputs.expression.grad[:, 7] == 0).all()
    assert (outputs.expression.grad[:, :7] != 0).all()
    assert (outputs.va.grad == 0).all()
    assert outputs.units.grad is None


def test_only_faces_with_values_and_units_are_scored_by_them() -> None:
    outputs = outputs_of(4)
    values, units = torch.rand(4, 2), torch.rand(4, 12)
    values[1], units[2] = torch.nan, torch.nan
    sum(losses(outputs, batch_of(4, values, units)).values()).backward()
    assert (outputs.va.grad.abs().sum(1) > 0).tolist() == [True, False, True, True]
    assert (outputs.units.grad.abs().sum(1) > 0).tolist() == [True, True, False, True]


def test_the_value_loss_is_one_less_the_ccc_and_the_squared_error() -> None:
    rng = np.random.default_rng(0)
    true = rng.normal(0, 0.5, (50, 2))
    mine = 0.5 * true + rng.normal(0.1, 0.2, (50, 2))
    agreement = np.mean([ccc(mine[:, d], true[:, d]) for d in (0, 1)])
    expected = 1 - agreement + ((mine - true) ** 2).mean()
    loss = value_loss(torch.tensor(mine), torch.tensor(true))
    assert float(loss) == pytest.approx(expected, abs=1e-4)


def test_the_rate_rises_then_falls_to_nothing() -> None:
    run = Run(replace(PLAN, steps=50, warmup=10), None, "cpu")
    rates = []
    for step in range(run.last):
        run.step = step
        rates.append(run.rate())
    assert np.argmax(rates) == pytest.approx(9, abs=1)
    assert rates[-1] < 0.01 * max(rates)


def test_an_interrupted_run_goes_on_as_it_would_have(sets, tmp_path: Path) -> None:
    def learn(run, steps):
        made = Batches(sets, PLAN.batch, 80, 0.8, 0, run.step, run.last)
        return [run.learn(made[at]) for at in range(steps)]

    whole = Run(PLAN, None, "cpu")
    expected = learn(whole, 4)[2:]
    first = Run(PLAN, None, "cpu")
    learn(first, 2)
    first.save(tmp_path / "state.pt")
    second = Run(PLAN, None, "cpu")
    second.load(tmp_path / "state.pt")
    assert second.step == 2
    for mine, same in zip(learn(second, 2), expected, strict=True):
        assert mine == pytest.approx(same, rel=1e-3, abs=1e-4)


def test_slopes_fade_to_none_and_every_layer_learns(sets) -> None:
    run = Run(replace(PLAN, epochs=3, fade=1), None, "cpu")
    made = Batches(sets, 6, 80, 0.8, 0, 0, run.last)
    assert all(value.requires_grad for value in run.net.trunk[0].parameters())
    seen = []
    for at in range(3):
        run.learn(made[at])
        seen.append(float(run.net.slopes()[0].abs().max()))
    # PyTorch's PReLU starts at a quarter; an epoch has two steps.
    assert seen == pytest.approx([0.25, 0.125, 0])
    assert all((slope == 0).all() for slope in run.averaged().slopes())


def test_a_net_that_says_what_its_teachers_say_is_closest_to_them() -> None:
    teacher = FaceNet(None, WINDOWS["small"]).eval()
    faces = torch.rand(6, 3, 112, 112) * 255
    opinion = face_multi.Teachers([teacher, teacher])(faces)
    torch.testing.assert_close(opinion.expression.sum(1), torch.ones(6))
    same = Said(opinion.expression.log(), opinion.va, opinion.units.logit())
    other = Said(-3 * same.expression, same.va + 0.3, -same.units)
    assert face_multi.taught_loss(same, opinion) < face_multi.taught_loss(other, opinion)


def test_teachers_are_learnt_from_and_do_not_learn(sets) -> None:
    teacher = FaceNet(None, WINDOWS["small"])
    before = teacher.heads.weight.detach().clone()
    run = Run(PLAN, None, "cpu", [teacher])
    assert run.learn(Batches(sets, 6, 80, 0.8, 0, 0, 4)[0])["taught"] > 0
    torch.testing.assert_close(teacher.heads.weight.detach(), before)


def test_a_state_from_before_a_field_was_added_is_still_read(tmp_path: Path) -> None:
    run = Run(PLAN, None, "cpu")
    run.save(tmp_path / "state.pt")
    saved = torch.load(tmp_path / "state.pt", weights_only=True)
    del saved["plan"]["fade"]
    torch.save(saved, tmp_path / "state.pt")
    run.load(tmp_path / "state.pt")


def test_a_state_of_another_plan_is_refused(tmp_path: Path) -> None:
    Run(PLAN, None, "cpu").save(tmp_path / "state.pt")
    with pytest.raises(SystemExit, match="another plan"):
        Run(replace(PLAN, without="rafdb"), None, "cpu").load(tmp_path / "state.pt")


def test_the_average_follows_the_weights_slowly(sets) -> None:
    run = Run(replace(PLAN, average=0.9), None, "cpu")
    before = run.average["heads.weight"].clone()
    run.learn(Batches(sets, 6, 80, 0.8, 0, 0, 4)[0])
    moved = (run.average["heads.weight"] - before).abs().sum()
    whole = (run.net.heads.weight.detach() - before).abs().sum()
    assert 0 < moved < whole * 1.001


def test_training_writes_state_net_and_log_with_figures_of_each_set(faces, tmp_path: Path) -> None:
    run = Run(replace(PLAN, epochs=1), None, "cpu")
    face_multi.train(run, faces, tmp_path)
    net = face_multi.load_net(tmp_path / "net.pt")
    assert net.window.side == 80
    assert {path.name for path in tmp_path.iterdir()} == {"state.pt", "net.pt", "log.jsonl"}
    line = (tmp_path / "log.jsonl").read_text(encoding="utf-8")
    assert '"rafdb"' in line
    assert '"ferplus"' in line
