"""The command for pipelines that asks whether to keep the config that is used today: check."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from whichopt.service.cli.completion import DATA
from whichopt.service.cli.options import (
    AsJson,
    Data,
    Key,
    Url,
    complaint,
    connected,
    console,
    read_object,
    remark,
)
from whichopt.service.exit_codes import BETTER_EXISTS, CANNOT, CANNOT_TELL, INTERRUPTED

if TYPE_CHECKING:
    from whichopt.service.client import Client
    from whichopt.service.views import JobView, Recommendation

app = typer.Typer()

EXIT = {"keep": 0, "switch": BETTER_EXISTS, "not distinguishable": CANNOT_TELL}
"""The exit code of each answer."""

HEADINGS = {
    "keep": "Keep what is used today",
    "switch": "A better config exists",
    "not distinguishable": "No difference can be told",
}


@app.command()
def check(
    spec: Annotated[str, typer.Argument(help="JSON file with a job spec, or - for standard input.")],
    today: Annotated[
        str | None,
        typer.Option(
            help='JSON file with what is used today, {"name": "adamw", "config": {"lr": 3e-4}}; it may also '
            "stand in the job spec, as today."
        ),
    ] = None,
    margin: Annotated[
        str | None,
        typer.Option(help="Least gain that is worth a switch: 1%, or 0.01 in the metric's units."),
    ] = None,
    summary: Annotated[
        Path | None, typer.Option(help="File for the summary in Markdown, in place of standard output.")
    ] = None,
    idempotency_key: Annotated[
        str | None,
        typer.Option(help="Key that is sent with the request: the same command asks the same job again."),
    ] = None,
    url: Url = None,
    key: Key = None,
    data: Data = DATA,
    as_json: AsJson = False,
) -> None:
    """Check whether the config that is used today should be kept; for pipelines.

    Submits the job with that config in it, waits, and writes a summary in Markdown; where GITHUB_STEP_SUMMARY
    names a file, there as well. The exit code is 0 to keep it, 3 if a better one exists, 4 if the two cannot
    be told apart, and 2 if there is no answer, as the job was refused or did not succeed.
    """
    if spec == today == "-":
        raise complaint(
            "the job spec and --today cannot both be read from standard input; name a file for one"
        )
    body = read_object(spec, "a job spec")
    if today is not None:
        body["today"] = read_object(today, "a config of today")
    if body.get("today") is None:
        raise complaint(
            'there is nothing to keep: give --today with a file such as {"name": "adamw", "config": {"lr": '
            '3e-4}}, or "today" in the job spec'
        )
    if margin is not None:
        body["margin"] = _margin(margin)
    step = os.environ.get("GITHUB_STEP_SUMMARY")
    summaries = {summary: "w", Path(step) if step else None: "a"}
    for path in summaries:
        _written(path, "", mode="a")  # before the job is paid for
    with connected(url, key, data) as client:
        job = client.submit(body, idempotency_key=idempotency_key)
        recommendation = _waited(client, job)
    answer = recommendation.today
    if answer is None:
        raise complaint(f"the job {job.id} has no answer about today's config; upgrade the service")
    text = markdown(recommendation)
    if as_json:
        typer.echo(recommendation.model_dump_json(indent=2))
    elif summary is None:
        typer.echo(text, nl=False)
    for path, mode in summaries.items():
        _written(path, text, mode=mode)
    raise typer.Exit(EXIT[answer.answer])


def _margin(text: str) -> dict[str, float]:
    """Return the margin that was typed, as a job spec has it."""
    kind = "percent" if text.strip().endswith("%") else "absolute"
    try:
        value = float(text.strip().removesuffix("%"))
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise complaint(f"--margin {text!r} is no number; give 1%, or 0.01 in the metric's units")
    return {kind: value}


def _waited(client: Client, job: JobView) -> Recommendation:
    """Return the recommendation of a job once there is one; its progress goes to the standard error."""
    from whichopt.service.cli.progress import Bars
    from whichopt.service.states import JobState

    remark(f"job {job.id}", "cyan")
    try:
        with Bars(console(stderr=True), client.forecast) as bars:
            ended = client.wait(job.id, on_change=bars.update)
    except KeyboardInterrupt:
        remark(f"job {job.id} goes on: 'whichopt watch {job.id}' follows it", "yellow")
        raise typer.Exit(INTERRUPTED) from None
    if ended.state is not JobState.SUCCEEDED:
        why = f": {ended.error.detail}" if ended.error else ""
        remark(f"whichopt: job {job.id} is {ended.state}, so there is no answer{why}", "red")
        raise typer.Exit(CANNOT)
    return client.recommendation(job.id)


def _written(path: Path | None, text: str, *, mode: str) -> None:
    if path is None:
        return
    try:
        with path.open(mode, encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise complaint(f"cannot write the summary to {path}: {error.strerror}") from None


# -- the summary -----------------------------------------------------------------------------------------


def markdown(recommendation: Recommendation) -> str:
    """Return the answer about today's config in Markdown.

    Raises:
        ValueError: the job had no config of today.
    """
    answer = recommendation.today
    if answer is None:
        raise ValueError("the job had no config of today")
    lines = [
        f"## {HEADINGS[answer.answer]}",
        "",
        answer.sentence,
        "",
        f"{recommendation.title}, {recommendation.metric} ({recommendation.direction.better} is better).",
        "",
        "| | optimizer | config |",
        "|---|---|---|",
        f"| today | {_cell(answer.optimizer)} | {_config(answer.config)} |",
    ]
    if answer.challenger is not None and answer.challenger_config is not None:
        lines.append(
            f"| challenger | {_cell(answer.challenger)} | {_config(answer.challenger_config)} |",
        )
    gain = answer.gain
    if gain is not None:
        ends = "" if gain.low is None or gain.high is None else f"{gain.low:.4g} to {gain.high:.4g}"
        percent = "" if gain.percent is None or not recommendation.has_percent else f"{gain.percent:.3g}%"
        lines += [
            "",
            f"| gain in {_cell(recommendation.metric)} | {gain.level:.0%} interval | percent | fresh seeds |",
            "|---|---|---|---|",
            f"| {gain.mean:.4g} | {ends} | {percent} | {answer.seeds} |",
        ]
    cost = recommendation.cost
    lines += [
        "",
        f"Cost: {answer.runs} runs of today's config ({answer.seconds:.1f} s of training), of {cost.trials} "
        f"trials in all ({cost.seconds:.1f} s). Evidence: `whichopt report {recommendation.job_id} --html "
        "report.html`",
        "",
    ]
    return "\n".join(lines)


def _config(config: Mapping[str, Any]) -> str:
    return _cell(", ".join(f"{name}={value}" for name, value in config.items()))


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
