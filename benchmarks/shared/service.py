"""A service as `whichopt up` starts it, for as long as a benchmark sends it jobs."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.shared.processes import PROCESSES
from whichopt.service.client import Client

START_S = 120.0


@contextmanager
def running_service(data: Path) -> Iterator[Client]:
    """A client of a service over `data`, which is ended with the block."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = [f"--port={port}", f"--data={data}", f"--workers={PROCESSES}"]
    process = subprocess.Popen(
        [sys.executable, "-m", "whichopt.workers.embedded", *options],
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + START_S
        while not (data / "url").exists():
            if process.poll() is not None:
                raise RuntimeError(f"the service ended with {process.returncode}: {_log(data)}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"the service did not start within {START_S:g} s: {_log(data)}")
            time.sleep(0.05)
        with Client(f"http://127.0.0.1:{port}", (data / "api-key").read_text().strip()) as client:
            yield client
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


def _log(data: Path) -> str:
    """The end of what the API wrote."""
    file = data / "logs" / "api.log"
    return file.read_text()[-2000:] if file.exists() else "no log"
