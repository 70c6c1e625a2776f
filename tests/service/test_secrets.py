"""Secrets from files, and what may be an API key."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.builders.services import KEY
from whichopt.service import api_keys
from whichopt.service.cli import app as commands
from whichopt.service.db import Store
from whichopt.service.db.migrate import ensure_key
from whichopt.service.settings import Settings, WrongSettings

GOOD = "kf7Jq2_mZ0x-9vTn4Lr8"
FILES = ("WHICHOPT_API_KEY", "WHICHOPT_DATABASE_PASSWORD", "WHICHOPT_BROKER_URL", "WHICHOPT_DATABASE_URL")


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("WHICHOPT_"):
            monkeypatch.delenv(name)


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\n\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_file_holds_the_secret_and_the_end_of_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: bytes, mark: bytes
) -> None:
    (tmp_path / "key").write_bytes(mark + GOOD.encode() + end)
    (tmp_path / "password").write_bytes(mark + b" p@ss%41 " + end)
    (tmp_path / "url").write_bytes(mark + b"postgres://u@db/x" + end)
    (tmp_path / "broker").write_bytes(mark + b"redis://:p@h/0" + end)
    monkeypatch.setenv("WHICHOPT_API_KEY_FILE", str(tmp_path / "key"))
    monkeypatch.setenv("WHICHOPT_DATABASE_PASSWORD_FILE", str(tmp_path / "password"))
    monkeypatch.setenv("WHICHOPT_DATABASE_URL_FILE", str(tmp_path / "url"))
    monkeypatch.setenv("WHICHOPT_BROKER_URL_FILE", str(tmp_path / "broker"))
    monkeypatch.setenv("WHICHOPT_API_KEY", "")  # as good as not given
    found = Settings.from_environment()
    assert found.api_key is not None
    assert found.api_key.get_secret_value() == GOOD
    assert found.database_url == "postgresql+psycopg://u: p%40ss%2541 @db/x"
    assert found.broker_url == "redis://:p@h/0"


@pytest.mark.parametrize("variable", FILES)
def test_what_is_wrong_with_a_file_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    def said(path: Path, content: bytes | None = None) -> str:
        if content is not None:
            path.write_bytes(content)
        monkeypatch.setenv(f"{variable}_FILE", str(path))
        with pytest.raises(WrongSettings) as raised:
            Settings.from_environment()
        (line,) = str(raised.value).splitlines()
        assert f"{variable}_FILE" in line
        assert "sesame" not in line
        return line

    file = tmp_path / "secret"
    assert "No such file" in said(tmp_path / "absent")
    assert "Is a directory" in said(tmp_path)
    assert "is empty" in said(file, b"\n")
    assert "no text in UTF-8" in said(file, b"sesame\xff")
    assert "several lines" in said(file, b"open\nsesame\n")
    assert "more than 65,536 bytes" in said(file, b"a" * 65_537)
    assert "more than 65,536 bytes" in said(Path("/dev/zero")), "which has no end"
    monkeypatch.setenv(variable, "sesame")
    assert f"{variable} and {variable}_FILE are both given" in said(file, b"open sesame\n")


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("", "0 characters"),
        ("changeme", "8 characters"),
        ("your-secret-api-key-here", "first that are tried"),
        ("ChangeMe-ChangeMe-1234", "first that are tried"),
        ("whichopt_api_key_123456", "first that are tried"),
        ("aaaaaaaaaaaaaaaaaaaaaaaa", "1 different"),
        ("kf7Jq2 mZ0x 9vTn4Lr8", "spaces"),
        ("kf7Jq2_mZ0x-9vTn4Lr\n8", "spaces"),
        ("kf7Jq2_mZ0x-9vTn4Lü8", "not ASCII"),
        ("kf7Jq2_mZ0x-9vTn4L\udcfc8", "not ASCII"),
        ("kf7Jq2_mZ0x-9v\x00Tn4Lr8", "not ASCII"),
    ],
)
def test_a_weak_key_is_refused_with_how_to_make_one(lite: Store, key: str, said: str) -> None:
    with pytest.raises(api_keys.WeakKey) as raised:
        ensure_key(lite, key)
    assert said in str(raised.value)
    assert api_keys.HOW_TO_MAKE in str(raised.value)
    assert not key or key not in str(raised.value)


def test_a_weak_key_that_is_known_goes_on_working(lite: Store) -> None:
    with lite.transaction() as tx:
        tx.keys.ensure("short", name="of an earlier version")
    assert ensure_key(lite, "short") is None
    with lite.read() as tx:
        assert tx.keys.find("short") is not None


@pytest.mark.parametrize("key", [GOOD, KEY, "a" * 10 + "bcdef!", "0f8fad5b-d9cb-469f-a165-70867728950e"])
def test_keys_of_some_length_are_taken(lite: Store, key: str) -> None:
    ensure_key(lite, key)
    with lite.read() as tx:
        assert tx.keys.find(key) is not None


def test_migrate_refuses_a_weak_key_in_one_line(tmp_path: Path) -> None:
    environment = {"WHICHOPT_DATABASE_URL": f"sqlite:///{tmp_path / 'x.db'}", "WHICHOPT_API_KEY": "sesame"}
    done = CliRunner().invoke(commands, ["migrate"], env=environment, catch_exceptions=False)
    (line,) = done.stderr.splitlines()
    assert line.startswith("whichopt: WHICHOPT_API_KEY: the API key has 6 characters; allowed: 16 or more")
    assert "sesame" not in line
    assert done.exit_code == 2


def test_a_commands_key_comes_from_a_file(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key").write_bytes(KEY.encode() + b"\r\n")
    (tmp_path / "key").chmod(stat.S_IRUSR)
    monkeypatch.setenv("WHICHOPT_URL", url)
    monkeypatch.setenv("WHICHOPT_KEY_FILE", str(tmp_path / "key"))
    run = CliRunner()
    assert run.invoke(commands, ["show", "--json"]).stdout.strip() == "[]"
    both = run.invoke(commands, ["show"], env={"WHICHOPT_KEY": KEY})
    assert "WHICHOPT_KEY and WHICHOPT_KEY_FILE are both given" in both.stderr
    assert run.invoke(commands, ["show", "--json", "--key", KEY]).exit_code == 0, (
        "what is said at once counts"
    )
    absent = run.invoke(commands, ["show"], env={"WHICHOPT_KEY_FILE": "/nowhere"})
    assert (absent.exit_code, len(absent.stderr.splitlines())) == (2, 1)
