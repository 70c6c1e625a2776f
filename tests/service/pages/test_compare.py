"""Jobs side by side: what may be compared and what not, what differs, and who is the best in each."""

from __future__ import annotations

import re
from typing import Any

from fastapi.testclient import TestClient

from tests.builders.concluded_jobs import conclude, concluded_job, make_recommendation, running_job
from tests.builders.jobs import add_job, add_round, finish, make_spec, must_claim, planning
from tests.service.pages.test_home import SCRIPT, page, words
from whichopt.service.db import Store
from whichopt.service.pages.compare.comparison import Side, comparison
from whichopt.service.pages.compare.differences import Setting, settings
from whichopt.service.states import Direction
from whichopt.service.views import Interval, JobView, Recommendation


def side(store: Store, value: float | None = None, verdict: str = "tie", **changes: Any) -> Side:
    """A job that has concluded with that value of its first optimizer and a hundredth more for the other."""
    spec = make_spec(**changes)
    job_id, uid = add_job(store, spec)
    for cohort_id in add_round(store, job_id):
        finish(store, must_claim(store, cohort_id))
    told = made(uid, value, verdict, spec)
    planned = planning(store, job_id)
    assert planned is not None
    with store.transaction() as tx:
        assert tx.jobs.conclude(planned, told)
    return Side(shown(store, uid), told)


def made(uid: str, value: float | None, verdict: str, spec: Any) -> Recommendation:
    told = make_recommendation(uid, spec)
    first = told.ranking[0]
    rows = []
    for place, label in enumerate(spec.labels):
        mean = (0.2 if value is None else value) + 0.01 * place
        interval = Interval(mean=mean, low=mean - 0.05, high=mean + 0.05, level=0.95, seeds=3)
        odds = 0.9 if place == 0 else 0.1 / (len(spec.labels) - 1)
        rows.append(
            first.model_copy(update={"optimizer": label, "value": interval, "probability_best": odds})
        )
    direction = spec.goal.direction
    return told.model_copy(
        update={"ranking": rows, "verdict": verdict, "metric": spec.goal.metric, "direction": direction}
    )


def shown(store: Store, uid: str) -> JobView:
    with store.read() as tx:
        view = tx.views.job(uid, alive_s=10)
    assert view is not None
    return view


def test_jobs_on_the_same_test_split_are_compared_by_value(lite: Store) -> None:
    first, second = side(lite, 0.3, name="small"), side(lite, 0.2, "winner", name="large", batch_size=32)
    found = comparison([first, second])
    assert found.apart is None
    assert found.title == "Does the answer change with batch_size?"
    told = [re.sub("<[^>]+>", "", str(sentence)) for sentence in found.sentences]
    assert told[:2] == [
        "In “small”, adabelief (0.90) and sgd (0.10) may be the best.",
        "In “large”, adabelief is the clear winner.",
    ]
    assert told[2].startswith("Both jobs share metric, data and test split")
    (belief, sgd) = found.lanes
    assert [bar.value for bar in belief.bars] == ["0.3000", "0.2000"]
    assert [bar.odds for bar in sgd.bars] == ["0.10", "0.10"]
    assert belief.bars[1].at > belief.bars[0].at, "less is better, and better is right"  # type: ignore[operator]
    assert belief.bars[0].y < belief.bars[1].y


def test_right_is_better_too_if_more_is_better(lite: Store) -> None:
    workload = {"dataset": {"name": "wine"}, "model": {"name": "linear"}, "metric": "accuracy"}
    sides = [side(lite, value, workload=workload) for value in (0.3, 0.6)]
    assert sides[0].job.spec.goal.direction is Direction.MAXIMIZE
    low, high = comparison(sides).lanes[0].bars
    assert low.at is not None
    assert high.at is not None
    assert low.at < high.at


def test_other_data_or_another_metric_keeps_the_values_apart(lite: Store) -> None:
    wine = side(lite, 0.3)
    other = {"dataset": {"name": "digits"}, "model": {"name": "linear"}}
    metric = {"dataset": {"name": "wine"}, "model": {"name": "linear"}, "metric": "accuracy"}
    for workload, differing in (
        (other, "data or test split"),
        (metric, "metric and direction"),
    ):
        found = comparison([wine, side(lite, 0.2, workload=workload)])
        assert (
            found.apart == f"Their values are not compared, as the jobs differ in {differing}: the odds are."
        )
        assert {bar.at for lane in found.lanes for bar in lane.bars} == {None}
        assert found.lanes[0].bars[0].chance is not None


def test_a_job_that_runs_is_compared_by_what_is_known(lite: Store) -> None:
    _, uid = running_job(lite)
    found = comparison([side(lite), Side(shown(lite, uid), None)])
    assert found.apart == "Their values are not compared, as “wine” has no verdict."
    assert "it has no odds yet" in str(found.sentences[1])
    assert [fact.values for fact in found.facts if fact.path == "recommended"] == [
        ("adabelief", "nothing yet")
    ]


def test_a_label_that_one_job_lacks_has_no_bar_there(lite: Store) -> None:
    found = comparison([side(lite), side(lite, optimizers=["adabelief", "adam"])])
    lanes = {lane.label: [bar.value for bar in lane.bars] for lane in found.lanes}
    assert lanes == {"adabelief": ["0.2000"] * 2, "sgd": ["0.2100", ""], "adam": ["", "0.2100"]}
    assert len({lane.tone for lane in found.lanes}) == 3


def test_what_differs_is_said_setting_by_setting() -> None:
    narrow = [
        {"name": "adabelief", "space": {"lr": {"type": "float", "low": 1e-4, "high": 1e-2, "scale": "log"}}},
        "sgd",
        "adam",
    ]
    specs = [make_spec(name="a"), make_spec(name="b", optimizers=narrow, clip_norm=1.0)]
    differing = [setting for setting in settings(specs) if setting.differs]
    assert differing == [
        Setting("clip_norm", ("none", "1")),
        Setting("optimizers.adabelief.space.lr", ("1e-5 to 0.1, log", "0.0001 to 0.01, log")),
        Setting("optimizers.adam", ("not there", "there")),
    ]
    same = {setting.path: setting.values for setting in settings(specs) if not setting.differs}
    assert same["workload.goal.metric"] == ("nll", "nll")
    assert same["optimizers.sgd.space.nesterov"] == ("no or yes", "no or yes")


def test_the_page_shows_two_to_four_jobs(http: TestClient, lite: Store) -> None:
    uids = [concluded_job(lite, make_spec(name=SCRIPT))[1], concluded_job(lite)[1], running_job(lite)[1]]
    text = page(http, f"/compare?job={uids[0]}&job={uids[1].upper()}")
    assert SCRIPT not in text
    told = words(text)
    assert "The same job, again" in told
    assert "nll on the test split: the mean over fresh seeds" in told
    assert "test nll · better to the right" in told
    assert "The jobs have the same spec, setting by setting." in told
    told = words(page(http, "/compare?" + "&".join(f"job={uid}" for uid in uids)))
    assert "Their values are not compared, as “wine” has no verdict." in told


def test_what_cannot_be_compared_is_said_with_what_to_do(http: TestClient, lite: Store) -> None:
    _, uid = concluded_job(lite)
    unknown = "00000000-0000-0000-0000-000000000000"
    for query, status, problem in (
        ("", 200, "Nothing is selected."),
        (
            "&".join(f"job={number}" for number in range(5)),
            422,
            "5 jobs are too many to compare; 4 are the most.",
        ),
        (f"job={uid}&job=%3Cb%3E", 404, "“&lt;b&gt;” is no id of a job."),
        (f"job={uid}&job={unknown}", 404, f"There is no job {unknown}."),
    ):
        answer = http.get(f"/compare?{query}")
        assert answer.status_code == status, query
        assert problem in answer.text
        assert "Tick two to four jobs" in answer.text


def test_one_job_is_asked_with_which_others_to_compare_it(http: TestClient, lite: Store) -> None:
    first = side(lite, name=SCRIPT)
    again = f"/compare?job={first.job.id}&job={first.job.id}"
    told = words(page(http, again))
    assert "There is no other job with a verdict yet." in told
    other = side(lite, name="another")
    running_job(lite)
    text = page(http, f"/compare?job={first.job.id}")
    assert SCRIPT not in text
    assert f'href="/compare?job={first.job.id}&amp;job={other.job.id}"' in text
    assert text.count('type="checkbox"') == 1  # a job that runs has no verdict to compare


def test_a_job_in_which_nothing_held_is_compared_too(http: TestClient, lite: Store) -> None:
    job_id, uid = add_job(lite, make_spec(name="all diverged"))
    for cohort_id in add_round(lite, job_id):
        finish(lite, must_claim(lite, cohort_id))
    planned = planning(lite, job_id)
    assert planned is not None
    told = make_recommendation(uid, planned.spec)
    row = told.ranking[0].model_copy(update={"value": None, "probability_best": None})
    nothing: dict[str, Any] = dict.fromkeys(("optimizer", "config", "value", "probability_best", "snippet"))
    nothing |= {"verdict": "nothing", "equivalent": [], "ranking": [row]}
    with lite.transaction() as tx:
        assert tx.jobs.conclude(planned, told.model_copy(update=nothing))
    other, _ = add_job(lite)
    for cohort_id in add_round(lite, other):
        finish(lite, must_claim(lite, cohort_id))
    conclude(lite, other)
    with lite.read() as tx:
        second = tx.jobs.uid_of(other)
    text = page(http, f"/compare?job={uid}&job={second}")
    assert "nothing can be deployed: every finalist diverged" in text
    assert "Nothing to deploy" in page(http)
