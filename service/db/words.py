"""The words that a job is found by: kept when it is added, in a table of their own that a search reads."""

from __future__ import annotations

import sqlalchemy as sa

from whichopt.service.db.tables import job, job_words
from whichopt.service.spec import ResolvedSpec


def words_of(spec: ResolvedSpec) -> str:
    """Return what a search for the job looks through: its name, what it trains, and whom it compares."""
    workload = spec.workload
    optimizers = dict.fromkeys(name for one in spec.optimizers for name in (one.label, one.name))
    words = (spec.name, workload.dataset_name, workload.model_name, workload.function_name, *optimizers)
    return "\n".join(word.casefold() for word in words if word)


def keep_words(connection: sa.Connection, job_id: int, spec: ResolvedSpec) -> None:
    """Keep the words of a new job."""
    connection.execute(job_words.insert().values(job_id=job_id, words=words_of(spec)))


def with_words(text: str | None) -> list[sa.ColumnElement[bool]]:
    """Return the conditions that each word of the text is in what a job is found by."""
    return [
        job.c.id.in_(sa.select(job_words.c.job_id).where(job_words.c.words.contains(word, autoescape=True)))
        for word in (text or "").casefold().split()
    ]
