"""The commands about jobs: submit, watch, show, recommend, forecast, cancel, conclude, resume, export."""

from __future__ import annotations

import json
import os
import shlex
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from whichopt.service.cli.completion import DATA, KINDS, job_ids, kinds
from whichopt.service.cli.options import JOB_HELP, AsJson, Data, Job, Key, Url, read_object
from whichopt.service.cli.options import complaint as _complaint
from whichopt.service.cli.options import connected as _client
from whichopt.service.cli.options import console as _console
from whichopt.service.cli.options import remark as _remark
from whichopt.service.cli.options import show as _show
from whichopt.service.exit_codes import INTERRUPTED, NO, NOTHING_TO_DEPLOY
from whichopt.service.sqlite_url import sqlite_url
from whichopt.service.states import JobState

if TYPE_CHECKING:
    from whichopt.service.client import Client
    from whichopt.service.views import JobView, Recommendation

app = typer.Typer()


class Form(StrEnum):
    """The forms in which a config is printed."""

    JSON = "json"
    TORCH = "torch"
    LIGHTNING = "lightning"
    HF = "hf"


class Concluded(StrEnum):
    """The verdicts that a job may conclude with."""

    WINNER = "winner"
    TIE = "tie"
    NOTHING = "nothing"


@app.command()
def submit(
    spec: Annotated[str, typer.Argument(help="JSON file with a job spec, or - for standard input.")],
    wait: Annotated[
        bool, typer.Option("--wait", help="Show progress until the job ends, then its recommendation.")
    ] = False,
    idempotency_key: Annotated[
        str | None,
        typer.Option(
            help="Key that is sent with the request, so that repeating it does not create a second job."
        ),
    ] = None,
    url: Url = None,
    key: Key = None,
    data: Data = DATA,
    as_json: AsJson = False,
) -> None:
    """Submit a job.

    With --wait, the exit code is 0 if there is a config to deploy, 1 if the job did not succeed, and 3 if it
    succeeded but has nothing to deploy because every finalist diverged.
    """
    body = read_object(spec, "a job spec")
    with _client(url, key, data) as client:
        job = client.submit(body, idempotency_key=idempotency_key)
        show_lint(job, as_json)
        if wait:
            _follow_elsewhere(client, job.id, _again(url, data), as_json=as_json)
            return
        _show(job, as_json, job.id)
        if job.activity is not None and job.activity.what in ("worker", "queue"):
            _remark(job.activity.detail, "yellow")


@app.command()
def watch(job: Job, url: Url = None, key: Key = None, data: Data = DATA, as_json: AsJson = False) -> None:
    """Follow a job to its end, then show its recommendation."""
    with _client(url, key, data) as client:
        _follow_elsewhere(client, client.find_job(job), _again(url, data), as_json=as_json)


@app.command()
def show(
    job: Annotated[
        str | None,
        typer.Argument(help=f"{JOB_HELP} If omitted, the latest jobs are shown.", autocompletion=job_ids),
    ] = None,
    trials: Annotated[bool, typer.Option("--trials", help="Show the job's trials.")] = False,
    state: Annotated[JobState | None, typer.Option(help="Show the latest jobs in this state.")] = None,
    verdict: Annotated[Concluded | None, typer.Option(help="Show the latest jobs with this verdict.")] = None,
    find: Annotated[
        str | None,
        typer.Option(
            help="Show the latest jobs with these words in their name, dataset, model, function or "
            "optimizers."
        ),
    ] = None,
    url: Url = None,
    key: Key = None,
    data: Data = DATA,
    as_json: AsJson = False,
) -> None:
    """Show the latest jobs, a job, or its trials."""
    from whichopt.service.cli import tables

    if job is not None and (state, verdict, find) != (None, None, None):
        raise _complaint("--state, --verdict and --find choose among the jobs; name no job with them")
    with _client(url, key, data) as client:
        if job is None:
            jobs = client.jobs(state=state, verdict=verdict, text=find)
            _show(jobs.items, as_json, tables.job_table(jobs.items))
            for row in jobs.unreadable:
                _remark(f"whichopt: {row.problem}", "yellow")
        elif trials:
            job_trials = list(client.trials(client.find_job(job)))
            _show(job_trials, as_json, tables.trial_table(job_trials))
        else:
            one = client.job(client.find_job(job))
            _show(one, as_json, tables.job_summary(one))


@app.command()
def recommend(
    job: Annotated[
        str | None,
        typer.Argument(help=f"{JOB_HELP} If omitted, the options below choose.", autocompletion=job_ids),
    ] = None,
    task: Annotated[str | None, typer.Option(help="Show recommendations for this task.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Show recommendations for this dataset.")] = None,
    model: Annotated[str | None, typer.Option(help="Show recommendations for this model.")] = None,
    function: Annotated[
        str | None, typer.Option(help="Show recommendations for this function of your own.")
    ] = None,
    metric: Annotated[str | None, typer.Option(help="Show recommendations judged by this metric.")] = None,
    optimizer: Annotated[str | None, typer.Option(help="Show recommendations of this optimizer.")] = None,
    form: Annotated[
        Form | None,
        typer.Option(
            "--as",
            help="Print the job's config alone, for another program: JSON, PyTorch code, the YAML of "
            "LightningCLI, or TrainingArguments of transformers (hf).",
        ),
    ] = None,
    url: Url = None,
    key: Key = None,
    data: Data = DATA,
    as_json: AsJson = False,
) -> None:
    """Show a job's recommendation, or the recommendations for workloads like yours."""
    from whichopt.service.cli import verdict_tables

    with _client(url, key, data) as client:
        if job is not None and form is not None:
            job_id = client.find_job(job)
            typer.echo(_as_form(client.job(job_id), _recommendation(client, job_id), form), nl=False)
            return
        if form is not None:
            raise _complaint("--as prints the config of one job; name it: whichopt recommend JOB --as ...")
        if job is not None:
            _show_recommendation(_recommendation(client, client.find_job(job)), as_json)
            return
        asked = {
            "task": task,
            "dataset": dataset,
            "model": model,
            "function": function,
            "metric": metric,
            "optimizer": optimizer,
        }
        recommendations = client.recommendations(
            task=task, dataset=dataset, model=model, function=function, metric=metric, optimizer=optimizer
        ).items
        if recommendations or as_json:
            _show(recommendations, as_json, verdict_tables.recommendation_table(recommendations))
            return
        filters = " ".join(f"{name}={value}" for name, value in asked.items() if value is not None)
        typer.echo(
            f"There is no recommendation yet{f' for {filters}' if filters else ''}. Use fewer options "
            "('whichopt catalog' lists the names), or submit a job: whichopt submit job.json --wait"
        )


def _as_form(job: JobView, recommendation: Recommendation, form: Form) -> str:
    """Return the recommended config in that form; exit with 3 if there is none."""
    from whichopt.service.forms import written

    if recommendation.config is None:
        typer.echo(f"whichopt: {recommendation.statement}", err=True)
        raise typer.Exit(NOTHING_TO_DEPLOY)
    return written(form.value, job.spec, recommendation)


def _recommendation(client: Client, job_id: str) -> Recommendation:
    """Return the job's recommendation; exit with 1, as `watch` does, if the job will have none."""
    from whichopt.service.client import ProblemError

    try:
        return client.recommendation(job_id)
    except ProblemError:
        view = client.job(job_id)
        if not view.state.ended:
            raise
        why = f": {view.error.detail}" if view.error else ""
        typer.echo(f"whichopt: job {job_id} is {view.state} and has no recommendation{why}", err=True)
        raise typer.Exit(NO) from None


@app.command()
def forecast(job: Job, url: Url = None, key: Key = None, data: Data = DATA, as_json: AsJson = False) -> None:
    """Show how far a job is, and what more trials or seeds are likely to change."""
    from whichopt.service.cli import verdict_tables

    with _client(url, key, data) as client:
        job_forecast = client.forecast(client.find_job(job))
        _show(job_forecast, as_json, verdict_tables.forecast_tables(job_forecast))


@app.command()
def cancel(job: Job, url: Url = None, key: Key = None, data: Data = DATA, as_json: AsJson = False) -> None:
    """Cancel a job; its training stops within an epoch."""
    with _client(url, key, data) as client:
        view = client.cancel(client.find_job(job))
        _show(view, as_json, f"Cancel requested for job {view.id}.")


@app.command()
def conclude(job: Job, url: Url = None, key: Key = None, data: Data = DATA, as_json: AsJson = False) -> None:
    """End a job's confirm at the last look that is done, and conclude from the fresh seeds that it has."""
    with _client(url, key, data) as client:
        view = client.conclude(client.find_job(job))
        seeds = f"{view.concluded_seeds} fresh seeds"
        _show(view, as_json, f"Job {view.id} concludes from {seeds}: whichopt recommend {view.id}")


@app.command()
def resume(job: Job, url: Url = None, key: Key = None, data: Data = DATA, as_json: AsJson = False) -> None:
    """Let a job go on that failed because of its workers; what it has done is kept."""
    with _client(url, key, data) as client:
        view = client.resume(client.find_job(job))
        _show(view, as_json, f"Job {view.id} goes on.")


@app.command()
def export(
    job: Job,
    to: Annotated[
        Path, typer.Option(help="File to write: an SQLite file, or .csv or .jsonl for a table of all trials.")
    ],
    curves: Annotated[
        bool, typer.Option("--curves", help="Also save the points of each trial's curve (only .jsonl).")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
    url: Url = None,
    key: Key = None,
    data: Data = DATA,
    as_json: AsJson = False,
) -> None:
    """Save a job's studies as an Optuna storage, which optuna.load_study opens, or its trials as a table."""
    if to.exists() and not force:
        raise _complaint(f"{to} exists; give another path, or add --force to replace it")
    if curves and to.suffix != ".jsonl":
        raise _complaint(f"--curves needs a file that ends with .jsonl; {to} does not")
    if to.suffix in (".csv", ".jsonl"):
        with _client(url, key, data) as client:
            client.save_trials(client.find_job(job), to, curves=curves)
        typer.echo(json.dumps({"file": str(to)}) if as_json else f"Wrote {to}, a line for each trial.")
        return
    with _client(url, key, data) as client:
        client.studies(client.find_job(job), to)
    try:
        storage = sqlite_url(to)
    except ValueError as error:
        raise _complaint(f"wrote {to}, but {error}") from None
    if as_json:
        typer.echo(json.dumps({"file": str(to), "storage": storage}))
    else:
        typer.echo(f"Wrote {to}. Open it with optuna.load_study(study_name=..., storage={storage!r})")


@app.command()
def catalog(
    kind: Annotated[
        str,
        typer.Argument(
            help="Catalog to show: optimizers, models, datasets, tasks or plugins.", autocompletion=kinds
        ),
    ] = "optimizers",
    url: Url = None,
    key: Key = None,
    data: Data = DATA,
    as_json: AsJson = False,
) -> None:
    """Show the optimizers, models, datasets or tasks that a job can name, or the plug-ins of the workers."""
    from whichopt.service.cli import tables

    if kind not in KINDS:
        raise _complaint(f"there is no catalog {kind!r}; choose one of: {', '.join(KINDS)}")
    with _client(url, key, data) as client:
        if kind == "plugins":
            told = client.plugins()
            _show(told, as_json, tables.plugin_listing(told))
            return
        entries = client.catalog(kind)
        _show(entries, as_json, tables.catalog_listing(entries))


def _again(url: str | None, data: Path) -> str:
    """Return the options that lead another command to the same service; empty if it needs none."""
    options = []
    if url is not None and url != os.environ.get("WHICHOPT_URL"):
        options.append(f" --url {shlex.quote(url)}")
    if data != DATA:
        options.append(f" --data {shlex.quote(str(data))}")
    return "".join(options)


def _follow_elsewhere(client: Client, job_id: str, again: str, *, as_json: bool) -> None:
    """Follow a job of a service that goes on without this command, and say so on Ctrl-C.

    Args:
        again: the options that lead another command to the same service.
    """
    try:
        follow(
            client, job_id, evidence=f"whichopt report {job_id} --html report.html{again}", as_json=as_json
        )
    except KeyboardInterrupt:
        _remark(
            f"job {job_id} goes on: 'whichopt watch {job_id}{again}' follows it, "
            f"'whichopt cancel {job_id}{again}' ends it",
            "yellow",
        )
        raise typer.Exit(INTERRUPTED) from None


def show_lint(job: JobView, as_json: bool) -> None:
    """Print the linter's findings about the job's spec, unless the output is JSON."""
    if not as_json and job.lint:
        from whichopt.service.cli import tables

        _console(stderr=True).print(tables.findings(job.lint))


def follow(
    client: Client, job_id: str, *, evidence: str | None, as_json: bool, own_worker: bool = False
) -> None:
    """Show a job's id, then its progress until it ends, then its recommendation.

    Args:
        evidence: the command that saves the job's evidence; None if the service does not outlast this one.
    """
    from whichopt.service.cli import tables
    from whichopt.service.cli.progress import Bars
    from whichopt.service.states import JobState

    # At once, and whoever reads stdout gets the result alone.
    _remark(f"job {job_id}", "cyan")
    # Bars are for people: they go to stderr, so that --json stays alone on stdout.
    with Bars(_console(stderr=as_json), client.forecast, own_worker=own_worker) as bars:
        job = client.wait(job_id, on_change=bars.update)
    if job.state is not JobState.SUCCEEDED:
        _show(job, as_json, tables.job_summary(job))
        raise typer.Exit(NO)
    recommendation = client.recommendation(job_id)
    try:
        _show_recommendation(recommendation, as_json)
    finally:  # a job of which nothing can be deployed has evidence as well
        if evidence is not None and not as_json:
            typer.echo(f"\nevidence: {evidence}")


def _show_recommendation(recommendation: Recommendation, as_json: bool) -> None:
    from whichopt.service.cli import verdict_tables

    _show(recommendation, as_json, verdict_tables.recommendation_panel(recommendation))
    if recommendation.verdict == "nothing":
        raise typer.Exit(NOTHING_TO_DEPLOY)
    if not as_json:
        # Plain, as a wrapped or cropped line would not run when pasted.
        typer.echo(f"\nPaste and run:\n\n{recommendation.snippet}")
