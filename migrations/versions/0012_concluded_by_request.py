"""The fresh seeds that count of a job whose confirm was ended by request"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("job") as batch:
        batch.add_column(
            sa.Column(
                "concluded_seeds",
                sa.Integer(),
                nullable=True,
                comment="fresh seeds that count, if confirm was ended by request",
            )
        )


def downgrade() -> None:
    with op.batch_alter_table("job") as batch:
        batch.drop_column("concluded_seeds")
