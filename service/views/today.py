"""The shape of the answer about today's config: keep it, or switch."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from whichopt.service.views.view import View


class Gain(View):
    """What the challenger gains over today's config, in the metric's units; above 0 it is better.

    The interval is two-sided at `level` on its own, outside of the families of the verdicts.
    """

    mean: float
    low: float | None = Field(description="Lower end; null if there are too few runs.")
    high: float | None
    level: float
    percent: float | None = Field(
        description="Gain `mean` in percent of the value of today's config; null if that is 0."
    )


class TodayAnswer(View):
    """The answer to whether what is run today should be kept.

    The challenger is the config that it was held against: the winner's, or without one that of the champion
    that did best in the first stage.
    """

    answer: Literal["keep", "switch", "not distinguishable"]
    sentence: str = Field(description="Answer in a sentence, with which the job's statement begins.")
    gain: Gain | None = Field(
        description="Gain of switching to the challenger; null if nothing was compared, as one of the two "
        "diverged or there is no challenger."
    )
    seeds: int = Field(description="Number of fresh seeds of the comparison.")
    optimizer: str = Field(description="Optimizer of today's config.")
    config: dict[str, Any] = Field(description="Today's config, complete, as torch spells it.")
    diverged_seeds: int = Field(description="Number of fresh seeds on which today's config diverged.")
    challenger: str | None = Field(
        description="Label of the optimizer that it was held against; null if none can be deployed."
    )
    challenger_config: dict[str, Any] | None
    runs: int = Field(description="Number of runs of today's config, which the job had beside the others.")
    seconds: float = Field(description="Seconds of training that these runs took.")
