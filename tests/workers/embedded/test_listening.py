"""Where a home listens, and what it says if it cannot."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.builders.homes import free_port
from whichopt.workers.embedded.command import _announce
from whichopt.workers.embedded.home import Home
from whichopt.workers.embedded.listening import is_everywhere, url_of, why_not


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("0", "http://127.0.0.1:8000"),
        ("", "http://127.0.0.1:8000"),
        ("::", "http://[::1]:8000"),
        ("0:0:0:0:0:0:0:0", "http://[::1]:8000"),
        ("::1", "http://[::1]:8000"),
        ("tuner.example.com", "http://tuner.example.com:8000"),
    ],
)
def test_a_link_can_be_followed_on_this_machine(host: str, url: str) -> None:
    assert url_of(host, 8000) == url
    assert is_everywhere(host) == (host in ("0.0.0.0", "0", "", "::", "0:0:0:0:0:0:0:0"))


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "localhost", ""])
def test_a_port_is_free_until_somebody_listens_there(host: str) -> None:
    port = free_port()
    assert why_not(host, port) == ""
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        taken = why_not(host, port)
    assert f"cannot listen on {host}:{port} (Address already in use); give --port another" == taken


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("no-such-host.invalid", "cannot listen on no-such-host.invalid: no address is known of it"),
        ("a..b", "cannot listen on a..b: no address is known of it"),
        ("192.0.2.1", "cannot listen on 192.0.2.1:8000 (Cannot assign requested address)"),
    ],
)
def test_a_host_that_is_not_this_machine_is_said(host: str, said: str) -> None:
    problem = why_not(host, 8000)
    assert problem.startswith(said)
    assert "--host 127.0.0.1 or ::1" in problem
    assert "--port" not in problem


def test_a_home_on_every_address_says_how_others_reach_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = Home(host="0.0.0.0", port=8123, data=tmp_path / "data", workers=1)
    _announce(home)("http://127.0.0.1:8123/?key=k")
    home.lock.close()
    home.broker.runtime.rmdir()
    printed = capsys.readouterr().out
    assert "API http://127.0.0.1:8123/v1" in printed
    assert f"other machines reach it at http://{socket.gethostname()}:8123" in printed
