"""The settings that bound a person's own data: what may be sent, what a reader may use, how long it may take.

`Settings` has them among its own.
"""

from __future__ import annotations

from pydantic import BaseModel, Field

HOUR_S = 3600.0
DAY_S = 86_400.0


class UploadSettings(BaseModel):
    """The limits of uploaded datasets."""

    max_upload_bytes: int = Field(
        default=256_000_000, ge=1_000, description="Largest size of a file that is uploaded, in bytes"
    )
    max_rows: int = Field(
        default=5_000_000, ge=1, le=1_000_000_000, description="Most rows of an uploaded dataset"
    )
    max_columns: int = Field(
        default=2_000, ge=2, le=100_000, description="Most columns of an uploaded dataset"
    )
    max_features: int = Field(
        default=10_000,
        ge=1,
        le=1_000_000,
        description="Most features that the columns of an uploaded dataset may become",
    )
    max_table_bytes: int = Field(
        default=1_073_741_824,
        ge=1_000,
        description="Largest size, in bytes, of the columns that are kept of an uploaded dataset",
    )
    intake_bytes: int = Field(
        default=4_294_967_296,
        ge=268_435_456,
        description="Address space, in bytes, of the process that reads an uploaded file",
    )
    intake_s: float = Field(
        default=120.0, gt=0, le=DAY_S, description="Seconds that the reading of an uploaded file may take"
    )
    uploads_bytes: int = Field(
        default=5_368_709_120,
        ge=1_000,
        description="Largest size, in bytes, of all uploaded datasets together",
    )
    preview_s: float = Field(
        default=HOUR_S,
        gt=0,
        le=30 * DAY_S,
        description="Seconds that a dataset that was sent with dry_run is kept, unless it is made real",
    )
