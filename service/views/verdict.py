"""The short form of a job's conclusion, as lists of jobs show it, and its words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from whichopt.service.views.recommendation import Recommendation
from whichopt.service.views.view import View

Verdict = Literal["winner", "tie", "nothing"]

NAMED = 3
"""Most optimizers that a headline names; of more, it counts the others."""


class JobVerdict(View):
    """The verdict of a job in short; the recommendation has all that it rests on."""

    verdict: Verdict
    optimizer: str | None = Field(description="Label of the recommended optimizer; null if nothing held.")
    headline: str = Field(description="The answer in a few words.")
    statement: str = Field(description="Verdict in a sentence.")
    probability_best: float | None = Field(
        description="Probability that the recommended optimizer has the best config; null if nothing held."
    )


class Summary(BaseModel):
    """What is stored with a job of its recommendation, so that no list has to read whole ones.

    `rivals` is the number of optimizers that were compared; `today` and `answer` are the optimizer of the
    config that is used today, if there is one, and the answer about it.
    """

    model_config = ConfigDict(frozen=True)

    verdict: Verdict
    optimizer: str | None
    lr: float | None
    statement: str
    probability_best: float | None
    equivalent: list[str] = []
    practically_equivalent: list[str] | None = None
    margin: str | None = None
    rivals: int
    today: str | None = None
    answer: str | None = None

    @classmethod
    def of(cls, recommendation: Recommendation) -> Summary:
        """Return the summary of a recommendation."""
        today, margin = recommendation.today, recommendation.margin
        rate = (recommendation.config or {}).get("lr")
        return cls(
            verdict=recommendation.verdict,
            optimizer=recommendation.optimizer,
            lr=float(rate) if isinstance(rate, int | float) else None,
            statement=recommendation.statement,
            probability_best=recommendation.probability_best,
            equivalent=recommendation.equivalent,
            practically_equivalent=recommendation.practically_equivalent,
            margin=None if margin is None else str(margin),
            rivals=len(recommendation.ranking),
            today=None if today is None else today.optimizer,
            answer=None if today is None else today.answer,
        )

    @property
    def view(self) -> JobVerdict:
        """The verdict as it is shown."""
        return JobVerdict(
            verdict=self.verdict,
            optimizer=self.optimizer,
            headline=headline(self),
            statement=self.statement,
            probability_best=self.probability_best,
        )


def odds_of(recommendation: Recommendation) -> dict[str, float] | None:
    """Return the probability of having the best config by label; None if no config can be deployed."""
    odds = {row.optimizer: row.probability_best for row in recommendation.ranking}
    return {label: chance for label, chance in odds.items() if chance is not None} or None


def headline(told: Summary) -> str:
    """Return the answer in a few words: whom to use, and whether it is the clear winner."""
    if told.optimizer is None:
        if told.today is not None and told.answer == "keep":
            return f"Keep today's {told.today}: no finalist can be deployed"
        return "Nothing to deploy: every finalist diverged on a fresh seed"
    named = told.optimizer if told.lr is None else f"{told.optimizer}, lr {told.lr:.2g}"
    if told.today is not None and told.answer is not None:
        return _about_today(told.today, told.answer, named)
    if told.verdict == "winner":
        return f"Use {named}: {'the clear winner' if told.rivals > 1 else 'better than its default'}"
    if told.rivals < 2:
        return f"Use {named}: it raced alone"
    within = told.practically_equivalent or []
    if told.margin is not None and len(within) > 1 and {*told.equivalent} <= {*within}:
        margin = told.margin.replace("%", " %")
        return f"{told.optimizer}{_others(told.optimizer, within)}: all within your margin of {margin}"
    return f"{told.optimizer}{_others(told.optimizer, told.equivalent)}: cannot be told apart"


def _about_today(today: str, answer: str, named: str) -> str:
    if answer == "switch":
        return f"Switch from today's {today} to {named}"
    if answer == "keep":
        return f"Keep today's {today}: nothing better was found"
    return f"Today's {today} or {named}: cannot be told apart"


def _others(optimizer: str, equivalent: list[str]) -> str:
    """Name the optimizers besides that one, or count them if they are many."""
    others = [label for label in equivalent if label != optimizer]
    if len(others) >= NAMED:
        return f" or any of {len(others)} others"
    return "".join(f", {label}" for label in others[:-1]) + "".join(f" or {label}" for label in others[-1:])


def stored_summary(kept: Mapping[str, Any] | None) -> Summary | None:
    """Return the summary that is stored with a job; None before its end."""
    return None if kept is None else Summary.model_validate(kept)
