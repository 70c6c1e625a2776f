"""Plug-ins: what each worker offers of them, as it found when it imported them"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "worker",
        sa.Column(
            "plugins",
            sa.JSON(none_as_null=True),
            nullable=True,
            comment="plug-ins that are installed there, each with its facts or what is wrong with it",
        ),
    )


def downgrade() -> None:
    with op.batch_alter_table("worker") as batch:
        batch.drop_column("plugins")
