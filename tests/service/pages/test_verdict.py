"""Act 3 of a job's page: what to use first, then how sure that is, for every kind of verdict."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from tests.builders.concluded_jobs import concluded_job
from tests.builders.confirming_jobs import (
    close_race,
    confirming_job,
    decided_from,
    decided_job,
    race_spec,
)
from tests.builders.guests import guest_spec, whole_job
from tests.builders.jobs import planning
from tests.builders.trials import mirrored, spec_of
from whichopt.service.db import Store
from whichopt.service.evidence.verdict.snippet_lines import lines_that_matter
from whichopt.service.pages.job.acts import verdict
from whichopt.service.pages.job.acts.intervals import scale_of
from whichopt.service.pages.job.acts.warning_words import TITLES
from whichopt.service.planning.finalists import Finalist
from whichopt.service.spec import ResolvedSpec
from whichopt.service.states import Direction
from whichopt.service.views import Recommendation

THREE = ("adabelief", "adamw", "sgd")
GOLDEN = Path(__file__).parents[1] / "evidence" / "verdict" / "golden"


def shown(http: TestClient, uid: str) -> str:
    page = http.get(f"/jobs/{uid}")
    assert page.status_code == 200
    assert "style=" not in page.text
    return page.text


def words(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def lead(html: str) -> str:
    """The sentence above all."""
    found = re.search(r'<p class="lead".*?</p>', html, re.S)
    assert found is not None
    return words(found.group(0)).strip()


def card(html: str, name: str) -> str:
    inside = html.split(f'id="{name}"')[1].split("</section>")[0]
    return inside.split('id="optimizers"')[0]


def decided(lite: Store, spec: ResolvedSpec, *, lead: float, seeds: int | None = None) -> str:
    return decided_job(lite, spec, value=close_race(spec, lead=lead), seeds=seeds)


def kept(lite: Store, uid: str) -> Recommendation:
    with lite.read() as tx:
        row = tx.views.recommendation(uid)
    assert row is not None
    assert row[1] is not None
    return row[1]


def test_a_winner_is_named_first_with_the_lines_to_paste(http: TestClient, lite: Store) -> None:
    uid = decided(lite, race_spec(*THREE, seeds=8, name="<script>alert(1)</script>"), lead=0.05)
    html, found = shown(http, uid), kept(lite, uid)
    assert found.verdict == "winner"
    assert found.value is not None
    assert lead(html).startswith("Use adabelief with the config below: it is the clear winner .")
    assert f"Expected test nll {found.value.mean:.4f}" in lead(html)
    assert "its default gives" in lead(html)
    assert "<script>alert(1)" not in html
    pasted = html.split('<pre tabindex="0" id="lines"')[1].split("</pre>")[0].split(">", 1)[1]
    assert pasted.splitlines()[0] == "from adabelief import AdaBelief"
    assert pasted.rstrip().endswith(")")
    assert 8 <= len(pasted.splitlines()) <= 12
    assert 'data-copy="#lines"' in html
    assert "for epoch in range(epochs)" in html.split('id="snippet"')[1]
    # Whoever pastes only these lines needs no more than their model.
    compile(pasted, "pasted", "exec")


def test_it_says_what_it_rests_on_and_offers_all_files(http: TestClient, lite: Store) -> None:
    uid = decided(lite, race_spec(*THREE, seeds=8), lead=0.05)
    rests = card(shown(http, uid), "rests")
    assert "27 trials" in words(rests)
    assert "fresh seeds" in words(rests)
    assert "Probability of being the best: adabelief" in rests
    for address in (
        f"/v1/jobs/{uid}/report?format=html",
        f"/v1/jobs/{uid}/report?format=json",
        f"/jobs/{uid}/config.json",
        f"/v1/jobs/{uid}/trials.csv",
        f"/v1/jobs/{uid}/trials.jsonl",
        f"/v1/jobs/{uid}/studies.db",
    ):
        assert f'href="{address}"' in rests
    config = http.get(f"/jobs/{uid}/config.json")
    assert config.headers["Content-Disposition"].startswith("attachment")
    assert config.json() == {"name": "adabelief", "config": kept(lite, uid).config}


def test_a_tie_names_who_may_be_as_good_and_what_could_have_been_seen(http: TestClient, lite: Store) -> None:
    uid = decided(lite, race_spec(*THREE, seeds=8), lead=0.0005)
    html, found = shown(http, uid), kept(lite, uid)
    assert found.verdict == "tie"
    assert "no clear winner" in lead(html).lower()
    assert "may be as good" in lead(html)
    for label in found.equivalent:
        assert label in lead(html)
    assert "would have been named with a chance of 80%" in words(card(html, "configs"))
    assert "See it look by look" in words(card(html, "configs"))


def test_the_table_is_of_the_kept_recommendation(http: TestClient, lite: Store) -> None:
    uid = decided(lite, race_spec(*THREE, seeds=8), lead=0.004)
    html, found = shown(http, uid), kept(lite, uid)
    rows = re.findall(r"<tr><th scope=\"row\">.*?</tr>", card(html, "configs"), re.S)
    assert len(rows) == 3
    for row, one in zip(rows, found.ranking, strict=True):
        assert one.optimizer in words(row)
        assert one.value is not None
        shown_mean = re.search(r"<strong>([\d.]+)</strong>", row)
        assert shown_mean is not None
        assert abs(float(shown_mean.group(1)) - one.value.mean) < 1e-3
        assert f"<span>{one.probability_best:.2f}</span>" in row
    assert rows[0].count('class="span k3"') == 1
    assert rows[0].count('class="span k1"') >= 1


def test_the_other_question_has_a_table_of_its_own(http: TestClient, lite: Store) -> None:
    uid = decided(lite, race_spec(*THREE, seeds=8), lead=0.05)
    html, found = shown(http, uid), kept(lite, uid)
    assert 'data-tab="#optimizers"' in html
    told = words(card(html, "optimizers"))
    assert "which optimizer is worth it" in told
    assert found.optimizer_verdict.statement in told.replace("&#39;", "'")
    for row in found.optimizer_verdict.differences:
        assert row.optimizer in told


def test_with_one_study_each_it_says_why_there_is_no_verdict_on_optimizers(
    http: TestClient, lite: Store
) -> None:
    spec = spec_of(*THREE, trials=3, replicates=1, seeds=8, rules=2)
    told = words(card(shown(http, decided(lite, spec, lead=0.05)), "optimizers"))
    assert "No verdict on optimizers: with one study each" in told


def test_nothing_to_deploy(http: TestClient, lite: Store) -> None:
    def value(_: Finalist, seed: int) -> float | None:
        return None if seed == 1 else 0.1

    uid = decided_job(lite, race_spec("adabelief", "sgd"), seeds=4, value=value)
    html = shown(http, uid)
    assert lead(html).startswith("Nothing to deploy : every config diverged")
    assert "What to change:" in words(card(html, "paste"))
    assert 'id="lines"' not in html
    assert "diverged on 1 fresh seed" in words(card(html, "configs"))
    assert "config.json" not in html
    assert http.get(f"/jobs/{uid}/config.json").status_code == 409
    assert "There is nothing to compare" in http.get(f"/jobs/{uid}/more").text


def test_one_that_diverged_cannot_win(http: TestClient, lite: Store) -> None:
    spec = race_spec(*THREE, seeds=8)
    close = close_race(spec)

    def value(arm: Finalist, seed: int) -> float | None:
        return None if arm.label == "sgd" and seed == 2 else close(arm, seed)

    html = shown(http, decided_job(lite, spec, value=value))
    row = re.findall(r"<tr><th scope=\"row\">.*?</tr>", card(html, "configs"), re.S)[-1]
    assert "sgd" in words(row)
    assert "diverged on 1 fresh seed" in words(row)
    assert "cannot win" in words(row)
    assert "It diverged on a fresh seed." in words(card(html, "warnings"))


def test_an_only_optimizer_stands_beside_its_default(http: TestClient, lite: Store) -> None:
    html = shown(http, decided(lite, race_spec("adam", seeds=8), lead=0.01))
    assert lead(html).startswith("Use adam with the config below, the best that was found for it.")
    assert "its default" in card(html, "configs")
    assert 'data-tab="#optimizers"' not in html
    assert "Probability of being the best" not in html


def test_keep_and_switch_come_first(http: TestClient, lite: Store) -> None:
    spec = race_spec("adabelief", "sgd", seeds=8, today={"name": "adamw", "config": {"lr": 1e-3}})
    close = close_race(spec)

    def better(arm: Finalist, seed: int) -> float | None:
        found = close(arm, seed)
        return None if found is None else found - 0.04 * (arm.label not in spec.labels)

    html = shown(http, decided_job(lite, spec, value=better))
    assert lead(html).startswith("Keep today's adamw as it is".replace("'", "&#39;"))
    assert "The best that was found" in words(card(html, "paste"))
    assert "hyperparameter today: adamw held against: adabelief" in words(card(html, "today"))
    assert "recommended" not in card(html, "configs")

    def worse(arm: Finalist, seed: int) -> float | None:
        found = close(arm, seed)
        return None if found is None else found + 0.1 * (arm.label not in spec.labels)

    html = shown(http, decided_job(lite, spec, value=worse))
    assert lead(html).startswith("Switch from today&#39;s adamw to adabelief with the config below")
    assert "gains" in lead(html)


def test_a_function_of_ones_own(http: TestClient, lite: Store) -> None:
    spec = guest_spec()
    html = shown(http, decided_from(lite, spec, whole_job(spec)))
    assert "a test part that chose nothing" in words(card(html, "configs"))
    assert "optimizer = torch.optim.AdamW(" in card(html, "paste")
    assert "With its schedule and groups" in words(card(html, "paste"))
    assert "test examples" not in words(card(html, "configs"))
    on_validation = guest_spec(judged_on="validation")
    html = shown(http, decided_from(lite, on_validation, whole_job(on_validation)))
    assert "scored on the validation split, as nobody held a test part back" in words(card(html, "configs"))
    assert "Expected validation val_loss" in lead(html)


def test_a_margin_is_told(http: TestClient, lite: Store) -> None:
    spec = race_spec(*THREE, seeds=8, margin={"percent": 30})
    told = words(card(shown(http, decided(lite, spec, lead=0.0005)), "configs"))
    assert "Within your margin (30%) of the best: adabelief" in told


def test_right_is_better_in_both_directions(http: TestClient, lite: Store) -> None:
    html = shown(http, decided(lite, mirrored(race_spec(*THREE, seeds=8)), lead=0.05))
    marks = [float(x) for x in re.findall(r'<svg class="best" x="([\d.]+)%"', card(html, "configs"))]
    assert marks == sorted(marks, reverse=True)
    assert lead(html).startswith("Use sgd")


def test_recommendations_of_the_first_version_are_shown(http: TestClient, lite: Store) -> None:
    for case in ("winner", "tie"):
        recorded = json.loads((GOLDEN / "version-0.1" / f"{case}.json").read_text())
        spec = spec_of("adam", "adamw", "sgd", seeds=10)
        job_id, uid, _ = confirming_job(lite, spec, seeds=6)
        planned = planning(lite, job_id)
        assert planned is not None
        with lite.transaction() as tx:
            old = Recommendation.model_validate({**recorded, "job_id": uid})
            assert tx.jobs.conclude(planned, old)
        html = shown(http, uid)
        assert "adam" in lead(html)
        assert "An early version made this." in words(html)
        assert html.count('class="span k3"') >= 3
        assert 'class="span k1"' not in html  # what is recomputed would not fit to its stand-ins
        assert http.get(f"/jobs/{uid}/more").status_code == 200


def test_the_looks_of_a_large_job_come_after_its_page(
    http: TestClient, lite: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verdict, "FEW_TRIALS", 10)
    uid = decided(lite, race_spec(*THREE, seeds=8), lead=0.05)
    html = shown(http, uid)
    assert f'hx-get="/jobs/{uid}/sure"' in html
    assert 'class="span k1"' not in html
    later = http.get(f"/jobs/{uid}/sure").text
    assert 'class="span k1"' in later
    assert "hx-get" not in later
    assert later.strip().startswith("{#") is False


def test_figures_come_after_the_page_with_their_words(http: TestClient, lite: Store) -> None:
    uid = decided(lite, race_spec(*THREE, seeds=8), lead=0.05)
    assert f'hx-get="/jobs/{uid}/more"' in shown(http, uid)
    more = http.get(f"/jobs/{uid}/more").text
    addresses = re.findall(r'data-figure="([^"]+)"', more)
    assert len(addresses) == 3 + 1 + 1
    for address in addresses:
        assert http.get(address.replace("&amp;", "&")).status_code == 200
    assert more.count("<figcaption>") == len(addresses)
    other = http.get(f"/jobs/{uid}/space", params={"optimizer": "sgd"}).text
    assert "optimizer=sgd" in other
    assert http.get(f"/jobs/{uid}/space", params={"optimizer": "nobody"}).status_code == 422


def test_a_job_without_a_recommendation_has_no_parts(http: TestClient, lite: Store) -> None:
    _, uid, _ = confirming_job(lite, race_spec(*THREE), seeds=4)
    for part in ("more", "sure", "config.json"):
        answer = http.get(f"/jobs/{uid}/{part}")
        assert answer.status_code == 409
        assert answer.json()["code"] == "no_recommendation"


def test_a_bare_recommendation_is_shown(http: TestClient, lite: Store) -> None:
    _, uid = concluded_job(lite)
    html = shown(http, uid)
    assert "adabelief" in lead(html)
    assert "import torch" in html


def test_lines_that_matter_are_found_or_nothing_is_claimed() -> None:
    with_modes = (
        "import torch\nfrom schedulefree import AdamWScheduleFree\n\nx = 1\n\n"
        "optimizer = AdamWScheduleFree(\n"
        "    model.parameters(),\n    lr=0.1,\n)\noptimizer.train()\n\nfor epoch in range(3):\n    pass\n"
    )
    found = lines_that_matter(with_modes)
    assert found is not None
    assert found.splitlines()[0] == "from schedulefree import AdamWScheduleFree"
    assert found.splitlines()[-1] == "optimizer.train()"
    assert lines_that_matter("import torch\n") is None


def test_every_warning_has_a_title() -> None:
    told = (Path(verdict.__file__).parents[3] / "evidence" / "verdict" / "warnings.py").read_text()
    codes = set(re.findall(r'code="([a-z_]+)"', told))
    assert codes <= TITLES.keys()


def test_the_scale_shows_a_rival_far_behind_but_not_one_that_hides_the_others() -> None:
    near = [(0.060, 0.070), (0.11, 0.12), (0.13, 0.14)]
    scale = scale_of(near, Direction.MINIMIZE)
    assert not scale.clamped
    assert scale.at(0.060) == pytest.approx(97)
    assert scale.at(0.14) == pytest.approx(3)
    far = scale_of([*near, (1.9, 2.3)], Direction.MINIMIZE)
    assert far.clamped
    assert far.beyond(2.0)
    assert far.at(0.14) == pytest.approx(3)
    # Earlier looks are shown as far as there is room.
    wide = scale_of(near, Direction.MINIMIZE, [(-5.0, 9.0)])
    assert wide.at(0.060) - wide.at(0.14) == pytest.approx(94 / 1.6)
    up = scale_of([(0.8, 0.9), (0.95, 0.97)], Direction.MAXIMIZE)
    assert up.at(0.97) > up.at(0.8)
