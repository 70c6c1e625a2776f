"""Every environment variable of the service and its workers (prefix WHICHOPT_).

A door reads them once by `at_start`, which ends the process in one line if one of them is wrong. What the
variables are is listed by `python -m whichopt.service.settings_table`.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any, NoReturn

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from whichopt.service.addresses import broker_url, database_url
from whichopt.service.errors import StorageFull
from whichopt.service.exit_codes import CANNOT
from whichopt.service.secret_files import SECRETS, UnreadableSecret, secret
from whichopt.service.setting_words import PREFIX, WrongSettings, complaints, unknown
from whichopt.service.storage import storage_trouble

__all__ = ["Settings", "WrongSettings", "at_start"]

YEAR_S = 31_536_000.0
Seconds = Annotated[float, Field(gt=0, le=YEAR_S)]

LEAST_TICKS = 3
"""Ticks in a lease, at least: one that is late must not cost a live worker its work."""

BASE_PATH = r"(/[A-Za-z0-9._~-]+)+"
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def _stripped(value: Any) -> Any:
    """Without what editors and other systems leave at the end of a line."""
    return value.strip() if isinstance(value, str) else value


def _without_line_end(value: Any) -> Any:
    return value.rstrip("\r\n") if isinstance(value, str) else value


Text = Annotated[str, BeforeValidator(_stripped)]


class SecretFiles(PydanticBaseSettingsSource):
    """The source of settings that reads those files."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        del field
        return secret(f"{self.config['env_prefix']}{field_name.upper()}"), field_name, False

    def __call__(self) -> dict[str, Any]:
        fields = self.settings_cls.model_fields
        found = {name: self.get_field_value(fields[name], name)[0] for name in SECRETS}
        return {name: value for name, value in found.items() if value is not None}


class Settings(BaseSettings):
    """Read once, where a process starts; everything else is handed its settings."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        frozen=True,
        extra="ignore",
        hide_input_in_errors=True,
        allow_inf_nan=False,
        validate_by_name=True,
    )

    # Before the URL that it goes into.
    database_password: Annotated[SecretStr | None, BeforeValidator(_without_line_end)] = Field(
        default=None, description="PostgreSQL's password, as it is: put into the URL, which has none then"
    )
    database_url: Text = Field(
        default="sqlite:///whichopt-data/whichopt.db",
        repr=False,
        description="SQLAlchemy URL: SQLite, or PostgreSQL by psycopg 3",
    )
    broker_url: Text = Field(
        default="redis://127.0.0.1:6379/0", repr=False, description="Redis or Valkey, as kombu spells it"
    )
    database_connections: int = Field(
        default=10,
        ge=2,
        le=10_000,
        description="connections to the database that the API has at a time, at most; a process of a worker "
        "has 2 at most, and none while it waits or trains",
    )
    broker_prefix: str = Field(default="whichopt:", description="put before every key in the broker")
    blobs: Path = Field(
        default=Path("whichopt-data/blobs"), description="folder for large things; all workers must reach it"
    )
    gpu_locks: Path = Field(
        default=Path("/tmp/whichopt-gpus"),
        description="folder in which a host's workers lock the GPUs that they have; all must reach it",
    )
    api_key: Annotated[SecretStr | None, BeforeValidator(_stripped)] = Field(
        default=None, description="a key that `migrate` makes known"
    )
    base_path: Text = Field(
        default="", description="the path under which a proxy shows the service, as in /tools/whichopt"
    )
    forwarded_allow_ips: Text = Field(
        default="127.0.0.1",
        validation_alias="FORWARDED_ALLOW_IPS",
        description="the proxies whose X-Forwarded-Proto and -For are believed: addresses and networks, or *",
    )
    max_body_bytes: int = Field(default=1_000_000, ge=1_000, description="the largest body of a request")
    log_level: Text = Field(default="INFO", description=f"one of {', '.join(LEVELS)}")

    lease_s: Seconds = Field(default=30.0, description="how long a cohort is a worker's without a tick")
    tick_s: Seconds = Field(
        default=1.0,
        validate_default=True,
        description="how often a worker renews its lease and hears of cancel; a third of WHICHOPT_LEASE_S at "
        "most",
    )
    reap_s: Seconds = Field(default=3.0, description="how often the reaper looks for what nobody works on")
    ring_again_s: Seconds = Field(
        default=20.0, description="after how long an unanswered doorbell rings again"
    )
    attempts: int = Field(
        default=3, ge=1, le=1_000_000, description="how often a cohort is tried before its job fails"
    )
    checkpoint_s: Seconds = Field(default=20.0, description="how often a running cohort's state is kept")
    stuck_s: Seconds = Field(
        default=1800.0, description="a cohort without an evaluation for this long is given up"
    )
    worker_alive_s: Seconds = Field(default=15.0, description="a worker not seen for this long is gone")
    events_s: Seconds = Field(default=0.5, description="how often an event stream looks for changes")

    @field_validator("database_url")
    @classmethod
    def _database(cls, value: str, info: ValidationInfo) -> str:
        password = info.data.get("database_password")
        return database_url(value, None if password is None else password.get_secret_value())

    @field_validator("broker_url")
    @classmethod
    def _broker(cls, value: str) -> str:
        return broker_url(value)

    @field_validator("base_path")
    @classmethod
    def _base_path(cls, value: str) -> str:
        if value in ("", "/"):
            return ""
        if not re.fullmatch(BASE_PATH, value) or {".", ".."} & set(value.split("/")):
            raise ValueError(
                f"{value!r} is no path to be put before ours; allowed: one that begins with / and does not "
                "end with it, of letters, digits and - . _ ~, as in /tools/whichopt"
            )
        return value

    @field_validator("forwarded_allow_ips")
    @classmethod
    def _proxies(cls, value: str) -> str:
        for one in [] if value == "*" else value.split(","):
            try:
                ipaddress.ip_network(one.strip())
            except ValueError:
                raise ValueError(
                    f"{one.strip()!r} is neither an address nor a network; allowed: a list as in "
                    "127.0.0.1,172.16.0.0/12, or * if nobody but the proxy can reach the service"
                ) from None
        return value

    @field_validator("tick_s")
    @classmethod
    def _ticks_of_a_lease(cls, value: float, info: ValidationInfo) -> float:
        lease = info.data.get("lease_s")
        if lease is not None and round(lease / value, 6) < LEAST_TICKS:
            raise ValueError(
                f"a tick of {value:g} s is too seldom for WHICHOPT_LEASE_S, {lease:g} s: live workers would "
                f"lose their leases; allowed: at most a third of it, here {lease / LEAST_TICKS:.3g}"
            )
        return value

    @field_validator("log_level")
    @classmethod
    def _level(cls, value: str) -> str:
        number = logging.getLevelNamesMapping().get(value.upper())  # it knows WARN and FATAL, too
        if number is None:
            raise ValueError(f"{value!r} is no log level; allowed: {', '.join(LEVELS)}")
        return logging.getLevelName(number)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, SecretFiles(settings_cls)

    @classmethod
    def from_environment(cls) -> Settings:
        """Read the environment.

        Raises:
            WrongSettings: its text has a line for each setting that is wrong, and no secret.
        """
        try:
            return cls()
        except ValidationError as error:
            raise WrongSettings("\n".join(complaints(error, cls))) from None
        except UnreadableSecret as error:
            raise WrongSettings(str(error)) from None

    def unwritable_blobs(self) -> str | None:
        """Return what is wrong with the folder for large things, or None; makes nothing."""
        nearest = self.blobs.absolute()
        while not nearest.exists() and nearest != nearest.parent:
            nearest = nearest.parent
        if nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK):
            return None
        why = "cannot be written by this user" if nearest.is_dir() else "is no folder"
        return (
            f"WHICHOPT_BLOBS is {str(self.blobs)!r}: {nearest} {why}; allowed: a folder that can be written"
        )

    def write_blobs(self) -> str | None:
        """Make the folder for large things and a file in it; return why that cannot be done, or None.

        Some file systems say that they may be written and take nothing. A disk that is full passes.
        """
        problem = self.unwritable_blobs()
        if problem is not None:
            return problem
        try:
            self.blobs.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self.blobs, prefix="can-be-written-"):
                return None
        except OSError as error:
            if isinstance(storage_trouble(error), StorageFull):
                return None
            return (
                f"WHICHOPT_BLOBS is {str(self.blobs)!r}: it cannot be written ({error.strerror}); allowed: a "
                "folder that can be written"
            )


def at_start(*, writes_blobs: bool = False) -> Settings:
    """Return the settings of this process; ends it in one line for each that is wrong.

    Variables that look like ours and are none of ours are told on stderr, a line each with the nearest name.
    """
    for line in unknown(os.environ, Settings):
        sys.stderr.write(f"whichopt: {line}\n")
    try:
        found = Settings.from_environment()
    except WrongSettings as error:
        _end(str(error))
    if writes_blobs and (problem := found.write_blobs()) is not None:
        _end(problem)
    return found


def _end(words: str) -> NoReturn:
    """Ends the process with a line for each of `words`."""
    for line in words.splitlines():
        sys.stderr.write(f"whichopt: {line}\n")
    raise SystemExit(CANNOT) from None
