"""Every environment variable of the service and its workers (prefix WHICHOPT_).

Each process reads them once by `at_start`, which ends it with one line if one of them is wrong.
`python -m whichopt.service.settings_table` lists the variables.
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
from whichopt.service.function_names import allowed_names
from whichopt.service.limits import Limits
from whichopt.service.secret_files import SECRETS, UnreadableSecret, secret
from whichopt.service.setting_words import PREFIX, WrongSettings, complaints, unknown
from whichopt.service.storage import storage_trouble
from whichopt.service.upload_settings import UploadSettings

__all__ = ["Settings", "WrongSettings", "at_start"]

YEAR_S = 31_536_000.0
Seconds = Annotated[float, Field(gt=0, le=YEAR_S)]

LEAST_TICKS = 3
"""Least number of ticks in a lease: one late tick must not cost a live worker its work."""

BASE_PATH = r"(/[A-Za-z0-9._~-]+)+"
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def _stripped(value: Any) -> Any:
    """Strip the spaces and line ends that editors leave behind."""
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
        values = {name: self.get_field_value(fields[name], name)[0] for name in SECRETS}
        return {name: value for name, value in values.items() if value is not None}


class Settings(UploadSettings, BaseSettings):
    """The settings of a process, read once when it starts and handed on to everything else."""

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
        default=None,
        description="Password of PostgreSQL, unescaped. It goes into the URL, which must have none",
    )
    database_url: Text = Field(
        default="sqlite:///whichopt-data/whichopt.db",
        repr=False,
        description="URL of the database, as SQLAlchemy writes it: SQLite, or PostgreSQL by psycopg 3",
    )
    broker_url: Text = Field(
        default="redis://127.0.0.1:6379/0",
        repr=False,
        description="URL of the broker, Redis or Valkey, as kombu writes it",
    )
    database_connections: int = Field(
        default=10,
        ge=2,
        le=10_000,
        description="Most database connections that the API has open at a time. A worker process has at most "
        "2, and none while it waits or trains",
    )
    broker_prefix: str = Field(default="whichopt:", description="Prefix of every key in the broker")
    blobs: Path = Field(
        default=Path("whichopt-data/blobs"),
        description="Folder for large files; all workers must be able to reach it",
    )
    gpu_locks: Path = Field(
        default=Path("/tmp/whichopt-gpus"),
        description="Folder in which the workers of a host lock their GPUs; all "
        "of them must be able to reach it",
    )
    api_key: Annotated[SecretStr | None, BeforeValidator(_stripped)] = Field(
        default=None, description="API key that `migrate` stores in the database"
    )
    base_path: Text = Field(
        default="", description="Path under which a proxy shows the service, such as /tools/whichopt"
    )
    forwarded_allow_ips: Text = Field(
        default="127.0.0.1",
        validation_alias="FORWARDED_ALLOW_IPS",
        description="Proxies whose X-Forwarded-Proto and X-Forwarded-For are "
        "trusted: addresses and networks, or *",
    )
    allow: Text = Field(
        default="",
        description="People's own training functions that jobs may name, such as "
        "`ourlab.train:fit,ourlab.gan:train`: exact names, for the API and the workers alike",
    )
    max_body_bytes: int = Field(
        default=1_000_000, ge=1_000, description="Largest size of a request body, in bytes"
    )
    max_params: int = Field(
        default=Limits.params, ge=1, description="Most params that a job's model may have"
    )
    max_activation_bytes: int = Field(
        default=Limits.activation_bytes,
        ge=1,
        description="Most bytes that the layers of a job's model may keep of one batch while it is trained",
    )
    log_level: Text = Field(
        default="INFO", description=f"Least severe level that is logged: {', '.join(LEVELS)}"
    )

    lease_s: Seconds = Field(
        default=30.0,
        description="Lease duration in seconds: how long a worker keeps a cohort without renewing its lease",
    )
    tick_s: Seconds = Field(
        default=1.0,
        validate_default=True,
        description="Seconds between two ticks, at which a worker renews its lease and checks if the job was "
        "cancelled; at most a third of WHICHOPT_LEASE_S",
    )
    reap_s: Seconds = Field(
        default=3.0,
        description="Seconds between two runs of the reaper, which finds work that nobody is doing",
    )
    ring_again_s: Seconds = Field(
        default=20.0, description="Seconds after which an unanswered message to the workers is sent again"
    )
    attempts: int = Field(
        default=3,
        ge=1,
        le=1_000_000,
        description="Number of times that a cohort is tried before its job fails",
    )
    checkpoint_s: Seconds = Field(
        default=20.0,
        description="Least number of seconds between two checkpoints of a running cohort. They take at most "
        "2% of its time",
    )
    stuck_s: Seconds = Field(
        default=1800.0, description="Seconds without a step or an evaluation after which a cohort is given up"
    )
    worker_alive_s: Seconds = Field(
        default=15.0, description="Seconds without a sign of life after which a worker counts as gone"
    )
    events_s: Seconds = Field(
        default=0.5, description="Seconds between two checks of an event stream for changes"
    )

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
                f"{value!r} is not a valid base path; allowed: a path that "
                "begins with / and does not end with "
                "it, of letters, digits and - . _ ~, such as /tools/whichopt"
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
                    f"{one.strip()!r} is neither an address nor a network; allowed: a list such as "
                    "127.0.0.1,172.16.0.0/12, or * if only the proxy can reach the service"
                ) from None
        return value

    @field_validator("tick_s")
    @classmethod
    def _ticks_of_a_lease(cls, value: float, info: ValidationInfo) -> float:
        lease = info.data.get("lease_s")
        if lease is not None and round(lease / value, 6) < LEAST_TICKS:
            raise ValueError(
                f"a tick every {value:g} s is too rare for a WHICHOPT_LEASE_S of "
                f"{lease:g} s: live workers would "
                f"lose their leases; allowed: at most a third of it, here {lease / LEAST_TICKS:.3g}"
            )
        return value

    @field_validator("allow")
    @classmethod
    def _allow(cls, value: str) -> str:
        return ",".join(allowed_names(value))

    @field_validator("log_level")
    @classmethod
    def _level(cls, value: str) -> str:
        number = logging.getLevelNamesMapping().get(value.upper())  # it knows WARN and FATAL, too
        if number is None:
            raise ValueError(f"{value!r} is not a log level; allowed: {', '.join(LEVELS)}")
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

    @property
    def allowed_functions(self) -> tuple[str, ...]:
        """The names of the functions that jobs may train."""
        return allowed_names(self.allow)

    @property
    def limits(self) -> Limits:
        """The limits of the size of a job's model."""
        return Limits(self.max_params, self.max_activation_bytes)

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
        """Return the problem with the folder for large files, or None; this creates nothing."""
        nearest = self.blobs.absolute()
        while not nearest.exists() and nearest != nearest.parent:
            nearest = nearest.parent
        if nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK):
            return None
        why = "cannot be written by this user" if nearest.is_dir() else "is not a folder"
        return f"WHICHOPT_BLOBS is {str(self.blobs)!r}: {nearest} {why}; allowed: a writable folder"

    def write_blobs(self) -> str | None:
        """Create the folder for large files and a file in it; return why that cannot be done, or None.

        Some file systems claim to be writable and take nothing. A full disk passes.
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
                "writable folder"
            )


def at_start(*, writes_blobs: bool = False) -> Settings:
    """Return the settings of this process, or end it with a line for each wrong one.

    Each variable that looks like ours but is not gets a line on stderr, with the nearest name.
    """
    for line in unknown(os.environ, Settings):
        sys.stderr.write(f"whichopt: {line}\n")
    try:
        settings = Settings.from_environment()
    except WrongSettings as error:
        _end(str(error))
    if writes_blobs and (problem := settings.write_blobs()) is not None:
        _end(problem)
    return settings


def _end(words: str) -> NoReturn:
    """End the process with a line for each of `words`."""
    for line in words.splitlines():
        sys.stderr.write(f"whichopt: {line}\n")
    raise SystemExit(CANNOT) from None
