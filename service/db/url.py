"""PostgreSQL's URL, whatever driver it names: ours is psycopg 3."""

from __future__ import annotations

import difflib
import re

from psycopg import pq
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

DRIVERS = {"", "psycopg", "psycopg_async", "psycopg2", "psycopg2cffi", "asyncpg", "pg8000"}
"""Other drivers' names mean the same server, so they are taken for ours."""

ENCODE = (
    "write @ : / ? # % in a password as %40 %3A %2F %3F %23 %25, or give it in WHICHOPT_DATABASE_PASSWORD"
)


def postgres_url(text: str, password: str | None) -> str:
    """Return the URL for psycopg 3, with `password` in it if that is given.

    Raises:
        ValueError: says in one line what cannot be used, without the URL.
    """
    scheme, _, rest = text.partition("://")
    driver = scheme.lower().partition("+")[2]
    if driver not in DRIVERS:
        raise ValueError(f"its driver is {driver!r}; allowed: postgresql+psycopg://, or no driver")
    try:
        url = make_url(f"postgresql+psycopg://{rest}")
    except (ArgumentError, ValueError):
        raise ValueError(f"its host or port cannot be read; {ENCODE}") from None
    if url.host is not None and not re.fullmatch(r"[\w.:%-]*", url.host):
        raise ValueError(f"its host has a sign that no host has; {ENCODE}")
    _check_options(url)
    if password is not None:
        if url.password or "password" in url.query:
            raise ValueError("it has a password, and WHICHOPT_DATABASE_PASSWORD is given as well; give one")
        url = url.set(password=password)
    return url.render_as_string(hide_password=False)


def _check_options(url: URL) -> None:
    """Refuses what libpq would when it connects."""
    known = sorted(option.keyword.decode() for option in pq.Conninfo.get_defaults())
    for name in url.query:
        if name not in known:
            near = ["sslmode"] if name == "ssl" else difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else "see libpq's connection parameters"
            raise ValueError(f"it has the option {name!r}, which PostgreSQL's libpq does not know; {hint}")
