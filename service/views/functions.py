"""The views of the functions that an operator allows."""

from __future__ import annotations

from pydantic import Field

from whichopt.service.views.view import View


class FunctionOffer(View):
    """A live worker that offers the function."""

    worker: str
    queue: str
    source: str = Field(description="SHA-256 of the function's source there.")


class FunctionView(View):
    """A function that jobs may train."""

    name: str = Field(description="Name that the operator allows: `module:function`.")
    workers: list[FunctionOffer] = Field(description="Live workers that offer it.")
    same: bool = Field(description="False if these have different sources: jobs about it are refused.")
