"""What lists of jobs show, kept with each job: its verdict, odds and counters, and the words that find it"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

VERDICTS = ("winner", "tie", "nothing")
AT_A_TIME = 500
"""Jobs whose rows are read at a time: a recommendation may be long."""

COUNTS = ("total", "done", "running", "cancelled", "pruned", "diverged", "failed")
DONE = "('complete', 'pruned', 'diverged', 'failed')"

JSON = sa.JSON(none_as_null=True)
job = sa.table(
    "job",
    *(sa.column(name, sa.Integer()) for name in ("id",)),
    *(sa.column(name, sa.String()) for name in ("name", "dataset", "model", "function", "verdict")),
    *(sa.column(name, JSON) for name in ("recommendation", "odds", "summary")),
)
study = sa.table("study", sa.column("job_id"), sa.column("label"), sa.column("optimizer"))
job_words = sa.table("job_words", sa.column("job_id"), sa.column("words"))


def upgrade() -> None:
    op.add_column(
        "job",
        sa.Column("verdict", sa.String(16), comment="of the recommendation: winner, tie or nothing"),
    )
    op.add_column(
        "job",
        sa.Column("odds", JSON, comment="probability of being best, by label, as of the last round"),
    )
    op.add_column("job", sa.Column("summary", JSON, comment="what lists of jobs say of the recommendation"))
    op.create_index("ix_job_state_verdict", "job", ["state", "verdict"])
    _create_tables()
    connection = op.get_bind()
    _count(connection)
    ids = list(connection.scalars(sa.select(job.c.id).order_by(job.c.id)))
    for at in range(0, len(ids), AT_A_TIME):
        _keep_words(connection, ids[at : at + AT_A_TIME])
        _keep_verdicts(connection, ids[at : at + AT_A_TIME])


def downgrade() -> None:
    op.drop_table("fresh_seed")
    op.drop_table("tally")
    op.drop_table("job_words")
    op.drop_index("ix_job_state_verdict", table_name="job")
    for name in ("summary", "odds", "verdict"):
        op.drop_column("job", name)


def _create_tables() -> None:
    op.create_table(
        "job_words",
        sa.Column("job_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("words", sa.Text(), nullable=False, comment="what it is found by, in small letters"),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_job_words_job_id"),
        sa.PrimaryKeyConstraint("job_id", name="pk_job_words"),
    )
    said = {
        "total": "trials, whatever their state",
        "done": "complete, pruned, diverged or failed",
    }
    op.create_table(
        "tally",
        sa.Column("job_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("label", sa.String(64), nullable=False),
        sa.Column("phase", sa.String(16), nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False, comment=said.get(name)) for name in COUNTS),
        sa.Column("steps", sa.BigInteger(), nullable=False),
        sa.Column("examples", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("least", sa.Float(), comment="the least value"),
        sa.Column("most", sa.Float(), comment="the greatest value"),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_tally_job_id"),
        sa.PrimaryKeyConstraint("job_id", "label", "phase", name="pk_tally"),
    )
    op.create_table(
        "fresh_seed",
        sa.Column("job_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("runs", sa.Integer(), nullable=False, comment="trials of confirm that are planned with it"),
        sa.Column("done", sa.Integer(), nullable=False, comment="those of them that have ended"),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_fresh_seed_job_id"),
        sa.PrimaryKeyConstraint("job_id", "number", name="pk_fresh_seed"),
    )


def _count(connection: sa.Connection) -> None:
    """Count the trials of all jobs. (A damaged database may have trials of none.)"""
    states = ("running", "cancelled", "pruned", "diverged", "failed")
    counted = ", ".join(f"COUNT(CASE WHEN state = '{state}' THEN 1 END)" for state in states)
    done = f"COUNT(CASE WHEN state IN {DONE} THEN 1 END)"
    connection.execute(
        sa.text(
            f"INSERT INTO tally (job_id, label, phase, {', '.join(COUNTS)}, steps, examples, seconds, least, "
            f"most) SELECT job_id, label, phase, COUNT(*), {done}, {counted}, SUM(steps), SUM(examples), "
            "SUM(seconds), MIN(value), MAX(value) FROM trial WHERE job_id IN (SELECT id FROM job) "
            "GROUP BY job_id, label, phase"
        )
    )
    connection.execute(
        sa.text(
            f"INSERT INTO fresh_seed (job_id, number, runs, done) SELECT job_id, number, COUNT(*), {done} "
            "FROM trial WHERE phase = 'confirm' AND job_id IN (SELECT id FROM job) GROUP BY job_id, number"
        )
    )


def _keep_words(connection: sa.Connection, ids: list[int]) -> None:
    optimizers: dict[int, dict[str, None]] = {}
    query = sa.select(study.c.job_id, study.c.label, study.c.optimizer).where(study.c.job_id.in_(ids))
    for row in connection.execute(query.distinct()):
        optimizers.setdefault(row.job_id, {}).update({row.label: None, row.optimizer: None})
    names = sa.select(job.c.id, job.c.name, job.c.dataset, job.c.model, job.c.function)
    rows = [
        {"job_id": row.id, "words": _words([*row[1:], *optimizers.get(row.id, ())])}
        for row in connection.execute(names.where(job.c.id.in_(ids)))
    ]
    connection.execute(job_words.insert(), rows)


def _words(names: Iterable[str | None]) -> str:
    return "\n".join(name.casefold() for name in names if name)


def _keep_verdicts(connection: sa.Connection, ids: list[int]) -> None:
    """Keep what the recommendations say; a row that cannot be read stays without."""
    query = sa.select(job.c.id, sa.cast(job.c.recommendation, sa.Text).label("text")).where(
        job.c.id.in_(ids), job.c.recommendation.is_not(sa.null())
    )
    for row in connection.execute(query).all():
        told = _told(row.text)
        if told is not None:
            connection.execute(job.update().where(job.c.id == row.id).values(told))


def _told(text: str) -> dict[str, Any] | None:
    """Return the values of the new columns of a job; None if its recommendation is none."""
    try:
        kept = json.loads(text)
    except ValueError:
        return None
    if not isinstance(kept, dict) or kept.get("verdict") not in VERDICTS:
        return None
    kept_ranking = kept.get("ranking")
    ranking = [row for row in kept_ranking if isinstance(row, dict)] if isinstance(kept_ranking, list) else []
    odds = {
        row["optimizer"]: row["probability_best"]
        for row in ranking
        if isinstance(row.get("optimizer"), str) and _number(row.get("probability_best")) is not None
    }
    today = _part(kept, "today")
    return {
        "verdict": kept["verdict"],
        "odds": odds or None,
        "summary": {
            "verdict": kept["verdict"],
            "optimizer": _text(kept, "optimizer"),
            "lr": _number(_part(kept, "config").get("lr")),
            "statement": _text(kept, "statement") or "",
            "probability_best": _number(kept.get("probability_best")),
            "equivalent": _texts(kept, "equivalent") or [],
            "practically_equivalent": _texts(kept, "practically_equivalent"),
            "margin": _margin(_part(kept, "margin")),
            "rivals": len(ranking),
            "today": _text(today, "optimizer"),
            "answer": _text(today, "answer"),
        },
    }


def _part(kept: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = kept.get(name)
    return value if isinstance(value, dict) else {}


def _text(kept: Mapping[str, Any], name: str) -> str | None:
    value = kept.get(name)
    return value if isinstance(value, str) else None


def _texts(kept: Mapping[str, Any], name: str) -> list[str] | None:
    value = kept.get(name)
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else None


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _margin(kept: Mapping[str, Any]) -> str | None:
    absolute, percent = _number(kept.get("absolute")), _number(kept.get("percent"))
    if percent is not None:
        return f"{percent:g}%"
    return None if absolute is None else f"{absolute:g}"
