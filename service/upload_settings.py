"""The settings that bound a person's own data: what may be sent, what a reader may use, how long it may take.

`Settings` has them among its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

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
    data_root: Path | None = Field(
        default=None,
        description="Folder whose folders of images can be datasets without being sent (`folder:NAME`); the "
        "service and all workers must be able to read it under this path",
    )
    max_images: int = Field(default=100_000, ge=1, le=10_000_000, description="Most images of a dataset")
    max_image_pixels: int = Field(
        default=40_000_000, ge=64, description="Most pixels of an image of a dataset, as its file has it"
    )
    max_pixels: int = Field(
        default=4_000_000_000,
        ge=64,
        description="Most pixels of all images of a dataset together, as their files have them",
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

    @property
    def reader_limits(self) -> dict[str, Any]:
        """The limits within which a file is read (`whichopt.workers.intake.limits`)."""
        return {
            "rows": self.max_rows,
            "columns": self.max_columns,
            "features": self.max_features,
            "table_bytes": self.max_table_bytes,
            "memory_bytes": self.intake_bytes,
            "seconds": self.intake_s,
            "images": self.max_images,
            "image_pixels": self.max_image_pixels,
            "pixels": self.max_pixels,
        }
