"""What a person reads while a job runs: what is said, how often, and where a line may change."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import pytest

from whichopt.service.guests import Finding, Rehearsed
from whichopt.service.spec import JobSpec, resolve
from whichopt.service.states import JobState, Phase
from whichopt.service.views import JobView
from whichopt.service.views.jobs import LedgerEntry
from whichopt.service.views.jobs import Progress as Done
from whichopt.workers.tune.progress import InPlace, Progress, ToStderr, rehearsed, to_stderr


class Job:
    """A job of two optimizers, `done` trials of which are there, by a clock that is set by hand."""

    def __init__(self, goal: str = "minimize") -> None:
        workload = {"function": "train.py:fit", goal: "loss"}
        self.spec = resolve(
            JobSpec.model_validate(
                {"workload": workload, "optimizers": ["adamw", "sgd"], "budget": {"trials": 30}}
            )
        )
        self.now = 0.0
        self.done: int | None = None
        self.looks = 0

    def clock(self) -> float:
        return self.now

    def view(self) -> JobView:
        self.looks += 1
        done = self.done or 0
        values = {"adamw": 0.5, "sgd": 0.25} if done else {"adamw": None, "sgd": None}
        counts = {"trials": done, "trials_total": 30, "pruned": 0, "diverged": 0, "steps": 0, "examples": 0}
        return JobView(
            id="1",
            name=None,
            state=JobState.RUNNING,
            phase=None if self.done is None else Phase.SEARCH,
            spec=self.spec,
            queue="here-1",
            executor=None,
            probe=None,
            activity=None,
            waiting_for=None,
            progress=Done(trials_done=done, trials_total=60, cohorts_running=1, examples=20 * done),
            ledger=[
                LedgerEntry(optimizer=label, seconds=0.0, best_value=value, **counts)
                for label, value in values.items()
            ],
            error=None,
            revision=1,
            created_at=datetime.now(UTC),
            started_at=None,
            finished_at=None,
        )


def test_a_line_comes_now_and_then_and_less_often_as_hours_pass() -> None:
    job, said = Job(), list[str]()
    progress = Progress(said.append, job.view, job.clock)
    progress.tick()
    job.now = 11
    progress.tick()
    assert said == [], "nothing is known before the first round"
    job.now, job.done = 12.5, 0
    progress.tick()
    job.now, job.done = 13, 1
    progress.tick()
    assert said == ["search: 0 of 60 trials, 0 epochs"]
    job.now = 23
    progress.tick()
    assert said[1:] == ["search: 1 of 60 trials, 20 epochs; best loss in search 0.25 (sgd)"]
    job.now = 3600
    progress.tick()
    assert len(said) == 2, "that was said"
    job.done = 2
    job.now = 3602
    progress.tick()
    job.done = 3
    job.now = 3622
    progress.tick()
    assert len(said) == 3, "a job of an hour says something every three minutes"
    job.now = 3602 + 200
    progress.tick()
    assert len(said) == 4


def test_it_looks_once_a_second_at_most() -> None:
    job = Job()
    progress = Progress(InPlace(io.StringIO()), job.view, job.clock)
    for tenth in range(50):
        job.now = tenth / 10
        progress.tick()
    assert job.looks == 4


def test_the_best_is_the_largest_if_more_is_better() -> None:
    job, said = Job("maximize"), list[str]()
    job.done = 1
    Progress(said.append, job.view, job.clock).tell(job.view())
    assert said[0].endswith("best loss in search 0.5 (adamw)")


def test_in_a_terminal_one_line_changes_until_another_follows() -> None:
    stream, job = io.StringIO(), Job()
    say = InPlace(stream)
    progress = Progress(say, job.view, job.clock)
    job.done = 1
    progress.tell(job.view())
    job.now, job.done = 2, 2
    progress.tick()
    say("a line")
    say("another")
    progress.end()
    first, one, two, end = stream.getvalue().split("\n")
    assert first.count("\r") == 2
    assert first.split("\r")[2].startswith("whichopt: search: 2 of 60 trials")
    assert (one, two, end) == ("whichopt: a line", "whichopt: another", "")


def test_what_is_left_of_a_longer_line_is_written_over() -> None:
    stream = io.StringIO()
    say = InPlace(stream)
    say.change("12345")
    say.change("1")
    say.end()
    assert stream.getvalue() == "\rwhichopt: 12345\rwhichopt: 1    \n"


def test_a_file_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    say = to_stderr()
    say("a line")
    assert type(say) is ToStderr
    assert stream.getvalue() == "whichopt: a line\n"


def test_a_rehearsal_is_told_in_a_line_and_each_warning_in_one_of_its_own() -> None:
    known = Rehearsed(
        source="0" * 64,
        metrics=("loss",),
        epoch_seconds={"adamw": 0.5, "sgd": 0.25},
        fixed_seconds={"adamw": 0.0, "sgd": 0.0},
        judged_on="validation",
        scheduled=False,
        closure=False,
        pretrained=False,
        params=3,
        repeats="close",
        paired=True,
        findings=(Finding(code="repeats_close", detail="the last digits differ"),),
    )
    line, warning = rehearsed(known)
    assert line == (
        "rehearsed: an epoch takes 0.25 s to 0.5 s; the same seeds give nearly the same; the verdict rests "
        "on the last report, as the function calls no run.test"
    )
    assert warning == "warning (repeats_close): the last digits differ"
