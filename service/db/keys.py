"""API keys: kept as hashes, found by hash."""

from __future__ import annotations

import hashlib
import secrets

import sqlalchemy as sa

from whichopt.service.db import clock
from whichopt.service.db.tables import api_key


def new_key() -> str:
    """A random key of 256 bits."""
    return f"wo_{secrets.token_urlsafe(32)}"


def digest(key: str) -> str:
    """SHA-256: enough for a random key, which nobody can guess from its hash."""
    return hashlib.sha256(key.encode()).hexdigest()


class Keys:
    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection

    def ensure(self, key: str, *, name: str) -> None:
        """Makes `key` known, if it is not yet."""
        if self.find(key) is None:
            row = {"name": name, "digest": digest(key), "created_at": clock.now()}
            self.connection.execute(api_key.insert().values(row))

    def find(self, key: str) -> int | None:
        """The id of `key`; None if it is not known.

        The look-up is by hash, so its timing tells an attacker about a hash that they cannot choose.
        """
        return self.connection.scalar(sa.select(api_key.c.id).where(api_key.c.digest == digest(key)))

    def any(self) -> bool:
        return self.connection.scalar(sa.select(api_key.c.id).limit(1)) is not None
