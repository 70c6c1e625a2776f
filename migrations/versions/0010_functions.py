"""Jobs about a person's own function: its name, the metric of every job, and which workers offer it"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

NAMES = ("task", "dataset", "model")
NONE = "none for a person's own function"
QUEUES = ("job", "cohort", "worker")

USUAL = {"classification": ("nll", "minimize"), "regression": ("rmse", "minimize")}
"""Metric and direction of the specs of 0.1, by task: they do not say them."""

job = sa.table(
    "job",
    sa.column("id", sa.Integer()),
    sa.column("spec", sa.JSON(none_as_null=True)),
    sa.column("task", sa.String(64)),
    sa.column("metric", sa.String(64)),
    sa.column("direction", sa.String(16)),
)


def upgrade() -> None:
    with op.batch_alter_table("job") as batch:
        for name in NAMES:
            batch.alter_column(name, existing_type=sa.String(64), nullable=True, comment=NONE)
        batch.add_column(
            sa.Column("function", sa.String(200), nullable=True, comment="name of a person's own function")
        )
        batch.add_column(sa.Column("metric", sa.String(64), nullable=True, comment="what it is judged by"))
        batch.add_column(sa.Column("direction", sa.String(16), nullable=True, comment="minimize or maximize"))
        batch.create_index("ix_job_function", ["function"])
    for table in QUEUES:
        with op.batch_alter_table(table) as batch:
            batch.alter_column(
                "queue", existing_type=sa.String(16), existing_nullable=False, type_=sa.String(64)
            )
    with op.batch_alter_table("worker") as batch:
        batch.add_column(
            sa.Column(
                "functions",
                sa.JSON(none_as_null=True),
                nullable=True,
                comment="source hash of each function that it offers, by name",
            )
        )
    connection = op.get_bind()
    for row in connection.execute(sa.select(job.c.id, job.c.spec, job.c.task)).all():
        judged = _judged(row.spec, row.task)
        if judged is not None:
            metric, direction = judged
            connection.execute(
                job.update().where(job.c.id == row.id).values(metric=metric, direction=direction)
            )


def downgrade() -> None:
    with op.batch_alter_table("worker") as batch:
        batch.drop_column("functions")
    # Nothing of the earlier version takes work from a queue with a longer name.
    for table in QUEUES:
        with op.batch_alter_table(table) as batch:
            batch.alter_column(
                "queue",
                existing_type=sa.String(64),
                existing_nullable=False,
                type_=sa.String(16),
                postgresql_using="substr(queue, 1, 16)",
            )
    # The earlier version shows such a job as one that it cannot read.
    connection = op.get_bind()
    for name in NAMES:
        column: sa.ColumnClause[Any] = sa.column(name, sa.String(64))
        connection.execute(
            sa.update(sa.table("job", column)).where(column.is_(None)).values({name: "function"})
        )
    with op.batch_alter_table("job") as batch:
        batch.drop_index("ix_job_function")
        batch.drop_column("direction")
        batch.drop_column("metric")
        batch.drop_column("function")
        for name in NAMES:
            batch.alter_column(
                name, existing_type=sa.String(64), nullable=False, existing_comment=NONE, comment=None
            )


def _judged(spec: Any, task: str | None) -> tuple[str, str] | None:
    """Return the metric and the direction of a stored spec; None if it cannot be read."""
    workload = spec.get("workload") if isinstance(spec, dict) else None
    goal = workload.get("goal") if isinstance(workload, dict) else None
    if isinstance(goal, dict) and goal.get("metrics") and goal.get("direction"):
        return str(goal["metrics"][0])[:64], str(goal["direction"])[:16]
    return USUAL.get(task or "")
