"""Takes in people's own datasets, and lists, shows, keeps and deletes them."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from difflib import get_close_matches
from email.message import Message as Header
from typing import Annotated, Any, Literal

import anyio
from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from whichopt.service import datasets as work
from whichopt.service import json_input, plugins
from whichopt.service.data_root import FOLDER, PREFIX, Lying, lying, name_of
from whichopt.service.db import Store
from whichopt.service.errors import InvalidQuery, UnreadableDataset, UnsupportedMedia, WhichoptError
from whichopt.service.intake import FORMATS, Keeper
from whichopt.service.receiving import Received, check_size, receive
from whichopt.service.routes.dependencies import ApiKeyId, Cursor, TheKeeper, TheSettings, TheStore
from whichopt.service.states import DatasetState
from whichopt.service.texts import LANGUAGE
from whichopt.service.uploads import LARGEST_SIZE, LEAST_SIZE, NAME, Choices, Kind
from whichopt.service.views import CatalogEntry, DatasetView, Page
from whichopt.service.views.catalog import dataset_view

router = APIRouter(prefix="/v1/datasets", tags=["datasets"])

ANSWER_S = 5.0
"""Seconds that the answer to a sending waits for the file to be read."""

REFUSED_S = 2.0
"""Seconds in which the rest of a body that is refused is taken, so that its sender hears why."""

POLL_AFTER_S = 2
PLAIN = "plain"
TEXTS = ("text/plain", "text/csv", "text/tab-separated-values")
"""Media types of files that are read as texts, if a text is what they are said to be."""

WITHOUT_NUL = r"^[^\x00]*$"

BODY: dict[str, Any] = {
    "requestBody": {
        "required": False,
        "description": "The file as it is, unless a folder is named; at most WHICHOPT_MAX_UPLOAD_BYTES. It "
        "may be compressed by gzip.",
        "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in FORMATS},
    }
}
ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"model": DatasetView, "description": "The same file with the same choices was sent before."},
    202: {"model": DatasetView, "description": "The file has come and is being read; poll its `Location`."},
}

OwnName = Annotated[str, Path(max_length=200, description="Name of the dataset.")]


@router.post("", status_code=201, responses=ANSWERS, openapi_extra=BODY)
async def send(
    request: Request,
    response: Response,
    store: TheStore,
    settings: TheSettings,
    keeper: TheKeeper,
    api_key_id: ApiKeyId,
    name: Annotated[
        str | None,
        Query(
            pattern=NAME.pattern,
            description="Name by which jobs use it; needed unless a folder is named, whose name it then is.",
            examples=["penguins"],
        ),
    ] = None,
    folder: Annotated[
        str | None,
        Query(
            max_length=255,
            pattern=WITHOUT_NUL,
            description="Folder of images under WHICHOPT_DATA_ROOT that is read where it lies, in place of a "
            "body.",
        ),
    ] = None,
    target: Annotated[
        str | None,
        Query(
            max_length=1000,
            pattern=WITHOUT_NUL,
            description="Column to predict; if omitted, it is inferred.",
        ),
    ] = None,
    task: Annotated[
        Literal["classification", "regression", "language"] | None,
        Query(
            description="If omitted, it is inferred: classification or regression. `language` reads the "
            "file as a text (`text/plain`), whose next character, or byte, is predicted."
        ),
    ] = None,
    split: Annotated[
        str,
        Query(
            max_length=1000,
            pattern=WITHOUT_NUL,
            description="How rows are split into training, validation and test: `random`, "
            "`column:NAME` (it names the parts), `group:NAME` (no group on both sides), or `time:NAME` (the "
            "latest rows test).",
        ),
    ] = "random",
    header: Annotated[
        bool | None,
        Query(description="Whether the first row names the columns; if omitted, it is inferred."),
    ] = None,
    columns: Annotated[
        str | None,
        Query(
            max_length=20_000,
            description="Kinds of columns that are not to be inferred, as JSON: "
            '`{"zip": "category", "note": "leave_out"}`.',
        ),
    ] = None,
    size: Annotated[
        int | None,
        Query(
            ge=LEAST_SIZE,
            le=LARGEST_SIZE,
            description="Width and height to which images are resized, in pixels; if omitted, their own, if "
            "all have the same and it is at most 64, else 32.",
        ),
    ] = None,
    file: Annotated[
        str | None, Query(max_length=255, pattern=WITHOUT_NUL, description="Name of the file, to be shown.")
    ] = None,
    dry_run: Annotated[
        bool, Query(description="Read it on trial: it is shown for an hour, and can be kept without sending.")
    ] = False,
) -> DatasetView:
    """Send a table, or a zip of images, as the request's body. What was found in it stands in the answer.

    With `task=language` it is a text, of which the answer has the vocabulary and the beginning.
    """
    try:
        wanted = work.Wanted(
            name=_name(name, folder),
            format=_format(request, task) if folder is None else FOLDER,
            choices=_choices(
                target=target, task=task, split=split, header=header, columns=columns, size=size
            ),
            file_name=file if folder is None else f"{PREFIX}{folder}",
            preview=dry_run,
        )
        work.check_name(wanted.name)
        keeper.expect()
        if folder is not None:
            at = await run_in_threadpool(lying, folder, settings.data_root, most=settings.max_images)
            return await _begun(response, request, store, keeper, at, wanted, api_key_id)
        room = await run_in_threadpool(keeper.room)
        declared = request.headers.get("content-length", "")
        if declared.isdecimal():
            check_size(int(declared), most=settings.max_upload_bytes, room=room)
        received = await receive(
            request.stream(),
            settings.blobs,
            most=settings.max_upload_bytes,
            room=room,
            check=keeper.check_room,
        )
    except ClientDisconnect:
        raise UnreadableDataset("the connection ended before the file had come whole") from None
    except WhichoptError:
        await _take_the_rest(request)
        raise
    if not received.bytes:
        received.remove()
        what = "the body" if file is None else f"{file!r}"
        raise UnreadableDataset(f"{what} is empty; send the file with its content as the request's body")
    return await _begun(response, request, store, keeper, received, wanted, api_key_id)


async def _begun(
    response: Response,
    request: Request,
    store: Store,
    keeper: Keeper,
    data: Received | Lying,
    wanted: work.Wanted,
    api_key_id: int,
) -> DatasetView:
    """Have the data read, and answer once they are, or after a while."""
    begun = await run_in_threadpool(work.begin, store, keeper, data, wanted, api_key_id=api_key_id)
    found = begun.view
    if begun.reading is not None:
        await asyncio.wait([asyncio.wrap_future(begun.reading)], timeout=ANSWER_S)
        found = await run_in_threadpool(work.read_or_refused, store, wanted.name)
    response.headers["Location"] = f"{request.scope['root_path']}/v1/datasets/{wanted.name}"
    if found.state is DatasetState.READING:
        response.status_code = 202
        response.headers["Retry-After"] = str(POLL_AFTER_S)
    elif begun.reading is None:
        response.status_code = 200
    return found


@router.get("")
def all_datasets(
    store: TheStore,
    settings: TheSettings,
    before: Cursor,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> Page[CatalogEntry]:
    """List the datasets: the built-in ones, those of plug-ins, then those that were sent, newest first."""
    with store.read() as tx:
        sent = tx.datasets.page(before=before, limit=limit)
        known = plugins.offered(tx, within_s=settings.worker_alive_s).datasets
    shown = [dataset_view(entry) for entry in known] if before is None else []
    cursor = str(sent[-1].id) if len(sent) == limit else None
    return Page(items=[*shown, *map(work.summary_view, sent)], cursor=cursor)


@router.get("/{name}")
def one_dataset(name: OwnName, store: TheStore, settings: TheSettings) -> CatalogEntry | DatasetView:
    """Return a dataset: an entry of the catalog if it is built in or a plug-in's, or what a file had."""
    with store.read() as tx:
        is_sent = name not in work.BUILT_IN and tx.datasets.named(name) is not None
        known = plugins.offered(tx, within_s=settings.worker_alive_s).datasets
    entry = None if is_sent else next((one for one in known if one.name == name), None)
    return work.view(store, name) if entry is None else dataset_view(entry)


@router.post("/{name}")
def keep(name: OwnName, store: TheStore) -> DatasetView:
    """Make a preview a dataset that stays, without sending the file again."""
    return work.keep(store, name)


@router.delete("/{name}", status_code=204)
def delete(name: OwnName, store: TheStore) -> None:
    """Delete a dataset that was sent; 409 while a job that has not ended uses it."""
    work.delete(store, name)


def _name(name: str | None, folder: str | None) -> str:
    """Return the name of the dataset: what was said, or the folder's."""
    found = name or (None if folder is None else name_of(folder))
    if found is None:
        raise InvalidQuery("name is missing; give the dataset the name by which jobs use it", field="name")
    return found


def _format(request: Request, task: str | None) -> str:
    """Return the format that the request declares.

    A form is refused, and plain text without the task that it is for: a page of another site can send these
    without asking. With a reader's cookie it cannot: that stays at home, and origins are compared.
    """
    header = Header()
    header["content-type"] = sent = request.headers.get("content-type", "")
    media = header.get_content_type() if sent else ""
    if media not in FORMATS:
        raise UnsupportedMedia(
            f"the body's content type is {sent or 'not given'}; send the file itself as one of: "
            f"{', '.join(FORMATS)}",
            field="Content-Type",
            value=sent,
            allowed=list(FORMATS),
        )
    form = FORMATS[media]
    if task == LANGUAGE and media not in TEXTS:
        raise UnsupportedMedia(
            f"task=language reads a text, and the body's content type is {sent}; send the text as "
            "text/plain, or leave task=language out if the file is a table",
            field="Content-Type",
            value=sent,
            allowed=list(TEXTS),
        )
    if task != LANGUAGE and form == PLAIN:
        raise UnsupportedMedia(
            "the body's content type is text/plain, which is a text to learn from: add task=language; a "
            "table in text is text/csv",
            field="Content-Type",
            value=sent,
            allowed=[media for media in FORMATS if FORMATS[media] != PLAIN],
        )
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity", "gzip", "x-gzip"):
        raise UnsupportedMedia(
            f"the body is encoded as {encoding}; send it as it is, or compressed by gzip",
            field="Content-Encoding",
            value=encoding,
            allowed=["identity", "gzip"],
        )
    return PLAIN if task == LANGUAGE else form


def _choices(*, columns: str | None, **given: Any) -> Choices:
    """Return what the query says about the file."""
    field = None
    try:
        if columns is not None:
            field = "columns"
            given["columns"] = json_input.loads(columns)
        return Choices.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        if first["loc"][0] == "columns" and len(first["loc"]) > 2:
            raise _no_kind(str(first["loc"][1]), first["input"]) from None
        words = first["msg"].removeprefix("Value error, ")
        path = ".".join(str(part) for part in first["loc"])
        raise InvalidQuery(f"{path}: {words}", field=path, value=first["input"]) from None
    except ValueError as error:
        raise InvalidQuery(f"columns is not JSON: {error}", field=field, value=columns) from None


def _no_kind(column: str, said: Any) -> InvalidQuery:
    allowed = [*map(str, Kind), "leave_out"]
    begun = [one for one in allowed if str(said) and one.startswith(str(said).lower())]
    near = next(iter(begun or get_close_matches(str(said), allowed, n=1)), None)
    hint = f"did you mean {near!r}?" if near else f"choose one of: {', '.join(allowed)}"
    return InvalidQuery(
        f"columns.{column}: {said!r} is no kind of column; {hint}",
        field=f"columns.{column}",
        value=said,
        allowed=allowed,
        nearest=near,
    )


async def _take_the_rest(request: Request) -> None:
    """Take what still comes of a body that is refused: who is cut off while sending may not hear why."""
    with anyio.move_on_after(REFUSED_S), suppress(RuntimeError, ClientDisconnect):  # if all has been taken
        async for _ in request.stream():
            pass
