"""What a warning is about, in a few words that stand before it; the warning itself says the rest."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from whichopt.service.views import JobWarning, Recommendation

TITLES = {
    "search_cut_short": "The search was cut short",
    "confirm_cut_short": "Time ran out",
    "few_seeds": "Few fresh seeds",
    "few_replicates": "Few studies",
    "search_diverged": "Many trials diverged",
    "untrained": "No config of it can be deployed",
    "finalist_diverged": "It diverged on a fresh seed",
    "default_diverged": "Its default diverged",
    "study_empty": "A study found nothing",
    "default_best": "Tuning did not help",
    "edge": "At the edge of its range",
    "winners_curse": "Luckier in search",
    "unequal_spaces": "Unequal freedom",
    "fixed_test_split": "One test split",
    "under_tuned": "Not tuned far enough",
    "inclusion_excluded": "Its range leaves out what won",
    "few_configs": "Few configs to try",
    "skewed": "A few runs lie far off",
    "last_bits": "Last bits may differ",
    "no_test_split": "No test part was held back",
    "unpaired": "Trials began differently",
    "mixed_environments": "Trained on unlike machines",
    "mixed_executors": "Trained in two ways",
}
"""Titles by code; codes of a function's rehearsal have none."""

MILD = frozenset({"fixed_test_split", "last_bits", "mixed_executors", "few_configs", "default_best"})
"""Codes of what to know rather than to mend."""


@dataclass(frozen=True)
class Warned:
    """A warning with its title, which may be empty; `kind` is its CSS class."""

    title: str
    detail: str
    optimizer: str | None
    kind: Literal["", "info"]


def warned(recommendation: Recommendation) -> list[Warned]:
    """Return the warnings, those to mend first."""
    rows = [_warned(warning) for warning in recommendation.warnings]
    return sorted(rows, key=lambda row: row.kind == "info")


def _plainly(detail: str) -> str:
    """Return a warning's words without `1 of its 1 studies`, and with numbers as people write them."""
    return re.sub(r"(?<=\de-)0", "", detail.replace("In 1 of its 1 studies", "In its only study"))


def _warned(warning: JobWarning) -> Warned:
    return Warned(
        title=TITLES.get(warning.code, ""),
        detail=_plainly(warning.detail),
        optimizer=warning.optimizer,
        kind="info" if warning.code in MILD else "",
    )
