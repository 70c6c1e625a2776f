"""The worker's command: one Celery worker that trains, with a process per core or one on each GPU."""

from __future__ import annotations

import argparse
import os
import sys
from typing import NoReturn

import structlog

from whichopt.service import logs
from whichopt.service.exit_codes import UNAVAILABLE
from whichopt.service.ids import new_uid
from whichopt.service.machine import why_no_workers
from whichopt.service.settings import Settings, at_start
from whichopt.workers import gpus, limits, own_functions
from whichopt.workers.gpu_claims import Claims, claim
from whichopt.workers.identity import Identity, host
from whichopt.workers.processes import how_many

log = structlog.get_logger()


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m whichopt.workers", description="One Celery worker that trains."
    )
    parser.add_argument("--queue", choices=("cpu", "cuda"), default="cpu", help="what this worker trains on")
    parser.add_argument("--processes", type=int, help="trials at a time on CPUs; on GPUs as --gpus")
    parser.add_argument(
        "--gpus",
        help="GPUs of a cuda worker, a process on each: all (default), how many, or indices as in 0,2",
    )
    parser.add_argument(
        "--processes-per-gpu", type=int, default=1, help="training processes that share a GPU"
    )
    options = parser.parse_args()
    for name in ("processes", "processes_per_gpu"):
        if getattr(options, name) is not None and getattr(options, name) < 1:
            parser.error(f"--{name.replace('_', '-')} is 1 at least")
    problem = why_no_workers() or limits.why_no_semaphores()
    if problem:
        _end(problem)
    limits.raise_open_files(_say)
    settings = at_start(writes_blobs=True)
    logs.configure(settings.log_level)
    # Set before any child loads them: one thread per process is faster for small models than many.
    for library in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(library, "1")
    if options.queue == "cuda":
        claims = _claimed(parser, options, settings)
        gpus.show(claims.gpus)
        processes = len(claims.gpus) * options.processes_per_gpu
    else:
        if options.gpus is not None or options.processes_per_gpu != 1:
            parser.error("--gpus and --processes-per-gpu are for --queue=cuda")
        gpus.show([])  # what a worker plans, it may measure: not on the card that another trains on
        processes = how_many(options.processes, "--processes", _say)

    command = Identity(f"{options.queue}-{new_uid()[-8:]}@{host()}", options.queue, processes)
    command.hand_down()

    from whichopt.workers.app import app, exit_status

    # Not by `worker_main`, which goes through Celery's command line and throws the exit status away.
    worker = app.Worker(
        hostname=command.name,
        queues=",".join(own_functions.queues(options.queue, settings)),
        pool_cls="prefork",
        concurrency=processes,
        quiet=True,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        loglevel="WARNING",
    )
    worker.start()
    sys.exit(exit_status(worker.exitcode))


def _claimed(parser: argparse.ArgumentParser, options: argparse.Namespace, settings: Settings) -> Claims:
    """The GPUs that this worker has for as long as it runs; ends the process if it can have none."""
    if options.gpus is not None and options.processes is not None:
        parser.error("--processes of a cuda worker is another word for --gpus: give one of them")
    asked = options.gpus or str(options.processes or "all")
    try:
        wanted = gpus.wanted(asked, gpus.visible())
    except gpus.CannotUse as error:
        _end(f"{error}{'' if options.processes is None else '; to share one, say --processes-per-gpu'}")
    if wanted.most == 0:
        _end(f"no GPU to train on: {'--gpus=0' if asked == '0' else gpus.why_none()}")
    try:
        claims = claim(wanted, settings.gpu_locks, _say)
    except gpus.CannotUse as error:
        _end(str(error))
    for gpu, reason in gpus.failing(claims.gpus).items():
        _say(f"does without {gpu}, which torch cannot use: {reason}")
        claims.give_up(gpu)
    if len(claims.gpus) < wanted.least:
        _end("too few GPUs that torch can use")
    return claims


def _say(words: str) -> None:
    if structlog.is_configured():
        log.warning("worker", says=words)
    else:  # before the settings are read, which say how to log
        sys.stderr.write(f"whichopt worker: {words}\n")


def _end(words: str) -> NoReturn:
    _say(words)
    sys.exit(UNAVAILABLE)
