"""The commands that save the evidence and check it: report, verify, audit, rerun."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from whichopt.service.cli.completion import DATA
from whichopt.service.cli.options import AsJson, Data, Job, Key, Url, complaint, connected, show
from whichopt.service.exit_codes import NO
from whichopt.service.extras import lacking

if TYPE_CHECKING:
    from rich.console import RenderableType

    from whichopt.service.evidence.report.verify import Verification

app = typer.Typer()

File = Annotated[Path, typer.Argument(help="Report file: JSON (may be compressed) or HTML page.")]

OF_A_PAGE = (
    "the page holds a report, which its link saves; that report was checked. The text, tables and figures "
    "that the page shows were not compared with it"
)


@app.command()
def report(
    job: Job,
    html: Annotated[
        Path | None, typer.Option(help="HTML file to save it in; the page needs no other files.")
    ] = None,
    json_file: Annotated[
        Path | None,
        typer.Option("--json-file", "-o", help="JSON file to save it in, for verify, audit and rerun."),
    ] = None,
    url: Url = None,
    key: Key = None,
    data: Data = DATA,
    as_json: AsJson = False,
) -> None:
    """Save a job's evidence in a file; without a file option, show its conclusions."""
    from whichopt.service.cli import verdict_tables

    with connected(url, key, data) as client:
        job = client.find_job(job)
        if html is not None:
            client.save_report(job, html, form="html")
        if json_file is not None:
            client.save_report(job, json_file, form="json")
        if as_json:
            saved_report = client.report(job)
            show(saved_report, as_json, "")
        elif html is None and json_file is None:
            recommendation = client.report(job).recommendation
            show(recommendation, as_json, verdict_tables.recommendation_panel(recommendation))
            typer.echo("\nSave the evidence with --html FILE, or with -o FILE for verify, audit and rerun.")
    if not as_json:
        for saved in filter(None, (html, json_file)):
            typer.echo(f"Wrote {saved}.")


@app.command()
def verify(file: File, as_json: AsJson = False) -> None:
    """Recompute a report's conclusions from its raw results, offline.

    It tells if the report is consistent with itself. Whether training gave the raw results, audit tells.

    The exit code is 0 if all conclusions follow, 1 if one does not, and 2 if the report cannot be read.
    """
    if problem := lacking("verify", "whichopt verify"):
        raise complaint(problem)
    from whichopt.service.errors import InvalidReport
    from whichopt.service.evidence.report.files import is_page, parse_report, read_content, whole_report
    from whichopt.service.evidence.report.verify import verify as verified

    try:
        content = read_content(file)
        verification = verified(whole_report(parse_report(content, name=str(file)), file))
    except InvalidReport as error:
        raise complaint(error.detail) from None
    if is_page(content):
        verification = verification.model_copy(update={"notes": [*verification.notes, OF_A_PAGE]})
    show(verification, as_json, _verification(verification))
    raise typer.Exit(0 if verification.outcome == "confirmed" else NO)


def _verification(verification: Verification) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    lines = [
        Text(
            verification.statement, style="bold green" if verification.outcome == "confirmed" else "bold red"
        )
    ]
    if not verification.checksum_matches:
        lines.append(
            Text(
                "The raw results or the spec were changed after the report was written: the SHA-256 differs."
            )
        )
    lines += [Text(f"- {difference}") for difference in verification.differences]
    lines += [Text(f"- raw results: {contradiction}") for contradiction in verification.inconsistencies]
    lines += [Text(f"Note: {note}", style="yellow") for note in verification.notes]
    return Group(*lines)


DataFile = Annotated[
    Path | None, typer.Option(help="The file that was sent, if the report is about your own data.")
]
Function = Annotated[
    str | None,
    typer.Option(help="Your training function, if the report is about one, such as train.py:fit."),
]


@app.command()
def audit(
    file: File,
    trials: Annotated[
        int, typer.Option(min=1, help="Number of trials to draw from all trials of the report.")
    ] = 8,
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="Seed of the draw; without it, one that nobody could foresee. It is shown."),
    ] = None,
    data: DataFile = None,
    function: Function = None,
    as_json: AsJson = False,
) -> None:
    """Train trials of a report again that are drawn at random, those of its search too.

    It also says how likely such a draw is to find a forgery. The exit code is 0 if all give what the report
    says, 1 if one does not, and 2 if they cannot be trained here.
    """
    asked = [f"--trials={trials}", *([] if seed is None else [f"--seed={seed}"])]
    _train("audit", file, asked, data, function, as_json=as_json)


@app.command()
def rerun(
    file: File,
    new_seeds: Annotated[
        int, typer.Option(min=0, max=100, help="Number of fresh seeds in addition to those of the report.")
    ] = 5,
    arms: Annotated[
        str | None,
        typer.Option(
            help="Arms to compare on the fresh seeds instead: winner (always among them), runner-up, default "
            "and today, separated by commas."
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="Seed of your own that the fresh seeds follow from, besides the report's."),
    ] = None,
    data: DataFile = None,
    function: Function = None,
    as_json: AsJson = False,
) -> None:
    """Train a report's recommended config again, on its confirm seeds and on new ones.

    With --arms, train several configs of the report on new seeds alone, and show their differences with
    paired intervals.

    The exit code is 0 if the result holds, 1 if it does not, and 2 if it cannot be run.
    """
    asked = [f"--new-seeds={new_seeds}"]
    asked += [] if arms is None else [f"--arms={arms}"]
    asked += [] if seed is None else [f"--seed={seed}"]
    _train("rerun", file, asked, data, function, as_json=as_json)


def _train(
    name: str, file: Path, asked: list[str], data: Path | None, function: str | None, *, as_json: bool
) -> None:
    """Become the process of the workers that does this command, which trains."""
    if problem := lacking("workers", f"whichopt {name}, which trains,"):
        raise complaint(problem)
    try:  # here, as training's imports take seconds
        file.open("rb").close()
    except OSError as error:
        raise complaint(f"cannot read {file}: {error.strerror}") from None
    options = [str(file), *asked, *(["--json"] if as_json else [])]
    options += [] if data is None else [f"--data={data}"]
    options += [] if function is None else [f"--function={function}"]
    command = [sys.executable, "-P", "-m", f"whichopt.workers.{name}", *options]
    if sys.platform == "win32":  # where a program that is put in this one's place has another number
        raise typer.Exit(subprocess.call(command))
    os.execv(command[0], command)
