"""The answer of a job in a few words."""

from __future__ import annotations

from typing import Any

import pytest

from whichopt.service.views.verdict import Summary, headline

WINNER: dict[str, Any] = {
    "verdict": "winner",
    "optimizer": "adabelief",
    "lr": 0.0112,
    "statement": "...",
    "probability_best": 0.99,
    "equivalent": ["adabelief"],
    "rivals": 6,
}
TIE = {**WINNER, "verdict": "tie", "optimizer": "sgd", "equivalent": ["adabelief", "sgd"]}
FIVE = ["sgd", "adam", "adamw", "nadam", "radam"]
NOTHING = {**WINNER, "verdict": "nothing", "optimizer": None, "lr": None, "equivalent": []}


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (WINNER, "Use adabelief, lr 0.011: the clear winner"),
        ({**WINNER, "lr": None}, "Use adabelief: the clear winner"),
        ({**WINNER, "rivals": 1}, "Use adabelief, lr 0.011: better than its default"),
        (TIE, "sgd or adabelief: cannot be told apart"),
        ({**TIE, "equivalent": ["sgd", "adam", "nadam"]}, "sgd, adam or nadam: cannot be told apart"),
        ({**TIE, "equivalent": FIVE}, "sgd or any of 4 others: cannot be told apart"),
        ({**TIE, "rivals": 1, "equivalent": ["sgd"]}, "Use sgd, lr 0.011: it raced alone"),
        (
            {**TIE, "equivalent": FIVE[:2], "practically_equivalent": FIVE, "margin": "2%"},
            "sgd or any of 4 others: all within your margin of 2 %",
        ),
        (
            {**TIE, "practically_equivalent": ["sgd"], "margin": "2%"},
            "sgd or adabelief: cannot be told apart",
        ),
        (NOTHING, "Nothing to deploy: every finalist diverged on a fresh seed"),
        ({**NOTHING, "today": "adam", "answer": "keep"}, "Keep today's adam: no finalist can be deployed"),
        ({**WINNER, "today": "adam", "answer": "switch"}, "Switch from today's adam to adabelief, lr 0.011"),
        ({**TIE, "today": "adam", "answer": "keep"}, "Keep today's adam: nothing better was found"),
        (
            {**TIE, "today": "adam", "answer": "not distinguishable"},
            "Today's adam or sgd, lr 0.011: cannot be told apart",
        ),
    ],
)
def test_the_headline_says_whom_to_use(told: dict[str, Any], words: str) -> None:
    assert headline(Summary.model_validate(told)) == words
