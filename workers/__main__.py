"""`python -m workers`: one Celery worker, with a process per core (or per GPU) that trains."""

from __future__ import annotations

import argparse
import os
import socket

from service.dispatch import PLAN_QUEUE
from service.ids import new_uid
from workers.identity import Identity


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m workers", description=__doc__)
    parser.add_argument("--queue", choices=("cpu", "cuda"), default="cpu", help="what this worker trains on")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="trials at a time")
    options = parser.parse_args()
    # Set before any child loads them: one thread per process is faster for small models than many.
    for library in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(library, "1")

    own = Identity(f"{options.queue}-{new_uid()[-8:]}@{socket.gethostname()}", options.queue)
    own.hand_down()

    from workers.app import app

    app.worker_main(
        [
            "worker",
            f"--queues={PLAN_QUEUE},{options.queue}",
            "--pool=prefork",
            f"--concurrency={options.processes}",
            f"--hostname={own.name}",
            "--without-gossip",
            "--without-mingle",
            "--without-heartbeat",
            "--loglevel=WARNING",
        ]
    )


if __name__ == "__main__":
    main()
