"""Act 2 of a job's page: fresh seeds look by look, and what the next look may say."""

from __future__ import annotations

import re
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.builders.confirming_jobs import close_race, confirming_job, decided_job, race_spec, searched
from tests.builders.trials import CONSTANT, confirm, mirrored, spec_of
from whichopt.service.db import Store
from whichopt.service.evidence.forecast.round import of_round
from whichopt.service.evidence.verdict.look_by_look import Looks, look_by_look
from whichopt.service.evidence.verdict.recommend import recommend
from whichopt.service.pages.job.acts import kept_looks
from whichopt.service.pages.job.scene import scene
from whichopt.service.planning.finalists import Finalist
from whichopt.service.states import Phase

THREE = ("adabelief", "adamw", "sgd")


def shown(http: TestClient, uid: str, *, act: str = "") -> str:
    page = http.get(f"/jobs/{uid}{act}")
    assert page.status_code == 200
    assert "style=" not in page.text
    return page.text


def words(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_each_look_is_what_concluding_there_would_have_said() -> None:
    spec = race_spec(*THREE)
    trials = confirm(spec, searched(spec), close_race(spec))
    looks = look_by_look(spec, trials)
    assert [look.seeds for look in looks.taken] == [4, 10, 16, 28]
    assert looks.taken[0].found == "champions"
    assert looks.taken[0].level is None
    assert not looks.coming
    for look in looks.taken[1:]:
        there = recommend("job", spec, trials, concluded_seeds=look.seeds)
        assert look.found == there.verdict
        assert list(look.possible) == there.equivalent
        assert look.pick == there.optimizer
        assert [row.value for row in look.ranking] == [row.value for row in there.ranking]
        assert [row.difference for row in look.ranking] == [row.difference for row in there.ranking]
        assert look.odds[there.ranking[0].optimizer] == there.ranking[0].probability_best
        assert there.stage is not None
        assert look.level == there.stage.alpha


def test_seeds_of_an_unfinished_stage_are_not_looked_at() -> None:
    spec = race_spec(*THREE)
    trials = confirm(spec, searched(spec), close_race(spec))
    some = [t for t in trials if t.plan.phase is Phase.SEARCH or t.plan.number < 13]
    looks = look_by_look(spec, some)
    assert [look.seeds for look in looks.taken] == [4, 10]
    assert [(look.seeds, look.level is None) for look in looks.coming] == [(16, False), (28, False)]
    assert looks.most == 28
    # If the job has ended there, they count: the verdict rests on them.
    ended = look_by_look(spec, some, ended=True)
    assert [look.seeds for look in ended.taken] == [4, 10, 13]
    assert not ended.coming


def test_before_the_first_look_nothing_is_shown(http: TestClient, lite: Store) -> None:
    _, uid, _ = confirming_job(lite, race_spec(*THREE), seeds=2)
    html = shown(http, uid)
    told = words(html)
    assert "12 finalists" in told
    assert "The first look is at 4 seeds; two have come in." in told
    assert "running, 2 of 4 seeds are in" in told
    assert "Nothing is shown before a look" in told
    assert 'class="lane ' not in html


def test_the_first_look_chooses_champions(http: TestClient, lite: Store) -> None:
    _, uid, _ = confirming_job(lite, race_spec(*THREE), seeds=4)
    told = words(shown(http, uid))
    assert "On 4 fresh seeds adabelief is best with probability" in told
    assert "champions alone train on" in told
    assert "3 champions chosen" in told
    assert "4 of each finalist nothing" in told


def test_intervals_are_added_look_by_look(http: TestClient, lite: Store) -> None:
    _, uid, trials = confirming_job(lite, race_spec(*THREE), seeds=10)
    html = shown(http, uid)
    lanes = re.findall(r'<svg class="lane .*?</svg>\s*</td>', html, re.S)
    assert len(lanes) == 3
    for lane in lanes:
        kinds = re.findall(r'class="span (k\d)" x1="([\d.]+)%" x2="([\d.]+)%"', lane)
        assert [kind for kind, *_ in kinds if kind == "k3"] == ["k3"]
        assert any(kind == "k2" for kind, *_ in kinds)
        assert all(0 <= float(end) <= 100 for _, *ends in kinds for end in ends)
    told = words(html)
    coming = of_round(race_spec(*THREE), trials, risk=None).confirm
    assert coming is not None
    assert coming.winner_next is not None
    assert f"they name a winner with probability {coming.winner_next:.2f}" in told
    assert "Six more seeds" in told
    assert "are not yet ruled out" in told
    assert "Search promised" in told
    assert f"/jobs/{uid}/figures/odds-by-look" in html


def test_right_is_better_in_both_directions(http: TestClient, lite: Store) -> None:
    spec = mirrored(race_spec(*THREE))
    _, uid, _ = confirming_job(lite, spec, seeds=10)
    html = shown(http, uid)
    marks = [float(x) for x in re.findall(r'<svg class="best" x="([\d.]+)%"', html)]
    assert marks == sorted(marks, reverse=True)
    assert words(html).index("sgd") > 0
    # With a metric to maximize, the highest of these values leads.
    assert 'aria-label="sgd' in html.split('class="lane ')[1]


def test_todays_config_stands_apart(http: TestClient, lite: Store) -> None:
    spec = race_spec("adabelief", "sgd", today={"name": "adamw", "config": {"lr": 1e-3}})
    _, uid, _ = confirming_job(lite, spec, seeds=10)
    html = shown(http, uid)
    apart = html.split('<tbody class="apart">')[1].split("</tbody>")[0]
    assert "today&#39;s adamw" in apart
    assert 'class="hollow"' in apart
    assert "has no part in the race" in words(html)


def test_an_only_optimizer_is_held_against_its_default(http: TestClient, lite: Store) -> None:
    _, uid, _ = confirming_job(lite, race_spec("adam"), seeds=7)
    html = shown(http, uid)
    told = words(html)
    assert "the best config of adam gives" in told
    assert "its default" in html.split('<tbody class="apart">')[1]
    assert "is the best" not in told
    assert "name a winner" not in told


def test_a_job_in_which_all_diverged_says_so(http: TestClient, lite: Store) -> None:
    def value(_: Finalist, seed: int) -> float | None:
        return None if seed == 1 else 0.1

    _, uid, _ = confirming_job(lite, race_spec("adabelief", "sgd"), seeds=4, value=value)
    told = words(shown(http, uid))
    assert "On 4 fresh seeds every config has diverged at least once" in told
    assert "nothing can be deployed" in told


def test_the_looks_of_a_job_that_has_ended_stay(http: TestClient, lite: Store) -> None:
    spec = race_spec(*THREE, seeds=8)
    uid = decided_job(lite, spec, value=close_race(spec, lead=0.0005))
    told = words(shown(http, uid, act="?act=confirm"))
    assert "more seeds" not in told
    assert "running" not in told.split("When does it stop?")[1]
    assert "best mean" in told


def test_a_job_of_earlier_rules_is_shown_by_them(http: TestClient, lite: Store) -> None:
    spec = spec_of(*THREE, seeds=10)
    _, uid, _ = confirming_job(lite, spec, seeds=6)
    told = words(shown(http, uid))
    assert "champion" not in told
    assert "6 of each finalist 1.75%" in told


def test_looks_are_computed_once_for_all(
    http: TestClient, lite: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, uid, _ = confirming_job(lite, race_spec(*THREE), seeds=10)
    calls: list[int] = []

    def counting(*given: Any, **options: Any) -> Looks:
        calls.append(1)
        return look_by_look(*given, **options)

    monkeypatch.setattr(kept_looks, "look_by_look", counting)
    for _ in range(3):
        shown(http, uid)
        assert http.get(f"/jobs/{uid}/figures/odds-by-look").status_code == 200
    assert len(calls) == 1


def test_the_race_gives_the_same_looks_as_the_trials(lite: Store) -> None:
    spec = race_spec("adabelief", "sgd", today={"name": "adamw", "config": {"lr": 1e-3}})
    _, uid, trials = confirming_job(lite, spec, seeds=16)
    found = kept_looks.confirmed(scene(lite, uid, alive_s=10))
    assert found.looks == look_by_look(spec, trials)
    assert [row.label for row in found.tuned] == ["adabelief", "sgd"]
    assert found.worst == CONSTANT


def test_figures_of_a_job(http: TestClient, lite: Store) -> None:
    _, uid, _ = confirming_job(lite, race_spec("adabelief", "sgd"), seeds=10)
    for name in (
        "odds-by-look",
        "default-and-tuned",
        "lr?optimizer=sgd",
        "space",
        "best-so-far?against=steps",
    ):
        spec = http.get(f"/jobs/{uid}/figures/{name}")
        assert spec.status_code == 200, name
        assert "vega-lite" in spec.json()["$schema"]
    # These trials have no curves, which is no error: their figure has an address of its own.
    assert http.get(f"/jobs/{uid}/figures/learning-curves").status_code == 204
    wrong = http.get(f"/jobs/{uid}/figures/lr?optimizer=sdg")
    assert wrong.status_code == 422
    assert "did you mean 'sgd'?" in wrong.json()["detail"]
    assert http.get(f"/jobs/{uid}/figures/nothing").status_code == 422
