"""The problem documents (RFC 9457) that answer every failure."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from whichopt.service.views.view import View


class FieldProblem(View):
    """A problem with one field; `field` is its path in the body, such as "optimizers.0.space.lr"."""

    field: str | None
    value: Any = Field(default=None, description="Value that was sent, shortened.")
    allowed: Any = None
    nearest: str | None = Field(default=None, description="Allowed value that was probably meant.")
    detail: str


class Problem(View):
    """A problem document (RFC 9457); `code` is stable."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: list[FieldProblem] = Field(default=[])
