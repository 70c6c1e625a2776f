"""The address of a home: how this machine reaches it, and why it may be unable to listen."""

from __future__ import annotations

import errno
import ipaddress
import socket
from typing import Any

LOOPBACK = {4: "127.0.0.1", 6: "::1"}


def is_everywhere(host: str) -> bool:
    """Tell if a home on `host` listens on every address of the machine, such as 0.0.0.0 or [::]."""
    return _unspecified(host) is not None


def url_of(host: str, port: int) -> str:
    """Return the address at which this machine reaches what listens there.

    "Every address" is none that can be asked, on some systems: of those, the loopback one is meant.
    """
    version = _unspecified(host)
    reached = host if version is None else LOOPBACK[version]
    return f"http://[{reached}]:{port}" if ":" in reached else f"http://{reached}:{port}"


def why_not(host: str, port: int) -> str:
    """Why nothing can listen there, in words, and what to do; nothing if something can."""
    try:
        addresses = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError) as error:
        reason = error.strerror if isinstance(error, socket.gaierror) else str(error)
        return f"cannot listen on {host}: no address is known of it ({reason}); {_hosts()}"
    for family, _, _, _, address in addresses:
        try:
            _bind(family, address)
        except OSError as error:
            return f"cannot listen on {host}:{port} ({error.strerror}); {_advice(error)}"
    return ""


def _unspecified(host: str) -> int | None:
    """The version of IP of which `host` is every address; None if it is one host."""
    if host in ("", "0"):
        return 4
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return address.version if address.is_unspecified else None


def _bind(family: int, address: Any) -> None:
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)  # as the server does
        probe.bind(address)


def _advice(error: OSError) -> str:
    if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
        return f"this machine has no such address; {_hosts()}"
    if error.errno == errno.EACCES:
        return "ports under 1024 are the administrator's; give --port another"
    return "give --port another"


def _hosts() -> str:
    return "give --host 127.0.0.1 or ::1 for this machine alone, 0.0.0.0 or :: for every address that it has"
