"""The commands about jobs: submit, watch, show, recommend, forecast, cancel, export, catalog."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from whichopt.service.cli.completion import DATA, KINDS, job_ids, kinds
from whichopt.service.cli.options import JOB_HELP, AsJson, Data, Job, Key, Url, read_object
from whichopt.service.cli.options import complaint as _complaint
from whichopt.service.cli.options import connected as _client
from whichopt.service.cli.options import console as _console
from whichopt.service.cli.options import remark as _remark
from whichopt.service.cli.options import show as _show
from whichopt.service.exit_codes import NO, NOTHING_TO_DEPLOY
from whichopt.service.sqlite_url import sqlite_url

if TYPE_CHECKING:
    from whichopt.service.client import Client
    from whichopt.service.views import JobView, Recommendation

app = typer.Typer()


@app.command()
def submit(
    spec: Annotated[str, typer.Argument(help="A job spec in JSON: a file, or - for standard input.")],
    wait: Annotated[bool, typer.Option("--wait", help="Show progress, then the recommendation.")] = False,
    idempotency_key: Annotated[
        str | None, typer.Option(help="Sent with the request, so that a repeated one makes no second job.")
    ] = None,
    url: Url = None,
    key: Key = None,
    data: Data = DATA,
    as_json: AsJson = False,
) -> None:
    """Send a job. With --wait: exit code 0 with a config to deploy, 1 if the job did not succeed, 3 if it did
    and there is nothing to deploy, as every finalist diverged."""
    body = read_object(spec, "a job spec")
    with _client(url, key, data) as client:
        send(client, body, wait=wait, as_json=as_json, idempotency_key=idempotency_key)


@app.command()
def watch(job: Job, url: Url = None, key: Key = None, data: Data = DATA, as_json: AsJson = False) -> None:
    """Follow a job to its end, then show its recommendation."""
    with _client(url, key, data) as client:
        follow(client, client.find_job(job), as_json=as_json)


@app.command()
def show(
    job: Annotated[
        str | None,
        typer.Argument(help=f"{JOB_HELP} Without one, the latest jobs.", autocompletion=job_ids),
    ] = None,
    trials: Annotated[bool, typer.Option("--trials", help="Show the job's trials.")] = False,
    url: Url = None,
    key: Key = None,
    data: Data = DATA,
    as_json: AsJson = False,
) -> None:
    """Show the latest jobs, a job, or its trials."""
    from whichopt.service.cli import tables

    with _client(url, key, data) as client:
        if job is None:
            jobs = client.jobs()
            _show(jobs.items, as_json, tables.job_table(jobs.items))
            for row in jobs.unreadable:
                _remark(f"whichopt: {row.problem}", "yellow")
        elif trials:
            found = list(client.trials(client.find_job(job)))
            _show(found, as_json, tables.trial_table(found))
        else:
            one = client.job(client.find_job(job))
            _show(one, as_json, tables.job_summary(one))


@app.command()
def recommend(
    job: Annotated[
        str | None,
        typer.Argument(help=f"{JOB_HELP} Without one, see the options.", autocompletion=job_ids),
    ] = None,
    task: Annotated[str | None, typer.Option(help="What has been recommended for this task ...")] = None,
    dataset: Annotated[str | None, typer.Option(help="... this dataset ...")] = None,
    model: Annotated[str | None, typer.Option(help="... this model ...")] = None,
    optimizer: Annotated[str | None, typer.Option(help="... where this optimizer won.")] = None,
    url: Url = None,
    key: Key = None,
    data: Data = DATA,
    as_json: AsJson = False,
) -> None:
    """Show a job's recommendation, or what has been recommended for workloads like yours."""
    from whichopt.service.cli import verdict_tables

    with _client(url, key, data) as client:
        if job is not None:
            _show_recommendation(_recommendation(client, client.find_job(job)), as_json)
            return
        found = client.recommendations(task=task, dataset=dataset, model=model, optimizer=optimizer).items
        if found or as_json:
            _show(found, as_json, verdict_tables.recommendation_table(found))
            return
        asked = {"task": task, "dataset": dataset, "model": model, "optimizer": optimizer}
        said = " ".join(f"{name}={value}" for name, value in asked.items() if value is not None)
        typer.echo(
            f"nothing has been recommended{f' for {said}' if said else ''} yet; leave options out ('whichopt "
            "catalog' lists what each may name), or send a job: whichopt submit job.json --wait"
        )


def _recommendation(client: Client, job_id: str) -> Recommendation:
    """Return the job's recommendation; ends with 1, as `watch` does, if the job will have none."""
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
    """Show what a running job may still tell: where its search stands, and what more seeds would change."""
    from whichopt.service.cli import verdict_tables

    with _client(url, key, data) as client:
        found = client.forecast(client.find_job(job))
        _show(found, as_json, verdict_tables.forecast_tables(found))


@app.command()
def cancel(job: Job, url: Url = None, key: Key = None, data: Data = DATA, as_json: AsJson = False) -> None:
    """Cancel a job; what trains stops within an epoch."""
    with _client(url, key, data) as client:
        found = client.cancel(client.find_job(job))
        _show(found, as_json, f"{found.id}: cancel asked for")


@app.command()
def export(
    job: Job,
    to: Annotated[Path, typer.Option(help="An SQLite file to write.")],
    force: Annotated[bool, typer.Option("--force", help="Replace the file if there is one.")] = False,
    url: Url = None,
    key: Key = None,
    data: Data = DATA,
    as_json: AsJson = False,
) -> None:
    """Save a job's studies as real Optuna studies, for optuna.load_study."""
    if to.exists() and not force:
        raise _complaint(f"{to} exists; give another path, or --force to replace it")
    with _client(url, key, data) as client:
        client.studies(client.find_job(job), to)
    try:
        storage = sqlite_url(to)
    except ValueError as error:
        raise _complaint(f"{to} written; but {error}") from None
    if as_json:
        typer.echo(json.dumps({"file": str(to), "storage": storage}))
    else:
        typer.echo(f"{to} written; open it with optuna.load_study(study_name=..., storage={storage!r})")


@app.command()
def catalog(
    kind: Annotated[
        str, typer.Argument(help="optimizers, models, datasets or tasks", autocompletion=kinds)
    ] = "optimizers",
    url: Url = None,
    key: Key = None,
    data: Data = DATA,
    as_json: AsJson = False,
) -> None:
    """Show what a job may name."""
    from whichopt.service.cli import tables

    if kind not in KINDS:
        raise _complaint(f"no catalog {kind!r}; there are: {', '.join(KINDS)}")
    with _client(url, key, data) as client:
        entries = client.catalog(kind)
        _show(entries, as_json, tables.catalog_listing(entries))


def send(
    client: Client, body: dict[str, Any], *, wait: bool, as_json: bool, idempotency_key: str | None
) -> None:
    job = client.submit(body, idempotency_key=idempotency_key)
    show_lint(job, as_json)
    if wait:
        follow(client, job.id, as_json=as_json)
    else:
        _show(job, as_json, job.id)
        if job.activity is not None and job.activity.what in ("worker", "queue"):
            _remark(job.activity.detail, "yellow")


def show_lint(job: JobView, as_json: bool) -> None:
    """Print what is often got wrong in a spec like the job's; nothing beside JSON."""
    if not as_json and job.lint:
        from whichopt.service.cli import tables

        _console(stderr=True).print(tables.findings(job.lint))


def follow(client: Client, job_id: str, *, as_json: bool, own_worker: bool = False) -> None:
    from whichopt.service.cli import tables
    from whichopt.service.cli.progress import Bars
    from whichopt.service.states import JobState

    # Bars are for people: they go to stderr, so that --json stays alone on stdout.
    with Bars(_console(stderr=as_json), client.forecast, own_worker=own_worker) as bars:
        job = client.wait(job_id, on_change=bars.update)
    if job.state is not JobState.SUCCEEDED:
        _show(job, as_json, tables.job_summary(job))
        raise typer.Exit(NO)
    _show_recommendation(client.recommendation(job_id), as_json)


def _show_recommendation(found: Recommendation, as_json: bool) -> None:
    from whichopt.service.cli import verdict_tables

    _show(found, as_json, verdict_tables.recommendation_panel(found))
    if found.verdict == "nothing":
        raise typer.Exit(NOTHING_TO_DEPLOY)
    if not as_json:
        # Plain, as a wrapped or cropped line would not run when pasted.
        typer.echo(f"\nPaste and run:\n\n{found.snippet}")
