"""Samples are read apart from all else of their trials, on either database."""

from __future__ import annotations

from tests.builders.confirming_jobs import decided_from, race_spec
from tests.builders.made import job_with_samples, text_sample
from whichopt.service import samples
from whichopt.service.db import Store
from whichopt.service.trials import Sample, TrialPlan


def _said(plan: TrialPlan) -> Sample:
    return samples.bounded(text_sample(f"{plan.label}\x00\ud800"))


def test_samples_are_those_of_the_first_fresh_seed(store: Store) -> None:
    spec = race_spec("adabelief", "sgd", seeds=4)
    uid = decided_from(store, spec, job_with_samples(spec, _said))
    with store.read() as tx:
        job_id = tx.jobs.id_of(uid)
        assert job_id is not None
        makers = tx.samples.makers(job_id)
        views = tx.samples.views(job_id)
        one = tx.samples.of(job_id, [makers[0].trial])
        nobody = tx.samples.of(job_id, ["nobody"])
        race = tx.races.changes(job_id, metric="nll")
    first = [trial for trial in race.trials if trial.phase == "confirm" and trial.number == 0]
    assert len(makers) == len(views) == len(first)
    assert {maker.kind for maker in makers} == {"text"}
    assert [view.trial for view in views] == [maker.trial for maker in makers]
    assert [view.sample.content for view in views] == [f"{m.optimizer}\\x00\\ud800" for m in makers]
    assert one == {makers[0].trial: views[0].sample}
    assert nobody == {}
