"""When a planner began to compile a job's kernels"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "job",
        sa.Column(
            "compiling_since",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="when its planner began to compile kernels, until its round moves",
        ),
    )


def downgrade() -> None:
    # Without a batch, which would make the table anew: rows of other tables refer to it.
    op.drop_column("job", "compiling_since")
