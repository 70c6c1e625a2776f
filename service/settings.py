"""Every environment variable of the service and its workers (prefix WHICHOPT_)."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Read once, where a process starts; everything else is handed its settings."""

    model_config = SettingsConfigDict(
        env_prefix="WHICHOPT_", env_ignore_empty=True, frozen=True, extra="ignore"
    )

    database_url: str = Field(
        default="sqlite:///whichopt-data/whichopt.db", description="SQLAlchemy URL, SQLite or PostgreSQL"
    )
    database_connections: int = Field(
        default=10,
        ge=2,
        description="connections to the database that the API has at a time, at most; a process of a worker "
        "has 2 at most, and none while it waits or trains",
    )
    broker_url: str = Field(
        default="redis://127.0.0.1:6379/0", description="Redis or Valkey, as kombu spells it"
    )
    broker_prefix: str = Field(default="whichopt:", description="put before every key in the broker")
    blobs: Path = Field(
        default=Path("whichopt-data/blobs"), description="folder for large things; all workers must reach it"
    )
    gpu_locks: Path = Field(
        default=Path("/tmp/whichopt-gpus"),
        description="folder in which a host's workers lock the GPUs that they have; all must reach it",
    )
    api_key: SecretStr | None = Field(default=None, description="a key that `migrate` makes known")
    max_body_bytes: int = Field(default=1_000_000, ge=1_000)
    log_level: str = "INFO"

    lease_s: float = Field(default=30.0, gt=0, description="how long a cohort is a worker's without a tick")
    tick_s: float = Field(
        default=1.0, gt=0, description="how often a worker renews its lease and hears of cancel"
    )
    reap_s: float = Field(
        default=3.0, gt=0, description="how often the reaper looks for what nobody works on"
    )
    ring_again_s: float = Field(
        default=20.0, gt=0, description="after how long an unanswered doorbell rings again"
    )
    attempts: int = Field(default=3, ge=1, description="how often a cohort is tried before its job fails")
    checkpoint_s: float = Field(default=20.0, gt=0, description="how often a running cohort's state is kept")
    stuck_s: float = Field(
        default=1800.0, gt=0, description="a cohort without an evaluation for this long is given up"
    )
    worker_alive_s: float = Field(default=15.0, gt=0, description="a worker not seen for this long is gone")
    events_s: float = Field(default=0.5, gt=0, description="how often an event stream looks for changes")
