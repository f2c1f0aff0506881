"""Branches that go on from branches, heads beside the main ones, and stacked predictions."""

import pytest
import torch

from avaffect.errors import UsageError
from avaffect.networks.network import AffectNetwork
from avaffect.recipes.library import choose, parse_recipe

OUTPUTS = {"va": 2, "au": 3}
DENSE = {"kind": "mlp", "units": [5]}


def network(branches, **more):
    torch.manual_seed(0)
    tree = {
        "name": "graph",
        "branches": branches,
        "tasks": {task: {"terms": {"any": 1}} for task in OUTPUTS},
        **more,
    }
    recipe = parse_recipe(tree, "'graph'")
    return AffectNetwork(recipe, {name: 4 for name in recipe.roots}, OUTPUTS).eval()


def chain(**more):
    """`first` reads features; `second` and `third` go on from it."""
    return network(
        {
            "first": {"features": ["a"], "layers": [DENSE], "fused": False},
            "second": {"input": "first", "layers": [{"kind": "mlp", "units": [6]}]},
            "third": {
                "input": "second",
                "target": "first",
                "layers": [{"kind": "encoder_decoder", "layers": 1, "heads": 2, "dropout": 0}],
            },
        },
        **more,
    )


def windows(frames=7):
    there = torch.ones(2, frames, dtype=torch.bool)
    return {"first": torch.randn(2, frames, 4)}, {"first": there}, there


def test_a_branch_goes_on_from_another() -> None:
    net = chain()
    inputs, seen, exists = windows()
    x = net.standardise(inputs, seen)["first"]
    first = net.branches["first"](x, exists, exists)
    second = net.branches["second"](first, exists, exists)
    third = net.branches["third"](second, exists, exists, first)
    fused = torch.cat((second, third), dim=-1)
    expected = net.heads["va"][0](fused, exists)
    torch.testing.assert_close(net(inputs, seen, exists)["va"], expected)


def test_auxiliary_heads_are_of_their_branches_only() -> None:
    net = chain(auxiliary=["second"])
    out = net.outputs(*windows())
    assert out.auxiliary.keys() == {"second"}
    assert {task: output.shape[2] for task, output in out.auxiliary["second"].items()} == OUTPUTS
    out.auxiliary["second"]["va"].sum().backward()
    assert all(p.grad is not None for p in net.branches["second"].parameters())
    assert all(p.grad is None for p in net.branches["third"].parameters())
    # They are no part of what is predicted.
    inputs, seen, exists = windows()
    before = net(inputs, seen, exists)["va"]
    with torch.no_grad():
        net.auxiliary["second"]["va"][0].out.weight.add_(1.0)
    torch.testing.assert_close(net(inputs, seen, exists)["va"], before)


@pytest.mark.parametrize("units", [[], [8]])
def test_stacked_predictions(units) -> None:
    net = chain(fusion={"kind": "stacked", "units": units}, auxiliary=["second", "third"])
    inputs, seen, exists = windows()
    out = net.outputs(net.standardise(inputs, seen), seen, exists)
    assert out.auxiliary.keys() == {"second", "third"}
    stacked = torch.cat([out.auxiliary[name]["au"] for name in ("second", "third")], dim=-1)
    torch.testing.assert_close(out.main["au"], net.stack["au"](stacked, exists))
    assert out.main["va"].abs().max() <= 1


def test_late_predictions_may_have_losses_of_their_own() -> None:
    net = chain(fusion={"kind": "late"}, auxiliary=["third"])
    out = net.outputs(*windows())
    assert out.auxiliary.keys() == {"third"}
    assert not net.auxiliary


def test_layers_behind_the_fusion() -> None:
    net = chain(fusion={"kind": "concat", "layers": [{"kind": "bigru", "units": [3]}]})
    inputs, seen, exists = windows()
    other = {"first": inputs["first"].clone()}
    other["first"][:, 5] += torch.tensor([3.0, -2, 1, 0])
    changed = net(inputs, seen, exists)["au"] - net(other, seen, exists)["au"]
    assert (changed.abs().amax((0, 2)) > 1e-7).all()
    assert net.heads["va"][0].out.in_features == 6


def test_what_is_not_seen_is_not_seen_further_up() -> None:
    net = network(
        {
            "first": {"features": ["a"], "layers": [DENSE], "fused": False},
            "second": {"input": "first", "layers": [{"kind": "local_attention", "window": 3}]},
            "other": {"features": ["b"], "layers": [DENSE]},
        }
    )
    there = torch.ones(2, 7, dtype=torch.bool)
    gone = there.clone()
    gone[:, 2] = False
    inputs = {"first": torch.randn(2, 7, 4), "other": torch.randn(2, 7, 4)}
    seen = {"first": gone, "other": there}
    other = {**inputs, "first": inputs["first"].clone()}
    other["first"][:, 2] = 99
    first, second = net(inputs, seen, there), net(other, seen, there)
    for task in OUTPUTS:
        torch.testing.assert_close(first[task], second[task])


def test_modalities_go_by_the_first_branch() -> None:
    recipe = chain().recipe
    assert recipe.modalities == ("video",)
    assert recipe.modality("third") == "video"
    assert recipe.fused == ("second", "third")
    tree = recipe.to_dict()
    tree["branches"]["voice"] = {"modality": "audio", "features": ["b"], "layers": [DENSE]}
    tree["auxiliary"] = ["second", "voice"]
    whole = parse_recipe(tree, "'graph'")
    assert whole.modalities == ("video", "audio")
    video = choose(whole, ["video"])
    assert list(video.branches) == ["first", "second", "third"]
    assert video.auxiliary == ("second",)
    assert list(choose(whole, ["audio"]).branches) == ["voice"]


def test_sizes_that_do_not_go_together() -> None:
    with pytest.raises(UsageError, match="do not divide a width of 5"):
        network({"a": {"features": ["a"], "layers": [DENSE, {"kind": "encoder_decoder"}]}})


def test_polarity_decides_extremes_in_prediction_alone() -> None:
    net = network(
        {"a": {"features": ["a"], "layers": [DENSE]}}, polarity={"units": [4], "epochs": 1}
    )
    inputs, there = {"a": torch.randn(2, 7, 4)}, torch.ones(2, 7, dtype=torch.bool)
    with torch.no_grad():
        net.heads["va"][0].classifiers[1].bias.copy_(torch.tensor([0.0, 0.0, 50.0]))
        net.heads["va"][0].classifiers[0].bias.copy_(torch.tensor([0.0, 50.0, 0.0]))
    features = net.standardise(inputs, {"a": there})
    out = net.outputs(features, {"a": there}, there)
    decided = net(inputs, {"a": there}, there)["va"]
    assert out.polarity.shape == (2, 7, 2, 3)
    assert (decided[..., 1] == 1).all()
    torch.testing.assert_close(decided[..., 0], out.main["va"][..., 0])
    assert out.main["va"].abs().max() < 1


def test_other_by_threshold() -> None:
    tree = {
        "name": "other",
        "branches": {"a": {"features": ["a"], "layers": [DENSE]}},
        "tasks": {"expr": {"terms": {"cross_entropy": 1}, "other_threshold": 0.4}},
    }
    recipe = parse_recipe(tree, "'other'")
    torch.manual_seed(0)
    net = AffectNetwork(recipe, {"a": 4}, {"expr": 8}).eval()
    there = torch.ones(3, 50, dtype=torch.bool)
    inputs, seen = {"a": 6 * torch.randn(3, 50, 4)}, {"a": there}
    raw = net.outputs(net.standardise(inputs, seen), seen, there).main["expr"][..., :7].softmax(-1)
    predicted = net(inputs, seen, there)["expr"].softmax(-1)
    doubt = raw.amax(-1) < 0.4
    assert 0 < doubt.sum() < doubt.numel()
    assert torch.equal(predicted.argmax(-1) == 7, doubt)
    assert torch.equal(predicted.argmax(-1)[~doubt], raw.argmax(-1)[~doubt])
    torch.testing.assert_close(predicted.sum(-1), torch.ones(3, 50))
    with pytest.raises(UsageError, match="wants the challenge's 8 expressions, the data has 7"):
        AffectNetwork(recipe, {"a": 4}, {"expr": 7})
