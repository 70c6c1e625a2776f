"""What all commands of the command line do alike: read JSON, show an answer, complain."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from pydantic import BaseModel
    from rich.console import Console, RenderableType

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def read_object(path: str, what: str) -> dict[str, Any]:
    """The JSON object in a file, or on standard input where `path` is -; `what` it should be."""
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
        body = json.loads(text, parse_constant=_no_number)
    except OSError as error:
        raise complaint(f"cannot read {path}: {error.strerror}") from None
    except ValueError as error:
        raise complaint(f"{path} is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise complaint(f"{path} holds a {type(body).__name__}; {what} is a JSON object")
    return body


def show(value: BaseModel | Sequence[BaseModel], as_json: bool, drawn: RenderableType) -> None:
    """Prints `value` as JSON where that was asked for, else as it was drawn."""
    if not as_json:
        console().print(drawn)
        return
    data = (
        [one.model_dump(mode="json") for one in value]
        if isinstance(value, Sequence)
        else value.model_dump(mode="json")
    )
    typer.echo(json.dumps(data, indent=2))


def console(*, stderr: bool = False) -> Console:
    from rich.console import Console

    return Console(stderr=stderr)


def complaint(text: str) -> typer.Exit:
    typer.secho(f"whichopt: {text}", err=True, fg="red")
    return typer.Exit(2)


def _no_number(name: str) -> None:
    """JSON has no NaN and no Infinity, though Python's reader takes them."""
    raise ValueError(f"{name} is no number in JSON")
