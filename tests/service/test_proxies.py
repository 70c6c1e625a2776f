"""Proxies that the environment names: never for this machine, and for others as it says."""

from __future__ import annotations

import http.server
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.builders.services import KEY
from whichopt.service.cli import app
from whichopt.service.client import Client, ProblemError
from whichopt.service.proxies import WrongProxy, WrongUrl, is_here, opener, proxy_for, through

RUN = CliRunner()
PROXY = "http://proxy.example.com:3128"
MALFORMED = (
    "socks://127.0.0.1:1080",
    "http://",
    "http://proxy:port",
    "http://[::1",
    "ftp://proxy:21",
    "//proxy:1",
    "a b",
)


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment that names none."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


class Proxy(http.server.BaseHTTPRequestHandler):
    """Answers everything in words of its own, and notes what it was asked for."""

    asked: list[str] = []  # noqa: RUF012

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_error(503)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def proxy() -> Iterator[str]:
    Proxy.asked.clear()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
def test_a_service_on_this_machine_is_asked_directly(
    name: str, proxy: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, proxy)
    monkeypatch.setenv("no_proxy", "10.0.0.0/8")
    with Client(url, KEY) as client:
        assert client.health().status == "ok"
    with opener(url).open(f"{url}/healthz") as answer:
        assert answer.status == 200
    assert Proxy.asked == []


@pytest.mark.parametrize("value", MALFORMED)
def test_a_malformed_proxy_harms_nothing_on_this_machine(
    value: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("all_proxy", value)
    monkeypatch.setenv("http_proxy", value)
    shown = RUN.invoke(app, ["show", "--url", url, "--key", KEY])
    assert shown.exit_code == 0, shown.output


@pytest.mark.parametrize("value", MALFORMED)
def test_a_malformed_proxy_ends_in_one_line_that_names_its_variable(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", value)
    shown = RUN.invoke(app, ["show", "--url", "http://tuner.example.com:8000", "--key", KEY])
    assert shown.exit_code == 2
    (line,) = shown.output.strip().splitlines()
    assert "HTTP_PROXY=" in line
    assert "tuner.example.com in no_proxy" in line


def test_a_variable_that_is_not_used_may_be_malformed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("all_proxy", "socks://127.0.0.1:1080")
    monkeypatch.setenv("http_proxy", PROXY)
    assert proxy_for("http://tuner.example.com") == PROXY
    with pytest.raises(WrongProxy, match=r"all_proxy='socks://127\.0\.0\.1:1080' cannot be used"):
        proxy_for("https://tuner.example.com")


def test_socks_takes_a_package_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("all_proxy", "socks5://127.0.0.1:1080")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(WrongProxy, match=r"pip install 'httpx\[socks\]'"):
        proxy_for("http://tuner.example.com")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: object())
    assert proxy_for("http://tuner.example.com") == "socks5://127.0.0.1:1080"


def test_another_host_is_asked_through_the_proxy_and_what_is_said_names_it(
    proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", proxy.removeprefix("http://"))
    with Client("http://tuner.example.com:8000", KEY) as client, pytest.raises(ProblemError, match="503"):
        client.health()
    assert set(Proxy.asked) == {"http://tuner.example.com:8000/healthz"}
    monkeypatch.setenv("http_proxy", "http://me:secret@127.0.0.1:9")
    shown = RUN.invoke(app, ["show", "--url", "http://tuner.example.com:8000", "--key", KEY])
    assert "does not answer through the proxy http://***@127.0.0.1:9 of the environment" in shown.output
    assert "secret" not in shown.output
    monkeypatch.setenv("http_proxy", "http://me:secret@a b")
    assert "secret" not in RUN.invoke(app, ["show", "--url", "http://a.b", "--key", KEY]).output


def test_an_empty_variable_names_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "")
    assert proxy_for("http://tuner.example.com") is None
    assert through("http://tuner.example.com") == ""


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.8.9.10",
        "::1",
        "[::1]",
        "::ffff:127.0.0.1",
        "0.0.0.0",
        "::",
        "localhost",
        "LOCALHOST.",
        "api.localhost",
        "localhost.localdomain",
        "ip6-localhost",
        socket.gethostname(),
    ],
)
def test_this_machine_by_its_names_and_addresses(host: str) -> None:
    assert is_here(host)


@pytest.mark.parametrize(
    "host",
    ["192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1", "localhost.example.com", "mylocalhost", "128.0.0.1"],
)
def test_other_machines_are_not_this_one(host: str) -> None:
    assert not is_here(host)


@pytest.mark.parametrize(
    ("listed", "url", "directly"),
    [
        ("example.com", "http://example.com", True),
        ("example.com", "http://a.example.com", True),
        (".example.com", "http://a.example.com", True),
        ("*.example.com", "http://a.example.com", True),
        ("EXAMPLE.COM", "http://a.Example.com.", True),
        ("example.com", "http://badexample.com", False),
        ("a.com, example.com ,b.com", "http://example.com", True),
        ("a.com example.com", "http://example.com", True),
        ("example.com:8000", "http://example.com:8000", True),
        ("example.com:8000", "http://example.com", False),
        ("example.com:80", "http://example.com", True),
        ("example.com:443", "https://example.com", True),
        ("10.0.0.0/8", "http://10.1.2.3:8000", True),
        ("10.0.0.0/8", "http://11.1.2.3", False),
        ("10.1.2.3", "http://10.1.2.3", True),
        ("10.1.2.3:8000", "http://10.1.2.3:8000", True),
        ("2001:db8::/32", "http://[2001:db8::5]:8000", True),
        ("[2001:db8::5]", "http://[2001:db8::5]", True),
        ("2001:db8::5", "http://[2001:db8::6]", False),
        ("http://example.com", "http://example.com", True),
        ("https://example.com", "http://example.com", False),
        ("x,*", "http://example.com", True),
        ("", "http://example.com", False),
    ],
)
def test_hosts_in_no_proxy_are_asked_directly(
    listed: str, url: str, directly: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("all_proxy", PROXY)
    monkeypatch.setenv("NO_PROXY", listed)
    assert (proxy_for(url) is None) == directly


@pytest.mark.parametrize(
    "url", ["", "nonsense", "http://", "http://[::1", "http://h:port", "ftp://h", "http://a b"]
)
def test_what_is_no_address_of_a_service_is_said_in_one_line(url: str) -> None:
    with pytest.raises(WrongUrl):
        proxy_for(url)
    if url:
        shown = RUN.invoke(app, ["show", "--url", url, "--key", KEY])
        assert shown.exit_code == 2
        (line,) = shown.output.strip().splitlines()
        assert f"{url!r} is no address of a service" in line
        assert "http://127.0.0.1:8000" in line


def alive(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The healthcheck, as Docker runs it."""
    return subprocess.run(
        [sys.executable, "-m", "whichopt.service.alive", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_healthcheck_asks_this_host_whatever_proxy_there_is(url: str, proxy: str) -> None:
    assert alive(url, http_proxy=proxy).returncode == 0
    assert Proxy.asked == []
    dead = alive("http://127.0.0.1:9/prefix")
    assert dead.returncode == 1
    (line,) = dead.stderr.splitlines()
    assert "http://127.0.0.1:9/prefix does not answer" in line
    assert alive(f"{url}/nothing-there").returncode == 1


def test_compose_asks_by_that_command() -> None:
    compose = (Path(__file__).parents[2] / "docker-compose.yml").read_text()
    assert 'test: ["CMD", "python", "-m", "whichopt.service.alive"]' in compose
    assert "urllib" not in compose
