"""The methods of a client that submit jobs and follow them."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any
from uuid import UUID

import httpx

from whichopt.service.client.calls import Calls
from whichopt.service.client.errors import ProblemError, unreachable
from whichopt.service.errors import NotFound
from whichopt.service.ids import PART
from whichopt.service.spec import JobSpec
from whichopt.service.states import JobState, Phase, TrialState
from whichopt.service.views import JobPlan, JobView, LintFinding, LintReport, Page, TrialView

SHOWN = 5
"""Jobs that are listed if an id fits none or several."""

RETRIES = 8
"""Number of retries in a row for a broken event stream."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 5.0
"""Between two tries; it doubles while nothing comes."""


class Jobs(Calls):
    """The part of a client that submits jobs and follows them."""

    def submit(self, spec: JobSpec | Mapping[str, Any], *, idempotency_key: str | None = None) -> JobView:
        """Submit a job.

        Args:
            spec: the job; in a mapping, all that is left out has its default.
            idempotency_key: a name of your own for this request, at most 255 printable ASCII characters. With
                the same name, the same job is returned again. Without one, the client makes one for this
                call, so that it can be repeated if the answer gets lost.

        Returns:
            The job as the service has recorded it, with its id.

        Raises:
            ProblemError: the spec is invalid (`invalid_spec`, `unknown_name`), or the name was used for
                another spec (`idempotency_key_reused`).

        Example:
            >>> job = client.submit({"workload": {"dataset": {"name": "wine"}, "model": {"name": "linear"}}})
            >>> job.state.value
            'queued'
        """
        sent = spec.model_dump(mode="json", exclude_unset=True) if isinstance(spec, JobSpec) else dict(spec)
        headers = {"Idempotency-Key": idempotency_key or secrets.token_hex(16)}
        return self._call(JobView, "POST", "/v1/jobs", repeatable=True, json=sent, headers=headers)

    def lint(self, spec: JobSpec | Mapping[str, Any]) -> list[LintFinding]:
        """Return the common mistakes in the spec, without submitting it.

        Args:
            spec: the job, as for `submit`.

        Raises:
            ProblemError: the spec is invalid (`invalid_spec`, `unknown_name`).

        Example:
            >>> workload = {"dataset": {"name": "wine"}, "model": {"name": "linear"}}
            >>> budget = {"epochs": 2}
            >>> findings = client.lint({"workload": workload, "budget": budget, "batch_size": 100})
            >>> "few_steps" in [finding.code for finding in findings]
            True
        """
        sent = spec.model_dump(mode="json", exclude_unset=True) if isinstance(spec, JobSpec) else dict(spec)
        return self._call(LintReport, "POST", "/v1/lint", repeatable=True, json=sent).findings

    def plan(self, spec: JobSpec | Mapping[str, Any]) -> JobPlan:
        """Return what the job would take, cost and be able to show, without submitting it.

        Args:
            spec: the job, as for `submit`.

        Returns:
            The plan: seconds, cost in trials, the chance that each verdict names a true leader by its lead,
            and the budget that leads take; `basis` says what each rests on.

        Raises:
            ProblemError: the spec is invalid (`invalid_spec`, `unknown_name`), or other plans take too long
                (`unavailable`).

        Example:
            >>> workload = {"dataset": {"name": "wine"}, "model": {"name": "linear"}}
            >>> plan = client.plan({"workload": workload, "optimizers": ["adabelief", "sgd"]})
            >>> plan.cost.search, [row.lead for row in plan.power.config]
            (96, [0.25, 0.5, 1.0, 2.0])
            >>> plan.power.config[0].chance < 0.9 < plan.power.config[-1].chance
            True
        """
        sent = spec.model_dump(mode="json", exclude_unset=True) if isinstance(spec, JobSpec) else dict(spec)
        return self._call(JobPlan, "POST", "/v1/plan", repeatable=True, json=sent)

    def job(self, job_id: str) -> JobView:
        """Return the job as it stands now.

        Args:
            job_id: the job's whole id; `find_job` completes a part of one.

        Raises:
            ProblemError: there is no such job (`not_found`).

        Example:
            >>> client.job(job.id).progress.trials_done > 0
            True
        """
        return self._get(JobView, f"/v1/jobs/{job_id}")

    def jobs(
        self,
        *,
        state: JobState | str | None = None,
        dataset: str | None = None,
        verdict: str | None = None,
        text: str | None = None,
        cursor: str | None = None,
        limit: int = 20,
    ) -> Page[JobView]:
        """Return a page of the jobs, newest first.

        Args:
            state: the state of the jobs to list; None for all.
            dataset: the name of the dataset that they are about; None for all.
            verdict: what they concluded: `winner`, `tie` or `nothing`; None for all.
            text: words that occur in their name, dataset, model, function or optimizers; None for all.
            cursor: the page before this one gave it; None for the first page.
            limit: the most jobs on the page, from 1 to 100.

        Raises:
            ProblemError: an argument is out of its range (`invalid_query`), or there never was such a
                dataset (`unknown_name`).

        Example:
            >>> page = client.jobs(state="succeeded")
            >>> [listed.id == job.id for listed in page.items], page.cursor
            ([True], None)
        """
        return self._get(
            Page[JobView],
            "/v1/jobs",
            state=state,
            dataset=dataset,
            verdict=verdict,
            q=text,
            cursor=cursor,
            limit=limit,
        )

    def find_job(self, text: str) -> str:
        """Return the id of the job that `text` is the id of, or the beginning or end of its id.

        Args:
            text: an id, or at least 4 characters of its beginning or end.

        Raises:
            NotFound: there is no such job, or there are several. The error lists those that come next.

        Example:
            >>> client.find_job(job.id[-8:]) == job.id
            True
        """
        with suppress(ValueError):
            return str(UUID(text))
        page = self._get(Page[JobView], "/v1/jobs", id=text, limit=100) if re.fullmatch(PART, text) else None
        part, jobs = text.lower(), page.items if page else []
        matches = [job for job in jobs if job.id.startswith(part) or job.id.endswith(part)]
        if len(matches) == 1:
            return matches[0].id
        problem = (
            f"{len(matches)}{' or more' if page and page.cursor else ''} jobs have an id that begins or ends "
            f"with {text!r}; give more of it"
            if matches
            else f"no job's id is, begins with or ends with {text!r}; 'whichopt show' lists the jobs"
            if re.fullmatch(PART, text)
            else f"{text!r} is no part of a job's id: {_why_no_part(text)}"
        )
        candidates = matches[:SHOWN] or self.jobs(limit=SHOWN).items
        head = "the latest of them are" if matches else "the latest are"
        listed = [f"  {job.id}  {job.state.value}  {job.name or ''}".rstrip() for job in candidates]
        raise NotFound("\n".join([problem, *([f"{head}:", *listed] if listed else [])]))

    def cancel(self, job_id: str) -> JobView:
        """Cancel a job that has not ended; its trials stop within seconds, or a step if that takes longer.

        Args:
            job_id: the job's whole id.

        Returns:
            The job, cancelled.

        Raises:
            ProblemError: there is no such job (`not_found`), or it has ended (`job_ended`).

        Example:
            >>> job = client.submit({"workload": {"dataset": {"name": "wine"}, "model": {"name": "linear"}}})
            >>> client.cancel(job.id).state.value
            'cancelled'
        """
        return self._call(JobView, "POST", f"/v1/jobs/{job_id}/cancel")

    def conclude(self, job_id: str) -> JobView:
        """End a job's confirm at the last look that is done; it concludes from the fresh seeds that it has.

        Args:
            job_id: the job's whole id.

        Returns:
            The job, which ends within an epoch; `wait` for it.

        Raises:
            ProblemError: there is no such job (`not_found`), it has ended (`job_ended`), or it still searches
                or has no look done (`not_concludable`).

        Example:
            >>> from whichopt.service.client import ProblemError
            >>> try:
            ...     client.conclude(job.id)
            ... except ProblemError as error:
            ...     print(error.problem.code)
            job_ended
        """
        return self._call(JobView, "POST", f"/v1/jobs/{job_id}/conclude")

    def resume(self, job_id: str) -> JobView:
        """Let a job go on that failed because of its workers; what it has done is kept.

        Args:
            job_id: the job's whole id.

        Returns:
            The job, running again.

        Raises:
            ProblemError: there is no such job (`not_found`), or it has not failed, or would fail again
                (`not_resumable`).

        Example:
            >>> from whichopt.service.client import ProblemError
            >>> try:
            ...     client.resume(job.id)
            ... except ProblemError as error:
            ...     print(error.problem.code)
            not_resumable
        """
        return self._call(JobView, "POST", f"/v1/jobs/{job_id}/resume")

    def trials(
        self,
        job_id: str,
        *,
        optimizer: str | None = None,
        phase: Phase | str | None = None,
        state: TrialState | str | None = None,
        page_size: int = 200,
    ) -> Iterator[TrialView]:
        """Yield all trials of a job, in the order in which they were planned.

        Args:
            job_id: the job's whole id.
            optimizer: the label of the trials' optimizer; None for all.
            phase: `search` or `confirm`; None for both.
            state: the state of the trials; None for all.
            page_size: the most trials in one request, from 1 to 500.

        Raises:
            ProblemError: there is no such job (`not_found`), or an argument is out of its range
                (`invalid_query`).

        Example:
            >>> trials = list(client.trials(job.id, optimizer="sgd", phase="search"))
            >>> len(trials), trials[0].origin.value
            (4, 'default')
        """
        cursor: str | None = None
        while True:
            page = self._get(
                Page[TrialView],
                f"/v1/jobs/{job_id}/trials",
                optimizer=optimizer,
                phase=phase,
                state=state,
                cursor=cursor,
                limit=page_size,
            )
            yield from page.items
            if page.cursor is None:
                return
            cursor = page.cursor

    def events(
        self, job_id: str, *, last_event_id: int | None = None, curves: bool = False
    ) -> Iterator[JobView | TrialView]:
        """Yield the changes of a job until it has ended: changed trials, then the job.

        The job's `revision` is the event's id. A stream that breaks is resumed from the last one; a trial may
        come twice, a job comes only if something of it is new. The last thing to come is the job, ended.

        Args:
            job_id: the job's whole id.
            last_event_id: the revision after which changes are wanted; None for all there are.
            curves: True if each trial is to have its curve so far. Otherwise its `curve` is None, and much
                less is sent.

        Raises:
            ProblemError: there is no such job (`not_found`), or the service refused otherwise.
            ServiceUnreachable: it did not answer `RETRIES` times in a row.

        Example:
            >>> *_, last = client.events(job.id)
            >>> last.state.value
            'succeeded'
        """
        seen, failures, last = last_event_id, 0, None
        while True:
            try:
                for event in self._stream(job_id, seen, curves=curves):
                    failures = 0
                    if event != last:  # who resumes is sent the job again
                        yield event
                    if isinstance(event, JobView):
                        seen, last = event.revision, event
                        if event.state.ended:
                            return
            except httpx.TransportError as error:
                failures += 1
                if failures > RETRIES:
                    raise unreachable(self._url, error) from error
            except ProblemError as error:
                failures += 1
                if error.problem.status < 500 or failures > RETRIES:
                    raise
            time.sleep(min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** max(0, failures - 1)))

    def wait(self, job_id: str, on_change: Callable[[JobView], object] | None = None) -> JobView:
        """Wait until the job has ended.

        Args:
            job_id: the job's whole id.
            on_change: a function that is called with the job: at once, and whenever it has moved.

        Returns:
            The job, ended.

        Raises:
            ProblemError: there is no such job (`not_found`), or the service refused otherwise.
            ServiceUnreachable: it did not answer `RETRIES` times in a row.

        Example:
            >>> client.wait(job.id, on_change=lambda job: print(job.state.value)).id == job.id
            succeeded
            True
        """
        hear = on_change or (lambda _: None)
        job = self.job(job_id)
        hear(job)
        if job.state.ended:
            return job
        for event in self.events(job_id, last_event_id=job.revision):
            if isinstance(event, JobView):
                job = event
                hear(job)
        return job


def _why_no_part(text: str) -> str:
    if not re.fullmatch(r"[0-9A-Fa-f-]*", text):
        return "ids are made of the digits, the letters a to f, and -"
    return "give at least 4 characters of its beginning or end" if len(text) < 4 else "it is too long for one"
