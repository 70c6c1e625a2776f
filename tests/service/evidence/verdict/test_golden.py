"""Recorded recommendations: a job still concludes what it concluded, to the letter.

Words, verdicts and orders are compared exactly. Numbers may differ in their last bits between machines (sums
by numpy), and a probability by the few of its 2^14 draws that those bits decide. Version 0.1 had other words:
of its records the numbers, verdicts, orders and warning codes are compared.

`python -m tests.service.evidence.verdict.test_golden` records them anew.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.builders.trials import Confirm, Outcome, confirm, flat, spec_of
from whichopt.service.evidence.report.differences import WORDED
from whichopt.service.evidence.verdict.recommend import recommend
from whichopt.service.planning.finalists import Finalist

FOLDER = Path(__file__).parent / "golden"


def simulated(lead: float) -> Confirm:
    """Adam's runs are better by `lead`; sgd's are erratic, and one of its studies' configs diverges once."""

    def value(arm: Finalist, seed: int) -> Outcome:
        if arm.label == "sgd" and arm.replicate == 1 and seed == 2:
            return None
        names = ("adam", "adamw", "sgd")
        random = np.random.default_rng([seed, names.index(arm.label), arm.replicate or 7])
        base = {"adam": 0.3, "adamw": 0.3 + lead, "sgd": 0.35 + lead}[arm.label]
        spread = 0.1 if arm.label == "sgd" else 0.02
        return float(round(base + 0.1 * arm.is_default + spread * random.standard_normal(), 6))

    return value


def winner(**options: Any) -> dict[str, Any]:
    """At its second look."""
    spec = spec_of("adam", "adamw", "sgd", seeds=10)
    trials = confirm(spec, flat(spec), simulated(0.3), seeds=6)
    return recommend("job", spec, trials, **options).model_dump(mode="json")


def tie(**options: Any) -> dict[str, Any]:
    """With a margin, and all its seeds."""
    spec = spec_of("adam", "adamw", "sgd", seeds=6, margin={"percent": 30})
    trials = confirm(spec, flat(spec), simulated(0.01))
    return recommend("job", spec, trials, **options).model_dump(mode="json")


CASES: dict[str, Callable[..., dict[str, Any]]] = {"winner": winner, "tie": tie}


WORDS = {[part for part in path if part != "*"][-1] for path in WORDED}


def without_words(found: Any) -> Any:
    """Return `found` without the fields that are sentences, which a later version may put better."""
    if isinstance(found, dict):
        return {
            name: without_words(value)
            for name, value in found.items()
            if name not in WORDS and (name, "code" in found) != ("detail", True)
        }
    return [without_words(value) for value in found] if isinstance(found, list) else found


def same(found: Any, recorded: Any, path: str = "") -> None:
    if isinstance(recorded, dict):
        assert found.keys() == recorded.keys(), path
        for key, value in recorded.items():
            same(found[key], value, f"{path}.{key}")
    elif isinstance(recorded, list):
        assert len(found) == len(recorded), path
        for i, value in enumerate(recorded):
            same(found[i], value, f"{path}[{i}]")
    elif isinstance(recorded, float):
        within = 0.002 if "probability" in path else 1e-9 * max(1.0, abs(recorded))
        assert found == pytest.approx(recorded, rel=0, abs=within), path
    else:
        assert found == recorded, path


@pytest.mark.parametrize("case", CASES)
def test_a_recorded_job_concludes_as_it_did(case: str) -> None:
    same(CASES[case](), json.loads((FOLDER / f"{case}.json").read_text()))


@pytest.mark.parametrize("case", CASES)
def test_a_job_of_version_0_1_is_verified_by_what_that_showed_of_diverged_runs(case: str) -> None:
    found = CASES[case](shows_stand_ins=True)
    for row in found["ranking"]:
        assert row.pop("diverged_seeds") is None
        assert row.pop("default_diverged_seeds") is None
    recorded = json.loads((FOLDER / "version-0.1" / f"{case}.json").read_text())
    assert [one["code"] for one in found["warnings"]] == [one["code"] for one in recorded["warnings"]]
    same(without_words(found), without_words(recorded))


def record() -> None:
    for case, make in CASES.items():
        (FOLDER / f"{case}.json").write_text(json.dumps(make(), indent=1) + "\n")


if __name__ == "__main__":
    record()
