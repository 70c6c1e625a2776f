"""The views of a running job's forecast: what search and confirm may still change."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from whichopt.service.states import JobState, Phase
from whichopt.service.views.view import View


class SearchForecast(View):
    """The state of one optimizer's search, and the gain to expect from its remaining trials."""

    optimizer: str
    trials: int = Field(description="Number of trials with a result.")
    trials_left: int
    best_value: float | None = Field(description="Best search value so far, on the validation split.")
    probability_better: float | None = Field(
        description="Probability that a remaining trial beats the best one of "
        "its study, in at least one study; "
        "null if it cannot be estimated."
    )
    expected_best: float | None = Field(
        description="Best search value to expect after all trials; null if it cannot be estimated."
    )


class ConfirmForecast(View):
    """The state of confirm, and the changes to expect from more fresh seeds."""

    seeds: int = Field(description="Number of fresh seeds of a champion; by rules 1, of every finalist.")
    most: int
    looks: list[int]
    pick: str | None = Field(
        description="Optimizer that would be recommended now; null if every "
        "finalist has diverged on a fresh seed."
    )
    verdict: Literal["winner", "tie", "nothing"]
    probability_best: dict[str, float] = Field(
        description="Probability of being the best now, by label; empty without a pick."
    )
    stops: str | None = Field(description="Reason why no more seeds are needed; null if they are.")
    next_seeds: int | None = Field(
        description="Number of fresh seeds until the next look; null after the last one."
    )
    next_seconds: float | None = Field(
        description="Seconds that these seeds take, at the time per seed so far."
    )
    winner_next: float | None = Field(description="Probability that the next look names a winner.")
    winner_end: float | None = Field(description="Probability that a winner is named by the last look.")
    pick_changes: float | None = Field(description="Probability that the next look picks another optimizer.")
    expected_probability_best: float | None = Field(
        description="Expected probability that the pick of the next look is the best."
    )


class Forecast(View):
    """The forecast of a running job: `search` while it searches, `confirm` once a fresh seed is done."""

    phase: Phase
    search: list[SearchForecast]
    confirm: ConfirmForecast | None
    statement: str


class JobForecast(Forecast):
    """The forecast of a job, with wall-clock times estimated from its recorded seconds.

    Once the job has ended the statement says so, and the rest is its last forecast.
    """

    job_id: str
    state: JobState
    round: int | None = Field(
        default=None,
        description="Last round whose results it is based on, counted from 1. "
        "Results of a round that still runs "
        "only count in seconds_left and seconds_per_seed. Null before the first round has ended, when all "
        "results so far count.",
    )
    seconds_per_seed: float | None = Field(
        description="Wall-clock seconds of one fresh seed of all finalists; null before the first result."
    )
    seconds_left: float | None = Field(
        description="Seconds that the job takes after its last result if all "
        "fresh seeds run; null before the "
        "first result and after the job's end."
    )
