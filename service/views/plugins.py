"""The views of plug-ins: packages that are installed where workers run, and what they offer."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from whichopt.service.views.view import View


class PluginOffer(View):
    """A live worker with the plug-in."""

    worker: str
    queue: str
    package: str | None
    version: str | None
    target: str = Field(description="Object that is imported there: `module:attribute`.")
    source: str | None = Field(description="SHA-256 of its source there.")
    problem: str | None = Field(description="Reason why it cannot be used there; null if it can.")


class PluginView(View):
    """A plug-in that is installed where live workers run, or beside the service."""

    kind: Literal["model", "dataset", "optimizer"]
    name: str
    package: str | None = Field(description="Package that brings it.")
    workers: list[PluginOffer] = Field(description="Live workers that have it.")
    same: bool = Field(description="False if these have different sources: jobs about it are refused.")

    @property
    def is_usable(self) -> bool:
        """Tell if jobs can name it now."""
        return self.same and any(one.problem is None for one in self.workers)
