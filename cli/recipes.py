"""``avaffect recipes``."""

from __future__ import annotations

import click

from avaffect.errors import UsageError


@click.group()
def recipes() -> None:
    """The systems that `avaffect train` and `avaffect ensemble` can train.

    \b
    Examples:
      avaffect recipes list
      avaffect recipes show abaw1-av-gru > mine.yaml
      avaffect train --recipe mine.yaml
      avaffect recipes show abaw3-va
    """


@recipes.command("list")
def list_recipes() -> None:
    """Name, modalities, tasks and what each recipe is; then the ensembles of several."""
    from avaffect.recipes.ensemble_recipe import ensemble_names, load_ensemble
    from avaffect.recipes.library import load_recipe, recipe_names

    for name in recipe_names():
        recipe = load_recipe(name)
        click.echo(f"{name}  ({', '.join(recipe.modalities)}: {', '.join(recipe.task_names)})")
        click.echo(f"    {' '.join(recipe.about.split())}")
    for name in ensemble_names():
        ensemble = load_ensemble(name)
        click.echo(f"{name}  (ensemble by {ensemble.join.kind}: {', '.join(ensemble.tasks)})")
        click.echo(f"    {' '.join(ensemble.about.split())}")


@recipes.command("show")
@click.argument("name")
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change a setting.")
def show(name: str, changes: tuple[str, ...]) -> None:
    """Print a whole recipe, defaults too, as YAML; of an ensemble, its file."""
    from avaffect.recipes.ensemble_recipe import ensemble_names, ensemble_path
    from avaffect.recipes.library import load_recipe, to_yaml

    if name in ensemble_names():
        if changes:
            raise UsageError(
                f"'{name}' is an ensemble, whose members have settings",
                "show a member's recipe, or give --set to `avaffect ensemble`",
            )
        click.echo(ensemble_path(name).read_text("utf-8"), nl=False)
        return
    click.echo(to_yaml(load_recipe(name, changes)), nl=False)
