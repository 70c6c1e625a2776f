"""docker-compose.yml as Docker reads it: passwords arrive as they are, and nothing is given twice."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import make_url

from tests.builders.compose import ROOT, services
from whichopt.service.setting_words import unknown
from whichopt.service.settings import Settings
from whichopt.workers.guests.offered import offered

SERVICES = ("migrate", "api", "worker", "worker-gpu")


def environment(service: dict[str, Any]) -> dict[str, str]:
    """Return what the service's processes are given."""
    return {name: str(value) for name, value in service["environment"].items()}


def settings_of(given: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in [name for name in os.environ if name.startswith("WHICHOPT_")]:
        monkeypatch.delenv(name)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    return Settings.from_environment()


@pytest.mark.parametrize("password", ["p@ss", "a%41b", "a/b#c?d:e", "$HOME ${x} $$", "'\" \\"])
def test_database_and_service_have_the_same_password(password: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = services("docker-compose.yml", POSTGRES_PASSWORD=password)
    assert environment(found["db"])["POSTGRES_PASSWORD"] == password
    for name in SERVICES:
        url = make_url(settings_of(environment(found[name]), monkeypatch).database_url)
        assert (url.password, url.host, url.username) == (password, "db", "whichopt"), name


def test_a_password_in_the_env_file(tmp_path: Path) -> None:
    """In single quotes, as the documentation says."""
    (tmp_path / "env").write_text("POSTGRES_PASSWORD='p@ss$HOME#%41'\n")
    found = services("docker-compose.yml", env=tmp_path / "env")
    assert environment(found["api"])["WHICHOPT_DATABASE_PASSWORD"] == "p@ss$HOME#%41"


def test_secrets_come_from_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = services(
        "docker-compose.yml",
        "docker-compose.secrets.yml",
        POSTGRES_PASSWORD="sesame",
        WHICHOPT_API_KEY="sesame",
        WHICHOPT_SECRETS=str(tmp_path),
    )
    assert "sesame" not in json.dumps(found)
    (tmp_path / "database-password").write_text("p@ss\n")
    (tmp_path / "api-key").write_text("a-key-of-some-length-1\r\n")
    for name in (*SERVICES, "db"):
        given = environment(found[name])
        for variable, path in given.items():
            if variable.endswith("_FILE"):
                assert Path(path).name in set(found[name]["secrets"]), name
                given[variable] = str(tmp_path / Path(path).name)  # where the file is outside of a container
        if name == "db":
            assert (given["POSTGRES_PASSWORD"], "POSTGRES_PASSWORD_FILE" in given) == ("", True)
        else:
            assert make_url(settings_of(given, monkeypatch).database_url).password == "p@ss"


def test_what_a_proxy_needs_is_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    found = services(
        "docker-compose.yml", FORWARDED_ALLOW_IPS="172.16.0.0/12", WHICHOPT_BASE_PATH="/tools/whichopt"
    )
    settings = settings_of(environment(found["api"]), monkeypatch)
    assert (settings.forwarded_allow_ips, settings.base_path) == ("172.16.0.0/12", "/tools/whichopt")
    by_itself = settings_of(environment(services("docker-compose.yml")["api"]), monkeypatch)
    assert (by_itself.forwarded_allow_ips, by_itself.base_path) == ("127.0.0.1", "")


WITH_FUNCTIONS = ("docker-compose.yml", "docker-compose.functions.yml")


def test_functions_are_allowed_and_mounted(monkeypatch: pytest.MonkeyPatch) -> None:
    before, found = services("docker-compose.yml"), services(*WITH_FUNCTIONS)
    for name in ("api", "worker", "worker-gpu"):
        settings = settings_of(environment(found[name]), monkeypatch)
        assert settings.allowed_functions == ("ourlab.train:fit",)
        assert environment(before[name]).items() <= environment(found[name]).items(), "nothing is lost"
    for name in ("worker", "worker-gpu"):
        (mounted,) = [entry for entry in found[name]["volumes"] if entry not in before[name]["volumes"]]
        assert mounted["read_only"] is True
        assert mounted["target"] == environment(found[name])["PYTHONPATH"]
        assert (ROOT / mounted["source"] / "ourlab" / "train.py").is_file()
    assert found["api"]["volumes"] == before["api"]["volumes"]
    own = services(*WITH_FUNCTIONS, WHICHOPT_FUNCTIONS="/srv/ours", WHICHOPT_ALLOW="a.b:c,a.b:d")
    assert [entry["source"] for entry in own["worker"]["volumes"] if isinstance(entry, dict)] == ["/srv/ours"]
    assert settings_of(environment(own["api"]), monkeypatch).allowed_functions == ("a.b:c", "a.b:d")


def test_the_mounted_function_is_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    """By what a worker does at its start, in the environment that it gets."""
    settings = settings_of(environment(services(*WITH_FUNCTIONS)["worker"]), monkeypatch)
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "examples" / "workers"))  # where it is outside of a container
    assert set(offered(settings)) == {"ourlab.train:fit"}


@pytest.mark.parametrize("files", [("docker-compose.yml",), WITH_FUNCTIONS], ids=["alone", "functions"])
def test_no_variable_is_given_in_vain(files: tuple[str, ...]) -> None:
    for service in services(*files).values():
        assert unknown(service.get("environment") or (), Settings) == []
