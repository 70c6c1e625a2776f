"""Uploaded datasets, and the blob that a job trains on"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "dataset",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("uid", sa.String(36), nullable=False, comment="of this sending: its keeper's fence"),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column(
            "preview",
            sa.Boolean(),
            nullable=False,
            comment="it is a trial: once ready, it is kept for some time",
        ),
        sa.Column("file", sa.JSON(), nullable=False, comment="what was sent: name, bytes, SHA-256"),
        sa.Column("choices", sa.JSON(), nullable=False, comment="what its sender said about it"),
        sa.Column("progress", sa.JSON(), nullable=True, comment="of its reader"),
        sa.Column("problem", sa.JSON(), nullable=True, comment="why it could not be read"),
        sa.Column(
            "found",
            sa.JSON(),
            nullable=True,
            comment="what its reader found: columns, target, task, split, sizes",
        ),
        sa.Column("content", sa.String(64), nullable=True, comment="blob of the columns that are kept"),
        sa.Column("api_key_id", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "seen_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="when its keeper last gave a sign of life",
        ),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True, comment="when a preview goes"),
        sa.ForeignKeyConstraint(["api_key_id"], ["api_key.id"], name="fk_dataset_api_key_id"),
        sa.PrimaryKeyConstraint("id", name="pk_dataset"),
        sa.UniqueConstraint("uid", name="uq_dataset_uid"),
        sa.UniqueConstraint("name", name="uq_dataset_name"),
    )
    op.create_index("ix_dataset_state", "dataset", ["state"])
    op.add_column(
        "job",
        sa.Column(
            "content",
            sa.String(64),
            nullable=True,
            comment="blob of the uploaded dataset that it trains on",
        ),
    )


def downgrade() -> None:
    # Without a batch, which would make the table anew: rows of other tables refer to it.
    op.drop_column("job", "content")
    op.drop_index("ix_dataset_state", table_name="dataset")
    op.drop_table("dataset")
