"""Converts URLs of database and broker, as people and platforms write them, to what our drivers take.

A URL that is refused raises a ValueError of one line. It never repeats the URL, which may hold a password.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlsplit

DATABASES = "sqlite:///relative.db, sqlite:////absolute.db, postgresql://user@host:5432/name"
BROKERS = "redis://host:6379/0, rediss://host:6379/0, redis+socket:///path/to.sock"
POSTGRES = {"postgres", "postgresql", "pgsql"}
YES = "true|yes|on|y|t|1"
SWITCH = f"{YES}|false|no|off|n|f|0"
SQLITE_OPTIONS = {
    "uri": SWITCH,
    "timeout": r"\d+(\.\d+)?",
    "check_same_thread": SWITCH,
    "cached_statements": r"\d{1,6}",
    "detect_types": r"\d",
    "isolation_level": "|".join(("", "DEFERRED", "IMMEDIATE", "EXCLUSIVE", "AUTOCOMMIT")),
}
"""Options that Python's SQLite driver takes after the path; SQLAlchemy ignores others, and a path with a ?
would be another file."""

SAME_BROKERS = {"valkey": "redis", "valkeys": "rediss", "unix": "redis+socket"}
"""Schemes that mean what kombu spells differently."""


def database_url(text: str, password: str | None = None) -> str:
    """Return the URL as SQLAlchemy takes it, with `password` in it if that is given and it is PostgreSQL's.

    Raises:
        ValueError: it is not a URL that we can use.
    """
    scheme = _scheme(text, DATABASES)
    backend = scheme.partition("+")[0]
    if backend in POSTGRES:
        from whichopt.service.db.url import postgres_url  # SQLAlchemy, which a home on SQLite imports later

        return postgres_url(text, password)
    if backend != "sqlite" or scheme not in ("sqlite", "sqlite+pysqlite", "sqlite+aiosqlite"):
        raise ValueError(f"its scheme is {scheme!r}; allowed: {DATABASES}")
    rest = text.partition("://")[2]
    if rest and not rest.startswith("/"):
        raise ValueError(
            "for SQLite, it needs three slashes before a relative path and four before an absolute one; "
            f"allowed: {DATABASES}"
        )
    _check_sqlite_options(rest.partition("?")[2])
    return f"sqlite://{rest}"


def _check_sqlite_options(query: str) -> None:
    """Refuse options that would be ignored, or that the driver cannot read."""
    try:
        options = parse_qsl(query, keep_blank_values=True, strict_parsing=True) if query else []
    except ValueError:
        raise ValueError(
            "the part after ? is not a list of options such as ?timeout=30; write a path with a ? as in "
            "sqlite:////folder/what%3F.db"
        ) from None
    ours = any(name == "uri" and re.fullmatch(YES, value, re.IGNORECASE) for name, value in options)
    for name, value in options:
        if name not in SQLITE_OPTIONS and not ours:
            raise ValueError(
                f"SQLite's option {name[:40]!r} has no effect; allowed: {', '.join(SQLITE_OPTIONS)} "
                "(with uri=true and a path such as file:/folder/name.db, also SQLite's own)"
            )
        if not re.fullmatch(SQLITE_OPTIONS.get(name, ".*"), value, re.IGNORECASE):
            raise ValueError(f"SQLite's option {name} cannot be {value[:40]!r}")


def broker_url(text: str) -> str:
    """Return the URL, or several that are joined by a semicolon, as kombu takes it.

    Raises:
        ValueError: it is not a URL that we can use.
    """
    return ";".join(_one_broker(part.strip()) for part in text.split(";"))


def _one_broker(text: str) -> str:
    scheme = _scheme(text, BROKERS)
    kombus = SAME_BROKERS.get(scheme, scheme)
    if kombus not in ("redis", "rediss", "redis+socket"):
        raise ValueError(f"its scheme is {scheme!r}; allowed: {BROKERS}")
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        raise ValueError(
            "its host or port cannot be read; write @ : / ? # % in a password as %40 %3A %2F %3F %23 %25"
        ) from None
    if kombus == "redis+socket":
        if not parts.path.startswith("/") or len(parts.path) < 2:
            raise ValueError(f"it names no socket; allowed: {BROKERS}")
    elif not re.fullmatch(r"/?\d{0,5}/?", parts.path):
        raise ValueError(
            "the part after its host must be the number of a database, 0 to 15; write / ? # in a password as "
            "%2F %3F %23"
        )
    return f"{kombus}://{text.partition('://')[2]}"


def _scheme(text: str, those: str) -> str:
    match = re.match(r"([A-Za-z][A-Za-z0-9+.-]{0,40})://", text)
    if match is None:
        raise ValueError(f"it does not begin with a scheme; allowed: {those}")
    if any(sign.isspace() for sign in text.partition("://")[2].partition("/")[0]):
        raise ValueError(f"it has a space before its path; allowed: {those}")
    return match[1].lower()
