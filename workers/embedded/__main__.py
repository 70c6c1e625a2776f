"""`python -m whichopt.workers.embedded`: runs a home."""

from __future__ import annotations

import sys

from whichopt.workers.embedded.command import main

if __name__ == "__main__":
    sys.exit(main())
