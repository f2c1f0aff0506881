"""The network of seed paper 004 (ABAW 2020), layer by layer, and its ablations.

Section C and figure 1: audio through GRU 128, 64; ExpNet through GRU 256, 256, 64; pose through
dense 128, 64; "PReLU activation with a dropout of 0.25 for each layer output" (audio), PReLU
(ExpNet), dropout .25 (pose); "all the layer outputs are followed by batch normalization";
concatenated, dense 64, dense 2 with tanh; MSE, RMSprop, rate 1e-4; 15 frames, 5 overlapping.
Keras' default PReLU learns a slope a unit and time step; here all steps share it.

Parameters by hand, for i inputs and u units. GRU: 3 gates of i u weights from the input, u u from
the state and 2 u biases (torch's two vectors; Keras' reset_after), so 3 (i u + u u + 2 u). LSTM:
4 such gates. Dense: i u + u. PReLU: u. Batch norm: 2 u (scale and shift).

audio, 168 wide
  GRU 128    3 (168*128 + 128*128 + 256) = 3 * 38,144 = 114,432
             + PReLU 128 + norm 256                                     = 114,816
  GRU 64     3 (128*64 + 64*64 + 128)    = 3 * 12,416 =  37,248
             + PReLU 64 + norm 128                                      =  37,440
                                                                          152,256
embedding, 2048 wide (ExpNet)
  GRU 256    3 (2048*256 + 256*256 + 512) = 3 * 590,336 = 1,771,008
             + PReLU 256 + norm 512                                     = 1,771,776
  GRU 256    3 (256*256 + 256*256 + 512)  = 3 * 131,584 =   394,752
             + 256 + 512                                                =   395,520
  GRU 64     3 (256*64 + 64*64 + 128)     = 3 *  20,608 =    61,824
             + 64 + 128                                                 =    62,016
                                                                          2,229,312
embedding, 1280 wide (this toolkit's)
  GRU 256    3 (1280*256 + 256*256 + 512) = 3 * 393,728 = 1,181,184
             + 256 + 512                                                = 1,181,952
  the rest   395,520 + 62,016                                           =   457,536
                                                                          1,639,488
pose, 714 wide (OpenFace)
  dense 128  714*128 + 128 = 91,520, + PReLU 128 + norm 256             =    91,904
  dense 64   128*64 + 64   =  8,256, + 64 + 128                         =     8,448
                                                                            100,352
pose, 263 wide (this toolkit's)
  dense 128  263*128 + 128 = 33,792, + 128 + 256                        =    34,176
  dense 64                                                              =     8,448
                                                                             42,624
head on 64 + 64 + 64 = 192
  dense 64   192*64 + 64 = 12,352, + PReLU 64 + norm 128                =    12,544
  dense 2    64*2 + 2                                                   =       130
                                                                             12,674
  on audio alone, 64:  64*64 + 64 = 4,160, + 192, + 130                 =     4,482
  on video alone, 128: 128*64 + 64 = 8,256, + 192, + 130                =     8,578

in all, as in the paper:  152,256 + 2,229,312 + 100,352 + 12,674        = 2,494,594
        with ours:        152,256 + 1,639,488 +  42,624 + 12,674        = 1,847,042
audio:                    152,256 + 4,482                               =   156,738
video, as in the paper:   2,229,312 + 100,352 + 8,578                   = 2,338,242
       with ours:         1,639,488 +  42,624 + 8,578                   = 1,690,690

BiLSTM: two directions of 4 gates, so 8 (i u + u u + 2 u), and 2 u come out.
audio, 168 wide
  128        8 * 38,144 = 305,152, + PReLU 256 + norm 512               =   305,920
  64         8 (256*64 + 64*64 + 128) = 8 * 20,608 = 164,864, + 128 + 256 = 165,248
                                                                            471,168
embedding, 2048 wide
  256        8 * 590,336 = 4,722,688, + 512 + 1024                      = 4,724,224
  256        8 (512*256 + 256*256 + 512) = 8 * 197,120 = 1,576,960, + 1,536 = 1,578,496
  64         8 (512*64 + 64*64 + 128) = 8 * 36,992 = 295,936, + 384     =   296,320
                                                                          6,599,040
embedding, 1280 wide
  256        8 * 393,728 = 3,149,824, + 1,536                           = 3,151,360
  the rest   1,578,496 + 296,320                                        = 1,874,816
                                                                          5,026,176
head on 128 + 128 + 64 = 320
             320*64 + 64 = 20,544, + 192, + 130                         =    20,866
in all, as in the paper:  471,168 + 6,599,040 + 100,352 + 20,866        = 7,191,426
        with ours:        471,168 + 5,026,176 +  42,624 + 20,866        = 5,560,834
"""

import pytest
import torch
from torch import nn

from avaffect.networks.blocks import LastPReLU, MaskedBatchNorm
from avaffect.networks.fusion import Concatenate
from avaffect.networks.network import AffectNetwork
from avaffect.recipes.library import choose, load_recipe

PAPER = {"audio": 168, "embedding": 2048, "pose": 714}
OURS = {"audio": 168, "embedding": 1280, "pose": 263}


def build(widths, modalities=None, name="abaw1-av-gru"):
    torch.manual_seed(0)
    return AffectNetwork(choose(load_recipe(name), modalities), widths, {"va": 2})


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def layers(network):
    """(branch or head, kind, inputs, units) of each layer that has weights."""
    found = []
    for name, branch in network.branches.items():
        (block,) = branch.blocks
        for layer in getattr(block, "forwards", None) or block.layers:
            if isinstance(layer, nn.Linear):
                found.append((name, "Linear", layer.in_features, layer.out_features))
            else:
                found.append((name, type(layer).__name__, layer.input_size, layer.hidden_size))
    (head,) = network.heads["va"]
    for layer in (*head.layers.layers, head.out):
        found.append(("head", "Linear", layer.in_features, layer.out_features))
    return found


@pytest.mark.parametrize("widths", [PAPER, OURS], ids=["paper", "ours"])
def test_layers(widths) -> None:
    assert layers(build(widths)) == [
        ("audio", "GRU", 168, 128),
        ("audio", "GRU", 128, 64),
        ("embedding", "GRU", widths["embedding"], 256),
        ("embedding", "GRU", 256, 256),
        ("embedding", "GRU", 256, 64),
        ("pose", "Linear", widths["pose"], 128),
        ("pose", "Linear", 128, 64),
        ("head", "Linear", 192, 64),
        ("head", "Linear", 64, 2),
    ]


@pytest.mark.parametrize(
    ("widths", "audio", "embedding", "pose", "head", "total"),
    [
        (PAPER, 152_256, 2_229_312, 100_352, 12_674, 2_494_594),
        (OURS, 152_256, 1_639_488, 42_624, 12_674, 1_847_042),
    ],
    ids=["paper", "ours"],
)
def test_parameters(widths, audio: int, embedding: int, pose: int, head: int, total: int) -> None:
    network = build(widths)
    assert {name: count(branch) for name, branch in network.branches.items()} == {
        "audio": audio,
        "embedding": embedding,
        "pose": pose,
    }
    assert count(network.heads) == head
    assert count(network.fusion) == 0
    assert count(network) == total


@pytest.mark.parametrize("name", ["abaw1-av-gru", "abaw1-av-bilstm"])
def test_each_layer_is_followed_by_prelu_dropout_and_norm(name: str) -> None:
    network = build(OURS, name=name)
    dropouts = {"audio": 0.25, "embedding": 0.0, "pose": 0.25}
    ways = 2 if name == "abaw1-av-bilstm" else 1
    units = {
        "audio": [128 * ways, 64 * ways],
        "embedding": [256 * ways, 256 * ways, 64 * ways],
        "pose": [128, 64],
    }
    blocks = {branch: part.blocks[0] for branch, part in network.branches.items()}
    blocks["head"] = network.heads["va"][0].layers
    for branch, block in blocks.items():
        assert len(block.after) == len(units.get(branch, [64]))
        for after, size in zip(block.after, units.get(branch, [64]), strict=True):
            kinds = [type(module) for module in after.children()]
            assert kinds == [LastPReLU, nn.Dropout, MaskedBatchNorm]
            assert after.dropout.p == dropouts.get(branch, 0)
            assert after.activation.weight.shape == (size,)
            assert after.batch.num_features == size
    assert isinstance(network.fusion, Concatenate)
    assert network.fusion.dropout.p == 0


def test_the_output_is_tanh_of_each_frame() -> None:
    network = build(OURS).eval()
    (head,) = network.heads["va"]
    inputs = {name: torch.randn(3, 15, width) for name, width in OURS.items()}
    there = torch.ones(3, 15, dtype=torch.bool)
    seen = dict.fromkeys(OURS, there)
    out = network(inputs, seen, there)["va"]
    assert (out.shape, out.dtype) == ((3, 15, 2), torch.float32)
    assert len(out.unique(dim=1)[0]) == 15
    with torch.no_grad():
        head.out.weight *= 100
        wide = network(inputs, seen, there)["va"]
        head.squash = None
        free = network(inputs, seen, there)["va"]
    assert wide.abs().max() <= 1 < free.abs().max()
    torch.testing.assert_close(wide, torch.tanh(free))


def test_training_and_windows() -> None:
    for name in ("abaw1-av-gru", "abaw1-av-bilstm"):
        recipe = load_recipe(name)
        assert {task: loss.terms for task, loss in recipe.tasks.items()} == {"va": {"mse": 1}}
        assert (recipe.train.optimiser, recipe.train.lr) == ("rmsprop", 1e-4)
        assert (recipe.train.momentum, recipe.train.weight_decay) == (0, 0)
        assert (recipe.train.schedule, recipe.train.warmup) == ("none", 0)
        window = recipe.window
        assert (window.length, window.overlap, window.predict_overlap) == (15, 5, None)
        assert recipe.features == ("audio", "efficientnet-lite0", "face_pose")
        assert list(recipe.branches) == ["audio", "embedding", "pose"]


@pytest.mark.parametrize(
    ("modalities", "widths", "total"),
    [
        (["audio"], PAPER, 156_738),
        (["audio"], OURS, 156_738),
        (["video"], PAPER, 2_338_242),
        (["video"], OURS, 1_690_690),
        (["audio", "video"], PAPER, 2_494_594),
        (["audio", "video"], OURS, 1_847_042),
    ],
)
def test_ablations(modalities, widths, total: int) -> None:
    network = build(widths, modalities)
    assert count(network) == total
    read = {"audio": ["audio"], "video": ["embedding", "pose"]}
    assert list(network.branches) == [name for modality in modalities for name in read[modality]]
    assert layers(network)[-2:] == [
        ("head", "Linear", 64 * len(network.branches), 64),
        ("head", "Linear", 64, 2),
    ]


@pytest.mark.parametrize(
    ("widths", "audio", "embedding", "pose", "total"),
    [
        (PAPER, 471_168, 6_599_040, 100_352, 7_191_426),
        (OURS, 471_168, 5_026_176, 42_624, 5_560_834),
    ],
    ids=["paper", "ours"],
)
def test_bilstm(widths, audio: int, embedding: int, pose: int, total: int) -> None:
    network = build(widths, name="abaw1-av-bilstm")
    assert layers(network) == [
        ("audio", "LSTM", 168, 128),
        ("audio", "LSTM", 256, 64),
        ("embedding", "LSTM", widths["embedding"], 256),
        ("embedding", "LSTM", 512, 256),
        ("embedding", "LSTM", 512, 64),
        ("pose", "Linear", widths["pose"], 128),
        ("pose", "Linear", 128, 64),
        ("head", "Linear", 320, 64),
        ("head", "Linear", 64, 2),
    ]
    for name in ("audio", "embedding"):
        block = network.branches[name].blocks[0]
        assert len(block.backwards) == len(block.forwards)
    counts = {name: count(branch) for name, branch in network.branches.items()}
    assert counts == {"audio": audio, "embedding": embedding, "pose": pose}
    assert count(network.heads) == 20_866
    assert count(network) == total
