"""Ensemble recipes: which models are trained on which folds, and how they are joined.

An ensemble recipe is a YAML file of this package (``recipes/ensembles``) or of the user. It names
the members' recipes; once read, it holds them whole.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import field, replace
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass

from avaffect.checked import STRICT, fault
from avaffect.errors import FormatError, UnknownNameError, UsageError, boundary
from avaffect.files.outside import read_yaml
from avaffect.recipes.library import change_recipe, load_recipe, recipe_names
from avaffect.recipes.recipe import Recipe
from avaffect.recipes.values import BranchName, Count, Layers, Positive

MEMBER_PREDICTIONS = "opinions"
"""The array of the members' predictions, float32 [N, K], which the recipe of a stack reads."""
MOST_MEMBERS = 64
INNER = 10
_HERE = Path(__file__).parent / "ensembles"
_SUFFIX = ".yaml"
_SEEN = "see `avaffect recipes show abaw3-va`"


@dataclass(frozen=True, config=STRICT)
class Member:
    """One of the models.

    Attributes:
        name: what its folder is called.
        recipe: what is trained. In a YAML file the name of a recipe, or the path of one, from the
            file on; ``change`` beside it maps dotted keys to values.
    """

    name: BranchName
    recipe: Recipe


@dataclass(frozen=True, config=STRICT)
class Average:
    """The weighted mean of the members' values and probabilities.

    Attributes:
        weights: one a member; empty for all the same.
    """

    kind: Literal["average"] = "average"
    weights: tuple[Positive, ...] = ()


@dataclass(frozen=True, config=STRICT)
class Vote:
    """Each member decides, then they vote; valence and arousal are averaged.

    Attributes:
        priority: of expressions, classes of the challenge that win if a single member predicts
            them, the first before the second; empty leaves the majority alone (``voting``;
            Wang et al., ABAW5, section 3.4.2).
        at_least: members that must call a unit present (Nguyen et al., ABAW3: 2 of 4).
    """

    kind: Literal["vote"] = "vote"
    priority: tuple[Annotated[int, Field(ge=0, le=7)], ...] = (2, 3, 5, 1)
    at_least: Count = 2


@dataclass(frozen=True, config=STRICT)
class Stack:
    """A network that reads the members' predictions; it learns from predictions for clips that the
    members never saw.

    Attributes:
        recipe: of the network; its branches read :data:`MEMBER_PREDICTIONS`. In a YAML file as in
            `Member`.
        leaking: whether it reads what every fold's model says of every clip, also of those that
            the model learned from, as Nguyen et al. (ABAW3) do: five models are five values a
            target. What it reads in training is then far better than anything it will meet.
    """

    recipe: Recipe
    kind: Literal["stack"] = "stack"
    leaking: bool = False

    @model_validator(mode="after")
    def _check(self) -> Stack:
        if self.recipe.features != (MEMBER_PREDICTIONS,):
            raise ValueError(f"the recipe of a stack reads features: [{MEMBER_PREDICTIONS}]")
        return self


Join = Annotated[Average | Vote | Stack, Field(discriminator="kind")]


@dataclass(frozen=True, config=STRICT)
class EnsembleRecipe:
    """Several models and how they become one.

    Attributes:
        name: what it is called.
        members: the models.
        join: how their predictions become one.
        folds: each member is trained so many times, each time without another part of the training
            clips (groups whole); their predictions are averaged, but for a training clip only
            the model counts that never saw it. None trains once, on all.
        inner: with folds, one part in so many of the clips that a model is trained on (groups
            whole) is set aside, and the model chooses its epoch on it: not on the clips that it
            never saw, whose predictions a stack learns from. 0 chooses on the latter all the same.
            Nothing is set aside where the recipe leaves no choice (``train.select`` last, no
            patience, no plateau).
        repeats: how often all that is done, each time with another seed (so other folds). A repeat
            is a member of its own, and gives a value a target to the network of a stack.
        smooth: how what is joined is smoothed, such as ``expr=median:3.34``, see
            `predictions.smooth.parse_smoothing`; saved with the ensemble until `tune` replaces it.
        about: what it is, in a sentence or two.
        source: paper and section, or where it comes from.
    """

    name: str
    members: Annotated[tuple[Member, ...], Field(min_length=1, max_length=MOST_MEMBERS)]
    join: Join = field(default_factory=Average)
    folds: Annotated[int, Field(ge=2, le=1000)] | None = None
    inner: Annotated[int, Field(ge=0, le=1000)] = INNER
    repeats: Layers = 1
    smooth: Annotated[str, Field(max_length=200)] = "off"
    about: str = ""
    source: str = ""

    @model_validator(mode="after")
    def _check(self) -> EnsembleRecipe:
        names = [member.name for member in self.members]
        if len(set(names)) < len(names):
            raise ValueError("members: two have the same name")
        tasks = {member.recipe.task_names for member in self.members}
        if len(tasks) > 1:
            raise ValueError("members: they must all predict the same tasks")
        if isinstance(self.join, Stack):
            if self.folds is None:
                raise ValueError("join: a stack needs folds, to learn from clips not yet seen")
            if not set(self.join.recipe.tasks) <= set(self.tasks):
                raise ValueError("join: the stack predicts a task that the members do not")
        if isinstance(self.join, Average) and len(self.join.weights) not in (0, len(names)):
            raise ValueError(f"join: give {len(names)} weights, one a member")
        if isinstance(self.join, Vote) and self.join.at_least > len(self.all_members):
            raise ValueError(
                f"join: there are {len(self.all_members)} members, at_least asks for more"
            )
        if self.inner == 1:
            raise ValueError("inner: nothing would be left to train with; give 0, or 2 or more")
        if len(self.all_members) * (self.folds or 1) < 2:
            raise ValueError("members: a single model is no ensemble")
        return self

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks that the members predict."""
        return self.members[0].recipe.task_names

    @property
    def all_members(self) -> dict[str, tuple[Member, int]]:
        """By name of its folder, each member and the number of its repeat, in order."""
        return {
            member.name if self.repeats == 1 else f"{member.name}-{repeat}": (member, repeat)
            for member in self.members
            for repeat in range(self.repeats)
        }

    @property
    def weights(self) -> tuple[float, ...]:
        """Of each of ``all_members`` in an average."""
        given = self.join.weights if isinstance(self.join, Average) else ()
        by_member = given or (1.0,) * len(self.members)
        return tuple(weight for weight in by_member for _ in range(self.repeats))

    def to_dict(self) -> dict[str, Any]:
        """The whole recipe as JSON-able values; :func:`parse_ensemble` reads it."""
        plain: dict[str, Any] = TypeAdapter(EnsembleRecipe).dump_python(self, mode="json")
        return plain


@cache
def ensemble_names() -> tuple[str, ...]:
    """The ensemble recipes of this package."""
    return tuple(sorted(path.stem for path in _HERE.glob(f"*{_SUFFIX}")))


def ensemble_path(name: str | Path) -> Path:
    """The file of an ensemble of this package, or of the user's own if ``name`` ends in .yaml.

    Raises:
        UnknownNameError: there is no such ensemble.
        UsageError: it is a single recipe.
    """
    path = Path(name)
    if path.suffix in (_SUFFIX, ".yml") and path.is_file():
        return path
    if str(name) in recipe_names():
        raise UsageError(
            f"'{name}' is the recipe of a single model",
            f'use `avaffect train` with recipe="{name}"',
        )
    if str(name) not in ensemble_names():
        raise UnknownNameError("ensemble", str(name), ensemble_names())
    return _HERE / f"{name}{_SUFFIX}"


@boundary()
def load_ensemble(
    name: str | Path,
    changes: Sequence[str] = (),
    join_changes: Sequence[str] = (),
    *,
    folds: int | None = None,
    repeats: int | None = None,
) -> EnsembleRecipe:
    """Read an ensemble recipe and change it.

    Bounds: as `recipes.library.load_recipe`; ``MOST_MEMBERS``, 64 repeats and 1000 folds.

    Args:
        name: an ensemble of this package, or the path of a YAML file.
        changes: ``key=value`` as in `recipes.library.load_recipe`, of every member's recipe.
        join_changes: the same, of the recipe of a stack.
        folds: replaces that of the file; None keeps it.
        repeats: the same.

    Raises:
        UnknownNameError: no such ensemble, or one of a recipe that does not exist.
        FormatError: the file is no ensemble.
        UsageError: a change that does not fit.
    """
    path = ensemble_path(name)
    tree = read_yaml(path)
    if not isinstance(tree, dict) or not isinstance(tree.get("members"), list):
        raise FormatError(f"'{path}' is no ensemble", _SEEN)
    if len(tree["members"]) > MOST_MEMBERS:
        raise FormatError(f"'{path}' has more than {MOST_MEMBERS} members", _SEEN)
    tree.setdefault("name", path.stem)
    members = [_whole(member, path, changes) for member in tree["members"]]
    tree = {**tree, "members": members}
    join = tree.get("join")
    if isinstance(join, dict) and join.get("kind") == "stack":
        tree["join"] = _whole(join, path, join_changes)
    elif join_changes:
        raise UsageError(
            f"'{tree['name']}' has no second stage to change", "leave out join_changes=..."
        )
    recipe = parse_ensemble(tree, f"'{path}'")
    given = {"folds": folds, "repeats": repeats}
    asked = {key: value for key, value in given.items() if value is not None}
    if asked == {}:
        return recipe
    try:
        return replace(recipe, **asked)  # type: ignore[arg-type]
    except ValidationError as error:
        raise UsageError(
            f"'{recipe.name}' cannot be changed like this: {fault(error)}", _SEEN
        ) from error


def parse_ensemble(tree: Any, where: str) -> EnsembleRecipe:
    """The ensemble that ``tree``, with whole recipes, describes.

    Raises:
        FormatError: it does not fit; the message names ``where`` and the key.
    """
    try:
        return TypeAdapter(EnsembleRecipe).validate_python(tree)
    except ValidationError as error:
        raise FormatError(f"ensemble {where}: {fault(error)}", _SEEN) from error


def _whole(tree: Any, path: Path, changes: Sequence[str]) -> Any:
    """``tree`` with the recipe that it names, and its own changes made."""
    if not isinstance(tree, dict) or not isinstance(tree.get("recipe"), str):
        raise FormatError(f"ensemble '{path}': each member names a recipe", _SEEN)
    own = tree.get("change") or {}
    if not isinstance(own, dict):
        raise FormatError(
            f"ensemble '{path}': change is no mapping",
            "write lines such as `train.lr: 3e-4` under it",
        )
    beside = path.parent / tree["recipe"]
    recipe = load_recipe(beside if beside.is_file() else tree["recipe"])
    # JSON is YAML, which is what changes are written in.
    pairs = [f"{key}={json.dumps(value, default=str)}" for key, value in own.items()]
    recipe = change_recipe(recipe, [*pairs, *changes])
    kept = {key: value for key, value in tree.items() if key != "change"}
    return {**kept, "recipe": recipe.to_dict()}
