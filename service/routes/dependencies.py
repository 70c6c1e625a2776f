"""The dependencies that `create_app` hands to the routes."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Path, Query, Request

from whichopt.service.db import Store
from whichopt.service.dispatch import Dispatcher
from whichopt.service.intake import Keeper
from whichopt.service.jobs import no_job
from whichopt.service.settings import Settings


async def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


async def _store(request: Request) -> Store:
    store: Store = request.app.state.store
    return store


async def _dispatcher(request: Request) -> Dispatcher:
    dispatcher: Dispatcher = request.app.state.dispatcher
    return dispatcher


async def _keeper(request: Request) -> Keeper:
    keeper: Keeper = request.app.state.keeper
    return keeper


async def _api_key_id(request: Request) -> int:
    key_id: int = request.state.api_key_id
    return key_id


TheSettings = Annotated[Settings, Depends(_settings)]
TheStore = Annotated[Store, Depends(_store)]
TheDispatcher = Annotated[Dispatcher, Depends(_dispatcher)]
TheKeeper = Annotated[Keeper, Depends(_keeper)]
ApiKeyId = Annotated[int, Depends(_api_key_id)]
"""The id of the key that the gate found in the request."""


async def _job_uid(
    job_id: Annotated[str, Path(description="The job's id.", examples=[str(UUID(int=0))])],
) -> str:
    try:
        uid = str(UUID(job_id))
    except ValueError:
        uid = ""
    if uid != job_id.lower():
        raise no_job(job_id)
    return uid


async def _cursor(
    cursor: Annotated[
        str | None, Query(pattern=r"^[1-9][0-9]{0,8}$", description="Cursor of the page before.")
    ] = None,
) -> int | None:
    return None if cursor is None else int(cursor)


JobUid = Annotated[str, Depends(_job_uid)]
Cursor = Annotated[int | None, Depends(_cursor)]
