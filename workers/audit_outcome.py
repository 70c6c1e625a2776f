"""The outcome of an audit: its shape, its sentence and its table."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from whichopt.service.evidence.report.draw import Chance
from whichopt.service.states import TrialState
from whichopt.workers.reported import Agreement


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Audited(_Frozen):
    """One trial of the report, trained again; a value is null unless the trial was complete."""

    place: int = Field(description="its place among the report's trials, from 0")
    trial: str = Field(description="its name in words")
    reported: float | None
    reported_state: TrialState
    again: float | None
    again_state: TrialState
    outcome: Agreement
    bits: bool = Field(description="true if the same bits are promised here, so that nothing less agrees")
    agrees: bool


class Audit(_Frozen):
    """The outcome of an audit; the same seed draws the same trials again."""

    job_id: str
    metric: str
    seed: int
    trials: int = Field(description="of the report that could be drawn")
    stopped: int = Field(description="trials that time had stopped, which are not drawn")
    consistent: bool = Field(description="true if `verify` finds the report consistent with itself")
    statement: str
    holds: bool
    drawn: list[Audited] = Field(description="empty if the report is not consistent with itself")
    chances: list[Chance] = Field(description="chances that such a draw has a forged trial in it")
    unlike: list[str] = Field(description="where this machine is not the one that trained the report")
    other_facts: dict[str, list[str]] = Field(
        description="facts that this version's catalog has otherwise than the report, by optimizer"
    )


def statement(rows: Sequence[Audited], told: Sequence[Chance], trials: int) -> str:
    """Say what came of it, and what such a draw could have found.

    Args:
        rows: the trials that were trained again.
        told: the chances of such a draw.
        trials: the number of trials that could have been drawn.
    """
    count = len(rows)
    wrong = [row for row in rows if not row.agrees]
    same = sum(row.outcome == "same bits" for row in rows)
    near = sum(row.outcome == "within tolerance" and row.agrees for row in rows)
    which = f"{count} of the {trials} trials" if count < trials else f"all {trials} trials"
    again = f"{which} {'was' if count == 1 else 'were'} trained again"
    if wrong:
        first = f"{len(wrong)} of them {'does' if len(wrong) == 1 else 'do'} not give what the report says"
        return f"It does not hold: {again}, and {first}. {_chances(told)}"
    gave = f"{same} gave the same bits" + (f" and {near} the same within the tolerance" if near else "")
    return f"It holds: {again}, and {gave}. {_chances(told)}"


def _chances(told: Sequence[Chance]) -> str:
    """Say in words what such a draw can find."""
    first, *others, one = told
    more = "".join(f", {chance.share:.0%} ({chance.forged}): {_percent(chance.chance)}" for chance in others)
    return (
        f"If {first.share:.0%} of the trials ({first.forged}) had been forged, such a draw would have one of "
        f"them in it with a chance of {_percent(first.chance)}{more}, one alone: {_percent(one.chance)}."
    )


def _percent(chance: float) -> str:
    return "100%" if chance == 1 else f"{min(chance, 0.999):.1%}"


def audit_table(result: Audit) -> str:
    """Return the outcome as text: a row a trial, and then what came of it."""
    lines = [f"{result.metric}, seed of the draw {result.seed} (--seed={result.seed} draws the same again)"]
    if result.drawn:
        width = max(len(row.trial) for row in result.drawn)
        lines += ["", f"{'':{width}}  {'reported':>12}  {'again':>12}"]
        lines += [
            f"{row.trial:{width}}  {_told(row.reported, row.reported_state):>12}  "
            f"{_told(row.again, row.again_state):>12}  {_outcome(row)}"
            for row in result.drawn
        ]
    lines += ["", result.statement]
    if result.stopped:
        lines.append(f"{result.stopped} more trials were stopped before their end, and were not drawn.")
    for name, facts in result.other_facts.items():
        lines.append(f"This version says otherwise of {name}: {', '.join(facts)}.")
    if result.unlike and any(row.outcome != "same bits" for row in result.drawn):
        lines.append("What trains here is not what trained the report:")
        lines += [f"  {difference}" for difference in result.unlike]
    return "\n".join(lines) + "\n"


def _outcome(row: Audited) -> str:
    if row.outcome == "within tolerance" and not row.agrees:
        return "differs: near, but a like machine gives the same bits"
    return row.outcome


def _told(value: float | None, state: TrialState) -> str:
    return str(state) if value is None else f"{value:.6g}"
