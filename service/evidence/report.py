"""The evidence report: one value with all that a job's conclusion rests on, so that anyone can check it.

Its JSON is the file that `whichopt verify` and `whichopt rerun` read. `whichopt.service.evidence.page` shows
it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime
from importlib.metadata import version
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from whichopt.service.environment import Environment
from whichopt.service.evidence.analysis import analyze
from whichopt.service.evidence.analysis.views import Analysis
from whichopt.service.spec import ResolvedSpec
from whichopt.service.trials import Trial
from whichopt.service.views import Recommendation

FORMAT: Literal["whichopt-report/1"] = "whichopt-report/1"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class JobFacts(_Frozen):
    """What the job itself adds to its spec: when, and how it was trained."""

    id: str
    name: str | None
    queue: str = Field(description="the kind of worker that trained it: cpu or cuda")
    executor: str
    probe: dict[str, float] | None = Field(
        description="seconds that a step of one trial took, by executor, where that settled it"
    )
    cut_short: bool = Field(description="max_seconds ended the search")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class RecordedTrial(Trial):
    """A trial, and the place in `environments` of what trained it."""

    environment: int | None = None


class Report(_Frozen):
    """`raw_sha256` is over the spec and the trials: it tells whether they are as they were written."""

    format: Literal["whichopt-report/1"] = FORMAT
    whichopt: str = Field(description="version that made this report")
    job: JobFacts
    spec: ResolvedSpec
    environments: tuple[Environment, ...] = Field(description="what trained the trials")
    recommendation: Recommendation
    analysis: Analysis
    raw_sha256: str
    trials: tuple[RecordedTrial, ...] = Field(description="every trial as it was planned and what it gave")


def evidence(
    job: JobFacts,
    spec: ResolvedSpec,
    trials: Sequence[RecordedTrial],
    recommendation: Recommendation,
    environments: Sequence[Environment],
) -> Report:
    """The report of a job that has concluded."""
    return Report(
        whichopt=version("whichopt"),
        job=job,
        spec=spec,
        environments=tuple(environments),
        recommendation=recommendation,
        analysis=analyze(spec, trials, shows_stand_ins=recommendation.shows_stand_ins),
        raw_sha256=raw_sha256(spec, trials),
        trials=tuple(trials),
    )


LATER_FIELDS = {"agreement": "auto"}
"""Fields of a spec that reports of earlier versions lack, with the value that such a spec is read with."""


def raw_sha256(spec: ResolvedSpec, trials: Sequence[RecordedTrial]) -> str:
    """SHA-256, hex, of the spec and the trials as JSON with sorted keys and no spaces.

    A later field at its first value is left out, so that the sum of an earlier report stays what it was.
    """
    fields = spec.model_dump(mode="json")
    raw = {
        "spec": {name: value for name, value in fields.items() if LATER_FIELDS.get(name, ...) != value},
        "trials": [trial.model_dump(mode="json") for trial in trials],
    }
    return hashlib.sha256(json.dumps(raw, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
