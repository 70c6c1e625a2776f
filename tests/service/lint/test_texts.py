"""Rules on texts: lanes that are too short, and tokens that are hardly ever seen."""

from __future__ import annotations

from typing import Any

from whichopt.service.lint import lint
from whichopt.service.spec import JobSpec, resolve


def found(dataset: Any = "unicode_names", **rest: Any) -> set[tuple[str, str | None]]:
    job = {"workload": {"dataset": dataset, "model": "lstm"}, **rest}
    return {(finding.code, finding.field) for finding in lint(resolve(JobSpec.model_validate(job)))}


def test_the_text_of_the_catalog_is_long_enough() -> None:
    assert not {"short_lanes", "rare_tokens"} & {code for code, _ in found()}


def test_lanes_that_are_too_short_are_told() -> None:
    assert ("short_lanes", "batch_size") in found(batch_size=256)


def test_tokens_that_are_hardly_seen_are_told() -> None:
    small = {"name": "unicode_names", "characters": 2000, "tokens": "bytes"}
    assert ("rare_tokens", "workload.dataset.tokens") in found(small, batch_size=4)
