"""A job's conclusion from its spec and its trials: pure, so that anyone can recompute it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from whichopt.service.environment import Environment
from whichopt.service.evidence.statistics.estimates import ALPHA, mean
from whichopt.service.evidence.verdict.confirm_table import ConfirmTable, look_at, read_confirm_table
from whichopt.service.evidence.verdict.divergence import nothing_statement
from whichopt.service.evidence.verdict.exhausted import exhausted
from whichopt.service.evidence.verdict.guest_snippet import groups_of, guest_snippet
from whichopt.service.evidence.verdict.over_examples import over_examples
from whichopt.service.evidence.verdict.probability import study_probabilities
from whichopt.service.evidence.verdict.ranking import cost_of, interval_of, percent_of, ranking
from whichopt.service.evidence.verdict.seen import could_have_seen, lead_sentence
from whichopt.service.evidence.verdict.snippet_tasks import snippet_of
from whichopt.service.evidence.verdict.statements import (
    Stopped,
    config_statement,
    none_can_be_told,
    study_statement,
)
from whichopt.service.evidence.verdict.stopping import reason_to_stop_at
from whichopt.service.evidence.verdict.todays_answer import todays_answer
from whichopt.service.evidence.verdict.todays_runs import own_trials
from whichopt.service.evidence.verdict.warnings import job_warnings
from whichopt.service.evidence.verdict.winners import (
    config_gaps,
    config_verdict,
    study_losses,
    study_verdict,
)
from whichopt.service.planning.finalists import Finalist, judged
from whichopt.service.planning.looks import ChampionLook, Look
from whichopt.service.space import Config
from whichopt.service.spec import ResolvedSpec
from whichopt.service.states import Phase, TrialState
from whichopt.service.trial_set import counted
from whichopt.service.trials import Trial
from whichopt.service.versions import WORDS
from whichopt.service.views import (
    OptimizerDifference,
    OptimizerVerdict,
    OverExamples,
    Recommendation,
    SeenLead,
    Stage,
)


def recommend(
    job_id: str,
    spec: ResolvedSpec,
    trials: Sequence[Trial],
    *,
    cut_short: bool = False,
    concluded_seeds: int | None = None,
    shows_stand_ins: bool = False,
    environments: Sequence[Environment] = (),
    over: OverExamples | None = None,
) -> Recommendation:
    """Conclude a job: what to use, how sure that is, and what it cost.

    The statistics are those of `whichopt.service.evidence.verdict.winners`.

    With one optimizer there is nobody to beat: the verdict is a tie of one, its config is the best of its
    finalists, and the statement says whether that beats its default.

    Intervals of means are simultaneous over all finalists (Bonferroni), and so are those of differences to
    the best one (`whichopt.service.evidence.statistics.intervals`), at 95%: they hold for the ones shown,
    which the data chose. All levels are those of the look that belongs to the number of fresh seeds
    (`whichopt.service.planning.looks`).

    Only a config that trained on every fresh seed is recommended. If there is none, the verdict is
    `nothing`, and the statement says why and what to change (`whichopt.service.evidence.verdict.divergence`).

    Args:
        job_id: the id that the recommendation bears; nothing else depends on it.
        spec: the job.
        trials: trials of both phases, in any order.
        cut_short: True if `max_seconds` ended the search.
        concluded_seeds: the fresh seeds that count, if confirm was ended by request; the others only cost.
        shows_stand_ins: True to conclude as version 0.1 did, which showed stand-in values for diverged runs.
        environments: what trained the trials, each kind once; a warning says if results may differ by it.
        over: the lead over examples, if the values that it follows from are not at hand.

    Returns:
        The conclusion. Values are in the metric's units, costs in trials, steps, examples and seconds of
        training.

    Raises:
        ValueError: there is no fresh seed on which every finalist was confirmed.

    Example:
        >>> from pathlib import Path
        >>> from whichopt import read_report
        >>> from whichopt.service.evidence.verdict.recommend import recommend
        >>> report = read_report(Path("report.json"))
        >>> again = recommend(report.job.id, report.spec, report.trials)
        >>> again.statement == report.recommendation.statement
        True
    """
    goal = spec.goal
    every, trials = trials, counted(trials, concluded_seeds)
    table = read_confirm_table(spec, trials, shows_stand_ins=shows_stand_ins)
    look = look_at(spec, table)
    verdict = config_verdict(table, alpha=look.config_level, margin=spec.margin)
    gaps = config_gaps(table, alpha=look.config_level, margin=spec.margin)
    pick = None if table.has_nothing else table.arms[verdict.pick]
    optimizers = _optimizer_verdict(spec, trials, table, look)
    seen = could_have_seen(
        table,
        look,
        best=verdict.best,
        best_label=next(iter(optimizers.equivalent), None),
        replicates=spec.budget.replicates,
        margin=spec.margin,
        seed=spec.seed,
    )
    rows = ranking(spec, every, table, verdict, gaps, look)
    if over is None:
        over = over_examples(spec, trials, table, verdict, look)
    today = todays_answer(spec, trials, table, verdict, look)
    own = own_trials(spec, trials)
    told = (
        nothing_statement(spec, own, table, look)
        if pick is None
        else _with_lead(
            config_statement(spec, table, verdict, gaps, look, over),
            verdict.verdict,
            seen.config if seen else None,
        )
    )
    return Recommendation(
        job_id=job_id,
        rules=spec.rules,
        words=WORDS,
        task=spec.workload.task,
        dataset=spec.workload.dataset_name,
        model=spec.workload.model_name,
        function=spec.workload.function_name,
        unit=spec.workload.length_unit,
        split=spec.workload.judged_split,
        verdict="nothing" if pick is None else verdict.verdict,
        optimizer=None if pick is None else pick.label,
        config=None if pick is None else shown(spec, pick.label, pick.config),
        statement=told if today is None else f"{today.sentence} {told}",
        optimizer_verdict=optimizers.model_copy(
            update={
                "statement": _with_lead(
                    optimizers.statement, optimizers.verdict, seen.optimizer if seen else None
                )
            }
        ),
        metric=goal.metric,
        direction=goal.direction,
        value=None if pick is None else interval_of(table, verdict.pick, look),
        probability_best=next(
            (row.probability_best for row in rows if pick is not None and row.optimizer == pick.label),
            None,
        ),
        equivalent=[] if pick is None else list(verdict.equivalent),
        ranking=rows,
        over_examples=over,
        cost=cost_of(every),
        warnings=job_warnings(
            spec,
            own,
            table,
            cut_short=cut_short,
            environments=environments,
            level=_inclusion_level(look),
        ),
        snippet=None if pick is None else _snippet(spec, trials, pick),
        margin=spec.margin,
        practically_equivalent=None if spec.margin is None else [] if pick is None else list(gaps.within),
        could_have_seen=seen,
        stage=Stage(
            seeds=look.seeds,
            most=look.planned[-1],
            looks=list(look.planned),
            look=look.index + 1,
            first=look.first if isinstance(look, ChampionLook) else None,
            alpha=look.config_level(ALPHA),
            stopped=_stopped(spec, table, look, cut_short, concluded_seeds),
        ),
        today=today,
    )


def _with_lead(statement: str, verdict: str | None, lead: SeenLead | None) -> str:
    """The statement; of a tie, also the lead that would have been named."""
    sentence = lead_sentence(lead) if verdict == "tie" else None
    return statement if sentence is None else f"{statement} {sentence}"


def _snippet(spec: ResolvedSpec, trials: Sequence[Trial], pick: Finalist) -> str:
    if spec.guest is None:
        return snippet_of(spec, pick.label, pick.config)
    return guest_snippet(spec, spec.guest, pick.label, pick.config, groups_of(spec, trials, pick))


def _stopped(
    spec: ResolvedSpec, table: ConfirmTable, look: Look, cut_short: bool, concluded_seeds: int | None
) -> str:
    if not look.further:
        return f"all {look.seeds} fresh seeds were run"
    if concluded_seeds is not None:
        return "the job was concluded by request"
    if cut_short:
        return "time ran out"
    reason = reason_to_stop_at(table, look, margin=spec.margin, risk=spec.budget.risk, seed=spec.seed)
    return reason or "the job was concluded before its next look"


def _inclusion_level(look: Look) -> float:
    """The level of the inclusion audit, which by rules 2 is made once, of the first stage."""
    return ALPHA if isinstance(look, ChampionLook) else look.config_level(ALPHA)


def shown(spec: ResolvedSpec, label: str, config: Config) -> dict[str, Any]:
    """Return the config of that label in torch's own form, as JSON has it: `betas` is a list."""
    return spec.shown(label, config)


def stopped(spec: ResolvedSpec, trials: Sequence[Trial]) -> Stopped | None:
    """Return the part that counts of a search that max_seconds stopped; None if it did not."""
    cut = any(t.plan.phase is Phase.SEARCH and t.state is TrialState.CANCELLED for t in trials)
    if not cut or spec.budget.timed:
        return None
    counted = judged(spec, trials)
    each = max(Counter(trial.plan.label for trial in counted).values(), default=0)
    return Stopped(each, searched=any(trial.plan.number for trial in counted))


def _optimizer_verdict(
    spec: ResolvedSpec, trials: Sequence[Trial], table: ConfirmTable, look: Look
) -> OptimizerVerdict:
    replicates = spec.budget.replicates
    verdict = study_verdict(
        table, replicates, alpha=lambda alpha: look.study_level(alpha, replicates), margin=spec.margin
    )
    few = exhausted(spec, trials)
    statement = study_statement(spec, table, verdict, look, few, stopped(spec, trials))
    none_can_win = verdict is not None and none_can_be_told(table)
    if verdict is None or none_can_win:
        return OptimizerVerdict(
            verdict="nothing" if none_can_win else None,
            optimizer=None,
            equivalent=[],
            differences=[],
            replicates=replicates,
            statement=statement,
        )
    losses = study_losses(table, replicates)
    level = mean([mean(row) for row in losses[verdict.best]])
    return OptimizerVerdict(
        verdict=verdict.verdict,
        optimizer=verdict.best if verdict.verdict == "winner" else None,
        equivalent=list(verdict.equivalent),
        differences=[
            OptimizerDifference(optimizer=row.label, mean=None, low=None, high=None)
            if row.label in table.barred and not table.shows_stand_ins
            else OptimizerDifference(
                optimizer=row.label,
                mean=row.estimate.mean,
                low=row.gap.low,
                high=row.gap.high,
                percent=percent_of(row.estimate.mean, level),
            )
            for row in verdict.differences
        ],
        replicates=replicates,
        statement=statement,
        probability_best=study_probabilities(table, replicates, seed=spec.seed),
        practically_equivalent=None if spec.margin is None else list(verdict.within),
    )
