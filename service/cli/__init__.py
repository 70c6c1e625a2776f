"""The command line: thin over the client. Every command that shows something takes --json.

A file a subject: a service on this machine (`serve`), people's own data, jobs, their evidence, the network of
a job (`fit`), what a job would take (`plan`), a person's own training function (`tune`), what needs no
service (`check`), and whether to keep what is used today (`today`).
"""

from __future__ import annotations

from typing import Annotated

import typer

from whichopt.service.cli import check, data, evidence, fit, jobs, plan, serve, today, tune
from whichopt.service.cli.options import Commands
from whichopt.service.streams import prepare_output

app = typer.Typer(
    name="whichopt",
    cls=Commands,
    help="Which optimizer, with which hyperparameters, for my model and my data, how sure are we, "
    "and what did it cost?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _print_version(asked: bool) -> None:
    """Print the program's version and end, if that was asked for."""
    if asked:
        from whichopt.service.versions import program

        prepare_output()
        typer.echo(f"whichopt {program()}")
        raise typer.Exit


@app.callback()
def _before_any_command(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    prepare_output()


for part in (serve, data, plan, jobs, evidence, fit, tune, check, today):
    app.add_typer(part.app)
