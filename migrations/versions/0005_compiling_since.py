"""When a planner began to compile a job's kernels; and planners are counted when they begin"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


RINGS, PLANNERS = (
    "rung for again, since its round last moved",
    "planners that began since its round last moved",
)


def _comment(before: str, after: str) -> None:
    """Change what the table says of `plan_rings`, if the database keeps comments."""
    if op.get_bind().dialect.supports_comments:
        op.alter_column(
            "job",
            "plan_rings",
            existing_type=sa.Integer(),
            existing_nullable=False,
            existing_comment=before,
            comment=after,
        )


def upgrade() -> None:
    _comment(RINGS, PLANNERS)
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
    _comment(PLANNERS, RINGS)
    # Without a batch, which would make the table anew: rows of other tables refer to it.
    op.drop_column("job", "compiling_since")
