"""What every command shares: its options, the service that it means, how it shows and how it complains."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from service.completion import job_ids, read
from service.exit_codes import CANNOT
from service.streams import quiet_pipe, read_input

if TYPE_CHECKING:
    from pydantic import BaseModel
    from rich.console import Console, RenderableType

    from service.client import Client


class Commands(TyperGroup):
    """The commands, which end quietly where nobody reads what they print."""

    def main(self, *args: Any, **options: Any) -> Any:
        with quiet_pipe():
            return super().main(*args, **options)


JOB_HELP = "The job's id, or the beginning or end of it by which it can be told from the others."

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Job = Annotated[str, typer.Argument(help=JOB_HELP, autocompletion=job_ids)]
Url = Annotated[str | None, typer.Option(envvar="WHICHOPT_URL", help="Where the service answers.")]
Key = Annotated[str | None, typer.Option(envvar="WHICHOPT_KEY", help="Its API key.")]
Data = Annotated[Path, typer.Option(help="The data folder of a service on this machine.")]


def read_object(path: str, what: str) -> dict[str, Any]:
    """The JSON object in a file, or on standard input where `path` is -; `what` it should be."""
    from service.json_input import loads

    try:
        body = loads(read_input() if path == "-" else Path(path).read_bytes())
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
    """Return a console; what goes to no terminal is neither wrapped nor colored."""
    from rich.console import Console

    from service.listings import PIPED_WIDTH

    if (sys.stderr if stderr else sys.stdout).isatty():
        return Console(stderr=stderr)
    return Console(stderr=stderr, width=PIPED_WIDTH, force_terminal=False)


def complaint(text: str) -> typer.Exit:
    remark(f"whichopt: {text}", "red")
    return typer.Exit(CANNOT)


def remark(text: str, color: str) -> None:
    """Print a line on stderr, colored in a terminal that wants colors."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    typer.secho(text, err=True, fg=color, color=False if plain else None)


def tell_unknown() -> None:
    """Says which variables look like ours and are read by nothing, as services and workers say it."""
    from service.setting_words import unknown
    from service.settings import Settings

    for line in unknown(os.environ, Settings):
        remark(f"whichopt: {line}", "yellow")


@contextmanager
def connected(url: str | None, key: str | None, data: Path, *, told: bool = False) -> Iterator[Client]:
    """A client for the service that is meant: as told, or the one that runs on the data folder.

    What is wrong with the names of variables is said here, unless it was `told` already.
    """
    import httpx

    from service.client import Client
    from service.errors import WhichoptError
    from service.proxies import through
    from service.secret_files import UnreadableSecret, secret

    if not told:
        tell_unknown()
    try:
        # A key that was said as an option goes before a file's; two in the environment are one too many.
        if key is None or os.environ.get("WHICHOPT_KEY"):
            key = secret("WHICHOPT_KEY") or key
        url = (url or read(data / "url") or "").strip() or None
        key = (key or read(data / "api-key") or "").strip() or None
    except UnreadableSecret as error:
        raise complaint(str(error)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise complaint(f"cannot read the service's address and key in {data}: {error}") from None
    if url is None:
        raise complaint(
            f"no service runs on {data}; start one with 'whichopt up', name another's folder "
            "with --data, or give --url (WHICHOPT_URL)"
        )
    if key is None:
        raise complaint(f"no API key in {data / 'api-key'}; give --key (WHICHOPT_KEY, WHICHOPT_KEY_FILE)")
    if not (key.isascii() and key.isprintable()):
        raise complaint("the API key has a sign that a header does not carry; it is plain ASCII in one line")
    try:
        with Client(url, key) as client:
            yield client
    except WhichoptError as error:
        raise complaint(str(error)) from None
    except httpx.InvalidURL as error:
        raise complaint(f"{url} is no address: {error}; give one as in https://host/tools/whichopt") from None
    except httpx.TransportError as error:
        raise complaint(
            f"the service at {url} does not answer{through(url)}: {error}; see that it runs and that "
            "this is its address"
        ) from None
    except BrokenPipeError:
        raise  # who reads has seen enough: the command ends without a word
    except OSError as error:
        raise complaint(f"{error.strerror}: {error.filename2 or error.filename}") from None
