"""What past jobs tell of one that is planned, on both databases."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from tests.builders.concluded_jobs import BODY, concluded_job, recorded
from tests.builders.guests import guest_spec
from tests.builders.jobs import add_job, add_round, finish, make_spec, must_claim, planning
from tests.builders.present import present
from tests.builders.reports import trained_report
from tests.builders.trials import plan_of
from whichopt.service.db import Store
from whichopt.service.db.tables import job
from whichopt.service.guests import Function
from whichopt.service.past import PastJobs
from whichopt.service.planning.finalists import todays_arm
from whichopt.service.spec import ResolvedSpec
from whichopt.service.states import Phase


def past_of(store: Store, spec: ResolvedSpec, queue: str = "cpu") -> PastJobs:
    with store.read() as tx:
        return tx.past.of(spec, queue=queue)


def test_a_job_tells_what_its_trials_took_and_how_values_vary(store: Store) -> None:
    report = trained_report()
    uid = recorded(store, report)
    past = past_of(store, report.spec)
    (one,) = past.jobs
    assert (one.uid, one.is_probe) == (uid, False)
    results = [trial.result for trial in report.trials if trial.result and trial.plan.label == "adam"]
    assert one.seconds["adam"] == pytest.approx(sum(result.seconds for result in results))
    assert one.lengths["adam"] == sum(result.examples for result in results)
    assert set(one.seconds) == {"adam", "sgd", "adabelief"}  # by the names of the catalog, not by labels
    assert one.clock is not None
    assert past.spread is not None
    confirm = [trial for trial in report.trials if trial.plan.phase is Phase.CONFIRM]
    values = [trial.result.value for trial in confirm if trial.result and trial.result.value is not None]
    assert 0 < past.spread.deviation < max(values) - min(values)
    assert past.spread.configs == 3  # the champions: no default, and no finalist of the first stage alone
    seen = report.recommendation.could_have_seen
    assert seen is not None
    assert seen.config is not None
    assert seen.config.deviations is not None
    # A plan and a job's end count leads in the same unit; here the seeds of the first stage count as well.
    assert past.spread.deviation == pytest.approx(seen.config.lead / seen.config.deviations, rel=0.25)


OTHERS: list[dict[str, Any]] = [
    {"batch_size": 32},
    {"workload": {"dataset": {"name": "digits"}, "model": {"name": "linear"}}},
    {"workload": {"dataset": {"name": "wine"}, "model": {"name": "mlp"}}},
]


@pytest.mark.parametrize("others", OTHERS, ids=str)
def test_another_workload_or_batch_size_tells_nothing(store: Store, others: dict[str, Any]) -> None:
    concluded_job(store)
    assert len(past_of(store, make_spec()).jobs) == 1
    assert past_of(store, make_spec(**others)) == PastJobs((), None)
    assert past_of(store, make_spec(), queue="cuda") == PastJobs((), None)


def test_other_optimizers_and_budgets_tell(store: Store) -> None:
    concluded_job(store)
    changed = make_spec(optimizers=["adam", "lamb"], budget={**BODY["budget"], "epochs": 5})
    (one,) = past_of(store, changed).jobs
    assert set(one.seconds) == {"adabelief", "sgd"}


MENU: dict[str, Any] = {"batch_size": {"type": "categorical", "choices": [16, 64]}}
GROWN: dict[str, Any] = {"batch_size": {"adaptive": "norm"}}


def _labels(**spaces: Any) -> list[dict[str, Any]]:
    return [{"name": name, "space": space} for name, space in spaces.items()]


def test_a_label_tells_of_those_whose_batches_are_as_large(store: Store) -> None:
    asked = make_spec(optimizers=_labels(adabelief=MENU, sgd={}))
    job_id, _ = add_job(store, asked)
    for cohort in add_round(store, job_id):
        finish(store, must_claim(store, cohort))
    for optimizers, told in (
        (_labels(adabelief=MENU, sgd={}), {"adabelief", "sgd"}),
        (_labels(adabelief={}, sgd={}), {"sgd"}),  # at 64 it was not trained
        (_labels(adam=MENU), {"adabelief"}),  # which stands in for an optimizer that nobody trained yet
        (_labels(adam={}, lamb=MENU), {"adabelief", "sgd"}),
        (_labels(sgd=GROWN), set()),
        (_labels(adabelief={"batch_size": 64}, sgd=GROWN), set()),
    ):
        jobs = past_of(store, make_spec(optimizers=optimizers)).jobs
        assert {name for one in jobs for name in one.seconds} == told, optimizers
    (one,) = past_of(store, make_spec(optimizers=_labels(sgd={}))).jobs
    (whole,) = past_of(store, asked).jobs
    assert one.clock == whole.clock  # of all that the job trained, whatever counts here


def test_values_vary_as_those_of_batches_alike(store: Store) -> None:
    report = trained_report()
    recorded(store, report)
    other = report.spec.model_copy(update={"batch_size": 48})
    assert past_of(store, report.spec).spread is not None
    assert past_of(store, other).spread is None


def test_a_job_without_results_tells_by_its_probe(store: Store) -> None:
    job_id, uid = add_job(store)
    ids = add_round(store, job_id)
    assert past_of(store, make_spec()).jobs == ()
    with store.transaction() as tx:
        tx.connection.execute(sa.update(job).values(probe={"solo": 0.002, "stacked": 0.001}))
    (probed,) = past_of(store, make_spec()).jobs
    assert (probed.uid, probed.is_probe, probed.clock) == (uid, True, None)
    assert probed.seconds == {"adabelief": 0.002, "sgd": 0.002}
    finish(store, must_claim(store, ids[0]))
    (trained,) = past_of(store, make_spec()).jobs
    assert not trained.is_probe


def test_todays_config_tells_under_its_name_in_the_catalog(store: Store) -> None:
    asked = make_spec(**{**BODY, "today": {"name": "adamw", "config": {"lr": 1e-3}}})
    spec = asked.with_executor("solo")
    job_id, _ = add_job(store, spec)
    arm = todays_arm(present(spec.today))
    plans = [plan_of(spec, arm.label, arm.config, Phase.CONFIRM, None, n, origin=arm.origin) for n in (0, 1)]
    planned = present(planning(store, job_id))
    with store.transaction() as tx:
        ids = tx.jobs.add_round(planned, [plans], spec=spec, cut_short=False)
    finish(store, must_claim(store, present(ids)[0]))
    for following in (asked, make_spec(**BODY)):
        (one,) = past_of(store, following).jobs
        assert set(one.seconds) == {"adamw"}
        assert one.seconds["adamw"] > 0


def test_a_function_tells_of_itself_alone(store: Store) -> None:
    spec = guest_spec()
    job_id, uid = add_job(store, spec)
    finish(store, must_claim(store, add_round(store, job_id)[0]))
    assert [one.uid for one in past_of(store, spec).jobs] == [uid]
    assert spec.guest is not None
    for changes in ({"source": "0" * 64}, {"function": Function(name="ourlab.other:fit")}):
        other = spec.model_copy(update={"workload": spec.guest.model_copy(update=changes)})
        assert past_of(store, other).jobs == ()


def test_a_row_that_cannot_be_read_hides_no_other(store: Store) -> None:
    concluded_job(store)
    job_id, _ = concluded_job(store)
    with store.transaction() as tx:
        tx.connection.execute(sa.update(job).where(job.c.id == job_id).values(spec={"workload": 1}))
    assert len(past_of(store, make_spec()).jobs) == 1
