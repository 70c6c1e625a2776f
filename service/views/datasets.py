"""The view of a person's own dataset: how far its reading is, what is wrong with it, what was found."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from whichopt.service.states import DatasetState
from whichopt.service.uploads import Choices, File, Table
from whichopt.service.views.view import View


class DatasetProgress(View):
    """How much of a file has been read."""

    bytes: int = Field(ge=0, description="Size of the file that was sent.")
    rows: int | None = Field(default=None, ge=0, description="Rows read so far.")
    share: float | None = Field(default=None, ge=0, le=1, description="Share of the work that is done.")


class DatasetProblem(View):
    """Why a file could not be read; `code` is that of an error of the API."""

    code: str
    detail: str
    row: int | None = Field(default=None, description="Number of the row, from 1; a header is row 1.")
    column: str | None = Field(default=None, description="Name of the column.")


STOPPED = DatasetProblem(
    code="unavailable", detail="the service was stopped while it read the file; send it again"
)
"""The problem of a file whose reader was stopped with the service."""


class DatasetView(View):
    """A dataset that a person sent."""

    name: str
    state: DatasetState
    progress: DatasetProgress
    problem: DatasetProblem | None = None
    file: File
    choices: Choices = Field(description="What was said about the file when it was sent.")
    table: Table | None = Field(default=None, description="What was found in it; null until it is read.")
    content: str | None = Field(default=None, description="SHA-256 of the columns that are kept.")
    created_at: datetime
    expires_at: datetime | None = Field(default=None, description="When a preview goes.")
