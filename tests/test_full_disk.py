"""A home whose disk fills up under a job, and has space again: the job succeeds without a restart."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.builders.homes import SPEC, Embedded, free_port
from tests.builders.waiting import wait_until
from whichopt.service.exit_codes import CANNOT
from whichopt.service.states import CohortState, JobState

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.getuid() != 0, reason="mounts a disk"),
]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 6 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(place)],
        check=False,
        capture_output=True,
        text=True,
    )
    if mounted.returncode:
        pytest.skip(f"nothing can be mounted here: {mounted.stderr}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def fill(filler: Path) -> None:
    with filler.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)


def test_what_waits_goes_on_once_there_is_space(disk: Path) -> None:
    home = Embedded(disk / "data", workers=1)
    headers = {"X-API-Key": (disk / "data" / "api-key").read_text().strip()}
    try:
        url = (disk / "data" / "url").read_text().strip()
        job = home.submit_and_catch({**SPEC, "budget": {**SPEC["budget"], "epochs": 60}}, 1)
        fill(disk / "filler")

        def refused() -> bool:
            fill(disk / "filler")  # what a log is cut off by, or frees, is taken too
            answer = httpx.post(f"{url}/v1/jobs", json=SPEC, headers=headers, timeout=60)
            if answer.status_code == 202:
                return False
            assert answer.headers["Content-Type"] == "application/problem+json", answer.text
            assert (answer.status_code, answer.json()["code"]) in [
                (503, "storage_full"),
                (503, "storage_failed"),
            ]
            return True

        wait_until(refused, "jobs to be refused")
        (held,) = home.parts("workers --queue=cpu")[:1]
        wait_until(lambda: refused() and home.cohorts(CohortState.RUNNING), "the job to be held up")
        for path in ("/v1/jobs", f"/v1/jobs/{job.id}", "/"):
            assert httpx.get(f"{url}{path}", headers=headers, timeout=60).status_code == 200
        (disk / "filler").unlink()
        ended = home.client.wait(job.id)
        assert ended.state is JobState.SUCCEEDED, ended.error
        assert held.is_running(), "the same worker"
        wait_until(lambda: home.report_forms(job.id) == {"html", "json"}, "the report, too")
        wait_until(
            lambda: home.client.ready() if hasattr(home.client, "ready") else True, "a home that is ready"
        )
    finally:
        home.stop()
    for log in (disk / "data" / "logs").glob("*.log"):
        for line in filter(None, log.read_text().splitlines()):
            try:
                json.loads(line)
            except ValueError:
                assert line.startswith('{"'), "lines of ours, which the full disk may have cut off"


def test_a_home_that_starts_on_a_full_disk_says_so_in_one_line(disk: Path) -> None:
    (disk / "data").mkdir()
    fill(disk / "filler")
    command = [
        "-m",
        "whichopt.workers.embedded",
        f"--port={free_port()}",
        f"--data={disk / 'data'}",
        "--workers=1",
    ]
    found = subprocess.run([sys.executable, *command], check=False, capture_output=True, text=True)
    assert (found.returncode, found.stdout) == (CANNOT, "")
    (line,) = found.stderr.splitlines()
    assert line.startswith("whichopt: ")
    # By whom it is met first: ourselves, or SQLite, which tells of some full disks as of failing ones.
    assert any(words in line for words in ("free space", "free some space", "make space", "a full one")), line
    assert not (disk / "data" / "api-key").exists()
