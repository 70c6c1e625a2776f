"""The command that tunes a person's own training function where it stands: tune."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from whichopt.service.cli.completion import DATA
from whichopt.service.cli.options import AsJson, complaint
from whichopt.service.extras import lacking

app = typer.Typer()


@app.command()
def tune(
    train: Annotated[
        str,
        typer.Argument(
            help="Training function: train.py:fit, package.module:fit, or a script that asks whichopt.run(), "
            "train.py.",
            metavar="FUNCTION",
        ),
    ],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(help="Command line of a script, after --.", metavar="[-- ARGUMENTS]"),
    ] = None,
    minimize: Annotated[
        str | None, typer.Option(help="Metric that it reports, if less of it is better.")
    ] = None,
    maximize: Annotated[str | None, typer.Option(help="Metric, if more of it is better.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Minutes until the answer, about.")] = None,
    trials: Annotated[int | None, typer.Option(help="Search trials of each optimizer.")] = None,
    optimizers: Annotated[
        str | None, typer.Option(help="Names of optimizers, with commas between them; six if omitted.")
    ] = None,
    epochs: Annotated[int, typer.Option(help="Reports of a full trial.")] = 20,
    replicates: Annotated[int, typer.Option(help="Independent studies of each optimizer.")] = 3,
    confirm_seeds: Annotated[
        int, typer.Option(help="Fresh seeds for each finalist on average, at most.")
    ] = 10,
    today: Annotated[
        Path | None,
        typer.Option(
            help='JSON file with what is used today, {"name": "adamw", "config": {"lr": 3e-4}}: the answer '
            "then says first whether to keep it."
        ),
    ] = None,
    options: Annotated[str | None, typer.Option(help="JSON that the function finds as run.options.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the job.")] = None,
    version: Annotated[
        str | None, typer.Option(help="Version of what the function reads: another one is another job.")
    ] = None,
    processes: Annotated[int | None, typer.Option(min=1, help="Trials at once.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the job.")] = 0,
    warn: Annotated[
        bool, typer.Option("--warn", help="Go on despite findings of the rehearsal that spoil the job.")
    ] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin anew, whatever is known.")] = False,
    report: Annotated[Path | None, typer.Option(help="Save the evidence as an HTML page.")] = None,
    data: Annotated[Path, typer.Option(help="Folder of the jobs, which 'whichopt up' shows.")] = DATA,
    as_json: AsJson = False,
) -> None:
    """Tune your own training function on this machine; no service is needed.

    Interrupted or killed, the same command goes on where it stood.
    """
    if problem := lacking("workers", "whichopt tune, which trains,"):
        raise complaint(problem)
    given = {
        "minimize": minimize,
        "maximize": maximize,
        "minutes": minutes,
        "trials": trials,
        "optimizers": optimizers,
        "epochs": epochs,
        "replicates": replicates,
        "confirm-seeds": confirm_seeds,
        "today": today,
        "options": options,
        "name": name,
        "version": version,
        "processes": processes,
        "seed": seed,
        "report": report,
        "data": data,
    }
    flags = [f"--{key}" for key, on in (("warn", warn), ("fresh", fresh), ("json", as_json)) if on]
    named = [f"--{key}={value}" for key, value in given.items() if value is not None]
    command = [sys.executable, "-P", "-m", "whichopt.workers.tune", train, *named, *flags]
    raise typer.Exit(subprocess.call([*command, *(f"--argument={one}" for one in arguments or [])]))
