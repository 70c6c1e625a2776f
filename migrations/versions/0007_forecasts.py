"""Forecasts, stored with the round that they are of"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "forecast",
        sa.Column("job_id", sa.Integer(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False, comment="the last one whose results are in it"),
        sa.Column("version", sa.Integer(), nullable=False, comment="of the code that computed it"),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_forecast_job_id")),
        sa.PrimaryKeyConstraint("job_id", "round", name=op.f("pk_forecast")),
    )


def downgrade() -> None:
    op.drop_table("forecast")
