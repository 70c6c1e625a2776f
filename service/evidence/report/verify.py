"""Recomputes a report's conclusions from its raw results, and says which of them differ.

That is all that it can know: whether training gave those results, only training again tells
(`whichopt.workers.audit`). So it says that a report is consistent with itself, not that it is true.

The same functions that concluded the job run again; `differences` compares what they give with the report.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from whichopt.service.errors import WhichoptError
from whichopt.service.evidence.analysis import analyze
from whichopt.service.evidence.report.beside import missing
from whichopt.service.evidence.report.conclusions import Discrepancy, by_conclusion
from whichopt.service.evidence.report.consistency import inconsistencies
from whichopt.service.evidence.report.differences import Difference, differences
from whichopt.service.evidence.report.document import Report
from whichopt.service.evidence.verdict.recommend import recommend
from whichopt.service.extras import lacking
from whichopt.service.records import MOST_EARLIER
from whichopt.service.spec.complaints import with_value
from whichopt.service.spec.origins import origins
from whichopt.service.spec.recorded import resolved_again, unlike_the_catalog
from whichopt.service.versions import RULES, WORDS, program

_IMPOSSIBLE = (
    WhichoptError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    StopIteration,
    AssertionError,
)
"""Errors that the functions raise over raw results that no job could have."""


_UNKNOWN = (
    "Whether training gave these results, only training again can tell: `whichopt audit` does that for "
    "trials drawn at random, `whichopt rerun` for what is recommended."
)


class Verification(BaseModel):
    """The outcome of a verification, with all that differs.

    `confirmed` means that the report is consistent with itself: that its conclusions follow from its raw
    results. It does not say that training gave these.
    """

    model_config = ConfigDict(frozen=True)

    outcome: Literal["confirmed", "differs"]
    statement: str
    job_id: str
    checksum_matches: bool = Field(description="True if spec and raw results are as they were written.")
    inconsistencies: list[str] = Field(
        description="Contradictions between the raw results and the spec, or among the raw results."
    )
    differences: list[Discrepancy]
    notes: list[str]


def verify(report: Report) -> Verification:
    """Check that everything that the report concludes follows from its raw results.

    Args:
        report: a report, such as `read_report` or `Client.report` returns it.

    Returns:
        The outcome: `confirmed` if the report is consistent with itself, else `differs`; the same in a
        sentence, with each conclusion that does not follow and each contradiction among the raw results.
        Whether training gave the raw results it cannot know.

    Raises:
        ImportError: the extra `verify` is not installed, which brings numpy and scipy; its text is the
            command that installs them.

    Example:
        >>> from pathlib import Path
        >>> from whichopt import read_report, verify
        >>> report = read_report(Path("report.json"))
        >>> verify(report).outcome
        'confirmed'
        >>> claim = report.recommendation.model_copy(update={"statement": "Always take sgd."})
        >>> verification = verify(report.model_copy(update={"recommendation": claim}))
        >>> [difference.conclusion for difference in verification.differences]
        ['the statement on configs']
    """
    if problem := lacking("verify", "whichopt.verify"):
        raise ImportError(problem)
    matches = report.is_as_written
    strange = _inconsistencies(report)
    changed = by_conclusion(report.spec.labels, [*_recommendation(report), *_analysis(report)])
    here = program()
    notes = []
    if report.whichopt != here:
        notes.append(f"the report was made by whichopt {report.whichopt}; this is {here}")
    if min(report.words, report.recommendation.words) != WORDS:
        notes.append(
            "its sentences and warnings were written by another version, so only its numbers were compared"
        )
    notes += _recorded(report)
    known = report.spec.rules <= RULES
    sound = matches and known and not strange and not changed
    return Verification(
        outcome="confirmed" if sound else "differs",
        statement=" ".join(
            [
                _statement(report, matches, strange, changed),
                *([missing(report.examples)] if report.lacks_examples and report.examples else []),
                *_not_of_the_catalog(report),
            ]
        ),
        job_id=report.job.id,
        checksum_matches=matches,
        inconsistencies=strange,
        differences=changed,
        notes=notes,
    )


def _statement(report: Report, matches: bool, strange: list[str], changed: list[Discrepancy]) -> str:
    trials = f"{len(report.trials)} trials"
    if report.spec.rules > RULES:
        return (
            f"Not verified: the job was planned and judged by rules {report.spec.rules}, and this version "
            f"knows no rules after {RULES}. Verify the report with the version that made it, or a "
            "later one."
        )
    if changed:
        count = len(changed)
        what = "conclusion does" if count == 1 else "conclusions do"
        return f"Not consistent: {count} {what} not follow from the raw results of the {trials}."
    follows = f"every conclusion follows from the raw results of the {trials}"
    if strange:
        return f"Not consistent: {follows}, but the results contradict the spec or each other."
    if not matches:
        return (
            f"Not consistent: {follows}, but the results or the spec were changed after they were written, "
            "in a place that no conclusion depends on."
        )
    return f"Consistent with itself: {follows}, and these are as they were written. {_UNKNOWN}"


def _not_of_the_catalog(report: Report) -> Iterator[str]:
    """Yield sentences about what the outcome rests on that only the report says.

    An older version's catalog may have had other facts, and somebody's own an optimizer that is not here, so
    the report is judged by those that it records. But whoever wrote it also chose what its snippet imports.
    """
    unlike = unlike_the_catalog(report.spec)
    if unlike:
        yield f"The facts about {', '.join(unlike)} are the report's, not those of this version's catalog."
    told = report.recommendation
    chosen = next((one.name for one in report.spec.optimizers if one.label == told.optimizer), None)
    if told.snippet is not None and chosen in unlike and (not unlike[chosen] or "build" in unlike[chosen]):
        yield "What the snippet imports was not checked against the catalog: look at it before you run it."


def _recorded(report: Report) -> list[str]:
    """Say what is from plug-ins, and which optimizers this version's catalog has otherwise."""
    judged = "so the report is judged by what it records"
    own = {name: (kind, origin) for kind, name, origin in origins(report.spec)}
    return [
        *(
            f"the {kind} {name} is from the plug-in {origin.words}, {judged}"
            for name, (kind, origin) in own.items()
        ),
        *_of_the_catalog(report, own, judged),
    ]


def _of_the_catalog(report: Report, own: Container[str], judged: str) -> list[str]:
    return [
        f"this version's catalog has other facts about {name} ({', '.join(facts)}), {judged}"
        if facts
        else f"this version's catalog has no optimizer {name}, {judged}"
        for name, facts in unlike_the_catalog(report.spec).items()
        if name not in own
    ]


def _inconsistencies(report: Report) -> list[str]:
    """Return the contradictions of the trials, if the spec is one that a job could have had."""
    try:
        again = resolved_again(report.spec)
    except _IMPOSSIBLE as error:
        return [f"no job could have had this spec: {_in_words(error)}"]
    if again != report.spec:
        return ["the spec was changed: it is not what it resolves to"]
    try:
        return [
            *_of_the_job(report),
            *inconsistencies(
                report.spec,
                report.trials,
                cut_short=report.job.cut_short,
                concluded_seeds=report.job.concluded_seeds,
            ),
        ]
    except _IMPOSSIBLE as error:
        return [f"no job could have had these trials: {_in_words(error)}"]


def _of_the_job(report: Report) -> Iterator[str]:
    """Yield what the facts about the job say otherwise than its spec. Up to 0.1 a spec had no executors."""
    used = report.spec.trained_by
    if used is not None and report.job.executor != used:
        yield f"the job's executor is {report.job.executor!r}, but by the spec's executors it is {used!r}"
    earlier = report.earlier
    if earlier is not None and len(earlier.jobs) != min(earlier.count, MOST_EARLIER):
        yield f"it counts {earlier.count:,} earlier jobs, but lists {len(earlier.jobs):,}"


# -- recomputed ----------------------------------------------------------------------------------------


def _recommendation(report: Report) -> Iterator[Difference]:
    stored = report.recommendation
    try:
        again = recommend(
            report.job.id,
            report.spec,
            report.trials,
            cut_short=report.job.cut_short,
            concluded_seeds=report.job.concluded_seeds,
            shows_stand_ins=report.recommendation.shows_stand_ins,
            environments=report.environments,
            over=stored.over_examples if report.lacks_examples else None,
        )
    except _IMPOSSIBLE as error:
        yield Difference(
            ("recommendation",), f"{stored.verdict}, {stored.optimizer}", f"nothing ({_in_words(error)})"
        )
        return
    if stored.could_have_seen is None:  # as those that were made before it was told
        again = again.model_copy(update={"could_have_seen": None})
    yield from _compared(report, "recommendation", stored, again, stored.words)


def _analysis(report: Report) -> Iterator[Difference]:
    try:
        again = analyze(report.spec, report.counted, shows_stand_ins=report.recommendation.shows_stand_ins)
    except _IMPOSSIBLE as error:
        yield Difference(("analysis",), "an analysis", f"nothing ({_in_words(error)})")
        return
    yield from _compared(report, "analysis", report.analysis, again, report.words)


def _compared(
    report: Report, place: str, stored: BaseModel, recomputed: BaseModel, words: int
) -> Iterator[Difference]:
    """Yield what differs, without sentences if those of the report are of another version."""
    sides = stored.model_dump(mode="json"), recomputed.model_dump(mode="json")
    for difference in differences((place,), *sides, scale=_scale(report)):
        if words == WORDS or not difference.is_words:
            yield difference


def _in_words(error: BaseException) -> str:
    if isinstance(error, ValidationError):  # whose own text has several lines, and an address
        first = error.errors()[0]
        said = with_value(first["msg"].removeprefix("Value error, "), first["input"])
        return ": ".join((*(str(part) for part in first["loc"]), said))
    return str(error) or type(error).__name__


def _scale(report: Report) -> float:
    """Return the largest value of a trial: a difference of two values is as exact as they are."""
    values = [trial.result.value for trial in report.trials if trial.result is not None]
    return max((abs(value) for value in values if value is not None), default=0.0)
