"""The API key in a request: X-API-Key, `Authorization: Bearer`, or the cookie that the page link leaves.

A key that stands elsewhere, or is spelt in another way, is refused with words on what to change.
"""

from __future__ import annotations

from urllib.parse import unquote_plus, urlsplit

from starlette.requests import Request, cookie_parser

from whichopt.service.errors import Unauthorized

HEADER = "X-API-Key"
COOKIE = "whichopt_key"
OTHERS = ("Api-Key", "ApiKey", "X-Api-Token", "X-Auth-Token", "X-Access-Token", "X-Token", "Private-Token")
"""Headers in which other services take a key."""

PORTS = {"http": 80, "https": 443}

PARAMETERS = ("key", "api_key", "apikey", "api-key", "access_token", "token")
"""Parameters of the query in which people send a key; no route has one of these names."""


def how(request: Request) -> str:
    """Explain how to send the key, with the page's link below the base path."""
    return (
        f"send it in the header {HEADER} or as 'Authorization: Bearer KEY', "
        f"or open the page link that the service printed ({_link(request)})"
    )


def sent_key(request: Request) -> str:
    """Return the key that the request carries; a header goes before the cookie.

    Raises:
        Unauthorized: there is none, there are several, or it is not where it belongs.
    """
    given = {*request.headers.getlist(HEADER), *_bearers(request)}
    if len(given) > 1:
        raise Unauthorized(
            f"{HEADER} and Authorization, or one of them twice, carry different API keys; send one key"
        )
    if given:
        (key,) = given
        return _plain(key)
    cookies = _cookies(request)
    if not cookies:
        raise Unauthorized(f"an API key is needed; {_elsewhere(request) or how(request)}")
    # Another service on this host is the same site to a browser: its pages would send the cookie along.
    if request.method not in ("GET", "HEAD", "OPTIONS") and _is_of_another_origin(request):
        raise Unauthorized(f"a page of another origin cannot use the cookie; {how(request)}")
    return cookies[0]


def _is_of_another_origin(request: Request) -> bool:
    """Tell if a page of another origin sent the request, as far as its headers show.

    Over plain HTTP browsers say nothing but the origin: another port of this host is another origin. A name
    or a port that only a proxy knows tells nothing, as proxies put their own in the place of the host's.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in ("same-site", "cross-site")
    try:
        origin, host = urlsplit(request.headers.get("Origin", "")), urlsplit(f"//{request.headers['Host']}")
        ports = (origin.port or PORTS.get(origin.scheme), host.port)
    except (KeyError, ValueError):
        return False
    same_host = origin.hostname is not None and origin.hostname == host.hostname
    return same_host and None not in ports and ports[0] != ports[1]


def _bearers(request: Request) -> list[str]:
    """The bearer tokens; other schemes are another's, as of a proxy that asks for a password."""
    headers = (value.strip().partition(" ") for value in request.headers.getlist("Authorization"))
    return [token.strip() for scheme, _, token in headers if scheme.lower() == "bearer"]


def _cookies(request: Request) -> list[str]:
    """Every value of our cookie, that of the longest path first (RFC 6265, 5.4).

    Services under several paths of one host have a cookie each, and the one at / comes along to all.
    """
    parts = ";".join(request.headers.getlist("Cookie")).split(";")
    return [cookies[COOKIE] for cookies in map(cookie_parser, parts) if COOKIE in cookies]


def _plain(key: str) -> str:
    """Refuses what is around a key by mistake."""
    if key[:7].lower() == "bearer " or key[:1] in ("'", '"', "<"):
        raise Unauthorized(
            f"{HEADER} has more than the API key in it; send the key alone, without quotes or words"
        )
    return key


def without_keys(query: bytes) -> bytes:
    """Return the query with *** in place of each value in which people send a key."""
    parts = query.split(b"&")
    for i, part in enumerate(parts):
        name, equals, _ = part.partition(b"=")
        if equals and unquote_plus(name.decode("latin-1")).lower() in PARAMETERS:
            parts[i] = name + b"=***"
    return b"&".join(parts)


def _elsewhere(request: Request) -> str | None:
    """Say how to move a key that is in the wrong place, without repeating the key."""
    for value in request.headers.getlist("Authorization"):
        scheme, space, _ = value.strip().partition(" ")
        if not space:
            return f"Authorization has no scheme: send 'Authorization: Bearer KEY', or {HEADER}"
        return f"Authorization has the scheme {scheme[:20]!r}: send 'Authorization: Bearer KEY', or {HEADER}"
    for name in OTHERS:
        if name in request.headers:
            return f"the header {name} is not looked at: {how(request)}"
    for name in PARAMETERS:
        if name in request.query_params:
            alone = f"{name!r} in the address is taken by the page alone ({_link(request)})"
            return f"{alone}: {how(request)}"
    return None


def _link(request: Request) -> str:
    return f"{request.scope['root_path']}/?key=..."
