"""Networks of every kind: shapes, gradients, and what must not matter."""

import copy
import itertools

import numpy as np
import pytest
import torch
from torch import nn

from avaffect.networks.blocks import MaskedBatchNorm
from avaffect.networks.network import AffectNetwork, BranchNetwork, Statistics
from avaffect.recipes.library import load_recipe, recipe_names

BLOCKS = (
    *("mlp", "gru", "bigru", "lstm", "bilstm"),
    *("tcn", "causal_tcn", "pooled_tcn", "transformer", "mixed"),
)
FUSIONS = ("concat", "gated", "cross_attention", "late")
POOLS = ("none", "mean", "attention", "statistics", "attentive_statistics")
# Every block with every fusion, every pool with every fusion, and most blocks with most pools.
KINDS = [
    *((block, "concat", "none") for block in BLOCKS),
    *(("gru", "concat", pool) for pool in POOLS[1:]),
    *(
        (block, fusion, POOLS[(i + j) % len(POOLS)])
        for i, block in enumerate(BLOCKS)
        for j, fusion in enumerate(FUSIONS[1:])
    ),
]
# For what costs more: every fusion with every pool, every block with two of each.
SOME_KINDS = [
    (BLOCKS[(i + i // len(BLOCKS)) % len(BLOCKS)], fusion, pool)
    for i, (fusion, pool) in enumerate(itertools.product(FUSIONS, POOLS))
]
WIDTHS = {"voice": 3, "face": 5, "pose": 2}
OUTPUTS = {"va": 2, "expr": 4, "au": 3}

every_kind = pytest.mark.parametrize(("block", "fusion", "pool"), KINDS)
some_kinds = pytest.mark.parametrize(("block", "fusion", "pool"), SOME_KINDS)
both_modes = pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])


def close(found, expected):
    assert found.keys() == expected.keys()
    for name, tensor in found.items():
        torch.testing.assert_close(tensor, expected[name], rtol=1e-4, atol=1e-5)


def running(network):
    return {n: b.clone() for n, b in network.named_buffers() if "running" in n}


def warmed(network, windows):
    """Running statistics that are not those of the beginning."""
    network.train()
    with torch.no_grad():
        network(*windows(seed=50))
    return network


@every_kind
def test_shapes_and_ranges(block, fusion, pool, small_network, small_windows) -> None:
    network = small_network(block, fusion, pool)
    inputs, seen, exists = small_windows(windows=4, frames=9)
    for training in (True, False):
        network.train(training)
        out = network(inputs, seen, exists)
        assert {task: tuple(output.shape) for task, output in out.items()} == {
            task: (4, 9, size) for task, size in OUTPUTS.items()
        }
        assert all(value.dtype == torch.float32 for value in out.values())
        assert all(torch.isfinite(value).all() for value in out.values())
        assert out["va"].abs().max() <= 1
        if pool != "none" and fusion != "late":
            assert all((value == value[:, :1]).all() for value in out.values())


@every_kind
def test_gradients_reach_every_parameter(
    block, fusion, pool, small_network, small_windows
) -> None:
    network = small_network(block, fusion, pool).train()
    out = network(*small_windows())
    sum((value * torch.randn_like(value)).sum() for value in out.values()).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        # A softmax does not notice what is added to all its scores.
        if not name.endswith(("key.bias", "pool.score.bias", "pool.score.2.bias")):
            assert parameter.grad.abs().max() > 0, name


@both_modes
@some_kinds
def test_padding_changes_nothing(
    block, fusion, pool, training: bool, small_network, small_windows
) -> None:
    """Windows with padding give what they give without, also to running statistics."""
    network = warmed(small_network(block, fusion, pool), small_windows).train(training)
    inputs, seen, exists = small_windows(frames=9, lengths=[6] * 4)
    bare = copy.deepcopy(network)
    padded = {task: output[:, :6] for task, output in network(inputs, seen, exists).items()}
    short = ({n: x[:, :6] for n, x in part.items()} for part in (inputs, seen))
    close(padded, bare(*short, exists[:, :6]))
    close(running(network), running(bare))


@both_modes
@some_kinds
def test_what_is_not_seen_changes_nothing(
    block, fusion, pool, training: bool, small_network, small_windows
) -> None:
    network = warmed(small_network(block, fusion, pool), small_windows).train(training)
    other = copy.deepcopy(network)
    inputs, seen, exists = small_windows(lengths=[9, 4, 7, 1])
    rubbish = {name: x.clone() for name, x in inputs.items()}
    values = torch.tensor([float("nan"), float("inf"), -float("inf"), 1e38, -3.0])
    for name, x in rubbish.items():
        hidden = ~seen[name]
        x[hidden] = values[torch.arange(int(hidden.sum()) * x.shape[2]) % 5].reshape(
            -1, x.shape[2]
        )
        assert not torch.isfinite(x).all()
    close(other(rubbish, seen, exists), network(inputs, seen, exists))
    close(running(other), running(network))


@every_kind
def test_windows_of_a_batch_are_alone(block, fusion, pool, small_network, small_windows) -> None:
    network = warmed(small_network(block, fusion, pool), small_windows).eval()
    inputs, seen, exists = small_windows(lengths=[9, 4, 7, 1])
    together = network(inputs, seen, exists)
    for i in range(4):
        window = ({n: x[i : i + 1] for n, x in part.items()} for part in (inputs, seen))
        close({t: x[i : i + 1] for t, x in together.items()}, network(*window, exists[i : i + 1]))


@both_modes
@some_kinds
def test_what_is_missing_is_no_number_fault(
    block, fusion, pool, training: bool, small_network, small_windows
) -> None:
    network = small_network(block, fusion, pool).train(training)
    inputs, seen, exists = small_windows()
    nothing = torch.zeros_like(exists)
    cases = [
        {"voice": nothing},
        {"face": nothing, "pose": nothing},
        {"voice": nothing, "face": nothing, "pose": nothing},
    ]
    for case in cases:
        out = network(inputs, seen | case, exists)
        assert all(torch.isfinite(value).all() for value in out.values())
        assert all(torch.isfinite(output).all() for output in running(network).values())
        network.zero_grad()
        sum(value.square().sum() for value in out.values()).backward()
        for name, parameter in network.named_parameters():
            assert parameter.grad is None or torch.isfinite(parameter.grad).all(), name


@pytest.mark.parametrize("fusion", FUSIONS)
def test_a_branch_that_sees_nothing_says_nothing(
    fusion: str, small_network, small_windows
) -> None:
    """Where voice is not seen in a window, its weights do not matter there."""
    network = warmed(small_network("gru", fusion), small_windows).eval()
    inputs, seen, exists = small_windows()
    seen["voice"][1] = False
    before = network(inputs, seen, exists)
    with torch.no_grad():
        for parameter in network.branches["voice"].parameters():
            parameter.add_(0.5)
    after = network(inputs, seen, exists)
    for task in OUTPUTS:
        torch.testing.assert_close(after[task][1], before[task][1])
        assert not torch.allclose(after[task][0], before[task][0])


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("branches", [1, 2])
def test_fewer_branches(fusion: str, branches: int, small_network, small_windows) -> None:
    network = small_network("gru", fusion, branches=branches)
    inputs, seen, exists = small_windows()
    names = list(WIDTHS)[:branches]
    out = network({n: inputs[n] for n in names}, {n: seen[n] for n in names}, exists)
    assert {task: output.shape[2] for task, output in out.items()} == OUTPUTS
    assert all(torch.isfinite(value).all() for value in out.values())
    # More than it asks for is no harm.
    again = network(inputs, seen, exists)
    assert again.keys() == out.keys()


@pytest.mark.parametrize("block", ["gru", "lstm", "causal_tcn", "mlp"])
def test_causal_blocks_do_not_see_the_future(block: str, small_network, small_windows) -> None:
    network = warmed(small_network(block), small_windows).eval()
    inputs, seen, exists = small_windows()
    before = network(inputs, seen, exists)
    for x in inputs.values():
        x[:, 5:] += 1
    after = network(inputs, seen, exists)
    for task in OUTPUTS:
        torch.testing.assert_close(after[task][:, :5], before[task][:, :5])
        assert not torch.allclose(after[task][:, 5:], before[task][:, 5:])


@pytest.mark.parametrize("block", ["bigru", "bilstm", "tcn", "transformer"])
def test_other_blocks_see_both_ways(block: str, small_network, small_windows) -> None:
    network = warmed(small_network(block), small_windows).eval()
    inputs, seen, exists = small_windows()
    seen["face"][:, 5] = True
    changed = inputs["face"].clone()
    changed[:, 5] += 5
    before = network(inputs, seen, exists)["va"]
    after = network(inputs | {"face": changed}, seen, exists)["va"]
    assert not torch.allclose(after[:, 4], before[:, 4])
    assert not torch.allclose(after[:, 6], before[:, 6])


@both_modes
@pytest.mark.parametrize("pool", POOLS)
def test_a_norm_behind_the_pool_counts_windows(
    pool: str, training: bool, small_network, small_windows
) -> None:
    """Padding and windows in which nothing is seen take no part in it."""
    network = small_network("gru", "concat", pool, out_norm="batch")
    network = warmed(network, small_windows).train(training)
    bare = copy.deepcopy(network)
    inputs, seen, exists = small_windows(windows=5, lengths=[6] * 5)
    for value in seen.values():
        value[4] = False
    out = network(inputs, seen, exists)
    short = ({n: x[:4, :6] for n, x in part.items()} for part in (inputs, seen))
    close({task: output[:4, :6] for task, output in out.items()}, bare(*short, exists[:4, :6]))
    close(running(network), running(bare))
    norm = network.heads["va"][0].after.batch
    assert norm.num_features == network.heads["va"][0].out.in_features


# Late fusion.


@pytest.mark.parametrize("pool", ["none", "mean"])
def test_late_fusion_is_the_mean_of_those_that_see(
    pool: str, small_network, small_windows
) -> None:
    """A branch's head pools what that branch sees."""
    network = warmed(small_network("gru", "late", pool), small_windows).eval()
    inputs, seen, exists = small_windows()
    out = network(inputs, seen, exists)
    features = network.standardise(inputs, seen)
    kinds = {"va": lambda x: x, "expr": lambda x: x.softmax(-1), "au": lambda x: x.sigmoid()}
    counts = set()
    for task, kind in kinds.items():
        predicted = [
            kind(head(network.branches[name](features[name], exists, seen[name]), seen[name]))
            for name, head in zip(WIDTHS, network.heads[task], strict=True)
        ]
        for b in range(4):
            for t in range(9):
                mine = [
                    x[b, t] for x, name in zip(predicted, WIDTHS, strict=True) if seen[name][b, t]
                ]
                counts.add(len(mine))
                if mine:
                    found = kind(out[task][b, t])
                    torch.testing.assert_close(found, torch.stack(mine).mean(0))
    assert {1, 2, 3} <= counts


# Standardising.


def test_standardising(small_network, small_windows) -> None:
    network = small_network()
    rng = np.random.default_rng(0)
    statistics = {
        name: Statistics(
            rng.normal(size=width).astype(np.float32),
            rng.uniform(0.5, 2, width).astype(np.float32),
        )
        for name, width in WIDTHS.items()
        if name != "pose"
    }
    network.set_statistics(statistics)
    inputs, seen, _ = small_windows()
    inputs["voice"][0, 0] = torch.tensor([float("nan"), float("inf"), 2.0])
    inputs["face"] = inputs["face"].half()
    found = network.standardise(inputs, seen)
    assert list(found) == list(WIDTHS)
    for name, x in found.items():
        assert x.dtype == torch.float32
        assert (x[~seen[name]] == 0).all()
        expected = inputs[name].float()
        if name != "pose":
            mean, deviation = (
                torch.from_numpy(array)
                for array in (statistics[name].mean, statistics[name].deviation)
            )
            expected = (expected - mean) / deviation
        if name == "voice":
            expected[0, 0, :2] = 0
        torch.testing.assert_close(x[seen[name]], expected[seen[name]])
    # It is kept with the weights.
    again = small_network()
    again.load_state_dict(network.state_dict())
    torch.testing.assert_close(again.standardise(inputs, seen)["face"], found["face"])


@pytest.mark.parametrize(
    ("mean", "deviation", "message"),
    [
        ([0, 0], [1], "one length"),
        ([[0]], [[1]], "vectors"),
        ([np.nan], [1], "finite"),
        ([0], [np.inf], "finite"),
        ([0], [0], "positive"),
    ],
)
def test_statistics_are_checked(mean, deviation, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Statistics(np.array(mean, np.float32), np.array(deviation, np.float32))


# Dropping modalities.


def test_dropping_never_takes_everything(small_network) -> None:
    network = small_network()
    chance = torch.Generator().manual_seed(0)
    count = 20_000
    seen = {name: torch.ones(count, 3, dtype=torch.bool) for name in WIDTHS}
    seen["voice"][:2000] = False
    seen["face"][2000:4000] = False
    seen["face"][4000:6000] = seen["pose"][4000:6000] = False
    seen["voice"][6000:, 0] = False
    kept = network.drop_modalities(seen, 0.3, chance)
    assert all((kept[name] & ~seen[name]).sum() == 0 for name in WIDTHS)
    has = torch.stack([seen[name].any(1) for name in WIDTHS]).any(0)
    still = torch.stack([kept[name].any(1) for name in WIDTHS]).any(0)
    assert (has == still).all()
    # What is dropped is dropped for a whole window, and all branches of a modality alike.
    for name in WIDTHS:
        lost = (kept[name] != seen[name]).any(1)
        assert not kept[name][lost].any()
    assert (kept["face"][6000:] == kept["pose"][6000:]).all()
    # A window that has one modality keeps it.
    for rows in (slice(0, 2000), slice(4000, 6000)):
        assert all((kept[name][rows] == seen[name][rows]).all() for name in WIDTHS)
    # Of two each is lost with chance p (1 - p): .21, within three deviations of 14,000 draws.
    for name in WIDTHS:
        rate = float((~kept[name][6000:, 1]).float().mean())
        assert abs(rate - 0.21) < 3 * (0.21 * 0.79 / 14_000) ** 0.5


def test_dropping_is_drawn_by_the_generator(small_network, small_windows) -> None:
    network = small_network()
    _, seen, _ = small_windows(windows=50)
    drawn = [
        network.drop_modalities(seen, 0.5, torch.Generator().manual_seed(seed))["voice"]
        for seed in (1, 1, 2)
    ]
    assert (drawn[0] == drawn[1]).all()
    assert (drawn[0] != drawn[2]).any()
    torch.manual_seed(1)
    assert (network.drop_modalities(seen, 0.5)["voice"] == drawn[0]).all()


def test_nothing_is_dropped_without_need(small_network, small_windows) -> None:
    _, seen, _ = small_windows()
    for network, chance in ((small_network(), 0.0), (small_network(branches=1), 0.9)):
        kept = network.drop_modalities(seen, chance)
        assert all((kept[name] == seen[name]).all() for name in WIDTHS)


# Recipes of the package.


@pytest.mark.no_cover
@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_is_a_network(name) -> None:
    recipe = load_recipe(name)
    outputs = {task: {"va": 2, "expr": 8, "au": 12}[task] for task in recipe.task_names}
    frames = min(15, recipe.window.length)
    widths, inputs, seen = {}, {}, {}
    for i, (name, branch) in enumerate(recipe.roots.items()):
        widths[name] = 4 + i
        shape = (40, 40, 3) if branch.encoder else (4 + i,)
        wide = frames + 2 * recipe.margins[name]
        inputs[name] = torch.randn(2, wide, *shape)
        seen[name] = torch.ones(2, wide, dtype=torch.bool)
    torch.manual_seed(0)
    network = AffectNetwork(recipe, widths, outputs).eval()
    there = torch.ones(2, frames, dtype=torch.bool)
    with torch.inference_mode():
        out = network(inputs, seen, there)
    assert {task: output.shape[2] for task, output in out.items()} == outputs
    assert not any(
        isinstance(module, nn.BatchNorm1d) and not isinstance(module, MaskedBatchNorm)
        for module in network.modules()
    )


def test_half_precision_gives_whole_numbers(small_network, small_windows, half_precision) -> None:
    """Under autocast the predictions are float32, close to those without."""
    bf16 = half_precision("bf16")
    for block, fusion, pool in KINDS[::5]:
        network = warmed(small_network(block, fusion, pool), small_windows).eval()
        inputs, seen, exists = small_windows(lengths=[9, 4, 7, 1])
        exact = network(inputs, seen, exists)
        with torch.autocast("cpu", bf16):
            rough = network(inputs, seen, exists)
        for task, output in rough.items():
            assert output.dtype == torch.float32
            torch.testing.assert_close(output, exact[task], rtol=0.1, atol=0.1)


def test_features_far_beyond_the_training_are_cut_off() -> None:
    branch = BranchNetwork(2, load_recipe("abaw1-av-gru").branches["pose"])
    branch.deviation.copy_(torch.tensor([1e-3, 1.0]))
    x = torch.tensor([[[5.0, -3.0], [-5.0, 30.0]]])
    out = branch.standardise(x, torch.ones(1, 2, dtype=torch.bool))
    assert out.tolist() == [[[10.0, -3.0], [-10.0, 10.0]]]
