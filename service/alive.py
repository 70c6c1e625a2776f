"""`python -m whichopt.service.alive [URL]`: exits with 0 if the API of this host answers, for healthchecks.

It is asked directly, whatever proxy the environment names.
"""

from __future__ import annotations

import argparse
import sys
from http.client import HTTPException
from urllib.request import ProxyHandler, build_opener

TIMEOUT_S = 5.0


def why_not(url: str) -> str:
    """Return in words why the API at `url` does not answer; empty if it does."""
    try:
        with build_opener(ProxyHandler({})).open(f"{url.rstrip('/')}/healthz", timeout=TIMEOUT_S):
            return ""
    except (OSError, HTTPException, ValueError) as error:
        return f"the API at {url} does not answer: {error}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m whichopt.service.alive", description=__doc__)
    parser.add_argument(
        "url", nargs="?", default="http://127.0.0.1:8000", help="port, and the path that it is served under"
    )
    problem = why_not(parser.parse_args().url)
    if problem:
        sys.stderr.write(f"whichopt: {problem}\n")
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main())
