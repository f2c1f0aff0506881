"""``avaffect doctor``."""

from __future__ import annotations

import click


@click.command()
@click.option("--json", "as_json", is_flag=True, help="A JSON array instead of a table.")
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:
    """Look whether everything that avaffect needs is here and works.

    Python, packages, ffmpeg, GPU, weights (by their hash), disk, and a drawn clip of one second
    that is predicted. Says what to do about each fault. Takes half a minute, reaches no network
    and changes nothing. Exit code 1 if there is a fault; notes are none.

    \b
    Examples:
      avaffect doctor
      avaffect doctor --json > doctor.json
    """
    from avaffect.cli.terminal import printable
    from avaffect.doctor.checks import Finding, check

    if as_json:
        import json
        from dataclasses import asdict

        found = check()
        click.echo(json.dumps([asdict(finding) for finding in found], indent=2))
    else:

        def show(finding: Finding) -> None:
            line = f"{finding.state:5}  {finding.what:26}  {finding.found}"
            click.echo(printable(line))
            if finding.advice:
                click.echo(f"{'':7}{'':26}  -> {printable(finding.advice)}")

        found = check(show)
        faults = sum(finding.state == "fault" for finding in found)
        notes = sum(finding.state == "note" for finding in found)
        click.echo(f"{len(found)} things looked at: {faults} faults, {notes} notes")
    ctx.exit(int(any(finding.state == "fault" for finding in found)))
