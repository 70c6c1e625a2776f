"""What is kept with a job for lists: by whoever concludes it, by each round's forecast, by the migration."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.builders.concluded_jobs import concluded_job, running_job
from tests.builders.jobs import add_job, make_spec
from tests.service.db.test_tallies import check
from whichopt.service.db import Store
from whichopt.service.db.migrate import downgrade, upgrade
from whichopt.service.db.tables import job, job_words
from whichopt.service.db.words import words_of
from whichopt.service.forecasts import RoundForecast
from whichopt.service.sqlite_url import sqlite_url
from whichopt.service.views import ConfirmForecast, JobView, Recommendation
from whichopt.service.views.verdict import Summary, odds_of

EARLIEST = Path(__file__).parents[2] / "earlier" / "0.1" / "data" / "whichopt.db"
ODDS = {"adabelief": 0.75, "sgd": 0.25}


def shown(store: Store, uid: str) -> JobView:
    with store.read() as tx:
        view = tx.views.job(uid, alive_s=10)
    assert view is not None
    return view


def of_round(odds: dict[str, float]) -> RoundForecast:
    confirm = ConfirmForecast(
        seeds=2,
        most=3,
        looks=[2, 3],
        pick="adabelief",
        verdict="tie",
        probability_best=odds,
        stops=None,
        next_seeds=1,
        next_seconds=None,
        winner_next=0.5,
        winner_end=0.5,
        pick_changes=0.1,
        expected_probability_best=0.8,
    )
    return RoundForecast(search=[], confirm=confirm, trial_seconds=None, finalists=["adabelief", "sgd"])


def test_a_concluded_job_has_its_verdict_in_short(store: Store) -> None:
    _, uid = concluded_job(store)
    job = shown(store, uid)
    assert job.verdict is not None
    assert (job.verdict.verdict, job.verdict.optimizer) == ("tie", "adabelief")
    assert job.verdict.headline == "Use adabelief, lr 0.001: it raced alone"
    assert job.verdict.statement == "No clear winner."
    assert job.odds == {"adabelief": 0.5}


def test_a_job_without_an_end_has_no_verdict_but_the_odds_of_its_last_round(store: Store) -> None:
    job_id, uid = running_job(store)
    assert (shown(store, uid).verdict, shown(store, uid).odds) == (None, None)
    with store.transaction() as tx:
        tx.forecasts.keep(job_id, 0, of_round(ODDS))
    assert shown(store, uid).odds == ODDS


def test_jobs_are_found_and_counted_by_verdict_and_words(store: Store) -> None:
    _, tied = concluded_job(store, make_spec(name="50%_off"))
    _, runs = running_job(store)

    def found(text: str | None, *verdicts: str) -> list[str]:
        with store.read() as tx:
            page = tx.views.jobs(state=None, verdicts=verdicts, text=text, before=None, limit=5, alive_s=10)
        return [job.id for job in page.items]

    assert found(None) == [runs, tied]
    assert found(None, "tie", "nothing") == [tied]
    assert found(None, "winner") == []
    assert found("SGD wine") == [runs, tied]
    assert found("0%_o") == [tied]
    with store.read() as tx:
        assert tx.views.verdict_counts() == {("succeeded", "tie"): 1, ("running", None): 1}
        assert tx.views.verdict_counts("50%") == {("succeeded", "tie"): 1}
        these = tx.views.these([tied, "no such"], alive_s=10)
    assert [job.id for job in these.items] == [tied]


def test_a_late_forecast_changes_neither_the_odds_of_a_conclusion_nor_those_of_a_later_round(
    store: Store,
) -> None:
    job_id, uid = concluded_job(store)
    with store.transaction() as tx:
        tx.forecasts.keep(job_id, 0, of_round(ODDS))
    assert shown(store, uid).odds == {"adabelief": 0.5}
    job_id, uid = running_job(store)
    with store.transaction() as tx:
        tx.connection.execute(sa.update(job).where(job.c.id == job_id).values(round=3, odds={"sgd": 1.0}))
        tx.forecasts.keep(job_id, 0, of_round(ODDS))
    assert shown(store, uid).odds == {"sgd": 1.0}


@pytest.fixture
def earliest(tmp_path: Path) -> Store:
    return Store(sqlite_url(Path(shutil.copy(EARLIEST, tmp_path / "earliest.db"))))


def test_the_migration_keeps_the_same_of_earlier_jobs(earliest: Store) -> None:
    upgrade(earliest)
    with earliest.read() as tx:
        rows = tx.connection.execute(sa.select(job)).all()
        words = dict(tx.connection.execute(sa.select(job_words.c.job_id, job_words.c.words)).all())
    assert {row.state for row in rows} >= {"succeeded"}
    for row in rows:
        check(earliest, row.id)
        assert row.dataset in words[row.id]
        if row.recommendation is None:
            assert (row.verdict, row.odds, row.summary) == (None, None, None)
            continue
        recommendation = Recommendation.model_validate(row.recommendation)
        assert (row.verdict, row.odds) == (recommendation.verdict, odds_of(recommendation))
        assert Summary.model_validate(row.summary) == Summary.of(recommendation)
    earliest.close()


def test_the_migration_keeps_the_same_as_who_writes_a_job_today(tmp_path: Path) -> None:
    store = Store(sqlite_url(tmp_path / "new.db"))
    upgrade(store)
    job_id, _ = concluded_job(store, make_spec(name="Größe A", margin={"percent": 2}))
    columns = sa.select(job.c.verdict, job.c.odds, job.c.summary, job_words.c.words).join(job_words)
    with store.read() as tx:
        before = tx.connection.execute(columns).all()
    downgrade(store, "0012")
    upgrade(store)
    with store.read() as tx:
        after = tx.connection.execute(columns).all()
    assert before == after
    check(store, job_id)
    store.close()


@pytest.mark.parametrize("kept", ['{"verdict": ', "[1]", '{"verdict": "winner", "ranking": 3}', "null"])
def test_a_job_that_cannot_be_read_stops_no_migration(tmp_path: Path, kept: str) -> None:
    store = Store(sqlite_url(tmp_path / "damaged.db"))
    upgrade(store)
    concluded_job(store)
    _, uid = add_job(store)
    downgrade(store, "0012")
    with store.transaction() as tx:
        tx.connection.execute(sa.text("UPDATE job SET recommendation = :kept"), {"kept": kept})
        tx.connection.execute(sa.text("UPDATE job SET spec = 'none' WHERE uid = :uid"), {"uid": uid})
    upgrade(store)
    with store.read() as tx:
        assert len(tx.connection.execute(sa.select(job_words)).all()) == 2
    store.close()


def test_a_job_is_found_by_its_name_its_workload_and_its_optimizers() -> None:
    spec = make_spec(name="Erste Größe", optimizers=[{"name": "adabelief", "label": "belief"}, "sgd"])
    words = words_of(spec).split("\n")
    assert words == ["erste grösse", "wine", "linear", "belief", "adabelief", "sgd"]
