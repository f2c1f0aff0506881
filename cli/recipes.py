"""``avaffect recipes``."""

from __future__ import annotations

import click


@click.group()
def recipes() -> None:
    """The systems that `avaffect train` can train.

    \b
    Examples:
      avaffect recipes list
      avaffect recipes show abaw1-av-gru > mine.yaml
      avaffect train --recipe mine.yaml
    """


@recipes.command("list")
def list_recipes() -> None:
    """Name, modalities, tasks and what each recipe is."""
    from avaffect.recipes.library import load_recipe, recipe_names

    for name in recipe_names():
        recipe = load_recipe(name)
        click.echo(f"{name}  ({', '.join(recipe.modalities)}: {', '.join(recipe.task_names)})")
        click.echo(f"    {' '.join(recipe.about.split())}")


@recipes.command("show")
@click.argument("name")
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change a setting.")
def show(name: str, changes: tuple[str, ...]) -> None:
    """Print a whole recipe, defaults too, as YAML."""
    from avaffect.recipes.library import load_recipe, to_yaml

    click.echo(to_yaml(load_recipe(name, changes)), nl=False)
