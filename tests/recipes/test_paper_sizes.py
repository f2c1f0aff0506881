"""The papers' recipes: settings as published, and parameters counted by hand.

Numbers: docs/papers.md, and the sources that each recipe names.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from avaffect.networks.network import AffectNetwork
from avaffect.recipes.encoders import Backbone, PhaseDifference
from avaffect.recipes.library import load_recipe
from avaffect.recipes.recipe import Recipe

OUTPUTS = {"va": 2, "expr": 8, "au": 12}
OPINIONS = 10
# torchvision's published counts, less those of the classifier of 1000 classes.
NETS = {
    "regnet_y_400mf": 4_344_144 - 441 * 1000,
    "regnet_y_800mf": 6_432_512 - 785 * 1000,
    "resnet18": 11_689_512 - 513 * 1000,
    "resnet50": 25_557_032 - 2049 * 1000,
    "resnet152": 60_192_808 - 2049 * 1000,
    "efficientnet_b0": 5_288_548 - 1281 * 1000,
    "mobilenet_v2": 3_504_872 - 1281 * 1000,
    "densenet121": 7_978_856 - 1025 * 1000,
    "densenet201": 20_013_928 - 1921 * 1000,
}
WIDTHS = {
    "regnet_y_400mf": 440,
    "regnet_y_800mf": 784,
    "resnet18": 512,
    "resnet50": 2048,
    "resnet152": 2048,
    "efficientnet_b0": 1280,
    "mobilenet_v2": 1280,
    "densenet121": 1024,
    "densenet201": 1920,
}
EXPR_NETS = ("resnet18", "resnet152", "mobilenet_v2", "densenet121", "densenet201")
AU_NETS = ("resnet50", "regnet_y_400mf", "regnet_y_800mf")
ABAW2 = ("abaw2-two-stream", "abaw2-spatial", "abaw2-spatial-without-lds")
AU3 = ("abaw3-au", "abaw3-au-only-t1", "abaw3-au-t1-as-target", "abaw3-au-weighted-loss")


def dense(entering: int, leaving: int) -> int:
    return entering * leaving + leaving


def norm(width: int) -> int:
    return 2 * width


def gru(entering: int, width: int) -> int:
    # Reset, update and new state, each from the input and from the state, with two biases.
    return 3 * (entering * width + width * width + 2 * width)


def attention(width: int) -> int:
    return 4 * dense(width, width)


def feedforward(width: int, inner: int) -> int:
    return dense(width, inner) + dense(inner, width)


def encoder(width: int, inner: int) -> int:
    return attention(width) + feedforward(width, inner) + 2 * norm(width)


def decoder(width: int, inner: int) -> int:
    return 2 * attention(width) + feedforward(width, inner) + 3 * norm(width)


def whole_transformer(width: int, layers: int, inner: int) -> int:
    return layers * (encoder(width, inner) + decoder(width, inner)) + 2 * norm(width)


def encoder_alone(width: int, layers: int, inner: int) -> int:
    return layers * encoder(width, inner) + norm(width)


def up_down(width: int) -> int:
    return dense(width, width * 3 // 2) + dense(width * 3 // 2, width)


def two_stream() -> int:
    # Differences of 12 frames in 2 directions; one block of two convolutions, each with a norm.
    block = 24 * 64 * 9 + norm(64) + 64 * 64 * 9 + norm(64)
    # The second level joins the 64 maps, and all are pooled into 4 x 4 places.
    phase = block + dense((64 + 24) * 16, 256) + norm(256) + dense(256, 256) + norm(256)
    return phase + spatial(512)


def spatial(joined: int = 256) -> int:
    mlp = dense(2048, 256) + norm(256) + dense(256, 256) + norm(256)
    regression = dense(joined, 256) + norm(256) + 2 * gru(256, 128) + 2 * gru(256, 128)
    return NETS["resnet50"] + mlp + regression + dense(256, 2)


def va_stage1() -> int:
    branches = gru(440, 256) + gru(256, 256) + whole_transformer(440, 3, 1024)
    heads = dense(256 + 440, 2) + dense(256, 2) + dense(440, 2)
    return NETS["regnet_y_400mf"] + branches + heads


def va_stage2() -> int:
    local = attention(256) + norm(256)
    return gru(OPINIONS, 256) + 3 * gru(256, 256) + 2 * local + dense(256, 2)


def au3(only_t1: bool = False) -> int:
    # Half of a position's values are sines, half cosines, of 220 learned frequencies.
    transformer = whole_transformer(440, 2, 512) + 220
    head = dense(440, 12)
    if only_t1:
        return NETS["regnet_y_400mf"] + transformer + head
    fusion = dense(36, 36) + dense(36, 12)
    return NETS["regnet_y_400mf"] + 2 * transformer + up_down(440) + 3 * head + fusion


def va5() -> int:
    width = 2048 + 440 + 1280
    classifiers = 2 * (dense(width, 256) + dense(256, 3))
    # Arousal reads the features of valence too.
    regressions = 2 * dense(width, 256) + dense(256, 1) + dense(512, 1)
    nets = NETS["resnet50"] + NETS["regnet_y_400mf"] + NETS["efficientnet_b0"]
    return nets + classifiers + regressions


def expr5(net: str) -> int:
    return NETS[net] + dense(WIDTHS[net], 8)


def au5(net: str) -> int:
    width = WIDTHS[net]
    paths = 2 * encoder_alone(width, 2, 512) + up_down(width) + 3 * dense(width, 12)
    return NETS[net] + paths + dense(36, 36) + dense(36, 12)


def stem_and_first_block() -> int:
    # A stem of 32 maps; a block of 48 in groups of 8 with a squeeze to 8, beside a shortcut.
    stem = 3 * 32 * 9 + norm(32)
    block = 2 * (32 * 48 + norm(48)) + 48 * 8 * 9 + norm(48) + 48 * 48 + norm(48)
    return stem + block + dense(48, 8) + dense(8, 48)


FROZEN = {
    **dict.fromkeys(ABAW2, NETS["resnet50"]),
    **dict.fromkeys(("abaw3-va-stage1", *AU3), stem_and_first_block()),
}
COUNTS = [
    ("abaw2-two-stream", None, two_stream()),
    ("abaw2-spatial", None, spatial()),
    ("abaw2-spatial-without-lds", None, spatial()),
    ("abaw3-va-stage1", None, va_stage1()),
    ("abaw3-va-stage2", None, va_stage2()),
    *((name, None, au3("only" in name)) for name in AU3),
    ("abaw5-va", None, va5()),
    *((name, net, expr5(net)) for name in ("abaw5-expr",) for net in EXPR_NETS),
    ("abaw5-expr-threshold", None, expr5("resnet18")),
    *(("abaw5-au", net, au5(net)) for net in AU_NETS),
]


def widths(recipe: Recipe) -> dict[str, int]:
    return {
        name: OPINIONS if branch.encoder is None else 3 * branch.encoder.size**2
        for name, branch in recipe.roots.items()
    }


def outputs(recipe: Recipe) -> dict[str, int]:
    return {task: OUTPUTS[task] for task in recipe.task_names}


def build(recipe: Recipe) -> AffectNetwork:
    """For its shapes alone: without numbers, but where torchvision computes on a RegNet's."""
    nets = [
        value.encoder.net for value in recipe.roots.values() if isinstance(value.encoder, Backbone)
    ]
    device = "cpu" if any("regnet" in net for net in nets) else "meta"
    with torch.device(device):
        return AffectNetwork(recipe, widths(recipe), outputs(recipe))


@pytest.mark.parametrize(("name", "net", "expected"), COUNTS)
def test_parameters(name: str, net: str | None, expected: int) -> None:
    recipe = load_recipe(name, [f"branches.face.encoder.net={net}"] if net else [])
    network = build(recipe)
    assert sum(parameter.numel() for parameter in network.parameters()) == expected
    frozen = sum(
        parameter.numel() for parameter in network.parameters() if not parameter.requires_grad
    )
    assert frozen == FROZEN.get(name, 0)
    for branch_name, branch in recipe.roots.items():
        if isinstance(branch.encoder, Backbone):
            built: Any = network.branches[branch_name]
            assert built.encoder.net.size == WIDTHS[branch.encoder.net]
            assert branch.encoder.size == 112


PUBLISHED: dict[str, dict[str, Any]] = {
    "abaw2-two-stream": {
        "window": (64, 32),
        "train": ("sgd", 1e-3, 25, 16),
        "schedule": ("step", 10, 0.1),
        "others": {"momentum": 0.9, "weight_decay": 5e-4, "clip_norm": 20, "patience": 5},
        "blocks": {
            "spatial": [
                (
                    "mlp",
                    {
                        "units": (256, 256),
                        "dropout": 0.3,
                        "norm": "batch",
                        "order": ("dropout", "dense", "norm", "activation"),
                    },
                )
            ],
            "fusion": [
                (
                    "mlp",
                    {
                        "units": (256,),
                        "dropout": 0.5,
                        "norm": "batch",
                        "order": ("dense", "activation", "norm", "dropout"),
                    },
                ),
                ("bigru", {"units": (128, 128), "dropout": 0.3, "last_dropout": False}),
            ],
        },
        "loss": {
            "terms": {"ccc": 1},
            "lds": "inverse",
            "lds_bins": 20,
            "lds_kernel": 5,
            "lds_sigma": 2,
        },
    },
    "abaw3-va-stage1": {
        "window": (32, 0),
        "train": ("adam", 1e-3, 25, 16),
        "schedule": ("cosine_restarts", 1, 2),
        "others": {"weight_decay": 5e-5, "min_lr": 1e-4},
        "blocks": {
            "gru": [("gru", {"units": (256, 256)})],
            "transformer": [
                (
                    "encoder_decoder",
                    {"layers": 3, "heads": 8, "feedforward": 1024, "dropout": 0.3},
                )
            ],
        },
        "loss": {"terms": {"ccc": 1}},
    },
    "abaw3-va-stage2": {
        "window": (256, 0),
        "train": ("adam", 1e-3, 25, 16),
        "schedule": ("cosine_restarts", 1, 2),
        "others": {"weight_decay": 5e-5, "min_lr": 1e-4},
        "blocks": {
            "opinions": [
                ("gru", {"units": (256, 256, 256, 256), "dropout": 0}),
                ("local_attention", {"layers": 2}),
            ]
        },
        "loss": {"terms": {"ccc": 1}},
    },
    "abaw3-au": {
        "window": (256, 0),
        "train": ("sgd", 0.9, 20, 16),
        "schedule": ("cosine_restarts", 4, 1),
        "others": {"momentum": 0.9, "weight_decay": 5e-5, "min_lr": 0.09},
        "blocks": {
            name: [
                (
                    "encoder_decoder",
                    {
                        "layers": 2,
                        "heads": 10,
                        "feedforward": 512,
                        "dropout": 0.3,
                        "position": "time",
                        "causal": True,
                    },
                )
            ]
            for name in ("t1", "t2")
        }
        | {"expanded": [("up_down", {"factor": 1.5, "dropout": 0})]},
        "loss": {"terms": {"focal": 1}, "gamma": 2, "alpha": 0.75},
    },
    "abaw5-va": {
        "window": (1, 0),
        "train": ("adam", 1e-4, 12, 256),
        "schedule": ("none", 10, 1),
        "others": {},
        "blocks": {"resnet": [], "regnet": [], "efficientnet": []},
        "loss": {"terms": {"ccc": 1}},
    },
    "abaw5-expr": {
        "window": (1, 0),
        "train": ("adam", 5e-4, 20, 256),
        "schedule": ("none", 10, 1),
        "others": {},
        "blocks": {"face": []},
        "loss": {"terms": {"cross_entropy": 1, "dice": 1}, "other_threshold": None},
    },
    "abaw5-au": {
        "window": (256, 0),
        "train": ("sgd", 0.7, 24, 16),
        "schedule": ("none", 10, 1),
        "others": {},
        "blocks": {
            "temporal": [("transformer", {"layers": 2, "feedforward": 512, "dropout": 0.3})],
            "updown": [("up_down", {"factor": 1.5, "dropout": 0.3})],
            "updown-temporal": [
                ("transformer", {"layers": 2, "feedforward": 512, "dropout": 0.3})
            ],
        },
        "loss": {"terms": {"focal": 1}, "gamma": 2, "alpha": 0.75},
    },
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_settings(name: str) -> None:
    recipe, expected = load_recipe(name), PUBLISHED[name]
    train, window = recipe.train, recipe.window
    assert (window.length, window.overlap) == expected["window"]
    assert (train.optimiser, train.lr, train.epochs, train.batch_size) == expected["train"]
    assert (train.schedule, train.schedule_epochs, train.schedule_factor) == expected["schedule"]
    for key, value in expected["others"].items():
        assert getattr(train, key) == value, key
    blocks = {name: branch.layers for name, branch in recipe.branches.items()}
    blocks["fusion"] = recipe.fusion.layers
    for place, some in expected["blocks"].items():
        assert [block.kind for block in blocks[place]] == [kind for kind, _ in some]
        for block, (_, settings) in zip(blocks[place], some, strict=True):
            for key, value in settings.items():
                assert getattr(block, key) == value, (place, key)
    (loss,) = recipe.tasks.values()
    for key, value in expected["loss"].items():
        assert getattr(loss, key) == value, key


def test_the_inputs_of_abaw1() -> None:
    recipe = load_recipe("abaw1-paper-inputs")
    assert {n: branch.features for n, branch in recipe.branches.items()} == {
        "audio": ("audio",),
        "embedding": ("expnet",),
        "pose": ("openface",),
    }
    given = {"audio": 168, "embedding": 2048, "pose": 714}
    with torch.device("meta"):
        network = AffectNetwork(recipe, given, {"va": 2})

    def behind(width: int) -> int:
        return width + norm(width)  # a slope a unit, and batch norm

    audio = gru(168, 128) + behind(128) + gru(128, 64) + behind(64)
    face = gru(2048, 256) + behind(256) + gru(256, 256) + behind(256) + gru(256, 64) + behind(64)
    pose = dense(714, 128) + behind(128) + dense(128, 64) + behind(64)
    head = dense(192, 64) + behind(64) + dense(64, 2)
    found = sum(parameter.numel() for parameter in network.parameters())
    assert found == audio + face + pose + head == 2_494_594


def test_the_phase_net_of_abaw2() -> None:
    encoder = load_recipe("abaw2-two-stream").branches["temporal"].encoder
    assert encoder == PhaseDifference(layers=2, norm="batch", context=True)
    assert load_recipe("abaw2-two-stream").margins == {"spatial": 6, "temporal": 6}
    assert load_recipe("abaw2-spatial").margins == {"spatial": 0}


def test_variants_of_abaw2() -> None:
    both = load_recipe("abaw2-two-stream")
    alone, plain = load_recipe("abaw2-spatial"), load_recipe("abaw2-spatial-without-lds")
    assert alone.branches == {"spatial": both.branches["spatial"]}
    for name in ("fusion", "head", "window", "train", "tasks"):
        assert getattr(alone, name) == getattr(both, name)
    assert plain.tasks["va"] == replace(alone.tasks["va"], lds="none")
    assert (plain.branches, plain.train) == (alone.branches, alone.train)


def test_variants_differ_as_their_names_say() -> None:
    whole = load_recipe("abaw3-au")
    weighted = load_recipe("abaw3-au-weighted-loss")
    assert (whole.tasks["au"].balance, weighted.tasks["au"].balance) == ("none", "frequency")
    assert weighted.branches == whole.branches
    target = load_recipe("abaw3-au-t1-as-target")
    assert (whole.branches["t2"].target, target.branches["t2"].target) == ("face", "t1")
    assert whole.auxiliary == whole.fused == ("t1", "expanded", "t2")
    only = load_recipe("abaw3-au-only-t1")
    assert only.fused == ("t1",) and not only.auxiliary
    assert only.branches["t1"] == whole.branches["t1"]
    assert (only.train, only.window, only.tasks) == (whole.train, whole.window, whole.tasks)
    plain, other = load_recipe("abaw5-expr"), load_recipe("abaw5-expr-threshold")
    assert other.tasks["expr"] == replace(plain.tasks["expr"], other_threshold=0.4)
    assert (other.train, other.branches) == (plain.train, plain.branches)
    stage1 = load_recipe("abaw3-va-stage1")
    assert stage1.fused == stage1.auxiliary == ("gru", "transformer")
    au = load_recipe("abaw5-au")
    assert au.fused == au.auxiliary == ("temporal", "updown", "updown-temporal")
