"""The exit codes of whichopt's processes; one convention for commands, services and workers.

docs/deploy.md has the table, which is `table()`.
"""

from __future__ import annotations

NO = 1
CANNOT = 2
NOTHING_TO_DEPLOY = 3
UNAVAILABLE = 69  # EX_UNAVAILABLE and EX_CONFIG of sysexits.h, by names that Windows has not
CONFIG = 78
INTERRUPTED = 130  # as shells say SIGINT and SIGPIPE: 128 and the signal's number
BROKEN_PIPE = 141

MEANING = {
    0: "it was done, and the answer is yes; `whichopt up` and a worker that were asked to end",
    NO: "it was done, and the answer is no: the job did not succeed, the evidence does not hold, "
    "`lint` found an error, a health check fails; or `whichopt up` or a worker ran, and cannot go on",
    CANNOT: "it could not be done: wrong usage, a wrong setting, a file, database or service that is "
    "not there or not fit, a data folder or port that is taken",
    NOTHING_TO_DEPLOY: "`submit --wait`, `watch`, `recommend`: the job succeeded, and every finalist "
    "diverged",
    UNAVAILABLE: "a worker that has no GPU to train on, or whose system lacks what it needs; starting "
    "it again does not help",
    CONFIG: "a worker whose database is of a newer whichopt, or not whichopt's",
    INTERRUPTED: "Ctrl-C",
    BROKEN_PIPE: "who reads the output closed it, as `head` does; a shell looks at it with `pipefail`",
}
"""The codes, in words of Markdown."""


def table() -> str:
    """The codes as a table in Markdown."""
    return "\n".join(["| code | |", "|---|---|", *(f"| {code} | {said} |" for code, said in MEANING.items())])
