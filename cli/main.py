"""The command ``avaffect``: finds the subcommand, turns errors into one line and an exit code."""

from __future__ import annotations

import os
import sys
import traceback
from importlib import import_module

import click

from avaffect import __version__
from avaffect.errors import AvaffectError

COMMANDS = {
    "preprocess": "avaffect.cli.preprocess:preprocess",
    "predict": "avaffect.cli.predict:predict",
    "models": "avaffect.cli.models:models",
}
INTERRUPTED = 130


class LazyGroup(click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name].split(":")
        command: click.Command = getattr(import_module(module), name)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="avaffect")
@click.option("--debug", is_flag=True, help="Show a traceback when something fails.")
@click.pass_context
def avaffect(ctx: click.Context, debug: bool) -> None:
    """Per-frame valence, arousal, expression and action units from a video's face and voice,
    in the file format of the ABAW / Aff-Wild2 challenge.

    \b
    Examples:
      avaffect predict video.mp4 --task all -o out/
      avaffect preprocess video.mp4 -o out/ && avaffect predict out/ --task va
      avaffect models list
    """
    ctx.obj = debug


def main() -> None:
    """The entry point: 0 done, 1 work failed, 2 wrong use, 130 interrupted."""
    debug = "--debug" in sys.argv[1:]
    # The flag may stand anywhere, also behind the subcommand.
    arguments = [one for one in sys.argv[1:] if one != "--debug"]
    try:
        code = avaffect.main(args=arguments, prog_name="avaffect", standalone_mode=False)
    except click.exceptions.Abort:
        code = _interrupted()
    except KeyboardInterrupt:
        code = _interrupted()
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except BrokenPipeError:
        # Whoever read our output has gone; Python would complain again while closing it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except AvaffectError as error:
        if debug:
            traceback.print_exc()
        click.echo(f"avaffect: {error}", err=True)
        code = error.exit_code
    except Exception as error:
        if debug:
            traceback.print_exc()
        text = " ".join(str(error).split()) or type(error).__name__
        click.echo(
            f"avaffect: unexpected {type(error).__name__}: {text} (run again with --debug for the "
            "traceback, and report it)",
            err=True,
        )
        code = 1
    sys.exit(code or 0)


def _interrupted() -> int:
    click.echo(
        "avaffect: interrupted; what was finished is kept, the same command goes on from there",
        err=True,
    )
    return INTERRUPTED


if __name__ == "__main__":
    main()
