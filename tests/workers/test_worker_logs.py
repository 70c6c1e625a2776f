"""A worker's log holds nothing but lines of ours, whoever of Celery's parts writes into it."""

from __future__ import annotations

import json
import subprocess
import sys

SCRIPT = """
import logging
from whichopt.workers import app
app.app.log.setup()  # as a worker does, and each of its processes
logging.getLogger("celery.worker.consumer.consumer").error("a broker that is away")
logging.getLogger("celery.task").warning("a task")
from billiard import util
try:
    raise RuntimeError("a process dies")
except RuntimeError:
    assert util.error("Process %s", "pool", exc_info=True)
from celery.apps import worker
worker.safe_say("worker: Warm shutdown (MainProcess)", None)
try:
    raise RuntimeError("a fault of ours")
except RuntimeError:
    app.log.exception("ours")
raise SystemExit(app.app.conf.worker_consumer != "whichopt.workers.celery_changes:Consumer")
"""


def test_what_celery_logs_is_in_our_lines() -> None:
    found = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    told = [json.loads(line) for line in found.stderr.splitlines()]
    assert (found.returncode, found.stdout) == (0, "")
    assert [(line["event"], line.get("logger")) for line in told] == [
        ("a broker that is away", "celery.worker.consumer.consumer"),
        ("a task", "celery.task"),
        ("Process pool", "multiprocessing"),
        ("celery_says", None),
        ("ours", None),
    ]
    assert "a process dies" in told[2]["exception"]
