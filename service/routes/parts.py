"""What `create_app` hands to the routes."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from whichopt.service.db import Store
from whichopt.service.dispatch import Dispatcher
from whichopt.service.settings import Settings


async def _settings(request: Request) -> Settings:
    found: Settings = request.app.state.settings
    return found


async def _store(request: Request) -> Store:
    found: Store = request.app.state.store
    return found


async def _dispatcher(request: Request) -> Dispatcher:
    found: Dispatcher = request.app.state.dispatcher
    return found


async def _api_key_id(request: Request) -> int:
    found: int = request.state.api_key_id
    return found


TheSettings = Annotated[Settings, Depends(_settings)]
TheStore = Annotated[Store, Depends(_store)]
TheDispatcher = Annotated[Dispatcher, Depends(_dispatcher)]
ApiKeyId = Annotated[int, Depends(_api_key_id)]
"""The id of the key that the gate found in the request."""
