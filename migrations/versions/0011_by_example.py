"""The metric on single test examples, by confirm run; and the blob of those that are too many for a report"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "example_values",
        sa.Column("trial_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column(
            "content",
            sa.LargeBinary(),
            nullable=False,
            comment="the metric on each kept example of the test split: float32, little-endian",
        ),
        sa.ForeignKeyConstraint(["trial_id"], ["trial.id"], name=op.f("fk_example_values_trial_id")),
        sa.PrimaryKeyConstraint("trial_id", name=op.f("pk_example_values")),
    )
    op.add_column(
        "report",
        sa.Column(
            "examples",
            sa.String(length=64),
            nullable=True,
            comment="blob of the values by example, compressed, if they are not in the JSON",
        ),
    )


def downgrade() -> None:
    op.drop_column("report", "examples")
    op.drop_table("example_values")
