"""The views of the service's health."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from whichopt.service.views.view import View


class Health(View):
    status: Literal["ok"] = "ok"
    version: str


class Readiness(View):
    status: Literal["ready"] = "ready"
    database: str
    broker: str
    workers: dict[str, int] = Field(description="Number of live training processes, by queue.")
