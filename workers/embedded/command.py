"""The command of the embedded service: reads what it is given, and says what becomes of its home."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from whichopt.service.exit_codes import CANNOT, NO
from whichopt.service.machine import why_no_workers
from whichopt.service.settings import Settings, at_start
from whichopt.service.storage import storage_trouble
from whichopt.service.streams import prepare_output
from whichopt.workers import embedded, limits
from whichopt.workers.embedded import listening
from whichopt.workers.embedded.home import CannotStart, Home
from whichopt.workers.embedded.outlast import say
from whichopt.workers.processes import how_many

OWN = {"WHICHOPT_BLOBS"} | {
    f"WHICHOPT_{name}{end}"
    for name in ("DATABASE_URL", "DATABASE_PASSWORD", "BROKER_URL", "API_KEY")
    for end in ("", "_FILE")
}
"""Variables that a home does not take from outside."""

GOES_ON = "what is unfinished goes on at the next start"
REMOVED = "nothing of it is kept, as no --data was given"
"""Message about the jobs of a home that ends."""

NO_PROCESS = "you have as many as you may; end some, or raise the limit (ulimit -u)"


def _own_settings() -> Settings:
    """The settings of the environment, without those that a home has its own of, whatever they say."""
    for name in OWN & os.environ.keys():
        del os.environ[name]
        _say(f"{name} is not used: 'whichopt up' has its own in --data")
    return at_start()


def main() -> int:
    """Run a home until it is asked to stop, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m whichopt.workers.embedded", description=embedded.__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--data", type=Path, default=Path("whichopt-data"))
    parser.add_argument("--workers", type=int, help="by default what cores and memory allow")
    parser.add_argument("--gpus", default="all")
    parser.add_argument("--removed", action="store_true", help="the data folder is removed afterwards")
    options = parser.parse_args()
    prepare_output()
    problem = why_no_workers() or limits.why_no_semaphores()
    if problem:
        _say(problem)
        return CANNOT
    limits.raise_open_files(_say)
    settings = _own_settings()
    try:
        home = Home(
            host=options.host,
            port=options.port,
            data=options.data,
            workers=how_many(options.workers, "--workers", _say),
            gpus_asked=options.gpus,
            base_path=settings.base_path,
        )
    except (CannotStart, OSError, RuntimeError, ValueError) as error:
        say(f"whichopt: {_told(error)}")
        return CANNOT
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, home.ask_to_stop)
    try:
        home.start(_announce(home))
        home.watch()
        say(f"ending; {REMOVED if options.removed else GOES_ON}", file=sys.stdout)
    except BlockingIOError as error:
        say(f"whichopt: cannot start a process ({error.strerror}): {NO_PROCESS}")
        return NO if home.announced else CANNOT
    except (CannotStart, RuntimeError, OSError) as error:
        say(f"whichopt: {_told(error)}")
        return NO if home.announced else CANNOT
    finally:
        home.stop()
    return 0


def _told(error: Exception) -> str:
    trouble = storage_trouble(error)
    return str(error) if trouble is None else trouble.detail


def _announce(home: Home) -> Callable[[str], None]:
    def announce(link: str) -> None:
        at = f"{home.url}{home.base_path}"
        say(f"whichopt runs; the page:  {link}", file=sys.stdout)
        rest = f"docs {at}/docs, key in {home.data / 'api-key'}, Ctrl-C ends it"
        say(f"API {at}/v1, {rest}", file=sys.stdout)
        if listening.is_everywhere(home.host):
            others = f"http://{socket.gethostname()}:{home.port}{home.base_path}"
            say(f"other machines reach it at {others}, where its key is sent in the clear", file=sys.stdout)

    return announce


def _say(words: str) -> None:
    say(f"whichopt: {words}")
