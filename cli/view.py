"""``avaffect view``."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import click

from avaffect.cli.options import DEFAULT_OUT


@click.command()
@click.argument("out", type=click.Path(file_okay=False), default=DEFAULT_OUT)
@click.option(
    "--video",
    "videos",
    type=click.Path(dir_okay=False),
    multiple=True,
    help="A video that was predicted; give it again for another.  [default: a file of its name in "
    "OUT, beside it, or in this folder]",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    show_default=True,
    help="Port of 127.0.0.1; 0 takes a free one.",
)
@click.option("--open", "opened", is_flag=True, help="Open the page in the browser.")
def view(out: str, videos: tuple[str, ...], port: int, opened: bool) -> None:
    """Show all results in OUT, a folder that `avaffect predict` wrote, in the browser.

    The list keeps itself up to date while `predict` runs. It is shown to this computer alone, and
    only to whoever has the address that is printed. Nothing is written. Ctrl-C ends it.

    \b
    Examples:
      avaffect view out/
      avaffect view out/ --port 8800 --open
    """
    from avaffect.cli.terminal import Reporter
    from avaffect.errors import need

    need("view")
    from avaffect.viewing.server import View

    with Reporter() as reporter:
        server = View(Path(out), port, [Path(video) for video in videos])
        reporter.say(f"results: {server.url}")
        reporter.say("Ctrl-C ends it")
        if opened:
            import webbrowser

            webbrowser.open(server.url)
        with suppress(KeyboardInterrupt):
            server.run()
        reporter.say("ended")
