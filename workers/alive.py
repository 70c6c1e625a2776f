"""`python -m workers.alive`: exits with 0 where a worker of this host is live, for healthchecks."""

from __future__ import annotations

import socket
import sys

from service.db import Store
from service.settings import at_start


def main() -> int:
    settings = at_start()
    store = Store(settings.database_url)
    with store.read() as tx:
        alive = tx.workers.live_on(socket.gethostname(), within_s=settings.worker_alive_s)
    store.close()
    return 0 if alive else 1


if __name__ == "__main__":
    sys.exit(main())
