"""`python -m whichopt.workers.guests TARGET`: runs a trial of a named function, as stdin says."""

from __future__ import annotations

import json
import os
import sys

from whichopt.workers.guests.pipe import Sender


def main() -> int:
    """Import the function, run the trial, and tell the parent all of it."""
    told = json.load(sys.stdin)
    sys.stdin = open(os.devnull)  # noqa: SIM115 -- for as long as the process lives
    os.set_inheritable(told["pipe"], False)
    send = Sender(told.pop("pipe"))
    send({"alive": True})  # torch takes seconds to come

    import torch

    from whichopt.workers.guests import runner
    from whichopt.workers.guests.child import settle_in

    torch.set_num_threads(1)
    settle_in(told.pop("parent"))
    return runner.run(told, send)


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # threads and workers that the function left behind are not waited for
