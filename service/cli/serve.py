"""The commands that run a service on this machine: up, demo, migrate."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated

import typer

from whichopt.service.cli.completion import DATA, read
from whichopt.service.cli.jobs import follow, show_lint
from whichopt.service.cli.options import AsJson, Data, complaint, connected, remark
from whichopt.service.exit_codes import CANNOT
from whichopt.service.extras import lacking
from whichopt.service.machine import why_no_workers

app = typer.Typer()

Workers = Annotated[
    int | None,
    typer.Option(
        min=1, help="Number of training processes on the CPU; by default, as many as cores and memory allow."
    ),
]

DEMO = {
    "name": "demo",
    "workload": {"dataset": {"name": "digits"}, "model": {"name": "mlp", "hidden": [128, 64]}},
    "optimizers": ["adabelief", "adamw", "adam", "sgd", "radam", "nadam"],
    "budget": {"trials": 24, "replicates": 3, "epochs": 15, "confirm_seeds": 10},
}


@app.command()
def up(
    host: str = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8000,
    data: Data = DATA,
    workers: Workers = None,
    gpus: Annotated[
        str,
        typer.Option(
            help="GPUs to train on, one process each: all, a number of GPUs, or indices such as 0,2."
        ),
    ] = "all",
) -> None:
    """Run the whole service on this machine (database, broker, API and workers) until Ctrl-C."""
    command = _embedded(host, port, data, workers, gpus)
    os.execv(command[0], command)


@app.command()
def demo(
    data: Annotated[Path | None, typer.Option(help="Folder in which to keep the service's data.")] = None,
    workers: Workers = None,
    as_json: AsJson = False,
) -> None:
    """Start a service, tune six optimizers on the digits data over HTTP, and show the recommendation."""
    with tempfile.TemporaryDirectory(prefix="whichopt-demo-") as temporary:
        folder = data or Path(temporary)
        with (
            _service(folder, workers, removed=data is None, quiet=as_json),
            connected(None, None, folder, names_are_checked=True) as client,
        ):
            if data is None:
                remark("whichopt: this keeps nothing; add --data DIR to keep its report", "yellow")
            job = client.submit(DEMO)
            show_lint(job, as_json)
            evidence = None if data is None else _later(data, job.id)
            follow(client, job.id, evidence=evidence, as_json=as_json, own_worker=True)


def _later(data: Path, job_id: str) -> str:
    """Return how to save the evidence of a job whose service has ended."""
    folder = shlex.quote(str(data))
    saving = f"whichopt report {job_id} --html report.html --data {folder}"
    return f"{saving}, while 'whichopt up --data {folder}' runs"


@app.command()
def migrate() -> None:
    """Upgrade the database (WHICHOPT_DATABASE_URL) to this version's tables, and store a first API key."""
    if problem := lacking("service", "whichopt migrate"):
        raise complaint(problem)
    from whichopt.service.settings import Settings, at_start

    settings = at_start()
    from whichopt.service.api_keys import WeakKey, check
    from whichopt.service.db import DatabaseError, Store
    from whichopt.service.db.migrate import CannotMigrate, ensure_key, upgrade
    from whichopt.service.db.troubles import in_words, place

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
        raise complaint(f"WHICHOPT_API_KEY: {error}") from None
    except (CannotMigrate, DatabaseError) as error:
        refusal = complaint(in_words(error, store.url))
        if wanted is not None:  # both at once; only the database could say that it knows the key already
            try:
                check(wanted)
            except WeakKey as weak:
                raise complaint(f"WHICHOPT_API_KEY: {weak}") from None
        raise refusal from None
    typer.echo(f"the database is up to date: {place(store.url)}")
    if made is not None:
        typer.echo(f"Created the first API key. Copy it now, it will not be shown again: {made}")


def _embedded(host: str, port: int, data: Path, workers: int | None, gpus: str) -> list[str]:
    """Return the command of the embedded service, a process of its own: it needs the workers' packages."""
    if problem := why_no_workers() or lacking("local", "a service with workers on this machine"):
        raise complaint(problem)
    options = [f"--host={host}", f"--port={port}", f"--data={data}", f"--gpus={gpus}"]
    if workers is not None:
        options.append(f"--workers={workers}")
    return [sys.executable, "-P", "-m", "whichopt.workers.embedded", *options]


@contextmanager
def _service(data: Path, workers: int | None, *, removed: bool, quiet: bool) -> Iterator[None]:
    """Run an embedded service over `data`, which may be `removed` afterwards, on a free port, for the block.

    If it is to be `quiet`, its words go to stderr, so that JSON stays alone on stdout.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # On the CPU alone, so that the demo does not depend on how soon a GPU's worker is up.
    command = _embedded("127.0.0.1", port, data, workers, gpus="0")
    command += ["--removed"] if removed else []
    process = subprocess.Popen(command, start_new_session=True, stdout=sys.stderr if quiet else None)
    try:
        # A home that was killed leaves its address behind: it is ours that is waited for.
        while read(data / "url") != f"http://127.0.0.1:{port}":
            if (code := process.poll()) is not None:
                raise _not_started(code, None if removed else data / "logs")
            time.sleep(0.05)
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


def _not_started(code: int, logs: Path | None) -> typer.Exit:
    """Return the exit to raise; with a line of our own unless the service has said why it did not start."""
    if code == CANNOT:
        return typer.Exit(CANNOT)
    where = f"; see {logs}" if logs is not None and logs.is_dir() else ""
    return complaint(f"the service did not start: it ended with exit code {code}{where}")
