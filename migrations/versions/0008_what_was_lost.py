"""How far a cohort's kept state had come, and what was seen of the end of a worker that it lost"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

ATTEMPT = "claims since the kept state last moved on"


def upgrade() -> None:
    op.add_column(
        "cohort",
        sa.Column(
            "kept_examples",
            sa.Integer(),
            nullable=False,
            server_default="0",
            comment="seen in the furthest state that was kept",
        ),
    )
    op.add_column(
        "cohort",
        sa.Column(
            "lost", sa.Text(), nullable=True, comment="what was seen of the end of the last attempt's process"
        ),
    )
    _comment(None, ATTEMPT)


def downgrade() -> None:
    _comment(ATTEMPT, None)
    # Without a batch, which would make the table anew: rows of other tables refer to it.
    op.drop_column("cohort", "lost")
    op.drop_column("cohort", "kept_examples")


def _comment(before: str | None, after: str | None) -> None:
    """Change what the table says of `attempt`, if the database keeps comments."""
    if op.get_bind().dialect.supports_comments:
        op.alter_column(
            "cohort",
            "attempt",
            existing_type=sa.Integer(),
            existing_nullable=False,
            existing_comment=before,
            comment=after,
        )
