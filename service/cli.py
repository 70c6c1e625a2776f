"""The command line: thin over the client. Every command that shows something takes --json."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.advice import app as advice_commands
from service.cli_evidence import app as evidence_commands
from service.completion import DATA, KINDS, job_ids, kinds, read
from service.console import JOB_HELP, AsJson, Commands, Data, Job, Key, Url, read_object
from service.console import complaint as _complaint
from service.console import connected as _client
from service.console import console as _console
from service.console import remark as _remark
from service.console import show as _show
from service.exit_codes import NO, NOTHING_TO_DEPLOY
from service.machine import why_no_workers
from service.sqlite_url import sqlite_url
from service.streams import prepare_output

if TYPE_CHECKING:
    from service.client import Client
    from service.views import JobView, Recommendation

app = typer.Typer(
    name="whichopt",
    cls=Commands,
    help="Which optimizer, with which hyperparameters, for my model and my data, how sure are we, "
    "and what did it cost?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

app.callback()(prepare_output)
app.add_typer(evidence_commands)
app.add_typer(advice_commands)

Workers = Annotated[
    int | None,
    typer.Option(min=1, help="Training processes on the CPU; by default what cores and memory allow."),
]

DEMO = {
    "name": "demo",
    "workload": {"dataset": {"name": "digits"}, "model": {"name": "mlp", "hidden": [128, 64]}},
    "optimizers": ["adabelief", "adamw", "adam", "sgd", "radam", "nadam"],
    "budget": {"trials": 24, "replicates": 3, "epochs": 15, "confirm_seeds": 10},
}


# -- a service on this machine -------------------------------------------------------------------------


@app.command()
def up(
    host: str = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8000,
    data: Data = DATA,
    workers: Workers = None,
    gpus: Annotated[
        str, typer.Option(help="GPUs to train on, a process on each: all, how many, or indices as in 0,2.")
    ] = "all",
) -> None:
    """Run the whole service here: database, broker, API and workers, until Ctrl-C."""
    command = _embedded(host, port, data, workers, gpus)
    os.execv(command[0], command)


@app.command()
def demo(
    data: Annotated[Path | None, typer.Option(help="Keep the service's data here.")] = None,
    workers: Workers = None,
    as_json: AsJson = False,
) -> None:
    """Start a service, tune six optimizers on the digits over HTTP, and show the recommendation."""
    with tempfile.TemporaryDirectory(prefix="whichopt-demo-") as temporary:
        folder = data or Path(temporary)
        with (
            _service(folder, workers, removed=data is None),
            _client(None, None, folder, told=True) as client,
        ):
            job = client.submit(DEMO)
            _show_lint(job, as_json)
            _follow(client, job.id, as_json=as_json, own_worker=True)


@app.command()
def migrate() -> None:
    """Bring the database (WHICHOPT_DATABASE_URL) to this version's tables; make a first key known."""
    from service.settings import Settings, at_start

    settings = at_start()
    from service.api_keys import WeakKey, check
    from service.db import DatabaseError, Store
    from service.db.migrate import CannotMigrate, ensure_key, upgrade
    from service.db.troubles import in_words, place

    store, said = Store(settings.database_url), set[str]()

    def waits(words: str) -> None:
        if words not in said:
            said.add(words)
            typer.echo(f"whichopt: {words}", err=True)

    wanted = settings.api_key.get_secret_value() if settings.api_key else None
    if settings.database_url == Settings.model_fields["database_url"].default:
        with suppress(OSError):  # which the database tells
            Path(store.url.database or "").parent.mkdir(mode=0o700, exist_ok=True)
    try:
        upgrade(store, waits=waits)
        made = ensure_key(store, wanted)
    except WeakKey as error:
        raise _complaint(f"WHICHOPT_API_KEY: {error}") from None
    except (CannotMigrate, DatabaseError) as error:
        found = _complaint(in_words(error, store.url))
        if wanted is not None:  # both at once; only the database could say that it knows the key already
            try:
                check(wanted)
            except WeakKey as weak:
                raise _complaint(f"WHICHOPT_API_KEY: {weak}") from None
        raise found from None
    typer.echo(f"the database is current: {place(store.url)}")
    if made is not None:
        typer.echo(f"a first API key was made; it is shown once: {made}")


# -- jobs ----------------------------------------------------------------------------------------------


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
        _submit(client, body, wait=wait, as_json=as_json, idempotency_key=idempotency_key)


@app.command()
def watch(job: Job, url: Url = None, key: Key = None, data: Data = DATA, as_json: AsJson = False) -> None:
    """Follow a job to its end, then show its recommendation."""
    with _client(url, key, data) as client:
        _follow(client, client.find_job(job), as_json=as_json)


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
    from service import terminal

    with _client(url, key, data) as client:
        if job is None:
            jobs = client.jobs().items
            _show(jobs, as_json, terminal.job_table(jobs))
        elif trials:
            found = list(client.trials(client.find_job(job)))
            _show(found, as_json, terminal.trial_table(found))
        else:
            one = client.job(client.find_job(job))
            _show(one, as_json, terminal.job_summary(one))


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
    from service import terminal_verdicts

    with _client(url, key, data) as client:
        if job is not None:
            _show_recommendation(_recommendation(client, client.find_job(job)), as_json)
            return
        found = client.recommendations(task=task, dataset=dataset, model=model, optimizer=optimizer).items
        if found or as_json:
            _show(found, as_json, terminal_verdicts.recommendation_table(found))
            return
        asked = {"task": task, "dataset": dataset, "model": model, "optimizer": optimizer}
        said = " ".join(f"{name}={value}" for name, value in asked.items() if value is not None)
        typer.echo(
            f"nothing has been recommended{f' for {said}' if said else ''} yet; leave options out ('whichopt "
            "catalog' lists what each may name), or send a job: whichopt submit job.json --wait"
        )


def _recommendation(client: Client, job_id: str) -> Recommendation:
    """Return the job's recommendation; ends with 1, as `watch` does, if the job will have none."""
    from service.client import ProblemError

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
    from service import terminal_verdicts

    with _client(url, key, data) as client:
        found = client.forecast(client.find_job(job))
        _show(found, as_json, terminal_verdicts.forecast_tables(found))


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
    from service import terminal

    if kind not in KINDS:
        raise _complaint(f"no catalog {kind!r}; there are: {', '.join(KINDS)}")
    with _client(url, key, data) as client:
        entries = client.catalog(kind)
        _show(entries, as_json, terminal.catalog_listing(entries))


# ------------------------------------------------------------------------------------------------------


def _submit(
    client: Client, body: dict[str, Any], *, wait: bool, as_json: bool, idempotency_key: str | None
) -> None:
    job = client.submit(body, idempotency_key=idempotency_key)
    _show_lint(job, as_json)
    if wait:
        _follow(client, job.id, as_json=as_json)
    else:
        _show(job, as_json, job.id)
        if job.activity is not None and job.activity.what in ("worker", "queue"):
            _remark(job.activity.detail, "yellow")


def _show_lint(job: JobView, as_json: bool) -> None:
    if not as_json and job.lint:
        from service import terminal

        _console(stderr=True).print(terminal.findings(job.lint))


def _follow(client: Client, job_id: str, *, as_json: bool, own_worker: bool = False) -> None:
    from service import terminal
    from service.states import JobState
    from service.terminal_progress import Bars

    # Bars are for people: they go to stderr, so that --json stays alone on stdout.
    with Bars(_console(stderr=as_json), client.forecast, own_worker=own_worker) as bars:
        job = client.wait(job_id, on_change=bars.update)
    if job.state is not JobState.SUCCEEDED:
        _show(job, as_json, terminal.job_summary(job))
        raise typer.Exit(NO)
    _show_recommendation(client.recommendation(job_id), as_json)


def _show_recommendation(found: Recommendation, as_json: bool) -> None:
    from service import terminal_verdicts

    _show(found, as_json, terminal_verdicts.recommendation_panel(found))
    if found.verdict == "nothing":
        raise typer.Exit(NOTHING_TO_DEPLOY)
    if not as_json:
        # Plain, as a wrapped or cropped line would not run when pasted.
        typer.echo(f"\nPaste and run:\n\n{found.snippet}")


def _embedded(host: str, port: int, data: Path, workers: int | None, gpus: str) -> list[str]:
    """The command of the embedded service, which is a process of its own: it needs the workers' packages."""
    problem = why_no_workers()
    if problem:
        raise _complaint(problem)
    if find_spec("torch") is None:
        raise _complaint(
            "the service trains, which takes the workers' packages: pip install 'whichopt[workers]'"
        )
    options = [f"--host={host}", f"--port={port}", f"--data={data}", f"--gpus={gpus}"]
    if workers is not None:
        options.append(f"--workers={workers}")
    return [sys.executable, "-m", "workers.embedded", *options]


@contextmanager
def _service(data: Path, workers: int | None, *, removed: bool) -> Iterator[None]:
    """An embedded service over `data`, which may be `removed` afterwards, on a free port, for the block."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # On the CPU alone, so that the demo is the same whether a GPU's worker is up before its job is sent.
    command = _embedded("127.0.0.1", port, data, workers, gpus="0")
    command += ["--removed"] if removed else []
    process = subprocess.Popen(command, start_new_session=True)
    try:
        # A home that was killed leaves its address behind: it is ours that is waited for.
        while read(data / "url") != f"http://127.0.0.1:{port}":
            if process.poll() is not None:
                raise _complaint(f"the service did not start; see {data / 'logs'}")
            time.sleep(0.05)
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


if __name__ == "__main__":
    app()
