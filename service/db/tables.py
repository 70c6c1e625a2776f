"""The tables. Integer ids inside, UUIDv7 (`uid`) outside; times in UTC."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import BigInteger, Boolean, Column, Dialect, Float, ForeignKey, Index, Integer, String, Table


class UTCDateTime(sa.TypeDecorator[datetime]):
    """A time with its zone, even if the database keeps none (SQLite)."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        assert isinstance(value, datetime)
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


JSON = sa.JSON(none_as_null=True)

BLOB = {"blob": True}
"""The `info` of every column that holds a blob's name: `Blobs.referenced` reads these, and what it does not
return is removed from the folder."""

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

api_key = Table(
    "api_key",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(100), nullable=False),
    Column("digest", String(64), nullable=False, unique=True, comment="SHA-256 of the key, hex"),
    Column("created_at", UTCDateTime, nullable=False),
)

job = Table(
    "job",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("uid", String(36), nullable=False, unique=True),
    Column("name", String(200)),
    Column("state", String(16), nullable=False),
    Column("phase", String(16)),
    Column("spec", JSON, nullable=False, comment="resolved"),
    Column("task", String(64), comment="none for a person's own function"),
    Column("dataset", String(64), comment="none for a person's own function"),
    Column("model", String(64), comment="none for a person's own function"),
    Column("function", String(200), comment="name of a person's own function"),
    Column("metric", String(64), comment="what it is judged by"),
    Column("direction", String(16), comment="minimize or maximize"),
    Column("queue", String(64), nullable=False),
    # Only read, of jobs of 0.1: since then the executor of each label stands in the spec.
    Column("executor", String(16), comment="settled when the first round is planned"),
    Column(
        "probe",
        JSON,
        comment="seconds that a step of one trial took, by executor, where that settled it",
    ),
    Column("round", Integer, nullable=False, comment="rounds planned so far: the guard between planners"),
    Column("cut_short", Boolean, nullable=False, comment="max_seconds ended the search"),
    Column("cancel_requested", Boolean, nullable=False),
    Column("concluded_seeds", Integer, comment="fresh seeds that count, if confirm was ended by request"),
    Column("revision", Integer, nullable=False),
    Column("error", JSON),
    Column("recommendation", JSON),
    Column("recommended", String(64), comment="the recommended optimizer's catalog name"),
    Column("verdict", String(16), comment="of the recommendation: winner, tie or nothing"),
    Column("odds", JSON, comment="probability of being best, by label, as of the last round"),
    Column("summary", JSON, comment="what lists of jobs say of the recommendation"),
    Column("content", String(64), info=BLOB, comment="blob of the uploaded dataset that it trains on"),
    Column("api_key_id", ForeignKey("api_key.id")),
    Column("idempotency_key", String(255)),
    Column("body_digest", String(64)),
    Column("created_at", UTCDateTime, nullable=False),
    Column("started_at", UTCDateTime),
    Column("finished_at", UTCDateTime),
    Column("rung_at", UTCDateTime, comment="when its planner was last rung for"),
    Column(
        "compiling_since",
        UTCDateTime,
        comment="when its planner began to compile kernels, until its round moves",
    ),
    Column("plan_rings", Integer, nullable=False, comment="planners that began since its round last moved"),
    sa.UniqueConstraint("api_key_id", "idempotency_key"),
    Index(None, "state"),
    Index(None, "state", "verdict"),
    Index(None, "task", "dataset", "model"),
    Index(None, "function"),
)

# Apart from the job, whose row is long: a search reads all of them.
job_words = Table(
    "job_words",
    metadata,
    Column("job_id", ForeignKey("job.id"), primary_key=True),
    Column("words", sa.Text, nullable=False, comment="what it is found by, in small letters"),
)

study = Table(
    "study",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("job_id", ForeignKey("job.id"), nullable=False),
    Column("label", String(64), nullable=False),
    Column("optimizer", String(64), nullable=False),
    Column("replicate", Integer, nullable=False),
    sa.UniqueConstraint("job_id", "label", "replicate"),
)

cohort = Table(
    "cohort",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("job_id", ForeignKey("job.id"), nullable=False),
    Column("round", Integer, nullable=False),
    Column("position", Integer, nullable=False),
    Column("phase", String(16), nullable=False),
    Column("queue", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("owner", String(36), comment="token of the claim that runs it: the fence"),
    Column("worker", String(100), comment="name of the worker that claimed it last"),
    Column("environment", JSON, comment="of the worker that trained it"),
    Column("lease_until", UTCDateTime),
    Column("attempt", Integer, nullable=False, comment="claims since the kept state last moved on"),
    Column("examples", Integer, nullable=False, comment="seen so far in this attempt"),
    Column("progress", JSON, comment="curves so far, by position of the trial"),
    Column("checkpoint", String(64), info=BLOB, comment="blob of the state that a new attempt resumes"),
    Column(
        "kept_examples",
        Integer,
        nullable=False,
        server_default="0",
        comment="seen in the furthest state that was kept",
    ),
    Column("lost", sa.Text, comment="what was seen of the end of the last attempt's process"),
    Column("rung_at", UTCDateTime),
    Column("finished_at", UTCDateTime),
    sa.UniqueConstraint("job_id", "round", "position"),
    Index(None, "state", "lease_until"),
)

trial = Table(
    "trial",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("uid", String(36), nullable=False, unique=True),
    Column("job_id", ForeignKey("job.id"), nullable=False),
    Column("cohort_id", ForeignKey("cohort.id"), nullable=False),
    Column("position", Integer, nullable=False, comment="within its cohort"),
    Column("study_id", ForeignKey("study.id"), comment="none in confirm"),
    Column("label", String(64), nullable=False),
    Column("phase", String(16), nullable=False),
    Column("number", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("plan", JSON, nullable=False),
    Column("result", JSON),
    Column("value", Float),
    Column("steps", Integer, nullable=False),
    Column("examples", Integer, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("started_at", UTCDateTime),
    Column("finished_at", UTCDateTime),
    sa.UniqueConstraint("cohort_id", "position"),
    sa.UniqueConstraint("study_id", "number"),
    Index(None, "job_id", "revision"),
)

tally = Table(
    "tally",
    metadata,
    Column("job_id", ForeignKey("job.id"), primary_key=True),
    Column("label", String(64), primary_key=True),
    Column("phase", String(16), primary_key=True),
    Column("total", Integer, nullable=False, comment="trials, whatever their state"),
    Column("done", Integer, nullable=False, comment="complete, pruned, diverged or failed"),
    Column("running", Integer, nullable=False),
    Column("cancelled", Integer, nullable=False),
    Column("pruned", Integer, nullable=False),
    Column("diverged", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("steps", BigInteger, nullable=False),
    Column("examples", BigInteger, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("least", Float, comment="the least value"),
    Column("most", Float, comment="the greatest value"),
)

fresh_seed = Table(
    "fresh_seed",
    metadata,
    Column("job_id", ForeignKey("job.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("runs", Integer, nullable=False, comment="trials of confirm that are planned with it"),
    Column("done", Integer, nullable=False, comment="those of them that have ended"),
)

example_values = Table(
    "example_values",
    metadata,
    Column("trial_id", ForeignKey("trial.id"), primary_key=True),
    Column(
        "content",
        sa.LargeBinary,
        nullable=False,
        comment="the metric on each kept example of the test split: float32, little-endian",
    ),
)

report = Table(
    "report",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("job_id", ForeignKey("job.id"), nullable=False, unique=True),
    Column("revision", Integer, nullable=False, comment="the job's, whose evidence it shows"),
    Column("renderer", String(64), comment="version of the code that makes it; none before the first try"),
    Column("html", String(64), info=BLOB, comment="blob of the page, compressed"),
    Column("json", String(64), info=BLOB, comment="blob of the JSON, compressed"),
    Column(
        "examples",
        String(64),
        info=BLOB,
        comment="blob of the values by example, compressed, if they are not in the JSON",
    ),
    Column("attempts", Integer, nullable=False, comment="tries since the page was last kept"),
    Column("error", sa.Text, comment="why the last try failed"),
    Column("rung_at", UTCDateTime, nullable=False, comment="when it was last rung for or begun"),
)

dataset = Table(
    "dataset",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("uid", String(36), nullable=False, unique=True, comment="of this sending: its keeper's fence"),
    Column("name", String(64), nullable=False, unique=True),
    Column("state", String(16), nullable=False),
    Column("preview", Boolean, nullable=False, comment="it is a trial: once ready, it is kept for some time"),
    Column("file", JSON, nullable=False, comment="what was sent: name, bytes, SHA-256"),
    Column("choices", JSON, nullable=False, comment="what its sender said about it"),
    Column("progress", JSON, comment="of its reader"),
    Column("problem", JSON, comment="why it could not be read"),
    Column("found", JSON, comment="what its reader found: columns, target, task, split, sizes"),
    Column("content", String(64), info=BLOB, comment="blob of the columns that are kept"),
    Column("api_key_id", ForeignKey("api_key.id")),
    Column("created_at", UTCDateTime, nullable=False),
    Column("seen_at", UTCDateTime, nullable=False, comment="when its keeper last gave a sign of life"),
    Column("expires_at", UTCDateTime, comment="when a preview goes"),
    Index(None, "state"),
)

forecast = Table(
    "forecast",
    metadata,
    Column("job_id", ForeignKey("job.id"), primary_key=True),
    Column("round", Integer, primary_key=True, comment="the last one whose results are in it"),
    Column("version", Integer, nullable=False, comment="of the code that computed it"),
    Column("content", JSON, nullable=False),
)

worker = Table(
    "worker",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(100), nullable=False, unique=True),
    Column("queue", String(64), nullable=False),
    Column("processes", Integer, nullable=False, server_default="1", comment="cohorts at a time"),
    Column("agreement", String(8), comment="bits or close, as its processes probed; none before they have"),
    Column("functions", JSON, comment="source hash of each function that it offers, by name"),
    Column(
        "plugins",
        JSON,
        comment="plug-ins that are installed there, each with its facts or what is wrong with it",
    ),
    Column("stopping", Boolean, nullable=False),
    Column("started_at", UTCDateTime, nullable=False),
    Column("seen_at", UTCDateTime, nullable=False),
)
