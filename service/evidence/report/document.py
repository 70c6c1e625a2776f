"""The evidence report: one value with all that a job's conclusion rests on, so that anyone can check it.

Its JSON is the file that `whichopt verify` and `whichopt rerun` read. `whichopt.service.evidence.report.html`
shows it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    model_validator,
)

from whichopt.service.environment import Environment
from whichopt.service.evidence.analysis import analyze
from whichopt.service.evidence.analysis.shapes import Analysis
from whichopt.service.evidence.report.beside import Beside, put_back, without_values
from whichopt.service.records import EarlierJobs, JobFacts, RecordedTrial
from whichopt.service.spec import ResolvedSpec
from whichopt.service.trial_set import counted
from whichopt.service.versions import WORDS, program
from whichopt.service.views import Recommendation

FORMAT: Literal["whichopt-report/1"] = "whichopt-report/1"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Report(_Frozen):
    """`raw_sha256` is over the spec and the trials: it tells whether they are as they were written."""

    format: Literal["whichopt-report/1"] = FORMAT
    whichopt: str = Field(description="Version of whichopt that made this report.")
    job: JobFacts
    spec: ResolvedSpec
    environments: tuple[Environment, ...] = Field(description="Environments that trained the trials.")
    recommendation: Recommendation
    analysis: Analysis
    raw_sha256: str
    trials: tuple[RecordedTrial, ...] = Field(description="All trials, each with its plan and its result.")
    words: int = Field(default=1, ge=1, description="Version of the words of the analysis.")
    earlier: EarlierJobs | None = Field(
        default=None,
        exclude_if=lambda earlier: earlier is None,  # what earlier versions have written keeps its bytes
        description="Earlier jobs of this service with the same data, model and metric; no conclusion rests "
        "on them. Absent if nobody has looked for them.",
    )
    examples: Beside | None = Field(
        default=None,
        exclude_if=lambda beside: beside is None,
        description="File beside the report that has the values by example of its trials; absent if they are "
        "in the trials, or there are none.",
    )

    _read: tuple[ResolvedSpec, tuple[RecordedTrial, ...], str] | None = PrivateAttr(default=None)
    """Spec and trials that were read from JSON, and the sum of that JSON as it stood."""

    @model_validator(mode="wrap")
    @classmethod
    def _sum_as_it_stands(cls, data: Any, handler: ModelWrapValidatorHandler[Report]) -> Report:
        report = handler(data)
        if isinstance(data, Mapping) and isinstance(data["spec"], Mapping):
            report._read = (
                report.spec,
                report.trials,
                raw_sha256(data["spec"], data["trials"], report.examples),
            )
        return report

    def __eq__(self, other: object) -> bool:
        """By what it says; that one of the two was read from a file is no difference."""
        return isinstance(other, Report) and self.__dict__ == other.__dict__

    __hash__ = None  # type: ignore[assignment]  # lists and dicts are in it

    @property
    def counted(self) -> Sequence[RecordedTrial]:
        """The trials that count; of a job that was concluded by request, not those after its last look."""
        return counted(self.trials, self.job.concluded_seeds)

    @property
    def is_as_written(self) -> bool:
        """Tell if spec and trials match `raw_sha256`.

        Of a report that was read, the sum is over its JSON as it stood: what a later version adds to a spec
        when it reads one does not count.
        """
        if self._read is not None and self._read[0] is self.spec and self._read[1] is self.trials:
            return self._read[2] == self.raw_sha256
        trials = self.trials if self.examples is None else without_values(self.trials)
        return raw_sha256(_plain(self.spec), list(map(_plain, trials)), self.examples) == self.raw_sha256

    @property
    def lacks_examples(self) -> bool:
        """Tell if the file with the values by example was not there when the report was read."""
        if self.examples is None:
            return False
        return all(one.result is None or one.result.by_example is None for one in self.trials)

    def with_examples(self, content: bytes) -> Report:
        """Return the report with the values by example, which are the content of the file beside it.

        Raises:
            InvalidReport: it is not the file that the report names.
        """
        if self.examples is None:
            return self
        whole = self.model_copy(update={"trials": put_back(self.trials, self.examples, content)})
        if self._read is not None:
            whole._read = (whole.spec, whole.trials, self._read[2])
        return whole


def evidence(
    job: JobFacts,
    spec: ResolvedSpec,
    trials: Sequence[RecordedTrial],
    recommendation: Recommendation,
    environments: Sequence[Environment],
    *,
    earlier: EarlierJobs | None = None,
    examples: Beside | None = None,
) -> Report:
    """The report of a job that has concluded; `examples` is the file with its trials' values by example."""
    return Report(
        whichopt=program(),
        job=job,
        spec=spec,
        environments=tuple(environments),
        recommendation=recommendation,
        analysis=analyze(
            spec, counted(trials, job.concluded_seeds), shows_stand_ins=recommendation.shows_stand_ins
        ),
        raw_sha256=raw_sha256(_plain(spec), list(map(_plain, trials)), examples),
        trials=tuple(trials),
        words=WORDS,
        earlier=earlier,
        examples=examples,
    )


def raw_sha256(spec: Any, trials: Any, examples: Beside | None = None) -> str:
    """Return the SHA-256, in hex, of spec and trials: as JSON with sorted keys and no spaces.

    If there is a file beside the report, its hash is a third entry, `examples`.

    Args:
        spec: as plain JSON has it.
        trials: the same.
        examples: the file that has the trials' values by example.
    """
    raw = {"spec": spec, "trials": trials}
    if examples is not None:
        raw["examples"] = examples.sha256
    return hashlib.sha256(json.dumps(raw, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _plain(value: BaseModel) -> Any:
    return value.model_dump(mode="json")
