"""What trained each cohort: packages, machine, threads"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003_environment"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("cohort", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("environment", sa.JSON(), nullable=True, comment="of the worker that trained it")
        )


def downgrade() -> None:
    with op.batch_alter_table("cohort", schema=None) as batch_op:
        batch_op.drop_column("environment")
