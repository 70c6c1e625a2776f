"""A report states the earlier jobs about the same, and rests nothing on them."""

from __future__ import annotations

import pytest

from tests.builders.reports import trained_report
from whichopt.service.evidence.report.document import Report
from whichopt.service.evidence.report.html import render_html
from whichopt.service.evidence.report.verify import verify
from whichopt.service.records import MOST_EARLIER, EarlierJob, EarlierJobs
from whichopt.service.states import JobState


def test_the_page_says_how_often_it_was_asked() -> None:
    report = trained_report()
    none = render_html(report.model_copy(update={"earlier": EarlierJobs(count=0, jobs=[])}))
    assert "No earlier job of this service had the same data, model and metric" in none
    at = report.job.created_at
    jobs = [
        EarlierJob(
            id="first",
            created_at=at,
            state=JobState.SUCCEEDED,
            verdict="winner",
            optimizer="adam <b>",
            optimizer_verdict="tie",
        ),
        *[EarlierJob(id="second", created_at=at, state=None)] * (MOST_EARLIER - 1),
    ]
    asked = report.model_copy(update={"earlier": EarlierJobs(count=30, jobs=jobs)})
    told = " ".join(render_html(asked).split())
    assert "30 earlier jobs of this service had the same data" in told
    assert "of 20 jobs about one does" in told
    assert "<td>winner: adam &lt;b&gt;</td> <td>no clear winner</td>" in told
    assert "no conclusion (had not ended)" in told
    assert verify(asked).outcome == "confirmed", "it is part of no conclusion"
    assert Report.model_validate_json(asked.model_dump_json()) == asked
    assert "earlier" not in report.model_dump(), "nobody has looked for them"


@pytest.mark.parametrize("count", [0, 2, 10**30])
def test_a_count_that_is_not_that_of_its_list_is_named(count: int) -> None:
    report = trained_report()
    job = EarlierJob(id="first", created_at=report.job.created_at, state=None)
    found = verify(report.model_copy(update={"earlier": EarlierJobs(count=count, jobs=[job])}))
    assert found.outcome == "differs"
    assert found.inconsistencies == [f"it counts {count:,} earlier jobs, but lists 1"]
