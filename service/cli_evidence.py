"""The commands that give out the evidence and check it: report, verify, rerun."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.completion import DATA
from service.console import AsJson, Data, Job, Key, Url, complaint, connected, show
from service.exit_codes import NO

if TYPE_CHECKING:
    from rich.console import RenderableType

    from service.evidence.verify import Verification

app = typer.Typer()

File = Annotated[Path, typer.Argument(help="A report: its JSON (also compressed) or its page.")]

OF_A_PAGE = (
    "what was checked is the report inside of the page, as its link saves it; the text, tables and drawings "
    "that the page shows were not compared with it"
)


@app.command()
def report(
    job: Job,
    html: Annotated[Path | None, typer.Option(help="Save it as a page that needs nothing else.")] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json-file", "-o", help="Save it as JSON, for verify and rerun.")
    ] = None,
    url: Url = None,
    key: Key = None,
    data: Data = DATA,
    as_json: AsJson = False,
) -> None:
    """Save a job's evidence; without a file to save it in, show what it concludes."""
    from service import terminal_verdicts

    with connected(url, key, data) as client:
        job = client.find_job(job)
        if html is not None:
            client.save_report(job, html, form="html")
        if json_file is not None:
            client.save_report(job, json_file, form="json")
        if as_json:
            found = client.report(job)
            show(found, as_json, "")
        elif html is None and json_file is None:
            shown = client.report(job).recommendation
            show(shown, as_json, terminal_verdicts.recommendation_panel(shown))
            typer.echo("\nSave the evidence with --html FILE, or with -o FILE for verify and rerun.")
    if not as_json:
        for saved in filter(None, (html, json_file)):
            typer.echo(f"{saved} written")


@app.command()
def verify(file: File, as_json: AsJson = False) -> None:
    """Recompute a report's conclusions from its raw results, offline: exit code 0 where they follow, 1 where
    they do not, 2 where it cannot be read."""
    from service.errors import InvalidReport
    from service.evidence.reading import is_page, parse_report, read_content
    from service.evidence.verify import verify as verified

    try:
        content = read_content(file)
        found = verified(parse_report(content, name=str(file)))
    except InvalidReport as error:
        raise complaint(error.detail) from None
    if is_page(content):
        found = found.model_copy(update={"notes": [*found.notes, OF_A_PAGE]})
    show(found, as_json, _verification(found))
    raise typer.Exit(0 if found.outcome == "confirmed" else NO)


def _verification(found: Verification) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    lines = [Text(found.statement, style="bold green" if found.outcome == "confirmed" else "bold red")]
    if not found.checksum_matches:
        lines.append(Text("The raw results or the spec are not as they were written: the SHA-256 differs."))
    lines += [Text(f"- {difference}") for difference in found.differences]
    lines += [Text(f"- raw results: {said}") for said in found.inconsistencies]
    lines += [Text(f"Note: {note}", style="yellow") for note in found.notes]
    return Group(*lines)


@app.command()
def rerun(
    file: File,
    new_seeds: Annotated[
        int, typer.Option(min=0, max=100, help="Fresh seeds besides those of the report.")
    ] = 5,
    as_json: AsJson = False,
) -> None:
    """Train a report's recommended config again, on its confirm seeds and on new ones: exit code 0 where it
    holds, 1 where it does not, 2 where it cannot be run."""
    try:  # here, as training's imports take seconds
        file.open("rb").close()
    except OSError as error:
        raise complaint(f"cannot read {file}: {error.strerror}") from None
    if find_spec("torch") is None:
        raise complaint("training takes the workers' packages: pip install 'whichopt[workers]'")
    options = [str(file), f"--new-seeds={new_seeds}", *(["--json"] if as_json else [])]
    command = [sys.executable, "-m", "workers.rerun", *options]
    if sys.platform == "win32":  # where a program that is put in this one's place has another number
        raise typer.Exit(subprocess.call(command))
    os.execv(command[0], command)
