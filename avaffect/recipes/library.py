"""Finding, reading and changing recipes."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, get_args, get_type_hints

import yaml
from pydantic import TypeAdapter, ValidationError

from avaffect.errors import FormatError, UnknownNameError, UsageError, boundary
from avaffect.files.outside import parse_yaml, read_yaml, reading, real_path
from avaffect.recipes import blocks, encoders, training
from avaffect.recipes import recipe as recipe_types
from avaffect.recipes.recipe import Recipe
from avaffect.recipes.training import Loss
from avaffect.tasks.registry import TASKS, VA, task_named

_SUFFIX = ".yaml"
_SECTIONS = ("train", "window", "head", "fusion")
_HERE = Path(__file__).parent

# Every key that a recipe can have somewhere.
_KEYS = sorted(
    {
        field.name
        for module in (blocks, encoders, recipe_types, training)
        for kind in vars(module).values()
        if isinstance(kind, type) and is_dataclass(kind)
        for field in fields(kind)
    }
)


@cache
def recipe_names() -> tuple[str, ...]:
    """The recipes of this package."""
    return tuple(sorted(path.stem for path in _HERE.glob(f"*{_SUFFIX}")))


def recipe_path(name: str | Path) -> Path:
    """The file of a recipe of this package, or of the user's own if ``name`` ends in .yaml.

    Raises:
        UnknownNameError: there is no such recipe.
    """
    path = Path(name)
    if path.suffix in (_SUFFIX, ".yml") and path.is_file():
        return path
    if str(name) not in recipe_names():
        raise UnknownNameError("recipe", str(name), recipe_names())
    return _HERE / f"{name}{_SUFFIX}"


@boundary()
def load_recipe(name: str | Path, changes: Sequence[str] = ()) -> Recipe:
    """Read a recipe and change it.

    Bounds: `outside.read_yaml`; sizes of at most 65,536 and ``recipe.MOST_LAYERS`` layers in all.

    Args:
        name: a recipe of this package, or the path of a YAML file. Its key ``extends`` names a
            recipe to start from (a path is relative to the file) and ``change`` maps dotted keys
            to values, as ``changes`` do; a branch, or a term of a loss, may be new. Of ``train``,
            ``window``, ``head`` and ``fusion`` what is named is replaced, of everything else the
            whole.
        changes: ``key=value`` with dotted keys, e.g. ``train.lr=3e-4``; values are YAML.

    Raises:
        UnknownNameError: no such recipe.
        FormatError: the file is no recipe.
        UsageError: a change of a key that does not exist, or to a value that does not fit.
    """
    return change_recipe(parse_recipe(_tree(recipe_path(name)), f"'{name}'"), changes)


def parse_recipe(tree: Mapping[str, Any], where: str) -> Recipe:
    """The recipe that ``tree`` (as from YAML or JSON) describes.

    Raises:
        FormatError: it does not fit; the message names ``where`` and the key.
    """
    try:
        return TypeAdapter(Recipe).validate_python(dict(tree))
    except ValidationError as error:
        key, reason = _first(error)
        raise FormatError(
            f"recipe {where}: {key}: {reason}", "`avaffect recipes show NAME` prints a whole one"
        ) from error


def change_recipe(recipe: Recipe, changes: Sequence[str]) -> Recipe:
    """``recipe`` with some values changed; see :func:`load_recipe`."""
    pairs = []
    for change in changes:
        key, equals, text = change.partition("=")
        if not equals or not key:
            raise UsageError(f"'{change}' is no change", "write key=value, e.g. train.lr=3e-4")
        with reading(text[:60], UsageError, "cannot be read as a value", "quote it"):
            pairs.append((key.strip(), parse_yaml(text)))
    if not pairs:
        return recipe
    tree = recipe.to_dict()
    for key, value in pairs:
        _put(tree, key, value)
    try:
        return TypeAdapter(Recipe).validate_python(tree)
    except ValidationError as error:
        key, reason = _first(error)
        raise UsageError(
            f"the changed recipe does not fit: {key}: {reason}",
            "`avaffect recipes show` prints what there is",
        ) from error


def choose(
    recipe: Recipe,
    modalities: Sequence[str] | None = None,
    tasks: Sequence[str] | None = None,
    branches: Sequence[str] | None = None,
) -> Recipe:
    """``recipe`` with some branches only, and for other tasks.

    Args:
        modalities: of ``audio`` and ``video``, whose branches to keep; None keeps all.
        branches: those to predict from, by name; branches that they go on from stay too, but are
            not fused. None keeps all.
        tasks: None keeps the recipe's; one that it does not have gets its usual loss.

    Raises:
        UsageError: the recipe has no branch for a modality, or there is no such task.
        UnknownNameError: it has no branch of that name.
    """
    if modalities is not None:
        unknown = [modality for modality in modalities if modality not in recipe.modalities]
        if unknown or not modalities:
            raise UsageError(
                f"recipe '{recipe.name}' has no branch for '{', '.join(unknown) or 'nothing'}'",
                f"choose of {', '.join(recipe.modalities)}",
            )
        kept = {
            n: branch for n, branch in recipe.branches.items() if recipe.modality(n) in modalities
        }
        auxiliary = tuple(name for name in recipe.auxiliary if name in kept)
        recipe = _replaced(recipe, branches=kept, auxiliary=auxiliary)
    if branches is not None:
        recipe = _with_branches(recipe, branches)
    if tasks is not None:
        for task in tasks:
            task_named(task)
        if not tasks:
            raise UsageError("no task is chosen", f"choose of {', '.join(TASKS)}")
        losses: dict[Any, Loss] = {
            task: recipe.tasks.get(task, Loss({TASKS[task].loss: 1.0})) for task in tasks
        }
        polarity = recipe.polarity if VA.name in losses else None
        recipe = _replaced(recipe, tasks=losses, polarity=polarity)
    return recipe


def _with_branches(recipe: Recipe, names: Sequence[str]) -> Recipe:
    for name in names:
        if name not in recipe.branches:
            raise UnknownNameError("branch", name, recipe.branches)
    if not names:
        raise UsageError("no branch is chosen", f"choose of {', '.join(recipe.branches)}")
    needed = {*names}
    for name, branch in reversed(recipe.branches.items()):
        if name in needed:
            needed |= {other for other in (branch.input, branch.target) if other is not None}
    kept = {
        name: replace(branch, fused=name in names)
        for name, branch in recipe.branches.items()
        if name in needed
    }
    auxiliary = tuple(name for name in recipe.auxiliary if name in names)
    return _replaced(recipe, branches=kept, auxiliary=auxiliary)


def _replaced(recipe: Recipe, **changes: Any) -> Recipe:
    try:
        return replace(recipe, **changes)
    except ValidationError as error:
        key, reason = _first(error)
        raise UsageError(
            f"what is left of recipe '{recipe.name}' does not fit: {key}: {reason}",
            "choose other modalities, branches or tasks",
        ) from error


def to_yaml(recipe: Recipe) -> str:
    """The whole recipe, defaults too, as YAML."""
    return yaml.safe_dump(recipe.to_dict(), sort_keys=False, allow_unicode=True, width=90)


def _tree(path: Path, seen: tuple[Path, ...] = ()) -> dict[str, Any]:
    tree = read_yaml(path)
    if not isinstance(tree, dict):
        raise FormatError(f"'{path}' is no recipe", "see `avaffect recipes show abaw1-av-gru`")
    tree.setdefault("name", path.stem)
    if "extends" not in tree:
        return tree
    extended = str(tree.pop("extends"))
    beside = path.parent / extended
    base = real_path(recipe_path(beside if beside.is_file() else extended))
    if base in (*seen, real_path(path)):
        raise FormatError(f"'{path}' extends itself", "mend the key 'extends'")
    changes = tree.pop("change", None) or {}
    if not isinstance(changes, dict):
        raise FormatError(
            f"'{path}': change is no mapping", "write lines such as `train.lr: 3e-4` under it"
        )
    whole = parse_recipe(_tree(base, (*seen, real_path(path))), f"'{base.stem}'").to_dict()
    for key, value in tree.items():
        merged = key in _SECTIONS and isinstance(value, dict)
        whole[key] = whole[key] | value if merged else value
    for key, value in changes.items():
        _put(whole, str(key), value)
    return whole


def _put(tree: Any, key: str, value: Any) -> None:
    """Set the value at a dotted key that exists; a number counts in a list."""
    *parents, last = key.split(".")
    at, walked = tree, ""
    for part in parents:
        at = at[_place(at, part, key, walked)]
        walked += part + "."
    if parents and parents[-1] in ("terms", "branches"):  # there may be further ones
        at[last] = value
        return
    if last == "kind" and isinstance(at, dict):
        _leave_defaults(at, value)
    at[_place(at, last, key, walked)] = value


def _leave_defaults(block: dict[str, Any], kind: Any) -> None:
    """Drop what a block of another ``kind`` does not know and nobody has set."""
    before, then = (_block_defaults().get(name) for name in (block.get("kind"), kind))
    if before is None or then is None:
        return
    for name in before.keys() - then.keys():
        if block.get(name) == before[name]:
            del block[name]


@cache
def _block_defaults() -> dict[Any, dict[str, Any]]:
    """By kind of a block, its settings and their defaults, as JSON has them."""
    return {
        name: TypeAdapter(block).dump_python(block(), mode="json")
        for block in get_args(get_args(blocks.Block)[0])
        for name in get_args(get_type_hints(block)["kind"])
    }


def _place(at: Any, part: str, key: str, walked: str) -> str | int:
    known: list[str] = []
    if isinstance(at, list):
        known = [str(i) for i in range(len(at))]
    elif isinstance(at, dict):
        known = [str(name) for name in at]
    if part not in known:
        close = difflib.get_close_matches(part, known, n=1)
        above = f"'{walked.rstrip('.')}'" if walked else "the recipe"
        if close:
            hint = f"did you mean '{walked}{close[0]}'?"
        elif known:
            hint = f"in {above} there is {', '.join(known)}"
        else:
            hint = f"{above} is a single value"
        raise UsageError(f"there is no setting '{key}'", hint)
    return int(part) if isinstance(at, list) else part


def _first(error: ValidationError) -> tuple[str, str]:
    """Where the first fault lies, as a dotted key, and what it is."""
    fault = error.errors(include_url=False)[0]
    place = fault["loc"]
    # Behind a layer's number stands its kind, which is no key; behind a wrong key, a mark.
    parts = [
        str(part)
        for i, part in enumerate(place)
        if part != "[key]" and not (i and isinstance(place[i - 1], int))
    ]
    reason = str(fault["msg"]).removeprefix("Value error, ")
    if fault["type"] == "unexpected_keyword_argument":
        if parts[-1] in _KEYS:
            # Known elsewhere: mostly what a block of another kind had.
            reason = "it has no such key; docs/training.md lists those of each kind of block"
        else:
            close = difflib.get_close_matches(parts[-1], _KEYS, n=1)
            reason = "there is no such key" + (f", did you mean '{close[0]}'?" if close else "")
    return ".".join(parts) or "recipe", reason
