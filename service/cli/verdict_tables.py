"""Tables of recommendations and forecasts for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from whichopt.service.cli.listings import (
    Cell,
    Facts,
    Heading,
    Listing,
    config_text,
    interval_text,
    number_text,
    stacked,
)
from whichopt.service.evidence.forecast.durations import duration_text
from whichopt.service.views import JobForecast, JobWarning, RankedOptimizer, Recommendation

INTERVAL = 32
"""Most characters of a value with its interval; it is folded only if nothing else makes room."""


def recommendation_panel(recommendation: Recommendation) -> RenderableType:
    """Return the ranking, the comparison of the optimizers, and the two verdicts."""
    cost = recommendation.cost
    spent = (
        f"{cost.trials} trials, {cost.steps:,} steps, {cost.examples:,} {recommendation.unit}, "
        f"{cost.seconds:.1f} s of training"
    )
    optimizers = recommendation.optimizer_verdict
    facts: list[tuple[str, str | Cell]] = [
        *_today(recommendation),
        ("config", f"{recommendation.verdict}: {recommendation.config_statement}"),
        ("optimizer", f"{optimizers.verdict or 'no verdict'}: {optimizers.statement}"),
        *_deploy(recommendation),
        *_seen(recommendation),
        *_on_new_examples(recommendation),
        ("cost", spent),
        *(("warning", _of(warning)) for warning in recommendation.warnings),
    ]
    tables = [_ranking(recommendation), *([_optimizers(recommendation)] if optimizers.differences else [])]
    return stacked(*tables, Facts(facts, title="Recommendation"))


def _seen(recommendation: Recommendation) -> list[tuple[str, str | Cell]]:
    """Return the leads that the job could have seen."""
    seen = recommendation.could_have_seen
    if seen is None:
        return []
    leads = [
        f"{question} {lead.lead:.3g}" + ("" if lead.deviations is None else f" ({lead.deviations:.2g} sd)")
        for question, lead in (("config", seen.config), ("optimizer", seen.optimizer))
        if lead is not None
    ]
    return [("power", f"leads named with a chance of {seen.chance:.0%}: {', '.join(leads)}")]


def _today(recommendation: Recommendation) -> list[tuple[str, str | Cell]]:
    """Return the answer about today's config; nothing if the job has none."""
    today = recommendation.today
    if today is None:
        return []
    color = {"keep": "green", "switch": "bold yellow"}.get(today.answer, "")
    rows: list[tuple[str, str | Cell]] = [
        ("today", Cell(f"{today.answer}: {today.sentence}", color)),
        ("it is", f"{today.optimizer} {config_text(today.config)}"),
    ]
    if today.gain is not None:
        gain = f"{today.gain.mean:.3g} {interval_text(today.gain)} over {today.seeds} fresh seeds"
        rows.append(("gain", f"{gain}, against {today.challenger}"))
    return rows


def _deploy(recommendation: Recommendation) -> list[tuple[str, str | Cell]]:
    """Return the config to deploy, and its value."""
    if recommendation.config is None or recommendation.value is None:
        return [("deploy", Cell("nothing", "bold red"))]
    value = f"{recommendation.metric} {recommendation.value.mean:.5g} {interval_text(recommendation.value)}"
    return [
        ("deploy", Cell(f"{recommendation.optimizer} {config_text(recommendation.config)}", "bold green")),
        ("value", f"{value}, P(best) {number_text(recommendation.probability_best, '.2f')}"),
    ]


def _on_new_examples(recommendation: Recommendation) -> list[tuple[str, str | Cell]]:
    """Return the lead over seeds and test examples together, and if it would hold on new ones."""
    over = recommendation.over_examples
    if over is None:
        return []
    whom = "its default" if over.rival == recommendation.optimizer else over.rival
    holds = {True: ": it would hold", False: ": not shown to hold", None: ""}[over.holds]
    lead = f"lead over {whom} {over.mean:.3g} {interval_text(over)}"
    return [("new examples", f"{lead}, by {over.examples:,} examples and {over.seeds} seeds{holds}")]


def _value(row: RankedOptimizer, seeds: int) -> str:
    if row.value is None:
        return f"diverged on {row.diverged_seeds} of {seeds} seeds"
    return f"{row.value.mean:.4g} {interval_text(row.value)}"


def _behind(row: RankedOptimizer) -> str:
    if row.difference is None or row.difference.mean == 0:
        return ""
    return f"{row.difference.mean:.3g} {interval_text(row.difference)}"


def _ranking(recommendation: Recommendation) -> RenderableType:
    """Return each optimizer's best finalist, with its cost if the terminal is wide enough."""
    headings = (
        Heading("optimizer", folds=True),
        Heading(f"{recommendation.split} {recommendation.metric}", folds=True, least=INTERVAL),
        Heading("behind the best", folds=True, least=INTERVAL),
        Heading("P(best)", right=True),
        Heading("default", right=True),
        Heading("trials", right=True, rank=1),
        Heading("steps", right=True, rank=2),
        Heading("train s", right=True, rank=3),
    )
    return Listing(
        headings,
        [
            (
                Cell(row.optimizer, "bold" if row.optimizer == recommendation.optimizer else ""),
                _value(row, recommendation.all_seeds),
                _behind(row),
                number_text(row.probability_best, ".2f"),
                "diverged" if row.default_value is None else f"{row.default_value.mean:.4g}",
                str(row.trials),
                f"{row.steps:,}",
                f"{row.seconds:.1f}",
            )
            for row in recommendation.ranking
        ],
        title=f"{recommendation.title}: "
        f"{recommendation.metric}, {recommendation.direction.better} is better; "
        f"{recommendation.seeds} fresh seeds, {recommendation.level:.0%} simultaneous intervals",
    )


def _optimizers(recommendation: Recommendation) -> RenderableType:
    """Return how far each optimizer is behind the best one by its studies, and if that is shown."""
    verdict = recommendation.optimizer_verdict
    behind = {row.optimizer for row in verdict.differences}
    best = [row.optimizer for row in recommendation.ranking if row.optimizer not in behind]
    chances = verdict.probability_best or {}
    within = verdict.practically_equivalent
    headings = [
        Heading("optimizer", folds=True),
        Heading("behind the best", folds=True, least=INTERVAL),
        Heading("shown to be worse"),
        Heading("P(best)", right=True),
        Heading("in percent", right=True, rank=1),
        *([] if within is None else [Heading("within the margin", rank=2)]),
    ]
    comparisons = [(label, "", "the best", "") for label in best]
    comparisons += [
        (
            row.optimizer,
            "diverged" if row.mean is None else f"{row.mean:.3g} {interval_text(row)}",
            "" if row.mean is None else "no" if row.optimizer in verdict.equivalent else "yes",
            number_text(row.percent if recommendation.has_percent else None, ".1f"),
        )
        for row in verdict.differences
    ]
    rows: list[list[str | Cell]] = [
        [
            Cell(label, "bold" if label in best else ""),
            gap,
            worse,
            number_text(chances.get(label), ".2f"),
            percent,
            *([] if within is None else ["yes" if label in within else "no"]),
        ]
        for label, gap, worse, percent in comparisons
    ]
    return Listing(
        headings,
        rows,
        title=f"Optimizers: how far behind the best, by the means over {verdict.replicates} studies of each; "
        f"{recommendation.metric}, {recommendation.level:.0%} simultaneous intervals",
    )


def recommendation_table(recommendations: Sequence[Recommendation]) -> RenderableType:
    """Return a table of recommendations, with a row for each job."""
    headings = (
        Heading("job", ids=True),
        Heading("verdict"),
        Heading("optimizer", folds=True),
        Heading("value"),
        Heading("workload", folds=True),
        Heading("config", folds=True),
    )
    return Listing(
        headings,
        [
            (
                one.job_id,
                one.verdict,
                one.optimizer or "",
                "" if one.value is None else f"{one.metric}={one.value.mean:.4g}",
                one.title,
                config_text(one.config or {}),
            )
            for one in recommendations
        ],
    )


def forecast_tables(forecast: JobForecast) -> RenderableType:
    """Return the rest of each search or, in confirm, the probability of each optimizer to be the best."""
    lines: list[RenderableType] = []
    table: RenderableType
    if forecast.confirm is None:
        table = Listing(
            (
                Heading("optimizer", folds=True),
                Heading("trials", right=True),
                Heading("left", right=True),
                Heading("best so far", right=True),
                Heading("P(better)", right=True),
                Heading("expected best", right=True),
            ),
            [
                (
                    row.optimizer,
                    str(row.trials),
                    str(row.trials_left),
                    number_text(row.best_value),
                    number_text(row.probability_better, ".2f"),
                    number_text(row.expected_best),
                )
                for row in forecast.search
            ],
        )
    else:
        confirm = forecast.confirm
        ranked = sorted(confirm.probability_best.items(), key=lambda item: -item[1])
        table = Listing(
            (Heading("optimizer", folds=True), Heading("P(best) now", right=True)),
            [
                (Cell(label, "bold" if label == confirm.pick else ""), f"{probability:.2f}")
                for label, probability in ranked
            ],
        )
        if confirm.next_seeds is not None:
            time = "unknown time" if confirm.next_seconds is None else duration_text(confirm.next_seconds)
            chances = (confirm.winner_next, confirm.pick_changes, confirm.expected_probability_best)
            winner, changes, expected = (number_text(chance, ".2f") or "unknown" for chance in chances)
            lines.append(
                Text(
                    f"After the next {confirm.next_seeds} seeds ({time}): P(winner) {winner}, P(another "
                    f"pick) {changes}, expected P(best) of the pick {expected}."
                )
            )
    return Group(table, Text(), *lines, Text(forecast.statement))


def _of(warning: JobWarning) -> str:
    return warning.detail if warning.optimizer is None else f"{warning.optimizer}: {warning.detail}"
