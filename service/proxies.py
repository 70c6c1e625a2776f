"""Chooses the proxy of a request: none to this machine, otherwise the one that the environment names.

A company's machines have `http_proxy` set, often without a `no_proxy` that covers 127.0.0.1: the proxy would
then look for our service on its own machine. A value that nothing can use harms only a request that needs it.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import SplitResult, urlsplit

from whichopt.service.errors import WhichoptError

if TYPE_CHECKING:
    from urllib.request import OpenerDirector

LOOPBACK_NAMES = (
    *("localhost", "localhost.localdomain", "localhost6", "localhost6.localdomain6"),
    *("ip6-localhost", "ip6-loopback"),
)
SCHEMES = ("http", "https", "socks5", "socks5h")
"""Schemes of proxies that can be used; the last two only with the package `socksio`."""


class WrongUrl(WhichoptError):
    """The error for an address of a service that is not an address."""

    code: ClassVar[str] = "wrong_url"
    title: ClassVar[str] = "This is no address of a service"


class WrongProxy(WhichoptError):
    """The environment names a proxy that cannot be used."""

    code: ClassVar[str] = "wrong_proxy"
    title: ClassVar[str] = "The proxy that the environment names cannot be used"


def is_here(host: str) -> bool:
    """Tell if the host is this machine: its loopback, an address of its own, or "every address"."""
    name = host.strip("[]").rstrip(".").lower()
    if name in ("", *LOOPBACK_NAMES, socket.gethostname().lower()) or name.endswith(".localhost"):
        return True
    address = _address(name)
    return address is not None and (address.is_loopback or address.is_unspecified or _is_own(address))


def proxy_for(url: str) -> str | None:
    """Return the address of the proxy that a request to `url` goes through; None if it goes directly.

    Variables are read as elsewhere: `https_proxy` or `http_proxy` by the scheme, else `all_proxy`, the
    spelling in small letters first; hosts in `no_proxy` (names with their subdomains, addresses, networks as
    in 10.0.0.0/8, each with a port or without; `*` for all) are asked directly.

    Raises:
        WrongUrl: `url` is no address of a service.
        WrongProxy: the variable's value is no address of a proxy.
    """
    from urllib.request import getproxies

    asked = _split(url)
    proxies = getproxies()
    scheme = next((name for name in (asked.scheme, "all") if proxies.get(name)), None)
    if scheme is None or is_here(asked.hostname or "") or _is_excepted(asked, proxies.get("no", "")):
        return None
    proxy = proxies[scheme].strip()
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    problem = _problem(proxy)
    if problem:
        raise WrongProxy(
            f"{_variable(scheme)}={_without_password(proxy)!r} cannot be used: {problem}; correct it, unset "
            f"it, or list {asked.hostname} in no_proxy"
        )
    return proxy


def through(url: str) -> str:
    """Return " through the proxy ..." if the service at `url` is asked by one, to say what did not answer."""
    proxy = proxy_for(url)
    return "" if proxy is None else f" through the proxy {_without_password(proxy)} of the environment"


def opener(url: str) -> OpenerDirector:
    """Return what the standard library asks `url` with, through the proxy that it goes through."""
    from urllib.request import ProxyHandler, build_opener

    proxy = proxy_for(url)
    return build_opener(ProxyHandler({} if proxy is None else {urlsplit(url).scheme: proxy}))


def _split(url: str) -> SplitResult:
    """The parts of a service's address."""
    problem = "it has white space in it" if re.search(r"\s", url) else ""
    try:
        asked = urlsplit(url)
        _ = asked.port
    except ValueError as error:
        problem = str(error)
    else:
        if asked.scheme not in ("http", "https") or not asked.hostname:
            problem = problem or "it does not begin with http:// or https:// and a host"
    if problem:
        raise WrongUrl(
            f"{url!r} is no address of a service ({problem}); write it as in http://127.0.0.1:8000",
            field="url",
            value=url,
        )
    return asked


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that `name` is in itself, if it is one."""
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _is_own(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Tell if an interface of this machine has the address, so that a socket can bind to it."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.bind((str(address), 0))
        return True
    return False


def _is_excepted(asked: SplitResult, listed: str) -> bool:
    """Tell if `no_proxy` lists the host."""
    host = (asked.hostname or "").rstrip(".")
    port = asked.port or (443 if asked.scheme == "https" else 80)
    for entry in re.split(r"[\s,;]+", listed.lower()):
        scheme, _, rest = entry.rpartition("://")
        if not rest or scheme not in ("", "all", asked.scheme):
            continue
        if rest == "*" or _covers_address(rest, host):
            return True
        name, of_port = re.fullmatch(r"(.+?)(?::(\d+))?", rest).groups()  # type: ignore[union-attr]
        if of_port not in (None, str(port)):
            continue
        name = name.removeprefix("*").strip(".[]")
        if host == name or host.endswith(f".{name}") or _covers_address(name, host):
            return True
    return False


def _covers_address(entry: str, host: str) -> bool:
    """Tell if the entry is an address or a network, and the host an address in it."""
    address = _address(host)
    try:
        network = ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        return False
    return address is not None and address.version == network.version and address in network


def _problem(proxy: str) -> str:
    """Return in words what is wrong with the proxy's address; empty if it can be used."""
    try:
        parts = urlsplit(proxy)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        return str(error)
    if parts.scheme.lower() not in SCHEMES:
        return f"a proxy begins with http:// or https:// (or socks5://), not with {parts.scheme}://"
    if not host or re.search(r"\s", proxy):
        return "a proxy is written as in http://proxy.example.com:3128"
    if parts.scheme.lower().startswith("socks"):
        from importlib.util import find_spec

        if find_spec("socksio") is None:
            return "SOCKS takes a package more: pip install 'httpx[socks]'"
    return ""


def _variable(scheme: str) -> str:
    """The variable that names the proxy, as it is spelt in the environment."""
    wanted = f"{scheme}_proxy"
    if wanted in os.environ:
        return wanted
    return next((name for name in os.environ if name.lower() == wanted), f"the system's {wanted}")


def _without_password(proxy: str) -> str:
    return re.sub(r"//.*@", "//***@", proxy)
