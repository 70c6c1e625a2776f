"""The first sentences of a recommendation, for readers who read no more: what to do, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence

from whichopt.service.evidence.forecast.durations import chance_text
from whichopt.service.views import Recommendation, TodayAnswer


def headline(recommendation: Recommendation) -> str:
    """Return the verdict on configs as a short sentence or two that say what to do."""
    pick, best = recommendation.optimizer, recommendation.ranking[0].optimizer
    if pick is None:
        return "Nothing to deploy: no config trained on every fresh seed."
    if recommendation.verdict == "winner":
        return f"Use {pick} with the config below: it is the clear winner."
    if len(recommendation.ranking) == 1:
        return f"Use {pick} with the config below: the best that was found for it."
    others = [label for label in recommendation.equivalent if label != best]
    if best != pick:
        return (
            f"No clear winner: {best} did best here, and {listed(others)} may be as good. "
            f"Of these the rule for ties picks {pick}, with the config below."
        )
    may = f": {listed(others)} may be as good" if others else ""
    return f"Use {pick} with the config below. It is no clear winner{may}."


def todays_headline(today: TodayAnswer) -> str:
    """Return the answer about today's config as a short sentence."""
    if today.answer == "keep":
        return f"Keep today's {today.optimizer} as it is."
    if today.answer == "switch":
        return f"Switch from today's {today.optimizer} to {today.challenger} with its config below."
    if today.challenger is None:
        return f"Not distinguishable: today's {today.optimizer} diverged, and so did all that was found."
    return f"Not distinguishable: today's {today.optimizer} may be as good as {today.challenger}, or not."


def surely(recommendation: Recommendation) -> str:
    """Say how probable it is that the pick is the best, and that the best performer is, if it is another."""
    if len(recommendation.ranking) == 1 or recommendation.optimizer is None:
        return ""
    rows = {row.optimizer: row.probability_best or 0.0 for row in recommendation.ranking}
    asked = dict.fromkeys((recommendation.ranking[0].optimizer, recommendation.optimizer))
    chances = listed([f"{label} {chance_text(rows[label])}" for label in asked])
    return (
        f"Probability of having the best expected {recommendation.metric} of all finalists here: {chances}."
    )


def listed(names: Sequence[str]) -> str:
    """Return the names as a sentence has them."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
