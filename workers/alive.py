"""`python -m workers.alive`: exits with 0 where a worker of this host is live, for healthchecks."""

from __future__ import annotations

import sys

from service.db import DatabaseError, Store
from service.db.troubles import in_words
from service.settings import at_start
from workers.identity import host


def main() -> int:
    settings = at_start()
    store = Store(settings.database_url, makes_file=False)
    try:
        with store.read() as tx:
            alive = tx.workers.live_on(host(), within_s=settings.worker_alive_s)
    except DatabaseError as error:
        sys.stderr.write(f"{in_words(error, store.url)}\n")
        alive = False
    store.close()
    return 0 if alive else 1


if __name__ == "__main__":
    sys.exit(main())
