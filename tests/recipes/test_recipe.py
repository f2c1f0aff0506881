"""Recipes: what is checked, what follows from what, and the way to plain values and back."""

import json
from dataclasses import replace

import pytest
from pydantic import TypeAdapter, ValidationError

from avaffect.errors import UsageError
from avaffect.recipes.blocks import (
    Dense,
    EncoderDecoder,
    LocalAttention,
    Recurrent,
    Tcn,
    Transformer,
)
from avaffect.recipes.encoders import Backbone, PhaseDifference
from avaffect.recipes.library import choose, load_recipe, parse_recipe, recipe_names
from avaffect.recipes.recipe import Branch, Fusion, Head, Polarity, Recipe
from avaffect.recipes.training import Augment, Loss, Train, Window

LAYER = Dense()
AUDIO = Branch("audio", ("audio",), (LAYER,))
VIDEO = Branch("video", ("face_pose", "embedding"), (LAYER,))
NEXT = Branch(input="x", layers=(LAYER,))
MSE = Loss({"mse": 1.0})


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_is_the_same_after_json(name) -> None:
    recipe = load_recipe(name)
    plain = recipe.to_dict()
    assert parse_recipe(json.loads(json.dumps(plain)), "again") == recipe
    assert plain["name"] == name
    assert plain["about"]
    assert plain["source"]


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: Dense(units=()), "at least 1 item"),
        (lambda: Dense(units=(64, 0)), "greater than or equal to 1"),
        (lambda: Dense(dropout=1), "less than 1"),
        (lambda: Dense(activation="swish"), "'none', 'relu', 'prelu', 'gelu' or 'tanh'"),
        (lambda: Recurrent(kind="rnn"), "'gru', 'bigru', 'lstm' or 'bilstm'"),
        (lambda: Tcn(kernel=4), "kernel must be odd"),
        (lambda: Transformer(size=10, heads=4), "size must be a multiple of heads"),
        (lambda: Fusion("cross_attention", 10, 4), "size must be a multiple of heads"),
        (lambda: Branch("text", ("a",), (LAYER,)), "'audio' or 'video'"),
        (lambda: Branch("audio", (), (LAYER,)), "reads features or has an input"),
        (lambda: Branch("audio", "audio", (LAYER,)), "valid tuple"),
        (
            lambda: Branch(input="b", target="c", layers=(Tcn(pool=2), EncoderDecoder())),
            "pools cannot stand before",
        ),
        (
            lambda: Branch(features=("a",), encoder=Backbone()),
            r"an encoder reads features: \[faces",
        ),
        (lambda: Branch(features=("faces",), layers=(LAYER,)), "want an encoder"),
        (lambda: Branch(features=("a",), input="b", layers=(LAYER,)), "neither features nor"),
        (lambda: Branch(input="b", target="c", layers=(LAYER,)), "only the block encoder_decoder"),
        (lambda: LocalAttention(window=32), "must be odd"),
        (lambda: PhaseDifference(size=50), "multiple of 8"),
        (lambda: PhaseDifference(differences=5), "multiple of 2"),
        (lambda: Fusion("late", layers=(LAYER,)), "nothing for layers to stand on"),
        (lambda: Fusion(layers=(Tcn(pool=2),)), "cannot pool"),
        (lambda: Loss({"mse": 1}, other_threshold=1), "less than 1"),
        (lambda: Loss({}), "at least 1 item"),
        (lambda: Loss({"mse": -1}), "greater than or equal to 0"),
        (lambda: Loss({"mse": float("inf")}), "finite"),
        (lambda: Loss({"mse": 1}, weight=0), "greater than 0"),
        (lambda: Loss({"mse": 1}, lds_kernel=4), "lds_kernel must be odd"),
        (lambda: Loss({"mse": 1}, lds_bins=3), "at most lds_bins"),
        (lambda: Window(15, 15), "overlap must be less than length"),
        (lambda: Window(15, 5, 15), "overlap must be less than length"),
        (lambda: Window(15, -1), "greater than or equal to 0"),
        (lambda: Train(lr=0), "greater than 0"),
        (lambda: Train(lr=float("nan")), "finite"),
        (lambda: Train(lr=float("inf")), "finite"),
        (lambda: Train(batch_size=0.5), "valid integer"),
        (lambda: Train(optimiser="rmsporp"), "'rmsprop', 'adam', 'adamw' or 'sgd'"),
        (lambda: Recipe("a", {}, {"va": MSE}), "at least 1 item"),
        (lambda: Recipe("a", {"x": AUDIO}, {}), "at least 1 item"),
        (lambda: Recipe("a", {"x": AUDIO}, {"age": MSE}), "'va', 'expr' or 'au'"),
        (lambda: Recipe("a", {"x.y": AUDIO}, {"va": MSE}), "pattern"),
        (lambda: Recipe("a", {"y": NEXT, "x": AUDIO}, {"va": MSE}), "no earlier branch 'x'"),
        (lambda: Recipe("a", {"x": replace(AUDIO, fused=False)}, {"va": MSE}), "none is fused"),
        (lambda: Recipe("a", {"x": AUDIO}, {"va": MSE}, auxiliary=("y",)), "no fused branch 'y'"),
        (lambda: Recipe("a", {"x": AUDIO}, {"au": MSE}, polarity=Polarity()), "wants the task va"),
        (
            lambda: Recipe("a", {"x": AUDIO}, {"va": MSE}, polarity=Polarity(), head=Head((3,))),
            "has layers of its own",
        ),
        (
            lambda: Recipe(
                "a", {"x": AUDIO}, {"va": MSE}, polarity=Polarity(3), train=Train(patience=3)
            ),
            "must be more than polarity.epochs",
        ),
        (
            lambda: Recipe("a", {"x": AUDIO, "y": replace(AUDIO, fused=False)}, {"va": MSE}),
            "branches.y: is neither fused nor read",
        ),
        (
            lambda: Recipe(
                "a",
                {"x": Branch(features=("faces",), encoder=Backbone())},
                {"va": MSE},
                train=Train(augment=Augment(stretch=0.1)),
            ),
            "cannot be played faster",
        ),
        (
            lambda: Recipe("a", {"x": AUDIO}, {"va": MSE}, auxiliary=("x",), polarity=Polarity()),
            "wants one head",
        ),
    ],
)
def test_wrong_values(make, reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        make()


def test_a_gated_fusion_has_no_heads_to_divide_its_size() -> None:
    assert Fusion("gated", 10, 4).size == 10


def test_layers_are_told_apart_by_their_kind() -> None:
    tree = [{"kind": kind} for kind in ("mlp", "lstm", "bigru", "tcn", "transformer")]
    branch = TypeAdapter(Branch).validate_python(
        {"modality": "video", "features": ["a"], "layers": tree}
    )
    kinds = [Dense, Recurrent, Recurrent, Tcn, Transformer]
    assert [type(layer) for layer in branch.layers] == kinds
    assert [layer.kind for layer in branch.layers] == [part["kind"] for part in tree]


def test_what_follows_from_branches_and_tasks() -> None:
    both = {"pose": VIDEO, "voice": AUDIO, "again": VIDEO}
    recipe = Recipe("a", both, {"au": MSE, "va": MSE})
    assert recipe.task_names == ("va", "au")
    assert recipe.modalities == ("video", "audio")
    assert recipe.features == ("face_pose", "embedding", "audio")
    assert list(recipe.to_dict()["branches"]) == ["pose", "voice", "again"]


def test_stored_embeddings_in_place_of_the_encoder() -> None:
    """As docs/papers.md has it: the encoder goes, its output is read from the store."""
    for name in ("abaw3-va-stage1", "abaw3-au", "abaw5-au", "abaw5-expr"):
        changes = ["branches.face.encoder=null", "branches.face.features=[regnet_y_400mf]"]
        recipe = load_recipe(name, changes)
        assert recipe.features == ("regnet_y_400mf",)
        assert recipe.roots["face"].encoder is None


def test_tasks_of_a_recipe_with_polarity() -> None:
    recipe = load_recipe("abaw5-va")
    assert choose(recipe, tasks=["expr"]).polarity is None
    assert choose(recipe, tasks=["va", "au"]).polarity == recipe.polarity


def test_what_is_left_may_not_fit() -> None:
    recipe = Recipe(
        "a",
        {
            "voice": AUDIO,
            "face": VIDEO,
            "both": Branch(input="face", target="voice", layers=(EncoderDecoder(),)),
        },
        {"va": MSE},
    )
    with pytest.raises(UsageError, match="there is no earlier branch 'voice'"):
        choose(recipe, ["video"])
