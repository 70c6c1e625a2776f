"""What the finalists' networks have made, in a report: shown, bounded, checked, and of no account."""

from __future__ import annotations

import base64
import io
import re
from functools import cache

import pytest
from PIL import Image

from tests.builders.made import images_sample, points_sample, text_sample, with_samples
from tests.builders.reports import trained_report, with_trials
from whichopt.service.evidence.report.document import Report, evidence
from whichopt.service.evidence.report.html import render_html
from whichopt.service.evidence.report.samples import samples_of
from whichopt.service.evidence.report.verify import verify
from whichopt.service.figures.tones import tones
from whichopt.service.records import RecordedTrial
from whichopt.service.states import Phase
from whichopt.service.trials import Sample, TrialPlan

SAMPLES = {"points": points_sample(), "images": images_sample(), "text": text_sample()}


@cache
def report_with(kind: str) -> Report:
    plain = trained_report()
    trials = with_samples(plain.trials, lambda _: SAMPLES[kind])
    recorded = [RecordedTrial.model_validate(trial.model_dump()) for trial in trials]
    return evidence(plain.job, plain.spec, recorded, plain.recommendation, plain.environments)


@cache
def page(kind: str) -> str:
    return render_html(report_with(kind))


def section(html: str) -> str:
    return html.split('<section class="card" id="made">')[1].split("</section>")[0]


@pytest.mark.parametrize("kind", SAMPLES)
def test_the_recommended_and_its_default_come_first(kind: str) -> None:
    report = report_with(kind)
    found = samples_of(report, tones({one.label: one.name for one in report.spec.optimizers}))
    assert found is not None
    pick = report.recommendation.optimizer
    assert [one.maker.optimizer for one in found.first] == [pick, pick]
    assert [one.whose for one in found.first] == ["recommended", "its default"]
    finalists = {(t.plan.label, t.plan.replicate) for t in report.trials if t.plan.phase is Phase.CONFIRM}
    assert len(found.first) + len(found.others) == len(finalists)


def test_points_are_drawn_on_the_same_axes() -> None:
    shown = section(page("points"))
    assert "64 points; all finalists have the same axes" in shown
    ticks = [
        re.findall(r"<text[^>]*>([^<]*)</text>", one) for one in re.findall(r"<svg viewBox.*?</svg>", shown)
    ]
    assert len({tuple(one) for one in ticks}) == 1
    assert shown.count("<figure>") == len(ticks)


def test_images_are_in_the_page_itself() -> None:
    shown = section(page("images"))
    found = re.findall(r'src="data:image/png;base64,([^"]+)"', shown)
    assert len(found) == shown.count("<img ")
    assert Image.open(io.BytesIO(base64.b64decode(found[0]))).size == (71, 71)
    assert "img-src data:;" in page("images").split("<title>")[0]


def test_text_is_quoted_with_all_that_it_has() -> None:
    shown = section(page("text"))
    assert "the cat &lt;b&gt;sat&lt;/b&gt;\non the\\tmat\\x00 &amp; \\u202eran</pre>" in shown


@pytest.mark.parametrize("kind", SAMPLES)
def test_a_report_with_samples_is_confirmed(kind: str) -> None:
    assert verify(report_with(kind)).outcome == "confirmed"
    assert "<script" not in page(kind)


def test_a_report_without_samples_has_no_such_section() -> None:
    assert 'id="made"' not in render_html(trained_report())


@pytest.mark.parametrize(
    ("where", "sample", "says"),
    [
        ("search", SAMPLES["text"], "only complete confirm runs on the first fresh seed have"),
        ("confirm", Sample(kind="points", content="AAAA", shape=(1, 2)), "cannot be read"),
    ],
)
def test_a_sample_that_cannot_be_is_named(where: str, sample: Sample, says: str) -> None:
    plain = trained_report()
    place = next(
        i for i, t in enumerate(plain.trials) if t.plan.phase == where and t.plan.number == 0 and t.result
    )
    trials = list(plain.trials)
    result = trials[place].result
    assert result is not None
    trials[place] = trials[place].model_copy(update={"result": result.model_copy(update={"sample": sample})})
    found = verify(with_trials(plain, trials))
    assert found.outcome != "confirmed"
    assert any(says in problem for problem in found.inconsistencies), found


def test_what_cannot_be_shown_is_said_in_the_page() -> None:
    plain = trained_report()

    def make(_: TrialPlan) -> Sample:
        return Sample(kind="images", content="AAAA", shape=(1, 1, 8, 8))

    recorded = [RecordedTrial.model_validate(t.model_dump()) for t in with_samples(plain.trials, make)]
    html = render_html(with_trials(plain, recorded))
    assert "This sample cannot be shown: its content has 3 bytes" in html
