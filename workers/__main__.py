"""`python -m whichopt.workers`: starts a worker, or says what to install for one."""

from __future__ import annotations

import sys

from whichopt.service.exit_codes import UNAVAILABLE
from whichopt.service.extras import lacking


def main() -> None:
    problem = lacking("workers", "a worker")
    if problem:
        sys.stderr.write(f"whichopt worker: {problem}\n")
        sys.exit(UNAVAILABLE)
    from whichopt.workers import command

    command.main()


if __name__ == "__main__":
    main()
