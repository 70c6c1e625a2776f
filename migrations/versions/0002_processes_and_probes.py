"""How many processes a worker has; what a job's executor was chosen by"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("worker", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column(
                "processes", sa.Integer(), server_default="1", nullable=False, comment="cohorts at a time"
            )
        )
    with op.batch_alter_table("job", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column(
                "probe",
                sa.JSON(),
                nullable=True,
                comment="seconds that a step of one trial took, by executor, where that settled it",
            )
        )


def downgrade() -> None:
    with op.batch_alter_table("job", schema=None) as batch_op:
        batch_op.drop_column("probe")
    with op.batch_alter_table("worker", schema=None) as batch_op:
        batch_op.drop_column("processes")
