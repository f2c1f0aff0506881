"""The commands of ``avaffect``, and where each is."""

from __future__ import annotations

from importlib import import_module

import click

from avaffect.errors import UnknownNameError

COMMANDS = {
    "preprocess": "avaffect.cli.preprocess:preprocess",
    "features": "avaffect.cli.features:features",
    "predict": "avaffect.cli.predict:predict",
    "live": "avaffect.cli.live:live",
    "voice": "avaffect.cli.voice:voice",
    "render": "avaffect.cli.render:render",
    "plot": "avaffect.cli.plot:plot",
    "report": "avaffect.cli.report:report",
    "view": "avaffect.cli.view:view",
    "convert": "avaffect.cli.convert:convert",
    "blend": "avaffect.cli.blend:blend",
    "train": "avaffect.cli.train:train",
    "ensemble": "avaffect.cli.ensemble:ensemble",
    "tune": "avaffect.cli.tune:tune",
    "evaluate": "avaffect.cli.evaluate:evaluate",
    "submit": "avaffect.cli.submit:submit",
    "data": "avaffect.cli.data:data",
    "recipes": "avaffect.cli.recipes:recipes",
    "export": "avaffect.cli.export:export",
    "models": "avaffect.cli.models:models",
    "doctor": "avaffect.cli.doctor:doctor",
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS:
            raise UnknownNameError("command", args[0], COMMANDS)
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name].split(":")
        command: click.Command = getattr(import_module(module), name)
        return command
