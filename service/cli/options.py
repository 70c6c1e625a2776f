"""Shared parts of all commands: options, the connection to the service, output and error messages."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from whichopt.service.cli.completion import job_ids, read
from whichopt.service.exit_codes import CANNOT
from whichopt.service.streams import quiet_pipe, read_input

if TYPE_CHECKING:
    from pydantic import BaseModel
    from rich.console import Console, RenderableType

    from whichopt.service.client import Client


class Commands(TyperGroup):
    """The commands; they end quietly if nobody reads their output, and are listed for who names none."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, known = args[0], self.list_commands(ctx)
        # Typer itself names the commands that are near.
        if not (ctx.resilient_parsing or name.startswith("-") or get_close_matches(name, known)):
            ctx.fail(f"No such command {name!r}; choose one of: {', '.join(known)}")
        return super().resolve_command(ctx, args)

    def main(self, *args: Any, **options: Any) -> Any:
        with quiet_pipe():
            return super().main(*args, **options)


JOB_HELP = "Job id, or enough of its beginning or end to be unique."

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Job = Annotated[str, typer.Argument(help=JOB_HELP, autocompletion=job_ids)]
Url = Annotated[str | None, typer.Option(envvar="WHICHOPT_URL", help="Address of the service.")]
Key = Annotated[str | None, typer.Option(envvar="WHICHOPT_KEY", help="API key of the service.")]
Data = Annotated[Path, typer.Option(help="Data folder of a service on this machine.")]


def read_object(path: str, what: str) -> dict[str, Any]:
    """Read a JSON object from a file, or from standard input if `path` is -; `what` names it in errors."""
    from whichopt.service.json_input import loads

    try:
        body = loads(read_input() if path == "-" else Path(path).read_bytes())
    except OSError as error:
        raise complaint(f"cannot read {path}: {error.strerror}") from None
    except ValueError as error:
        raise complaint(f"{path} is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise complaint(f"{path} holds a {type(body).__name__}; {what} is a JSON object")
    return body


def show(value: BaseModel | Sequence[BaseModel], as_json: bool, table: RenderableType) -> None:
    """Print `value` as JSON, or as `table` in a terminal."""
    if not as_json:
        console().print(table)
        return
    data = (
        [one.model_dump(mode="json") for one in value]
        if isinstance(value, Sequence)
        else value.model_dump(mode="json")
    )
    typer.echo(json.dumps(data, indent=2))


def console(*, stderr: bool = False) -> Console:
    """Return a console; output that goes to no terminal is neither wrapped nor colored."""
    from rich.console import Console

    from whichopt.service.cli.listings import PIPED_WIDTH

    if (sys.stderr if stderr else sys.stdout).isatty():
        return Console(stderr=stderr)
    return Console(stderr=stderr, width=PIPED_WIDTH, force_terminal=False)


def complaint(text: str) -> typer.Exit:
    """Print an error, and return the exit to raise."""
    remark(f"whichopt: {text}", "red")
    return typer.Exit(CANNOT)


def remark(text: str, color: str) -> None:
    """Print a line on stderr, colored in a terminal that wants colors."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    typer.secho(text, err=True, fg=color, color=False if plain else None)


def tell_unknown() -> None:
    """Warn of variables that look like ours but are read by nothing, as services and workers do."""
    from whichopt.service.setting_words import unknown
    from whichopt.service.settings import Settings

    for line in unknown(os.environ, Settings):
        remark(f"whichopt: {line}", "yellow")


@contextmanager
def connected(
    url: str | None, key: str | None, data: Path, *, names_are_checked: bool = False
) -> Iterator[Client]:
    """Yield a client for the service at `url`, or for the one that runs on the data folder.

    Wrong names of variables are reported here, unless the caller says that `names_are_checked` already.
    """
    import httpx

    from whichopt.service.client import Client, ProblemError
    from whichopt.service.errors import Unauthorized, WhichoptError
    from whichopt.service.secret_files import UnreadableSecret, secret

    if not names_are_checked:
        tell_unknown()
    try:
        # A key given as an option has priority over a file's; two in the environment are an error.
        if key is None or os.environ.get("WHICHOPT_KEY"):
            key = secret("WHICHOPT_KEY") or key
        url = (url or read(data / "url") or "").strip() or None
        given = (key or "").strip() or None
        key = given or (read(data / "api-key") or "").strip() or None
    except UnreadableSecret as error:
        raise complaint(str(error)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise complaint(f"cannot read the service's address and key in {data}: {error}") from None
    if url is None:
        raise complaint(
            f"no service runs on {data}; start one with 'whichopt up', give another data folder with --data, "
            "or give an address with --url (WHICHOPT_URL)"
        )
    if key is None:
        raise complaint(
            f"there is no API key in {data / 'api-key'}; give the service's data folder with --data, "
            "or a key with --key (WHICHOPT_KEY, WHICHOPT_KEY_FILE)"
        )
    if not (key.isascii() and key.isprintable()):
        raise complaint(
            "the API key has a character that an HTTP header cannot carry; keys are one line of plain ASCII"
        )
    try:
        with Client(url, key) as client:
            yield client
    except ProblemError as error:
        if error.problem.code == Unauthorized.code:
            raise complaint(_wrong_key(url, data, given=given is not None)) from None
        raise complaint(str(error)) from None
    except WhichoptError as error:
        raise complaint(str(error)) from None
    except httpx.InvalidURL as error:
        raise complaint(
            f"{url} is not a valid address: {error}; give one such as https://host/tools/whichopt"
        ) from None
    except BrokenPipeError:
        raise  # the reader has seen enough: the command ends silently
    except OSError as error:
        raise complaint(f"{error.strerror}: {error.filename2 or error.filename}") from None


def _wrong_key(url: str, data: Path, *, given: bool) -> str:
    """Say what to do about a key that the service does not know; its own words are about headers of HTTP."""
    if given:
        return (
            f"the service at {url} does not know this API key (unauthorized); check --key (WHICHOPT_KEY, "
            "WHICHOPT_KEY_FILE), or leave the key out and name the service's data folder with --data"
        )
    return (
        f"the service at {url} does not know the API key in {data / 'api-key'} (unauthorized); name its own "
        "data folder with --data, or give its key with --key (WHICHOPT_KEY, WHICHOPT_KEY_FILE)"
    )
