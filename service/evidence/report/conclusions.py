"""Names the conclusions of a report, so that a reader is told which of them no longer follows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from whichopt.service.evidence.report.differences import Difference, Path

CONCLUSIONS = {
    "recommendation.verdict": "the verdict on configs",
    "recommendation.today": "the answer about today's config",
    "recommendation.optimizer_verdict.verdict": "the verdict on optimizers",
    "recommendation.optimizer_verdict.optimizer": "the winner among optimizers",
    "recommendation.optimizer_verdict.equivalent": "the set of optimizers that cannot be distinguished",
    "recommendation.optimizer_verdict.differences": "an interval between tuned optimizers",
    "recommendation.optimizer_verdict": "the statement on optimizers",
    "recommendation.optimizer": "the recommended optimizer",
    "recommendation.config": "the recommended config",
    "recommendation.equivalent": "the set that cannot be distinguished from the best config",
    "recommendation.value": "the interval of the recommended config's value",
    "recommendation.probability_best": "the probability of being best",
    "recommendation.ranking": "the ranking",
    "recommendation.over_examples": "the lead over seeds and examples",
    "recommendation.cost": "the cost",
    "recommendation.warnings": "the warnings",
    "recommendation.could_have_seen": "the lead that the job could have seen",
    "recommendation.statement": "the statement on configs",
    "recommendation.snippet": "the snippet",
    "recommendation": "the recommendation",
    "analysis": "the analysis",
}
"""The conclusions by the path below which they stand, the most important first."""

OF_RANKING = {
    "value": "the confirmed value and its interval",
    "default_value": "the default's value and its interval",
    "difference": "the interval of the difference to the best",
    "probability_best": "the probability of being best",
    "config": "the best config",
}
"""The fields of a row of the ranking whose name does not say what they hold."""


class Discrepancy(BaseModel):
    """A stored conclusion that does not follow from the raw results."""

    model_config = ConfigDict(frozen=True)

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


def by_conclusion(labels: Sequence[str], differences: Sequence[Difference]) -> list[Discrepancy]:
    """Return one discrepancy for each conclusion, the most important first; `labels` are the job's."""
    groups: dict[tuple[int, str], list[Difference]] = {}
    for difference in differences:
        groups.setdefault(_conclusion(labels, difference.path), []).append(difference)
    return [
        Discrepancy(
            conclusion=name,
            path=".".join(places[0].path),
            stored=places[0].stored,
            recomputed=places[0].recomputed,
            places=len(places),
        )
        for (_, name), places in sorted(groups.items(), key=lambda group: group[0][0])
    ]


def _conclusion(labels: Sequence[str], path: Path) -> tuple[int, str]:
    """Return the rank and the name of the conclusion at `path`."""
    for rank, (place, name) in enumerate(CONCLUSIONS.items()):
        above = tuple(place.split("."))
        if path[: len(above)] == above:
            return rank, _precise_name(labels, name, above[-1], path[len(above) :])
    return len(CONCLUSIONS), ".".join(path)


def _precise_name(labels: Sequence[str], name: str, table: str, rest: Path) -> str:
    """Name the part of a conclusion that `rest` leads to, if it is a table with rows of optimizers."""
    whose = next((f" of {part}" for part in rest if part in labels), "")
    if table == "analysis":
        return f"{name}, {rest[0].replace('_', ' ')}{whose}" if rest else name
    if table == "differences":
        return f"{name}{whose}" if rest else "the order of the tuned optimizers"
    if table == "ranking" and len(rest) > 1:
        field = rest[1].replace("_", " ")
        return f"{OF_RANKING.get(rest[1], f'the {field}')}{whose}"
    return name


def _short(value: Any) -> str:
    if isinstance(value, float):
        return repr(value)
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= 160 else f"{text[:157]}..."
