"""Recomputes a report's conclusions from its raw results, and says which of them differ.

The same functions that concluded the job run again. Their sums are exact (`math.fsum`), so another machine
differs by no more than the last bits of a t quantile, a bootstrap's percentile or a random draw's product.
Numbers agree within RELATIVE of their size (and of the largest value of the job, if they are the result of a
subtraction). Probabilities are shares of random draws; they agree within PROBABILITY, four standard errors of
the difference between two such shares.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from whichopt.service.errors import WhichoptError
from whichopt.service.evidence.analysis import analyze
from whichopt.service.evidence.report.consistency import inconsistencies
from whichopt.service.evidence.report.document import Report
from whichopt.service.evidence.verdict.recommend import recommend
from whichopt.service.spec import JobSpec, resolve
from whichopt.service.versions import WORDS

RELATIVE = 1e-9
PROBABILITY = 0.022

_IMPOSSIBLE = (WhichoptError, ValueError, LookupError, ArithmeticError, StopIteration, AssertionError)
"""Errors that the functions raise over raw results that no job could have."""

WORDED = {"words", "statement", "snippet", "stopped", "methods"}
"""Fields that say in words what others say in numbers."""

_CONCLUSIONS: tuple[tuple[str, str], ...] = (
    ("recommendation.verdict", "the verdict on configs"),
    ("recommendation.optimizer_verdict.verdict", "the verdict on optimizers"),
    ("recommendation.optimizer_verdict.optimizer", "the winner among optimizers"),
    ("recommendation.optimizer_verdict.equivalent", "the set of optimizers that cannot be distinguished"),
    ("recommendation.optimizer_verdict.differences", "an interval between tuned optimizers"),
    ("recommendation.optimizer_verdict", "the statement on optimizers"),
    ("recommendation.optimizer", "the recommended optimizer"),
    ("recommendation.config", "the recommended config"),
    ("recommendation.equivalent", "the set that cannot be distinguished from the best config"),
    ("recommendation.value", "the interval of the recommended config's value"),
    ("recommendation.probability_best", "the probability of being best"),
    ("recommendation.ranking", "the ranking"),
    ("recommendation.cost", "the cost"),
    ("recommendation.warnings", "the warnings"),
    ("recommendation.statement", "the statement on configs"),
    ("recommendation.snippet", "the snippet"),
    ("recommendation", "the recommendation"),
    ("analysis", "the analysis"),
)
"""Paths of the conclusions and their names, the most important first."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Discrepancy(_Frozen):
    """A stored conclusion that does not follow from the raw results."""

    conclusion: str
    path: str = Field(description="Path of the first place that differs.")
    stored: Any
    recomputed: Any
    places: int = Field(description="Number of places of this conclusion that differ.")

    def __str__(self) -> str:
        more = f", and {self.places - 1} more of its numbers" if self.places > 1 else ""
        return (
            f"{self.conclusion} no longer follows: {self.path} is {_short(self.stored)} in the report, "
            f"and {_short(self.recomputed)} recomputed{more}"
        )


class Verification(_Frozen):
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
        The outcome, `confirmed` or `differs`, also in a sentence, with each conclusion that does not follow
        and each contradiction among the raw results.

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
    matches = report.is_as_written
    strange = _inconsistencies(report)
    found = _grouped(report, [*_recommendation(report), *_analysis(report)])
    here = version("whichopt")
    notes = []
    if report.whichopt != here:
        notes.append(f"the report was made by whichopt {report.whichopt}; this is {here}")
    if min(report.words, report.recommendation.words) != WORDS:
        notes.append(
            "its sentences and warnings were written by another version, so only its numbers were compared"
        )
    sound = matches and not strange and not found
    return Verification(
        outcome="confirmed" if sound else "differs",
        statement=_statement(report, matches, strange, found),
        job_id=report.job.id,
        checksum_matches=matches,
        inconsistencies=strange,
        differences=found,
        notes=notes,
    )


def _statement(report: Report, matches: bool, strange: list[str], found: list[Discrepancy]) -> str:
    trials = f"{len(report.trials)} trials"
    if found:
        count = len(found)
        what = "conclusion does" if count == 1 else "conclusions do"
        return f"Not confirmed: {count} {what} not follow from the raw results of the {trials}."
    follows = f"every conclusion follows from the raw results of the {trials}"
    if strange:
        return f"Not confirmed: {follows}, but the results contradict the spec or each other."
    if not matches:
        return (
            f"Not confirmed: {follows}, but the results or the spec were changed after they were written, in "
            "a place that no conclusion depends on."
        )
    return f"Confirmed: {follows}, and these are as they were written."


def _inconsistencies(report: Report) -> list[str]:
    """Return the contradictions of the trials, if the spec is one that a job could have had."""
    try:
        again = resolve(JobSpec.model_validate(report.spec.model_dump(mode="json")))
    except _IMPOSSIBLE as error:
        return [f"no job could have had this spec: {_said(error)}"]
    if again.model_copy(update={"rules": report.spec.rules}) != report.spec:
        return ["the spec was changed: it is not what it resolves to"]
    return inconsistencies(report.spec, report.trials, cut_short=report.job.cut_short)


# -- recomputed ----------------------------------------------------------------------------------------

Found = tuple[str, Any, Any]
"""(path, stored, recomputed)."""


def _recommendation(report: Report) -> Iterator[Found]:
    stored = report.recommendation
    try:
        again = recommend(
            report.job.id,
            report.spec,
            report.trials,
            cut_short=report.job.cut_short,
            shows_stand_ins=report.recommendation.shows_stand_ins,
        )
    except _IMPOSSIBLE as error:
        yield "recommendation", f"{stored.verdict}, {stored.optimizer}", f"nothing ({_said(error)})"
        return
    found = _compare("recommendation", _plain(stored), _plain(again), scale=_scale(report))
    yield from (one for one in found if stored.words == WORDS or not _is_words(one[0]))


def _analysis(report: Report) -> Iterator[Found]:
    try:
        again = analyze(report.spec, report.trials, shows_stand_ins=report.recommendation.shows_stand_ins)
    except _IMPOSSIBLE as error:
        yield "analysis", "an analysis", f"nothing ({_said(error)})"
        return
    found = _compare("analysis", _plain(report.analysis), _plain(again), scale=_scale(report))
    yield from (one for one in found if report.words == WORDS or not _is_words(one[0]))


def _is_words(path: str) -> bool:
    """Tell if the field at `path` holds words, not a result."""
    parts = path.split(".")
    return path.startswith("recommendation.warnings") or not WORDED.isdisjoint(parts[1:2] + parts[-1:])


def _plain(view: BaseModel) -> Any:
    return view.model_dump(mode="json")


def _said(error: BaseException) -> str:
    return str(error) or type(error).__name__


def _scale(report: Report) -> float:
    """Return the largest value of a trial: a difference of two values is as exact as they are."""
    values = [trial.result.value for trial in report.trials if trial.result is not None]
    return max((abs(value) for value in values if value is not None), default=0.0)


# -- compared ------------------------------------------------------------------------------------------


def _compare(path: str, stored: Any, again: Any, *, scale: float) -> Iterator[Found]:
    if isinstance(stored, dict) and isinstance(again, dict):
        for name in dict.fromkeys((*stored, *again)):
            yield from _compare(f"{path}.{name}", stored.get(name), again.get(name), scale=scale)
    elif isinstance(stored, list) and isinstance(again, list):
        yield from _compare_lists(path, stored, again, scale=scale)
    elif not _same(path, stored, again, scale):
        yield path, stored, again


def _compare_lists(path: str, stored: list[Any], again: list[Any], *, scale: float) -> Iterator[Found]:
    """Compare two lists; rows of optimizers are compared by optimizer, and their order separately."""
    if (ours := _labels(stored)) is not None and (theirs := _labels(again)) is not None:
        if ours != theirs:
            yield path, ours, theirs
        of = dict(zip(theirs, again, strict=True))
        for label, row in zip(ours, stored, strict=True):
            if label in of:
                yield from _compare(f"{path}.{label}", row, of[label], scale=scale)
    elif len(stored) != len(again) or all(isinstance(one, str) for one in (*stored, *again)):
        if stored != again:
            yield path, stored, again
    else:
        for i, (one, other) in enumerate(zip(stored, again, strict=True)):
            yield from _compare(f"{path}.{i}", one, other, scale=scale)


def _labels(rows: Sequence[Any]) -> list[str] | None:
    """Return the optimizers of the rows, or None unless each row is about one of its own."""
    labels = [row.get("optimizer") for row in rows if isinstance(row, dict)]
    if not rows or len(labels) < len(rows) or None in labels or len(set(labels)) < len(labels):
        return None
    return [str(label) for label in labels]


def _same(path: str, stored: Any, again: Any, scale: float) -> bool:
    numbers = [x for x in (stored, again) if isinstance(x, int | float) and not isinstance(x, bool)]
    if len(numbers) < 2:
        return bool(stored == again)
    if path.rpartition(".")[2].startswith("probability"):
        return math.isclose(stored, again, rel_tol=0.0, abs_tol=PROBABILITY)
    return math.isclose(stored, again, rel_tol=RELATIVE, abs_tol=RELATIVE * 1e-3 * scale)


# -- told ----------------------------------------------------------------------------------------------


def _grouped(report: Report, found: Sequence[Found]) -> list[Discrepancy]:
    """Return one discrepancy for each conclusion, the most important first."""
    groups: dict[tuple[int, str], list[Found]] = {}
    for one in found:
        groups.setdefault(_conclusion(report, one[0]), []).append(one)
    return [
        Discrepancy(
            conclusion=name,
            path=places[0][0],
            stored=places[0][1],
            recomputed=places[0][2],
            places=len(places),
        )
        for (_, name), places in sorted(groups.items(), key=lambda group: group[0][0])
    ]


def _conclusion(report: Report, path: str) -> tuple[int, str]:
    """Return the rank and the name of the conclusion at `path`."""
    for rank, (prefix, name) in enumerate(_CONCLUSIONS):
        if path == prefix or path.startswith(f"{prefix}."):
            return rank, _precisely(report, name, path, prefix)
    return len(_CONCLUSIONS), path


def _precisely(report: Report, name: str, path: str, prefix: str) -> str:
    parts = path.removeprefix(prefix).strip(".")
    if prefix == "analysis":
        part, _, rest = parts.partition(".")
        said = f"the analysis, {part.replace('_', ' ')}" if part else name
        return f"{said}{_of(report, rest)}"
    if prefix.endswith("differences") and not parts:
        return "the order of the tuned optimizers"
    if prefix.endswith(("ranking", "differences")) and parts:
        label = _of(report, parts)
        field = parts.removeprefix(label.removeprefix(" of ")).strip(".").partition(".")[0]
        said = {
            "value": "the confirmed value and its interval",
            "default_value": "the default's value and its interval",
            "difference": "the interval of the difference to the best",
            "probability_best": "the probability of being best",
            "config": "the best config",
        }.get(
            field, name if not field or prefix.endswith("differences") else f"the {field.replace('_', ' ')}"
        )
        return f"{said}{label}"
    return name


def _of(report: Report, rest: str) -> str:
    """Return the optimizer whose row the rest of a path leads into; labels may have dots."""
    whose = [label for label in report.spec.labels if f".{rest}.".find(f".{label}.") >= 0]
    return f" of {max(whose, key=len)}" if whose else ""


def _short(value: Any) -> str:
    if isinstance(value, float):
        return repr(value)
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= 160 else f"{text[:157]}..."
