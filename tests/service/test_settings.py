"""Settings: what is taken, what is refused, and that every door says so in one line without a secret."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url
from typer.testing import CliRunner

from whichopt.service import cli
from whichopt.service.app import from_environment
from whichopt.service.exit_codes import CANNOT
from whichopt.service.secret_files import SECRETS
from whichopt.service.setting_words import unknown
from whichopt.service.settings import Settings, WrongSettings, at_start
from whichopt.service.settings_table import table
from whichopt.workers import alive
from whichopt.workers import command as worker
from whichopt.workers.embedded import command as embedded

ROOT = Path(__file__).parent.parent.parent
PASSWORD = "hunter2-is-secret"


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("WHICHOPT_") or name == "FORWARDED_ALLOW_IPS":
            monkeypatch.delenv(name)


Environment = Callable[..., Settings]


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Environment:
    """The settings of an environment with these variables."""

    def settings(**variables: str) -> Settings:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return Settings.from_environment()

    return settings


# -- what is taken -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("postgres://u:p@db/x", "postgresql+psycopg://u:p@db/x"),
        ("postgresql://u:p@db:5433/x", "postgresql+psycopg://u:p@db:5433/x"),
        ("postgresql+psycopg2://u@db/x", "postgresql+psycopg://u@db/x"),
        ("postgres+asyncpg://u@db/x?sslmode=require", "postgresql+psycopg://u@db/x?sslmode=require"),
        ("POSTGRESQL://u:p%40ss@[::1]/x", "postgresql+psycopg://u:p%40ss@[::1]/x"),
        ("postgresql:///x?host=/run/postgresql", "postgresql+psycopg:///x?host=%2Frun%2Fpostgresql"),
        ("sqlite:///relative.db", "sqlite:///relative.db"),
        ("sqlite+aiosqlite:////absolute.db", "sqlite:////absolute.db"),
        (" sqlite://\r\n", "sqlite://"),
        ("sqlite:////x.db?timeout=2.5&check_same_thread=False",) * 2,
        ("sqlite:///file:/a/x.db?uri=true&mode=rw",) * 2,
        ("sqlite:////a/what%3F.db",) * 2,
        ("", "sqlite:///whichopt-data/whichopt.db"),
    ],
)
def test_databases_as_platforms_spell_them(read: Environment, given: str, taken: str) -> None:
    assert read(WHICHOPT_DATABASE_URL=given).database_url == taken


@pytest.mark.parametrize(
    "password", ["plain", "p@ss", "a%41b", "a/b", "x#y", "a:b?c", " $'\"\\ ", "пароль €"]
)
def test_a_password_beside_the_url_is_taken_as_it_is(read: Environment, password: str) -> None:
    given = {"WHICHOPT_DATABASE_URL": "postgresql://whichopt@db/x", "WHICHOPT_DATABASE_PASSWORD": password}
    url = make_url(read(**given).database_url)
    assert (url.username, url.password, url.host, url.database) == ("whichopt", password, "db", "x")


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("valkey://h/1", "redis://h/1"),
        ("valkeys://:p@h:6380", "rediss://:p@h:6380"),
        ("unix:///run/x.sock", "redis+socket:///run/x.sock"),
        ("redis://a/0; redis://b/0", "redis://a/0;redis://b/0"),
    ],
)
def test_brokers_as_others_spell_them(read: Environment, given: str, taken: str) -> None:
    assert read(WHICHOPT_BROKER_URL=given).broker_url == taken


@pytest.mark.parametrize(
    ("given", "taken"), [("warn", "WARNING"), ("Fatal", "CRITICAL"), ("debug\r", "DEBUG"), ("", "INFO")]
)
def test_log_levels_by_other_names(read: Environment, given: str, taken: str) -> None:
    assert read(WHICHOPT_LOG_LEVEL=given).log_level == taken


def test_proxies_and_the_base_path(read: Environment) -> None:
    found = read(WHICHOPT_BASE_PATH="/tools/which-opt_2", FORWARDED_ALLOW_IPS="10.0.0.1, 172.16.0.0/12, ::1")
    assert found.base_path == "/tools/which-opt_2"
    assert read(WHICHOPT_BASE_PATH="/", FORWARDED_ALLOW_IPS="*").base_path == ""


# -- what is refused ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("WHICHOPT_DATABASE_URL", f"mysql://u:{PASSWORD}@h/x", "'mysql'; allowed: sqlite:///"),
        ("WHICHOPT_DATABASE_URL", f"u:{PASSWORD}@h/x", "does not begin with a scheme"),
        ("WHICHOPT_DATABASE_URL", f"postgresql://u:{PASSWORD}@ss@db/x", "WHICHOPT_DATABASE_PASSWORD"),
        ("WHICHOPT_DATABASE_URL", f"postgresql://u:{PASSWORD}@db:five/x", "host or port"),
        ("WHICHOPT_DATABASE_URL", f"postgresql+odbc://u:{PASSWORD}@db/x", "'odbc'"),
        ("WHICHOPT_DATABASE_URL", f"postgresql://u:{PASSWORD}@db/x?ssl=true", "did you mean sslmode?"),
        ("WHICHOPT_DATABASE_URL", f"postgresql://u:{PASSWORD}@db/x?pgbouncer=true", "'pgbouncer'"),
        ("WHICHOPT_DATABASE_URL", "sqlite://relative.db", "three slashes before a relative path"),
        ("WHICHOPT_DATABASE_URL", "whichopt.db", "allowed: sqlite:///"),
        ("WHICHOPT_DATABASE_URL", "sqlite:////data/what?/x.db", "not a list of options"),
        ("WHICHOPT_DATABASE_URL", "sqlite:////x.db?mode=ro", "'mode' has no effect; allowed: uri, timeout"),
        ("WHICHOPT_DATABASE_URL", "sqlite:////x.db?mode=ro&uri=false", "'mode' has no effect"),
        ("WHICHOPT_DATABASE_URL", "sqlite:////x.db?timeout=long", "timeout cannot be 'long'"),
        ("WHICHOPT_DATABASE_URL", "sqlite:////x.db?check_same_thread=maybe", "cannot be 'maybe'"),
        ("WHICHOPT_BROKER_URL", f"amqp://u:{PASSWORD}@h", "'amqp'; allowed: redis://"),
        ("WHICHOPT_BROKER_URL", f"redis://:{PASSWORD}#x@h/0", "%23"),
        ("WHICHOPT_BROKER_URL", f"redis://:{PASSWORD}@h:port/0", "host or port"),
        ("WHICHOPT_BROKER_URL", "redis://h/jobs", "number of a database"),
        ("WHICHOPT_BROKER_URL", "redis+socket://", "names no socket"),
        ("WHICHOPT_LOG_LEVEL", "verbose", "'verbose' is not a log level; allowed: DEBUG, INFO, WARNING"),
        ("WHICHOPT_BASE_PATH", "tools", "begins with / and does not end with it"),
        ("WHICHOPT_BASE_PATH", "/tools/", "begins with / and does not end with it"),
        ("WHICHOPT_BASE_PATH", "//host/x", "begins with / and does not end with it"),
        ("WHICHOPT_BASE_PATH", "/a/../b", "begins with / and does not end with it"),
        ("WHICHOPT_BASE_PATH", "/a b<", "begins with / and does not end with it"),
        ("FORWARDED_ALLOW_IPS", "nginx", "'nginx' is neither an address nor a network"),
        ("FORWARDED_ALLOW_IPS", "127.0.0.1,10.0.0.1/8", "'10.0.0.1/8' is neither"),
        ("WHICHOPT_LEASE_S", "soon", "is 'soon'; allowed: a number of seconds above 0"),
        ("WHICHOPT_LEASE_S", "inf", "is 'inf'; allowed: a number of seconds above 0"),
        ("WHICHOPT_REAP_S", "1e300", "at most 31,536,000"),
        ("WHICHOPT_TICK_S", "0", "is '0'; allowed: a number of seconds above 0"),
        ("WHICHOPT_ATTEMPTS", "2.5", "is '2.5'; allowed: a whole number of at least 1"),
        ("WHICHOPT_ATTEMPTS", "9" * 20, "allowed: a whole number of at least 1, at most 1,000,000"),
        ("WHICHOPT_MAX_BODY_BYTES", "1kB", "is '1kB'; allowed: a whole number of at least 1,000"),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_it(
    read: Environment, variable: str, value: str, said: str
) -> None:
    with pytest.raises(WrongSettings) as raised:
        read(**{variable: value})
    (line,) = str(raised.value).splitlines()
    assert line.startswith(variable)
    assert said in line
    assert PASSWORD not in line
    assert raised.value.__suppress_context__, "a traceback that is shown anyway has no secret in it"


def test_a_password_twice_is_refused(read: Environment) -> None:
    with pytest.raises(WrongSettings, match="give one") as raised:
        read(WHICHOPT_DATABASE_URL=f"postgresql://u:{PASSWORD}@h/x", WHICHOPT_DATABASE_PASSWORD="other")
    assert PASSWORD not in str(raised.value)


@pytest.mark.parametrize(
    "given",
    [
        {"WHICHOPT_LEASE_S": "1", "WHICHOPT_TICK_S": "5"},
        {"WHICHOPT_LEASE_S": "2.9"},
        {"WHICHOPT_TICK_S": "10.1"},
    ],
)
def test_a_lease_is_three_ticks_at_least(read: Environment, given: dict[str, str]) -> None:
    with pytest.raises(WrongSettings, match=r"^WHICHOPT_TICK_S: .* WHICHOPT_LEASE_S of .*; allowed: .*$"):
        read(**given)


def test_a_lease_of_three_ticks_is_taken(read: Environment) -> None:
    assert read(WHICHOPT_LEASE_S="0.3", WHICHOPT_TICK_S="0.1").tick_s == 0.1


def test_each_of_several_has_its_line(read: Environment) -> None:
    with pytest.raises(WrongSettings) as raised:
        read(WHICHOPT_LEASE_S="x", WHICHOPT_ATTEMPTS="0", WHICHOPT_LOG_LEVEL="loud")
    assert len(str(raised.value).splitlines()) == 3


def test_no_secret_is_shown(read: Environment) -> None:
    found = read(
        WHICHOPT_DATABASE_URL=f"postgresql://u:{PASSWORD}@h/x",
        WHICHOPT_BROKER_URL=f"redis://:{PASSWORD}@h/0",
        WHICHOPT_API_KEY=PASSWORD,
    )
    assert PASSWORD in found.database_url
    assert PASSWORD not in f"{found!r} {found}"


# -- names ------------------------------------------------------------------------------------------------


def test_a_name_that_nothing_reads_is_told_with_the_nearest() -> None:
    names = ["WHICHOPT_DATABSE_URL", "WHICHOPT_APIKEY_FILE", "WHICHOPT_COLOR", "PATH", "whichopt_blobs"]
    assert unknown(names, Settings) == [
        "WHICHOPT_APIKEY_FILE is not a setting of whichopt; did you mean WHICHOPT_API_KEY_FILE?",
        "WHICHOPT_COLOR is not a setting of whichopt, so it has no effect",
        "WHICHOPT_DATABSE_URL is not a setting of whichopt; did you mean WHICHOPT_DATABASE_URL?",
    ]


def test_what_kubernetes_sets_is_not_told() -> None:
    service = [
        "SERVICE_HOST",
        "SERVICE_PORT",
        "SERVICE_PORT_HTTP",
        "PORT",
        "PORT_8000_TCP_ADDR",
        "PORT_8000_TCP",
    ]
    names = [f"{prefix}_{name}" for prefix in ("WHICHOPT", "WHICHOPT_BROKER") for name in service]
    assert unknown(names, Settings) == []


def test_every_variable_that_our_files_name_is_known() -> None:
    files = [*ROOT.glob("service/**/*.py"), *ROOT.glob("workers/**/*.py"), *ROOT.glob("docker-compose*.yml")]
    named = set().union(*(re.findall(r"\bWHICHOPT_[A-Z][A-Z_]*[A-Z]\b", file.read_text()) for file in files))
    assert {"WHICHOPT_DATABASE_URL", "WHICHOPT_KEY", "WHICHOPT_PORT"} <= named, "the search finds them"
    assert unknown(named, Settings) == []


def test_the_table_has_every_variable() -> None:
    shown = table()
    for field, info in Settings.model_fields.items():
        name = info.validation_alias or f"WHICHOPT_{field.upper()}"
        assert f"`{name}`" in shown
        assert info.description, f"{field} says what it is"
    assert set(Settings.model_fields) >= SECRETS
    assert shown.strip() in (ROOT / "docs" / "deploy.md").read_text(), (
        "docs/deploy.md has the output of `python -m whichopt.service.settings_table`"
    )


# -- doors ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("door", [from_environment, worker.main, alive.main, embedded.main, at_start])
def test_every_door_ends_in_one_line(
    door: Callable[[], object], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WHICHOPT_LOG_LEVEL", "verbose")
    monkeypatch.setattr(sys, "argv", ["door"])
    with pytest.raises(SystemExit) as raised:
        door()
    assert raised.value.code == CANNOT
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("whichopt: WHICHOPT_LOG_LEVEL: 'verbose' is not a log level; allowed: DEBUG")


def test_a_server_ends_in_that_line() -> None:
    command = [sys.executable, "-m", "uvicorn", "--factory", "whichopt.service.app:from_environment"]
    environment = {**os.environ, "WHICHOPT_DATABASE_URL": f"mysql://u:{PASSWORD}@h/x", "WHICHOPT_LEASE": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == CANNOT
    unknown_name, wrong = done.stderr.splitlines()
    assert (
        unknown_name == "whichopt: WHICHOPT_LEASE is not a setting of whichopt; "
        "did you mean WHICHOPT_LEASE_S?"
    )
    assert wrong.startswith("whichopt: WHICHOPT_DATABASE_URL: its scheme is 'mysql'")


def test_a_database_that_does_not_answer_is_one_line() -> None:
    url = f"postgres://u:{PASSWORD}@localhost:1/x"
    done = CliRunner().invoke(
        cli.app, ["migrate"], env={"WHICHOPT_DATABASE_URL": url}, catch_exceptions=False
    )
    assert done.exit_code == CANNOT, "as 'whichopt up' ends, see test_exit_codes"
    (line,) = done.stderr.splitlines()
    assert "postgresql+psycopg://u:***@localhost:1/x" in line
    assert PASSWORD not in line


def test_a_weak_key_is_told_beside_a_database_that_does_not_answer() -> None:
    environment = {"WHICHOPT_DATABASE_URL": "sqlite:////nowhere/x.db", "WHICHOPT_API_KEY": "weak"}
    done = CliRunner().invoke(cli.app, ["migrate"], env=environment, catch_exceptions=False)
    database, key = done.stderr.splitlines()
    assert "there is no folder /nowhere" in database
    assert key.startswith("whichopt: WHICHOPT_API_KEY: the API key has 4 characters")
    assert done.exit_code == 2


def test_a_worker_needs_a_folder_for_blobs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("WHICHOPT_BLOBS", str(tmp_path / "file" / "blobs"))
    monkeypatch.setattr(sys, "argv", ["workers"])
    with pytest.raises(SystemExit):
        worker.main()
    said = capsys.readouterr().err
    assert re.search(r"WHICHOPT_BLOBS is '.*file/blobs': .*file is not a folder; allowed", said)
    monkeypatch.setenv("WHICHOPT_BLOBS", str(tmp_path / "new" / "blobs"))
    monkeypatch.setattr(os, "access", lambda path, _: Path(path) != tmp_path)
    with pytest.raises(SystemExit):
        worker.main()
    assert "cannot be written by this user" in capsys.readouterr().err
    assert not (tmp_path / "new").exists(), "looking makes nothing"


def test_a_folder_for_blobs_that_only_seems_writable_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("WHICHOPT_BLOBS", str(tmp_path / "blobs"))
    for failure, refused in ((errno.ENOENT, True), (errno.ENOSPC, False)):

        def fails(*_: object, failure: int = failure, **__: object) -> None:
            raise OSError(failure, os.strerror(failure))

        monkeypatch.setattr(Path, "mkdir", fails)
        assert (Settings().write_blobs() is not None) == refused
    monkeypatch.undo()
    monkeypatch.setenv("WHICHOPT_BLOBS", str(tmp_path / "blobs"))
    at_start(writes_blobs=True)
    assert list((tmp_path / "blobs").iterdir()) == []


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="a folder of the kernel's, in which none is made")
def test_a_worker_does_not_start_without_its_folder(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WHICHOPT_BLOBS", "/proc/whichopt-blobs")
    with pytest.raises(SystemExit):
        at_start(writes_blobs=True)
    said = capsys.readouterr().err
    assert "WHICHOPT_BLOBS is '/proc/whichopt-blobs': it cannot be written" in said


def test_a_home_takes_no_database_from_outside(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WHICHOPT_DATABASE_URL", f"mysql://u:{PASSWORD}@h/x")
    monkeypatch.setenv("WHICHOPT_DATABASE_PASSWORD_FILE", "/nowhere")
    assert embedded._own_settings().database_url == "sqlite:///whichopt-data/whichopt.db"
    said = capsys.readouterr().err
    assert "WHICHOPT_DATABASE_URL is not used" in said
    assert "WHICHOPT_DATABASE_PASSWORD_FILE is not used" in said
    assert PASSWORD not in said
