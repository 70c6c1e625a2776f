"""Adding an optimizer is one catalog entry: up to a job that is concluded and a report that verifies.

The catalog gets an entry that it never had (`tests.builders.optimizers`), and a job beside each entry that it
has.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from tests.builders.optimizers import SIGN_DESCENT, add_to_catalog, in_jobs, scheduled
from tests.builders.reports import concluded_report
from tests.builders.services import KEY
from whichopt.service.catalog import optimizers
from whichopt.service.catalog.optimizer_entry import Build, Meaning
from whichopt.service.cli import app as commands
from whichopt.service.db import Store
from whichopt.service.environment import here
from whichopt.service.errors import InvalidSpec
from whichopt.service.evidence.report.document import Report
from whichopt.service.evidence.report.html import render_html
from whichopt.service.evidence.report.verify import verify
from whichopt.service.evidence.verdict.confirm_table import read_confirm_table
from whichopt.service.evidence.verdict.special_cases import inclusions
from whichopt.service.lint import lint
from whichopt.service.settings import Settings
from whichopt.service.space import Float
from whichopt.service.spec import JobSpec, ResolvedSpec, resolve
from whichopt.service.states import Phase, TrialState
from whichopt.service.translations import REASONS, translate
from whichopt.service.translations.denominators import Assumed
from whichopt.service.translations.rules import RULES
from whichopt.service.trials import Point, TrialPlan, TrialResult
from whichopt.workers import jobs

RUN = CliRunner()
TODAY = [entry.name for entry in optimizers.OPTIMIZERS]
EVERY = [*TODAY, SIGN_DESCENT.name]


@pytest.fixture(autouse=True)
def _one_more(monkeypatch: pytest.MonkeyPatch) -> None:
    add_to_catalog(monkeypatch, SIGN_DESCENT)


def job(*chosen: str | dict[str, Any], **budget: Any) -> ResolvedSpec:
    names = [one["name"] if isinstance(one, dict) else one for one in chosen]
    stackable = all(optimizers.optimizer(name).stackable for name in names)
    return resolve(
        JobSpec.model_validate(
            {
                "workload": {"dataset": {"name": "wine"}, "model": {"name": "linear"}},
                "optimizers": list(chosen),
                "budget": {"trials": 4, "replicates": 2, "epochs": 2, "confirm_seeds": 4, **budget},
                "batch_size": 32,
                "executor": "stacked" if stackable else "auto",
                "kernels": "torch",
                **scheduled(*names),
            }
        )
    )


def simulated(plans: Sequence[TrialPlan]) -> list[TrialResult]:
    """Results without training: the nearer lr is to 1e-2 the better, and each seed has its own luck."""
    return [_simulated(plan) for plan in plans]


def _simulated(plan: TrialPlan) -> TrialResult:
    luck = np.random.default_rng(plan.seeds.init).standard_normal()
    value = float(1 + abs(math.log10(float(plan.config["lr"])) + 2) + 0.01 * luck)
    steps = [math.ceil(seen / plan.training.batch_size) for seen in plan.evaluations]
    curve = [
        Point(step, seen, value + (1 - seen / plan.length))
        for step, seen in zip(steps, plan.evaluations, strict=True)
    ]
    splits = ("train", "validation", *(["test"] if plan.phase is Phase.CONFIRM else []))
    return TrialResult(
        state=TrialState.COMPLETE,
        value=value,
        metrics={split: {"nll": value, "accuracy": 0.5} for split in splits},
        curves={"validation.nll": curve},
        reference={"nll": 9.0} if plan.phase is Phase.CONFIRM else None,
        steps=steps[-1],
        examples=plan.length,
        seconds=0.01,
    )


@pytest.mark.parametrize("name", TODAY)
def test_it_concludes_beside_each_entry(name: str) -> None:
    """With a second label of it, so that each is asked whether it includes the other."""
    twin = {"name": SIGN_DESCENT.name, "label": "twin", "default": {"refresh": 7, "deadband": 0.5}}
    spec = job(SIGN_DESCENT.name, twin, name)
    assert [one for one in lint(spec) if (one.field or "").startswith("optimizers.0")] == []
    report = concluded_report(spec, simulated)
    assert verify(report).outcome == "confirmed", verify(report)
    assert {row.optimizer for row in report.recommendation.ranking} == {SIGN_DESCENT.name, "twin", name}
    assert Report.model_validate_json(report.model_dump_json()) == report
    _includes_its_twin_only(report)
    assert_no_translation(name, SIGN_DESCENT.name)


def _includes_its_twin_only(report: Report) -> None:
    table = read_confirm_table(report.spec, report.trials)
    found = inclusions(report.spec, table)
    pairs = {(one.general, table.arms[one.arm].label) for one in found}
    assert pairs == {(SIGN_DESCENT.name, "twin"), ("twin", SIGN_DESCENT.name)}


def assert_no_translation(*names: str) -> None:
    for source, target in (names, names[::-1]):
        with pytest.raises(InvalidSpec) as refused:
            translate(source, target, optimizers.optimizer(source).default, Assumed())
        assert "no translation for" in refused.value.detail or any(
            reason in refused.value.detail for reason in REASONS.values()
        )
        assert ", ".join(WITH_RULES) in refused.value.detail


@pytest.mark.parametrize("names", in_jobs(EVERY), ids=lambda names: f"{names[0]}-to-{names[-1]}")
def test_entries_are_trained_together_up_to_a_report_that_verifies(
    names: list[str], http: TestClient, lite: Store, tmp_path: Path
) -> None:
    """By a worker, through the database, and shown by every door."""
    torch.set_num_threads(1)
    spec = job(*names, confirm_seeds=3)
    with lite.transaction() as tx:
        job_id, uid = tx.jobs.add(spec, queue="cpu")
    bell = Bell()
    context = jobs.Context(lite, bell, Settings(blobs=tmp_path / "blobs"), worker_name="w1")
    jobs.plan_round(context, job_id)
    while bell.rung:
        jobs.run_cohort(context, bell.rung.pop(0))
    shown = http.get(f"/v1/jobs/{uid}").json()
    assert (shown["state"], shown["error"]) == ("succeeded", None)
    assert [row["optimizer"] for row in shown["ledger"]] == names

    text = http.get(f"/v1/jobs/{uid}/report?format=json", headers={"Accept": "application/json"}).text
    report = Report.model_validate_json(text)
    assert verify(report).outcome == "confirmed", verify(report)
    assert {row.optimizer for row in report.recommendation.ranking} == set(names)
    last = optimizers.optimizer(names[-1])
    trials = http.get(f"/v1/jobs/{uid}/trials?optimizer={last.name}").json()["items"]
    assert {trial["state"] for trial in trials} == {"complete"}
    assert trials[0]["config"] == last.arguments(last.default) | {}
    assert http.get(f"/v1/jobs/{uid}/studies.db").status_code == 200


@dataclass
class Bell:
    """A dispatcher that writes down the cohorts that it was to ring for."""

    rung: list[int] = field(default_factory=list)

    def plan(self, job_id: int) -> None:
        raise AssertionError(f"a worker plans on by itself: {job_id}")

    def cohorts(self, ids: Iterable[int], queue: str) -> None:
        assert queue == "cpu"
        self.rung += ids

    def report(self, job_id: int) -> None:
        """Is made when it is first asked for."""

    def waiting(self, _queue: str) -> int | None:
        return 0

    def refusal(self) -> str | None:
        return None


# -- the doors -----------------------------------------------------------------------------------------


def test_its_snippet_and_its_page_have_its_own_hyperparameters() -> None:
    report = concluded_report(job(SIGN_DESCENT.name), simulated)
    code, config = report.recommendation.snippet, report.recommendation.config
    assert code is not None
    assert config is not None
    compile(code, "snippet", "exec")
    assert "from tests.builders.optimizers import SignDescent" in code
    for name in SIGN_DESCENT.space:
        assert f"    {name}={config[name]!r},\n" in code
    html = render_html(report)
    assert all(name in html for name in SIGN_DESCENT.space)


def test_a_user_sets_its_own_hyperparameters_within_their_limits() -> None:
    spec = job({"name": SIGN_DESCENT.name, "space": {"deadband": 0.5, "refresh": 12, "within": "follow"}})
    assert spec.optimizers[0].default["deadband"] == 0.5
    with pytest.raises(InvalidSpec, match=r"deadband cannot be 2\.0; allowed: 0 to 1"):
        job({"name": SIGN_DESCENT.name, "space": {"deadband": 2.0}})
    with pytest.raises(InvalidSpec, match="within cannot be 'sleep'; allowed: 'rest', 'follow'"):
        job({"name": SIGN_DESCENT.name, "default": {"within": "sleep"}})


def test_the_command_line_says_that_there_is_no_translation() -> None:
    for arguments in (("adam", SIGN_DESCENT.name, "lr=0.1"), (SIGN_DESCENT.name, "adam", "refresh=3")):
        answer = RUN.invoke(commands, ["translate", *arguments])
        assert answer.exit_code == 2
        said = " ".join(answer.output.split())
        assert "there is no translation for sign-descent" in said
        assert f"Optimizers that have a translation: {', '.join(WITH_RULES)}" in said
    setting = {"optimizer": SIGN_DESCENT.name, "config": {"lr": 5e-3, "within": "follow"}}
    answer = RUN.invoke(commands, ["lint", "-", "--json"], input=json.dumps(setting))
    assert (answer.exit_code, json.loads(answer.stdout)["findings"]) == (0, [])


WITH_RULES = sorted({name for pair in RULES for name in pair})
ONLY_TARGETS = {target for _, target in RULES} - {source for source, _ in RULES}


@pytest.mark.parametrize("source", EVERY)
def test_a_setting_is_translated_or_refused_in_words(source: str) -> None:
    for target in EVERY:
        try:
            found = translate(source, target, optimizers.optimizer(source).default, Assumed())
        except InvalidSpec as refused:
            assert source != target
            # Of some there is a way to them and none back.
            assert {source, target} - set(WITH_RULES) or source in ONLY_TARGETS
            assert ", ".join(WITH_RULES) in refused.detail  # noqa: PT017
        else:
            assert found.config.keys() == optimizers.optimizer(target).space.keys()


def test_rules_and_reasons_are_about_the_catalog() -> None:
    assert set(WITH_RULES) <= set(TODAY)
    assert set(REASONS) <= set(TODAY) - set(WITH_RULES)


def test_the_catalog_shows_it(url: str) -> None:
    answer = RUN.invoke(commands, ["catalog", "optimizers", "--url", url, "--key", KEY])
    assert answer.exit_code == 0, answer.output
    assert all(word in answer.output for word in ("Sign descent", "deadband", "refresh", "within"))


def test_the_package_that_it_comes_from_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    add_to_catalog(monkeypatch, replace(SIGN_DESCENT, name="elsewhere", build=Build("hypothesis.Optimizer")))
    assert "hypothesis" in here().packages


# -- entries -------------------------------------------------------------------------------------------

TRAITS: list[dict[str, Any]] = [
    {"step": step, "decay": decay, "rectified": rectified}
    for step, decay, rectified in itertools.product(
        ("normalized", "raw", "summed"), ("coupled", "decoupled"), ("never", "always")
    )
]


@pytest.mark.parametrize("traits", TRAITS, ids=lambda traits: "-".join(traits.values()))
def test_whatever_it_says_of_itself_its_jobs_conclude(
    traits: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lint, the audit and translations read its traits; no trait needs a hyperparameter that it lacks."""
    add_to_catalog(monkeypatch, replace(SIGN_DESCENT, name="other", meaning=Meaning(**traits)))
    report = concluded_report(job("other", {"name": "other", "label": "twin"}, "adam"), simulated)
    lint(report.spec)
    assert verify(report).outcome == "confirmed", verify(report)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"own_limits": {}}, "no limits for deadband, refresh, within: give them in own_limits"),
        ({"default": {"lr": 1e-2}}, "default and space differ in deadband, refresh, weight_decay, within"),
        ({"space": {**SIGN_DESCENT.space, "lr": Float(low=0.0, high=1.0)}}, "needs an lr, a Float above 0"),
        ({"edges": ("lr", "eps")}, "names eps, which its space lacks"),
        ({"meaning": Meaning(floor="accumulated")}, "names beta1, beta2, eps, which its space lacks"),
        ({"packed": {"betas": ("beta1", "beta2")}}, "names beta1, beta2, which its space lacks"),
        ({"needs": {"within": "momentum"}}, "names momentum, which its space lacks"),
        ({"meaning": Meaning(uncorrected="alpha")}, "names alpha, which its space lacks"),
    ],
)
def test_an_entry_that_would_fail_in_a_job_is_refused_at_once(
    changes: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        replace(SIGN_DESCENT, **changes)
