"""The reports of concluded jobs: which blobs hold them, and what made them"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "report",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False, comment="the job's, whose evidence it shows"),
        sa.Column(
            "renderer",
            sa.String(length=64),
            nullable=True,
            comment="version of the code that makes it; none before the first try",
        ),
        sa.Column("html", sa.String(length=64), nullable=True, comment="blob of the page, compressed"),
        sa.Column("json", sa.String(length=64), nullable=True, comment="blob of the JSON, compressed"),
        sa.Column("attempts", sa.Integer(), nullable=False, comment="tries since the page was last kept"),
        sa.Column("error", sa.Text(), nullable=True, comment="why the last try failed"),
        sa.Column(
            "rung_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="when it was last rung for or begun",
        ),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_report_job_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_report")),
        sa.UniqueConstraint("job_id", name=op.f("uq_report_job_id")),
    )


def downgrade() -> None:
    op.drop_table("report")
