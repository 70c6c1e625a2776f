"""`python -m whichopt.workers.plugins OUT`: imports plug-ins one by one, and writes to OUT what each offers.

A process of its own: a plug-in may print, hang, or end it. Standard input has the plug-ins, a line each.
"""

from __future__ import annotations

import json
import os
import stat
import sys
import threading
import time
from pathlib import Path
from typing import Any

from whichopt.service.catalog.plugins import OFFER
from whichopt.service.errors import WhichoptError
from whichopt.workers.plugins.described import described

LOOK_S = 1.0
"""Seconds between two looks at whether the worker is still there."""


def main() -> None:
    """Describe each plug-in of standard input, and say before each that it begins."""
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    asked = [json.loads(line) for line in sys.stdin]
    with Path(sys.argv[1]).open("a", encoding="utf-8") as out:

        def tell(**told: Any) -> None:
            out.write(json.dumps(told) + "\n")
            out.flush()

        tell(ready=True)
        for kind, name in asked:
            _forget_output()
            tell(begins=[kind, name])
            try:
                tell(offer=OFFER.dump_python(described(kind, name), mode="json"))
            except WhichoptError as error:
                tell(problem=error.detail)


def _forget_output() -> None:
    """Empty what this process has printed so far: if it ends, what the plug-in at hand has said is told."""
    sys.stdout.flush()
    if stat.S_ISREG(os.fstat(1).st_mode):
        os.ftruncate(1, 0)
        os.lseek(1, 0, os.SEEK_SET)


def _end_with(parent: int) -> None:
    """End this process once its worker has ended, whatever a plug-in does."""
    while os.getppid() == parent:
        time.sleep(LOOK_S)
    os._exit(1)


if __name__ == "__main__":
    main()
