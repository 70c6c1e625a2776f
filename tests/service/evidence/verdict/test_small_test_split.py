"""The first sentence of a verdict on a person's own data says how small the test split is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.builders.datasets import CONTENT, FILE, make_table
from tests.builders.trials import confirm, flat, spec_of
from whichopt.service.evidence.verdict.recommend import recommend
from whichopt.service.planning.finalists import Finalist
from whichopt.service.spec import ResolvedSpec
from whichopt.service.views import Recommendation

MEANS = {"adabelief": 0.1, "adam": 0.5, "sgd": 0.9}


def concluded(spec: ResolvedSpec) -> Recommendation:
    """The conclusion of a job in which adabelief is clearly the best."""

    def value(arm: Finalist, seed: int) -> float:
        return MEANS[arm.label] + 0.2 * arm.is_default + 0.001 * (seed % 7)

    return recommend("job", spec, confirm(spec, flat(spec), value))


def on_own_data(test: int) -> ResolvedSpec:
    spec = spec_of(*MEANS)
    changes = {
        "content": CONTENT,
        "upload": make_table().upload(FILE),
        "sizes": replace(spec.sizes, test=test),
    }
    return spec.model_copy(update={"workload": spec.workload.model_copy(update=changes)})


@pytest.mark.parametrize(
    ("test", "said"),
    [(36, "on these 36 test examples"), (1, "on this one test example"), (200, "on this test split")],
)
def test_it_says_how_many_they_are(test: int, said: str) -> None:
    found = concluded(on_own_data(test))
    assert found.verdict == "winner"
    assert f": {said}, over 5 fresh seeds" in found.statement
    assert f", {said}, over 5 fresh seeds" in found.optimizer_verdict.statement


def test_built_in_data_are_told_as_ever() -> None:
    spec = spec_of(*MEANS, dataset="wine")
    assert spec.sizes.test == 36
    assert ": on this test split, over" in concluded(spec).statement
