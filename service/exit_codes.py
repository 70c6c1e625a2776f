"""The exit codes of whichopt's processes; one convention for commands, services and workers.

docs/deploy.md has the table, which is `table()`.
"""

from __future__ import annotations

NO = 1
CANNOT = 2
NOTHING_TO_DEPLOY = 3
BETTER_EXISTS = 3
CANNOT_TELL = 4
UNAVAILABLE = 69  # EX_UNAVAILABLE and EX_CONFIG of sysexits.h, by names that Windows has not
CONFIG = 78
INTERRUPTED = 130  # as shells say SIGINT and SIGPIPE: 128 and the signal's number
BROKEN_PIPE = 141

MEANING = {
    0: "success: it was done, and the answer is yes; also `whichopt up` and a worker that were asked to end",
    NO: "it was done, and the answer is no: the job did not succeed, the evidence does not hold, "
    "`lint` found an error, or a health check failed; also `whichopt up` or a worker that cannot continue",
    CANNOT: "it could not be done: wrong usage, a wrong setting, a file, database or service that is "
    "missing or unsuitable, a data folder or port that is taken",
    NOTHING_TO_DEPLOY: "`submit --wait`, `watch`, `recommend`: the job succeeded, but every finalist "
    "diverged; `check`: a better config than today's exists",
    CANNOT_TELL: "`check`: today's config and the best that was found cannot be told apart",
    UNAVAILABLE: "a worker has no GPU to train on, or its system lacks something that it needs; starting "
    "it again does not help",
    CONFIG: "the database of a worker belongs to a newer whichopt, or to another program",
    INTERRUPTED: "Ctrl-C",
    BROKEN_PIPE: "the reader of the output closed it, as `head` does; shells report it with `pipefail`",
}
"""The meaning of each code, in Markdown."""


def table() -> str:
    """Return the codes as a table in Markdown."""
    return "\n".join(["| code | |", "|---|---|", *(f"| {code} | {said} |" for code, said in MEANING.items())])
