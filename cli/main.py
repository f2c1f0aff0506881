"""The command ``avaffect``: finds the subcommand, turns errors into one line and an exit code."""

from __future__ import annotations

import io
import os
import sys
import traceback
from contextlib import suppress

import click

from avaffect.cli.commands import LazyGroup
from avaffect.cli.terminal import explain, say_error
from avaffect.cli.words import as_options
from avaffect.interrupts import exit_code, raise_on_signals
from avaffect.version import __version__


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="avaffect")
@click.option("--debug", is_flag=True, help="Show a traceback when something fails.")
def avaffect(debug: bool) -> None:
    """Per-frame valence, arousal, expression and action units from a video's face and voice,
    in the file format of the ABAW / Aff-Wild2 challenge.

    \b
    Examples:
      avaffect predict video.mp4 --task all -o out/
      avaffect preprocess video.mp4 -o out/ && avaffect predict out/ --task va
      avaffect train --data Aff-Wild2/ --features out/ --modalities audio,video
      avaffect evaluate out/ annotations/ --task va
      avaffect submit out/ --task va --template ABAW_VA_test_set_sample.txt -o va.zip
      avaffect models list
    """


def main() -> None:
    """The entry point: 0 done, 1 work failed, 2 wrong use, or `interrupts.exit_code`."""
    raise_on_signals()
    # Before torch is loaded: its threads wait in a busy loop, which on a machine with other work
    # makes training five to twelve times slower (benchmarks/training.py).
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Without it cuBLAS may give another result each time.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    given = sys.argv[1:]
    ours = given[: given.index("--")] if "--" in given else given
    # The flag may stand anywhere, also behind the subcommand.
    debug = "--debug" in ours
    arguments = [argument for argument in ours if argument != "--debug"] + given[len(ours) :]
    _open_streams()
    try:
        code = avaffect.main(
            args=arguments, prog_name="avaffect", standalone_mode=False, obj=debug
        )
    except (KeyboardInterrupt, click.Abort) as error:
        kept = "what was finished is kept, the same command goes on from there"
        # click hides what was raised behind its own Abort.
        reason = str(error) or str(error.__cause__ or "")
        say_error(f"interrupted; {reason or kept}")
        code = exit_code()
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        code = error.exit_code
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "avaffect"
        say_error(f"{error.format_message().rstrip('.')}: see `{command} --help`")
        code = error.exit_code
    except BrokenPipeError:
        # Whoever read our output has gone and wants no more of it.
        code = 1
    except Exception as error:
        if debug:
            with suppress(OSError):
                traceback.print_exc()
        explained = explain(error)
        say_error(as_options(str(explained)))
        code = explained.exit_code
    sys.exit(_flushed(code or 0))


def _open_streams() -> None:
    """Print to nowhere where there is no stream (``>&-``), and what no encoding has as ``?``."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            # As file descriptor 1 or 2 again, which libraries in C write to.
            sink = os.open(os.devnull, os.O_WRONLY)
            setattr(sys, name, open(sink, "w", encoding="utf-8"))  # noqa: SIM115, PTH123
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _flushed(code: int) -> int:
    """The exit code once all is printed; Python itself would complain with a traceback and 120."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError) as error:
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            if not isinstance(error, BrokenPipeError) and stream is sys.stdout and not code:
                say_error("what should be printed cannot be written: check where it goes")
            code = code or 1
    return code


if __name__ == "__main__":
    main()
