"""Real parts for the tests: SQLite and PostgreSQL databases, a Valkey server."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.builders.chromium import HOW_TO_GET, NO_BROWSER
from tests.builders.databases import Postgres
from whichopt.service.db import Store
from whichopt.service.db.migrate import upgrade
from whichopt.service.machine import cores
from whichopt.service.states import Agreement
from whichopt.workers import products
from whichopt.workers.embedded.broker import Broker
from whichopt.workers.processes import how_many

# Before a test imports torch: the suite computes as a worker does.
products.ask_for_reproducible_products()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--any-agreement", action="store_true", help="run tests of bits also if the probe promises none"
    )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One process more (`-n auto`) than cores, as tests wait for services that they start; fewer if memory
    is short: such a service trains."""
    more = cores() + 1
    short = list[str]()
    how_many(more, "-n", short.append)
    return how_many(None, "-n", warnings.warn) if short else more


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test of the promise of `whichopt.workers.engine.agree` if this machine does not make it."""
    if item.get_closest_marker("bits") is None or item.config.getoption("--any-agreement"):
        return
    from whichopt.workers.engine.agree import agreement

    if agreement() is Agreement.CLOSE:
        pytest.skip(f"the kernels here promise no bits ({products.MODE_VARIABLE}={products.mode()})")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
    """Say after all else which tests did not run for want of a browser, and how to get them to run."""
    result = yield
    if skipped := without_browser(terminalreporter.stats):
        terminalreporter.write_sep("=", "tests of the pages DID NOT RUN", red=True)
        for name in skipped:
            terminalreporter.write_line(name)
        terminalreporter.write_line(f"There is no browser to run them in. {HOW_TO_GET}", red=True)
    return result


def without_browser(stats: Mapping[str, list[object]]) -> list[str]:
    """Return the tests that were skipped for want of a browser."""
    reports = [one for one in stats.get("skipped", ()) if isinstance(one, pytest.TestReport)]
    return sorted({one.nodeid.partition("[")[0] for one in reports if NO_BROWSER in str(one.longrepr)})


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    server = Postgres()
    server.start()
    yield server
    server.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A new, migrated database; the test runs once on each kind."""
    if request.param == "postgresql":
        server: Postgres = request.getfixturevalue("postgres")
        return server.database()
    url = f"sqlite:///{tmp_path / 'whichopt.db'}"
    store = Store(url)
    upgrade(store)
    store.close()
    return url


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    store = Store(database_url)
    yield store
    store.close()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    server = Broker(tmp_path)
    server.start()
    server.wait()
    yield server
    server.stop()
