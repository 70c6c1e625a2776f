"""The command that trains the network of a job for use: fit."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from whichopt.service.cli.completion import DATA, job_ids
from whichopt.service.cli.options import JOB_HELP, AsJson, Key, Url, complaint, connected
from whichopt.service.extras import lacking

app = typer.Typer()


class Rows(StrEnum):
    """The rows that a network can be trained on."""

    TRAIN = "train"
    ALL = "all"


@app.command()
def fit(
    job: Annotated[
        str, typer.Argument(help=f"{JOB_HELP} Or a report file.", autocompletion=job_ids, metavar="JOB")
    ],
    data: Annotated[
        list[Path] | None,
        typer.Option(
            help="The file that was sent, if the job is about your own data and the service is not on this "
            "machine; or, as in other commands, the data folder of a service on this machine. May be given "
            "twice, for both."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder to save in; if omitted, fit- and the end of the job's id.")
    ] = None,
    config: Annotated[
        str | None, typer.Option(help="Label of another finalist than the recommended one.")
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0, help="Number of the fresh seeds, from 0; if omitted, the first that the report has."
        ),
    ] = None,
    rows: Annotated[
        Rows,
        typer.Option(
            help="Rows to train on: train, those of a confirm run, whose test score can be compared; or all, "
            "for a network to deploy, of which there is no test score."
        ),
    ] = Rows.TRAIN,
    force: Annotated[bool, typer.Option("--force", help="Replace a network in the folder.")] = False,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Train a job's recommended config once more, and save the network with a program that predicts.

    The exit code is 1 if the test score is not the report's within the tolerance, and 2 if nothing was saved.
    """
    if problem := lacking("workers", "whichopt fit, which trains,"):
        raise complaint(problem)
    home, file = _home_and_file(data or [])
    with tempfile.TemporaryDirectory(prefix="whichopt-fit-") as temporary:
        report = Path(job)
        if not report.is_file():
            report = Path(temporary, "report.json")
            with connected(url, key, home) as client:
                job = client.find_job(job)
                client.save_report(job, report, form="json")
            out = out or Path(f"fit-{job[-8:]}")
        options = [f"--out={out or 'fit'}", f"--rows={rows.value}"]
        options += [f"--{name}={value}" for name, value in _given(file, config, seed)]
        options += [f"--{name}" for name, on in (("force", force), ("json", as_json)) if on]
        command = [sys.executable, "-P", "-m", "whichopt.workers.fit", str(report), *options]
        raise typer.Exit(subprocess.call(command, env=_environment(home)))


def _home_and_file(given: list[Path]) -> tuple[Path, Path | None]:
    """Return the data folder and the file, of which either may be given by --data."""
    homes = [path for path in given if path.is_dir()]
    files = [path for path in given if not path.is_dir()]
    if len(homes) > 1 or len(files) > 1:
        raise complaint("--data names two files or two folders; give one file, one folder, or one of each")
    return homes[0] if homes else DATA, files[0] if files else None


def _given(file: Path | None, config: str | None, seed: int | None) -> list[tuple[str, object]]:
    options = {"data": file, "config": config, "seed": seed}
    return [(name, value) for name, value in options.items() if value is not None]


def _environment(home: Path) -> dict[str, str]:
    """Return the environment in which the blobs of a service on this machine are found."""
    blobs = {} if "WHICHOPT_BLOBS" in os.environ else {"WHICHOPT_BLOBS": str(home / "blobs")}
    return {**blobs, **os.environ}
