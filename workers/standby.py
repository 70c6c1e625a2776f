"""Waits for what a worker needs before its first message; it says so at once, and again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import structlog

from whichopt.service.exit_codes import CONFIG

if TYPE_CHECKING:
    from whichopt.service.db import Store

MIGRATED_POLL_S = 0.1
"""Seconds until a starting worker checks again if the database is migrated."""

MIGRATED_POLL_MOST_S = 2.0
"""The same once it has waited for long."""

SAY_AGAIN_S = 30.0
"""After how long a worker that waits says so again."""

log = structlog.get_logger()


class Told:
    """Says what is waited for: at once if it is another than before, and else from time to time."""

    def __init__(self) -> None:
        self._words = ""
        self._began = self._said_at = time.monotonic()

    def say(self, words: str) -> None:
        """Log it if it is time for that."""
        now = time.monotonic()
        if self._words != words:
            log.info("waits", waits_for=words)
        elif now - self._said_at > SAY_AGAIN_S:
            log.warning("still_waits", waits_for=words, waited_s=round(now - self._began))
        else:
            return
        self._words, self._said_at = words, now


def database_is_current(store: Store, state: Any) -> bool:
    """Wait for the database to have this version's tables; return False if the worker is to stop instead.

    `state` is Celery's of the worker: whether it is to stop, and with what status.

    A home starts its worker while it migrates. No message is taken meanwhile, but the children import. A
    worker that no migration by this program can help ends, with a status that says so.
    """
    from whichopt.service.db import DatabaseError
    from whichopt.service.db.standing import Tables, standing
    from whichopt.service.db.troubles import in_words

    told, pause = Told(), MIGRATED_POLL_S
    while state.should_stop is None and state.should_terminate is None:
        try:
            database = standing(store)
            if database.tables is Tables.CURRENT:
                return True
            waits_for = database.detail
            if database.lasting:
                log.error("cannot_work", reason=waits_for, ends_with=CONFIG)
                state.should_stop = CONFIG
                return False
        except DatabaseError as error:
            waits_for = in_words(error, store.url)
        told.say(waits_for)
        time.sleep(pause)
        pause = min(2 * pause, MIGRATED_POLL_MOST_S)
    return False


def database_in_words(store: Store) -> str:
    """Return how the database stands right now, in one line."""
    from whichopt.service.db import DatabaseError
    from whichopt.service.db.standing import standing
    from whichopt.service.db.troubles import in_words

    try:
        return standing(store).detail
    except DatabaseError as error:
        return in_words(error, store.url)
