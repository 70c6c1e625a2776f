"""`python -m whichopt.workers.alive`: exits with 0 if a worker of this host is live, for healthchecks."""

from __future__ import annotations

import sys

from whichopt.service.db import DatabaseError, Store
from whichopt.service.db.troubles import in_words
from whichopt.service.settings import at_start
from whichopt.workers.identity import host


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
