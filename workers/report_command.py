"""What the commands that train parts of a report again have in common: arguments, output and exit code."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from whichopt.service.errors import WhichoptError
from whichopt.service.exit_codes import CANNOT, NO
from whichopt.service.streams import prepare_output, quiet_pipe


class Answer(Protocol):
    """What came of it: whether the evidence holds, and all of it as JSON."""

    @property
    def holds(self) -> bool: ...

    def model_dump_json(self, *, indent: int) -> str: ...


AnswerT = TypeVar("AnswerT", bound=Answer)


def report_parser(module: str, description: str) -> argparse.ArgumentParser:
    """Return a parser with the arguments that all of them take; each adds its own."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=description)
    parser.add_argument("file", type=Path, help="a report: its JSON or its page")
    parser.add_argument(
        "--data", type=Path, help="the file that was sent, if the report is about a person's own data"
    )
    parser.add_argument("--function", help="the training function, if the report is about one")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def answered(
    parser: argparse.ArgumentParser,
    arguments: Sequence[str] | None,
    ask: Callable[[argparse.Namespace], AnswerT],
    table: Callable[[AnswerT], str],
) -> int:
    """Ask, print the answer, and return the exit code: 0 if it holds, 1 if not, 2 if it cannot be told."""
    options = parser.parse_args(arguments)
    prepare_output()
    with quiet_pipe():
        try:
            answer = ask(options)
        except WhichoptError as error:
            sys.stderr.write(f"whichopt: {error.detail}\n")
            return CANNOT
        sys.stdout.write(f"{answer.model_dump_json(indent=2)}\n" if options.json else table(answer))
        return 0 if answer.holds else NO
