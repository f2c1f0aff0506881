"""The recipes of the package and of users: found, read, extended, changed, chosen from."""

from dataclasses import replace
from pathlib import Path

import pytest

from avaffect.errors import FormatError, UnknownNameError, UsageError
from avaffect.recipes.blocks import Recurrent
from avaffect.recipes.library import (
    change_recipe,
    choose,
    load_recipe,
    parse_recipe,
    recipe_names,
    recipe_path,
    to_yaml,
)
from avaffect.recipes.training import Loss

GRU = "abaw1-av-gru"
SMALL = """
branches:
  voice:
    modality: audio
    features: [audio]
    layers: [{kind: gru, units: [3]}, {kind: mlp}]
tasks: {va: {terms: {mse: 1}}}
"""


@pytest.fixture
def user(tmp_path: Path):
    """Writes a file and gives its path."""

    def write(text, name="mine.yaml"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(text, "utf-8")
        return path

    return write


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_is_read_and_written(name, user) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    assert load_recipe(user(to_yaml(recipe))) == recipe


def test_the_recipes_there_are() -> None:
    assert {GRU, "abaw1-av-bilstm", "table-gru"} <= set(recipe_names())
    assert list(recipe_names()) == sorted(recipe_names())
    assert all(recipe_path(name).is_file() for name in recipe_names())


def test_a_users_file(user) -> None:
    recipe = load_recipe(user(SMALL))
    assert recipe.name == "mine"
    assert recipe.branches["voice"].layers[0] == Recurrent("gru", (3,))
    assert load_recipe(str(user("name: é\n" + SMALL, "other.yml"))).name == "é"


def test_to_yaml_says_everything_once(user) -> None:
    text = to_yaml(load_recipe(user(SMALL)))
    assert "lds_sigma: 2.0\n" in text
    assert "modality_dropout: 0.0\n" in text
    assert text.startswith("name: mine\n")
    assert "!!" not in text
    assert "&id" not in text


# Reading.


@pytest.mark.parametrize("name", ["abaw1-av-gr", "abaw1-av-gru.yaml", "", "../recipes/table-gru"])
def test_there_is_no_such_recipe(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnknownNameError) as error:
        load_recipe(name)
    assert error.value.problem == f"no recipe is called '{name}'"
    assert "did you mean" in error.value.hint or GRU in error.value.hint


@pytest.mark.parametrize("text", ["", "- 3", "just text", "3"])
def test_a_file_that_is_no_mapping(text: str, user) -> None:
    with pytest.raises(FormatError, match=r"mine\.yaml' is no recipe"):
        load_recipe(user(text))


@pytest.mark.parametrize("text", ["a: [3", "a: 2020-13-45", "!!python/object:os.system {}", "\0"])
def test_a_file_that_is_no_yaml(text: str, user) -> None:
    with pytest.raises(FormatError, match=r"mine\.yaml' cannot be read") as error:
        load_recipe(user(text))
    assert "\n" not in str(error.value)


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(FormatError, match="cannot be read"):
        load_recipe(tmp_path / "mine.yaml")


@pytest.mark.parametrize(
    ("old", "new", "where", "reason"),
    [
        ("units", "unit", "branches.voice.layers.0.unit", "no such key, did you mean 'units'?"),
        ("tasks", "task", "tasks", "required"),
        ("features", "feature", "branches.voice.feature", "did you mean 'features'"),
        ("[3]", "3", "branches.voice.layers.0.units", "valid tuple"),
        ("[3]", "[3, x]", "branches.voice.layers.0.units.1", "valid integer"),
        ("kind: gru", "kind: gruu", "branches.voice.layers.0", "'gru', 'bigru', 'lstm'"),
        ("kind: gru, ", "", "branches.voice.layers.0", "'kind'"),
        ("voice", "a.b", "branches.a.b", "pattern"),
        ("voice", "7", "branches.7", "valid string"),
        ("{mse: 1}", "{mse: much}", "tasks.va.terms.mse", "valid number"),
        ("va:", "age:", "tasks.age", "'va', 'expr' or 'au'"),
        ("\ntasks", "\ntrain: {epocs: 3}\ntasks", "train.epocs", "did you mean 'epochs'?"),
        ("\ntasks", "\ntrain: 3\ntasks", "train", "instance of Train"),
        ("\ntasks", "\nzzz: 3\ntasks", "zzz", "no such key"),
        ("\ntasks", "\nchange: {}\ntasks", "change", "no such key"),
        ("\ntasks", "\nwindow: {length: 3, overlap: 3}\ntasks", "window", "must be less than"),
    ],
)
def test_a_file_with_a_fault(old: str, new: str, where: str, reason: str, user) -> None:
    assert old in SMALL
    with pytest.raises(FormatError) as error:
        load_recipe(user(SMALL.replace(old, new)))
    problem = error.value.problem
    assert problem.startswith("recipe '")
    assert f"mine.yaml': {where}: " in problem
    assert reason in problem
    assert "Value error" not in problem


def test_a_branch_may_be_called_as_a_kind_of_layer(user) -> None:
    text = SMALL.replace("voice", "gru").replace("[3]", "[0]")
    with pytest.raises(FormatError, match=r"branches\.gru\.layers\.0\.units\.0: "):
        load_recipe(user(text))


def test_keys_that_are_no_text() -> None:
    with pytest.raises(FormatError, match="'x'"):
        parse_recipe({1: 2}, "'x'")


# Extending.


def test_extending_changes_keys_and_keeps_the_rest_of_a_section(user) -> None:
    base = load_recipe(GRU)
    mine = load_recipe(
        user(
            f"extends: {GRU}\nabout: Mine\nwindow: {{length: 30}}\n"
            "change:\n  train.lr: 3e-4\n  branches.audio.layers.0.kind: bilstm\n"
        )
    )
    assert (mine.name, mine.about, mine.source) == ("mine", "Mine", base.source)
    assert (mine.train.lr, mine.train.optimiser) == (3e-4, "rmsprop")
    assert mine.branches["audio"].layers[0].kind == "bilstm"
    assert mine.branches["audio"].layers[0].units == (128, 64)
    assert mine.branches["embedding"] == base.branches["embedding"]
    assert (mine.window.length, mine.window.overlap) == (30, 5)


def test_extending_a_file_beside(user, monkeypatch: pytest.MonkeyPatch) -> None:
    user(SMALL, "base.yaml")
    user("extends: base.yaml\nchange: {train.epochs: 3}", "middle.yaml")
    top = user("extends: ../middle.yaml\nchange:", "deep/top.yaml")
    monkeypatch.chdir("/")
    recipe = load_recipe(top)
    assert (recipe.name, recipe.train.epochs, list(recipe.branches)) == ("top", 3, ["voice"])
    assert load_recipe(user(f"extends: {top}", "last.yaml")).train.epochs == 3


def test_extending_itself(user, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    user("extends: mine.yaml")
    for name in ("mine.yaml", tmp_path / "mine.yaml", f"../{tmp_path.name}/mine.yaml"):
        with pytest.raises(FormatError, match="extends itself"):
            load_recipe(name)
    user(f"extends: ../{tmp_path.name}/b.yaml", "a.yaml")
    user("extends: a.yaml", "b.yaml")
    with pytest.raises(FormatError, match="extends itself"):
        load_recipe("a.yaml")


def test_a_users_file_of_a_packages_name_may_extend_it(user) -> None:
    recipe = load_recipe(user(f"extends: {GRU}\nchange: {{train.lr: 1}}", f"{GRU}.yaml"))
    assert (recipe.name, recipe.train.lr) == (GRU, 1)


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("extends: abaw1-av-gr", UnknownNameError, "did you mean 'abaw1-av-gru'"),
        ("extends:", UnknownNameError, "no recipe is called 'None'"),
        (f"extends: {GRU}\nchange: [3]", FormatError, "change is no mapping"),
        (f"extends: {GRU}\nchange: {{train.lrr: 3}}", UsageError, "did you mean 'train.lr'"),
        (f"extends: {GRU}\nchange: {{train.lr: x}}", FormatError, "train.lr: .*valid number"),
        (f"extends: {GRU}\ntrian: {{}}", FormatError, "trian: .*did you mean 'train'"),
    ],
)
def test_wrong_extensions(text: str, kind, message: str, user) -> None:
    with pytest.raises(kind, match=message):
        load_recipe(user(text))


# Changing.


@pytest.mark.parametrize(
    ("change", "value"),
    [
        ("train.lr=1e-4", 1e-4),
        ("train.lr=3e-4", 3e-4),
        ("train.lr = 0.5", 0.5),
        ("train.epochs=7", 7),
        ("train.augment.noise=.5", 0.5),
        ("train.select=last", "last"),
        ("window.predict_overlap=7", 7),
        ("window.predict_overlap=null", None),
        ("branches.audio.features=[audio, has_sound]", ("audio", "has_sound")),
        ("branches.embedding.layers.0.units=[8, 4]", (8, 4)),
        ("branches.embedding.layers.0.units.1=5", 5),
        ("branches.pose.layers.0.kind=gru", "gru"),
        ("tasks.va.terms={ccc: 1, mse: .5}", {"ccc": 1.0, "mse": 0.5}),
        ("about=a=b", "a=b"),
        ("name='3'", "3"),
    ],
)
def test_changes(change: str, value) -> None:
    recipe = load_recipe(GRU)
    changed = load_recipe(GRU, [change])
    found = changed
    for part in change.partition("=")[0].strip().split("."):
        if isinstance(found, dict):
            found = found[part]
        elif isinstance(found, tuple):
            found = found[int(part)]
        else:
            found = getattr(found, part)
    assert found == value
    assert type(found) is type(value)
    assert change_recipe(recipe, [change]) == changed
    assert recipe == load_recipe(GRU)


def test_changes_in_order_and_together() -> None:
    recipe = load_recipe(GRU, ["train.lr=1", "train.lr=2", "window.length=4", "window.overlap=3"])
    assert (recipe.train.lr, recipe.window.length, recipe.window.overlap) == (2, 4, 3)
    assert change_recipe(recipe, []) is recipe


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("train.lr", "'train.lr' is no change: write key=value"),
        ("=3", "'=3' is no change"),
        ("train.lr=[3", r"'\[3' cannot be read as a value"),
        ("name=2020-13-45", "'2020-13-45' cannot be read as a value"),
        ("train.lrr=3", "no setting 'train.lrr': did you mean 'train.lr'"),
        ("trian.lr=3", "no setting 'trian.lr': did you mean 'train'"),
        ("zzz=3", "no setting 'zzz': in the recipe there is name, branches, tasks"),
        ("train.lr.x=3", "no setting 'train.lr.x': 'train.lr' is a single value"),
        ("fusion.zzz=3", "in 'fusion' there is kind, size, heads, units, dropout"),
        ("branches.audio.layers.1.units=[3]", "in 'branches.audio.layers' there is 0"),
        ("branches.audio.layers.-1.units=[3]", "no setting"),
        ("branches.voice.modality=audio", "in 'branches' there is audio, embedding, pose"),
        ("tasks.va.terms.ccc=much", "tasks.va.terms.ccc: .*valid number"),
        (".=1", "no setting"),
        ("train.lr=quick", "train.lr: .*valid number"),
        ("train.lr=", "train.lr: .*valid number"),
        ("train.lr=.inf", "train.lr: .*finite number"),
        ("train.lr=-1", "train.lr: .*greater than 0"),
        ("train.epochs=2.5", "train.epochs: .*valid integer"),
        ("window.overlap=15", "window: overlap must be less than length"),
        ("branches.audio.layers.0.kind=gruu", "branches.audio.layers.0: .*'bigru'"),
        ("branches={}", "branches: .*at least 1 item"),
        ("name=3", "name: .*valid string"),
    ],
)
def test_wrong_changes(change: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as error:
        load_recipe(GRU, [change])
    assert "\n" not in str(error.value)


# Choosing.


@pytest.mark.parametrize(
    ("modalities", "branches"),
    [
        (None, ["audio", "embedding", "pose"]),
        (["audio"], ["audio"]),
        (["video"], ["embedding", "pose"]),
        (["video", "audio"], ["audio", "embedding", "pose"]),
    ],
)
def test_choosing_modalities(modalities, branches) -> None:
    recipe = load_recipe(GRU)
    chosen = choose(recipe, modalities)
    assert list(chosen.branches) == branches
    assert chosen.train == recipe.train


@pytest.mark.parametrize("modalities", [["text"], ["audio", "text"], []])
def test_choosing_a_modality_without_a_branch(modalities) -> None:
    with pytest.raises(UsageError, match=f"'{GRU}' has no branch for .*: choose of audio, video"):
        choose(load_recipe(GRU), modalities)


def test_another_kind_of_block_leaves_the_defaults_of_the_first() -> None:
    """What a kind does not know is in the way only if somebody has set it."""
    for kind in ("gru", "bilstm", "tcn"):
        block = (
            load_recipe(GRU, [f"branches.pose.layers.0.kind={kind}"]).branches["pose"].layers[0]
        )
        assert (block.kind, block.units, block.dropout) == (kind, (128, 64), 0.25)
    order = "branches.pose.layers.0.order=[dropout, dense, activation, norm]"
    with pytest.raises(UsageError, match="order: it has no such key"):
        load_recipe(GRU, [order, "branches.pose.layers.0.kind=gru"])
    back = ["branches.audio.layers.0.kind=mlp", "branches.audio.layers.0.kind=gru"]
    assert load_recipe(GRU, back) == load_recipe(GRU)


@pytest.mark.parametrize(
    ("name", "branches", "kept", "fused"),
    [
        (GRU, ["embedding"], ["embedding"], ("embedding",)),
        (GRU, ["pose", "audio"], ["audio", "pose"], ("audio", "pose")),
        # What a branch goes on from, and what it decodes, stays without being fused.
        ("abaw3-au", ["t1"], ["face", "t1"], ("t1",)),
        ("abaw3-au", ["t2"], ["face", "expanded", "t2"], ("t2",)),
        ("abaw3-au-t1-as-target", ["t2"], ["face", "t1", "expanded", "t2"], ("t2",)),
        ("abaw3-va-stage1", ["gru"], ["face", "gru"], ("gru",)),
        ("abaw2-two-stream", ["temporal"], ["temporal"], ("temporal",)),
    ],
)
def test_choosing_branches(name, branches, kept, fused) -> None:
    recipe = load_recipe(name)
    chosen = choose(recipe, branches=branches)
    assert list(chosen.branches) == kept
    assert chosen.fused == fused
    assert chosen.auxiliary == tuple(n for n in recipe.auxiliary if n in branches)
    assert chosen.train == recipe.train
    for n in kept:
        assert replace(chosen.branches[n], fused=True) == replace(recipe.branches[n], fused=True)


def test_choosing_branches_that_are_not_there() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'embedding'"):
        choose(load_recipe(GRU), branches=["embeding"])
    with pytest.raises(UsageError, match="no branch is chosen: choose of audio, embedding, pose"):
        choose(load_recipe(GRU), branches=[])


def test_choosing_tasks() -> None:
    recipe = load_recipe(GRU)
    chosen = choose(recipe, tasks=["au", "va"])
    assert chosen.task_names == ("va", "au")
    assert chosen.tasks["va"] == recipe.tasks["va"]
    assert chosen.tasks["au"] == Loss({"bce": 1.0})
    assert choose(chosen, tasks=["expr"]).tasks == {"expr": Loss({"cross_entropy": 1.0})}
    with pytest.raises(UnknownNameError, match="did you mean 'expr'"):
        choose(recipe, tasks=["exp"])
    with pytest.raises(UsageError, match="no task is chosen"):
        choose(recipe, tasks=[])


def test_a_variant_may_have_one_more_branch(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "extends: abaw1-av-gru\n"
        "change:\n"
        "  branches.face: {features: [faces], encoder: {kind: backbone, size: 64}}\n"
        "  train.lr: 1\n"
    )
    recipe = load_recipe(path)
    assert list(recipe.branches) == ["audio", "embedding", "pose", "face"]
    assert recipe.branches["face"].encoder.size == 64
