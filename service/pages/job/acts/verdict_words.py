"""The sentences of act 3: what to do first, then how sure that is, in words that need no manual."""

from __future__ import annotations

from markupsafe import Markup

from whichopt.service.pages.job.acts.words import counted, decimals, few, number, odds, sentence, span, strong
from whichopt.service.spec import ResolvedSpec
from whichopt.service.views import (
    OverExamples,
    RankedOptimizer,
    Recommendation,
    SeenLead,
    Stage,
    TodayAnswer,
)


def lead(recommendation: Recommendation) -> Markup:
    """Return the first words: the answer about today's config if there is one, and the verdict."""
    today = recommendation.today
    if today is None:
        return sentence(_verdict(recommendation), _expected(recommendation))
    told = [_today(today, recommendation)]
    if today.answer == "switch" and today.challenger == recommendation.optimizer:
        told.append(_expected(recommendation))
    elif today.answer != "keep":
        told.append(_verdict(recommendation))
    return sentence(*told)


def _verdict(recommendation: Recommendation) -> Markup:
    pick, possible = recommendation.optimizer, recommendation.equivalent
    if pick is None:
        told = "{}: every config diverged on at least one fresh seed, so none can be relied on."
        return Markup(told).format(strong("Nothing to deploy"))
    use = Markup("Use {} with the config below").format(strong(pick))
    if len(recommendation.ranking) == 1:
        return use + ", the best that was found for it."
    if recommendation.verdict == "winner":
        return use + Markup(": it is the {}.").format(strong("clear winner"))
    others = [label for label in possible if label != possible[0]]
    if not others:
        return use + ", though no winner can be named."
    chance = strong(odds(_row(recommendation, possible[0]).probability_best or 0.0))
    if possible[0] == pick:
        told = "{}. It is best here with probability {}, yet it is {}: {} may be as good."
        return Markup(told).format(use, chance, strong("no clear winner"), few(others))
    told = (
        "{}: {} is best here with probability {}, but {} may be as good. Of these, the rule for ties picks "
        "{}: use it with the config below."
    )
    return Markup(told).format(
        strong("No clear winner"), strong(possible[0]), chance, few(others), strong(pick)
    )


def _today(today: TodayAnswer, recommendation: Recommendation) -> Markup:
    """Say whether to keep today's config, and what a switch would gain."""
    mine, other = strong(f"today's {today.optimizer}"), strong(today.challenger or "")
    if today.challenger is None and today.answer == "not distinguishable":
        told = "{}: {} diverged, and so did all that was found."
        return Markup(told).format(strong("Not distinguishable"), mine)
    gain = _gain(today, recommendation)
    if today.answer == "switch":
        below = " with the config below" if today.challenger == recommendation.optimizer else ""
        told = Markup("{} from {} to {}{}{}").format(strong("Switch"), mine, other, below, gain)
    elif today.answer == "keep":
        told = Markup("{} {} as it is{}").format(strong("Keep"), mine, gain or ": nothing better was found")
    else:
        told = Markup("{}: it is not shown that {} is better than {}, nor that it is not{}").format(
            strong("Keep or switch is open"), other, mine, gain
        )
    return told + "."


def _gain(today: TodayAnswer, recommendation: Recommendation) -> Markup:
    """What the challenger gains, as the end of a sentence; empty if nothing was compared."""
    gain = today.gain
    if gain is None:
        return Markup()
    places = decimals([None if gain.low is None or gain.high is None else gain.high - gain.low])
    loses = gain.mean < 0
    sign = -1 if loses else 1
    interval = ""
    if gain.low is not None and gain.high is not None:
        low, high = sorted((sign * gain.low, sign * gain.high))
        interval = span(low, high, places)
    percent = "" if gain.percent is None or not recommendation.has_percent else f", {abs(gain.percent):.3g}%"
    told = ": on {} {} {} {} {}{}{}"
    return Markup(told).format(
        counted(today.seeds, "fresh seed"),
        today.challenger or "",
        "loses" if loses else "gains",
        strong(number(sign * gain.mean, places)),
        recommendation.metric,
        percent,
        f" ({interval})" if interval else "",
    )


def _expected(recommendation: Recommendation) -> Markup:
    """Say what to expect of the config, and what its default gives."""
    value, pick = recommendation.value, recommendation.optimizer
    if value is None or pick is None:
        return Markup()
    places = decimals([None if value.low is None or value.high is None else value.high - value.low])
    ends = span(value.low, value.high, places)
    told = Markup("Expected {} {} {}").format(
        recommendation.split, recommendation.metric, strong(number(value.mean, places))
    ) + (f" ({ends})" if ends else "")
    row = _row(recommendation, pick)
    if row.default_value is None:
        return told + "; its default diverged."
    if row.replicate is None:
        return told + ", with its default setting."
    return told + f"; its default gives {number(row.default_value.mean, places)}."


def _row(recommendation: Recommendation, label: str) -> RankedOptimizer:
    return next(row for row in recommendation.ranking if row.optimizer == label)


def why(recommendation: Recommendation) -> str:
    """Say why another than the best performer is recommended; empty if none is."""
    pick, possible, today = recommendation.optimizer, recommendation.equivalent, recommendation.today
    if pick is None or not possible or pick == possible[0]:
        return ""
    if today is not None and today.challenger == pick:
        return f"Why {pick}? It is what was held against today's config, and did best in the first stage."
    return (
        f"Why {pick}? Among those within one standard error of the best mean, the rule for ties takes the "
        "one with the least state to keep in memory, and then the one with the best default."
    )


def stopped(stage: Stage) -> str:
    """Say when confirm stopped, and why."""
    if stage.seeds >= stage.most:
        return f"All {counted(stage.seeds, 'fresh seed')} that were planned have been run."
    return f"It stopped after {stage.seeds} of at most {stage.most} fresh seeds: {stage.stopped}."


def ground(spec: ResolvedSpec, recommendation: Recommendation) -> str:
    """Say what the table of configs shows."""
    stage, seeds = recommendation.stage, counted(recommendation.seeds, "fresh seed")
    scored = scored_on(spec)
    if len(spec.labels) == 1:
        whose = f"The best config and the default, trained on {seeds} and {scored}."
    elif stage is not None and stage.first is not None and stage.seeds > stage.first:
        whose = (
            f"Each optimizer's champion (its best finalist on {counted(stage.first, 'seed')} before), "
            f"trained again on {seeds} that had no part in that choice, and {scored}."
        )
    else:
        whose = f"Each optimizer's best config, trained again on {seeds} and {scored}."
    return f"{whose} Intervals hold together at {recommendation.level:.0%}. The line is the best mean."


def scored_on(spec: ResolvedSpec) -> str:
    """Say on what runs were scored."""
    if spec.workload.judged_split == "validation":
        return "scored on the validation split, as nobody held a test part back"
    if spec.guest is not None:
        return "scored on a test part that chose nothing"
    return f"scored on {counted(spec.sizes.test, 'test example')} that chose nothing"


def study_ground(spec: ResolvedSpec, recommendation: Recommendation) -> str:
    """Say what the table of optimizers shows."""
    studies = counted(spec.budget.replicates, "study", "studies")
    seeds = counted(recommendation.first_seeds, "fresh seed")
    return (
        "Another question: if you tune anew, which optimizer is worth it? Each had "
        f"{studies}, and each study chose a config. Compared are the means over these, on {seeds}, so the "
        "luck of the search counts as well as that of the seeds."
    )


def seen(recommendation: Recommendation, found: SeenLead | None, chance: float) -> str:
    """Say which lead the job could have seen; empty if nothing tells."""
    if found is None:
        return ""
    times = "" if found.deviations is None else f"{found.deviations:.2g}"
    spread = times and f" ({times} standard deviation{'' if times == '1' else 's'} over seeds)"
    return (
        f"A true lead of {found.lead:.3g} {recommendation.metric}{spread} would have been named with a "
        f"chance of {chance:.0%}. A smaller one may be there."
    )


def new_examples(recommendation: Recommendation, over: OverExamples) -> str:
    """Say what is left of the lead on new examples."""
    whom = "its default" if over.rival == recommendation.optimizer else over.rival
    places = decimals([over.high - over.low])
    told = (
        f"On new examples like these {over.examples:,}, and new seeds, the lead of "
        f"{recommendation.optimizer} over {whom} is {number(over.mean, places)} "
        f"({span(over.low, over.high, places)})"
    )
    if over.holds is None:
        return f"{told}."
    return f"{told}: {'it would hold' if over.holds else 'it is not shown that it would hold'}."
