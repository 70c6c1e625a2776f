"""The API of an install of `[service]` alone, over HTTP, under files that are made to harm it.

It runs as a process that can write its data folder and /tmp, and nothing else. `make test-service-alone`
builds its virtual environment, which has no torch.
"""

from __future__ import annotations

import shlex
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.builders.compose import ROOT
from tests.builders.homes import free_port
from tests.builders.hostile import CSV, TEXT, Hostile, corpus
from tests.builders.waiting import wait_until
from tests.rehearsal.container import why_not
from whichopt.service.intake import LOCK

INSTALLED = ROOT / ".venv-service"
"""Where `make test-service-alone` installs `[service]`."""

WHY_NOT = why_not() or (
    "" if (INSTALLED / "bin").is_dir() else "make test-service-alone installs what it takes"
)
pytestmark = [pytest.mark.alone, pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)]

KEY = "wo_a-key-of-the-service-alone"
DATA, PYTHON = "/mnt", "/srv"
"""Where the process finds its data folder and its virtual environment."""

GROWTH = 32 << 20
"""Bytes that the API may grow by. Its threads keep what they once needed, pieces of a body and answers of a
reader, some megabytes each; a body that was held as a whole would be 150 MB more, and a table gigabytes."""

CLOSED = """
set -e
mount --bind {data} /mnt
mount --bind {installed} /srv
mount --bind {temporary} /tmp
while read -r _ place _; do
  case "$place" in
    /mnt|/mnt/*|/tmp|/tmp/*|/srv/*|/proc*|/sys*|/dev*) ;;
    *) mount -o remount,bind,ro "$place" ;;
  esac
done < /proc/self/mounts
cd /
exec env --ignore-environment PATH=/srv/bin:/usr/bin:/bin {variables} "$@"
"""
"""A shell's script that leaves two folders to be written, and runs a command."""


@dataclass
class Alone:
    """The service as a process."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        for name in ("data", "tmp"):
            (self.folder / name).mkdir()

    def command(self, *words: str) -> list[str]:
        variables = {
            "WHICHOPT_DATABASE_URL": f"sqlite:///{DATA}/whichopt.db",
            "WHICHOPT_BLOBS": f"{DATA}/blobs",
            "WHICHOPT_BROKER_URL": f"redis+socket://{DATA}/no-broker",
            "WHICHOPT_API_KEY": KEY,
        }
        script = CLOSED.format(
            data=shlex.quote(str(self.folder / "data")),
            temporary=shlex.quote(str(self.folder / "tmp")),
            installed=shlex.quote(str(INSTALLED)),
            variables=shlex.join(f"{name}={value}" for name, value in variables.items()),
        )
        return ["unshare", "--mount", "--propagation=private", "sh", "-c", script, "sh", *words]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.command(*words), capture_output=True, text=True, check=False, timeout=120)

    def memory(self, what: str) -> int:
        """Return bytes of the process: `VmRSS`, that it has in memory, or `VmHWM`, that it ever had."""
        assert self.process is not None
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith(what))

    def left(self) -> set[str]:
        """Return the files that are there beside the database, its log and the lock."""
        found = {
            path for name in ("data", "tmp") for path in (self.folder / name).rglob("*") if path.is_file()
        }
        return {path.name for path in found if not path.name.startswith("whichopt.db")} - {LOCK}


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Alone]:
    service = Alone(tmp_path, free_port())
    migrated = service.run("python", "-m", "whichopt.service.cli", "migrate")
    assert migrated.returncode == 0, migrated.stderr
    serve = ["python", "-m", "uvicorn", "--factory", "whichopt.service.app:from_environment"]
    with (tmp_path / "log").open("wb") as log:
        service.process = subprocess.Popen(
            service.command(*serve, f"--port={service.port}"), stdout=log, stderr=log
        )
    yield service
    service.process.terminate()
    assert service.process.wait(60) in (0, -signal.SIGTERM), (tmp_path / "log").read_text()[-3000:]


@pytest.fixture
def http(alone: Alone) -> Iterator[httpx.Client]:
    with httpx.Client(
        base_url=f"http://127.0.0.1:{alone.port}", headers={"X-API-Key": KEY}, timeout=120, trust_env=False
    ) as client:

        def answers() -> bool:
            try:
                return client.get("/healthz").status_code == 200
            except httpx.TransportError:
                return False

        wait_until(answers, "the API to answer")
        yield client


def sent(http: httpx.Client, file: Hostile) -> dict[str, Any]:
    """Send a file; return the problem that it ends in."""
    answer = http.post(
        f"/v1/datasets?name={file.name}{file.query}", content=file.body(), headers={"Content-Type": file.kind}
    )
    if answer.status_code != 202:
        assert 400 <= answer.status_code < 500, (file.name, answer.status_code, answer.text)
        assert http.get(f"/v1/datasets/{file.name}").status_code == 404
        return dict(answer.json())
    wait_until(
        lambda: http.get(f"/v1/datasets/{file.name}").json()["state"] != "reading", f"{file.name}'s end"
    )
    view = http.get(f"/v1/datasets/{file.name}").json()
    assert view["state"] == "failed", view
    assert http.delete(f"/v1/datasets/{file.name}").status_code == 204
    return dict(view["problem"])


def test_it_is_closed(alone: Alone) -> None:
    """Nothing but two folders can be written, and there is no torch."""
    tried = (
        "import importlib.util, os\n"
        f"places = ['/', '/srv', '/usr', '/var/tmp', '/root', '/mnt', '/tmp', {str(ROOT)!r}]\n"
        "for place in filter(os.path.isdir, places):\n"
        "    try:\n"
        "        os.mkdir(os.path.join(place, 'tried')); print(place)\n"
        "    except OSError: pass\n"
        "print(importlib.util.find_spec('torch'), importlib.util.find_spec('sklearn'))"
    )
    found = alone.run("python", "-c", tried)
    assert found.stdout.split("\n") == ["/mnt", "/tmp", "None None", ""], found.stderr


def test_what_harms_is_told_apart_and_leaves_nothing(
    alone: Alone, http: httpx.Client, capsys: pytest.CaptureFixture[str]
) -> None:
    first = http.post("/v1/datasets?name=first", content=TEXT, headers={"Content-Type": CSV})
    assert first.status_code == 201, first.text
    kept = alone.left()
    assert kept == {first.json()["content"]}
    before = alone.memory("VmRSS")
    others = list[str]()
    for file in corpus():
        problem = sent(http, file)
        if file.said not in problem["detail"]:
            others.append(f"{file.name}: {problem['detail']}")
        assert alone.left() == kept, f"{file.name} left something"
    assert others == []
    after, peak = alone.memory("VmRSS"), alone.memory("VmHWM")
    with capsys.disabled():
        print(f"\nthe API: {before >> 20} MB before, {after >> 20} MB after, {peak >> 20} MB at most")  # noqa: T201
    assert peak - before < GROWTH
    again = http.post("/v1/datasets?name=again", content=TEXT, headers={"Content-Type": CSV})
    assert again.status_code == 201, "and it goes on"
    names = {item["name"] for item in http.get("/v1/datasets").json()["items"] if item["details"]["uploaded"]}
    assert names == {"first", "again"}
    assert alone.left() == kept
