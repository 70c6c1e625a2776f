"""The typed client: the command line, tests and users come in by it.

    with Client("http://127.0.0.1:8000", key) as client:
        job = client.submit({"workload": {"dataset": {"name": "digits"}, "model": {"name": "mlp"}}})
        client.wait(job.id)
        print(client.recommendation(job.id).statement)

A call that nobody answers, or that the service puts off (429, 502, 503, 504), is repeated for some seconds
if that does no harm: those that only read, and `submit`, whose idempotency key keeps a repeated request from
making a second job. Then `ServiceUnreachable` or the service's own refusal is raised.
"""

from __future__ import annotations

import errno
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeVar
from uuid import UUID

import httpx
from pydantic import BaseModel

from whichopt.service.client.errors import ProblemError, ServiceUnreachable, check, unreachable
from whichopt.service.client.retries import ATTEMPTS, PUT_OFF, PutOff, repeat
from whichopt.service.errors import NotFound
from whichopt.service.evidence.report.document import Report
from whichopt.service.ids import PART
from whichopt.service.proxies import proxy_for
from whichopt.service.spec import JobSpec
from whichopt.service.states import JobState, Phase, TrialState
from whichopt.service.views import (
    CatalogEntry,
    Health,
    JobForecast,
    JobView,
    LintFinding,
    LintReport,
    Page,
    Readiness,
    Recommendation,
    TrialView,
)

__all__ = ["Client", "ProblemError", "ServiceUnreachable"]

ViewT = TypeVar("ViewT", bound=BaseModel)
ResultT = TypeVar("ResultT")

SHOWN = 5
"""Jobs that are listed if an id fits none or several."""
"""Beginnings and ends of ids that the service looks for."""

HEARTBEAT_S = 45.0
"""An event stream that is silent for this long is broken: the service beats every 15 seconds."""

RETRIES = 8
"""Number of retries in a row for a broken event stream."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 5.0
"""Between two tries; it doubles while nothing comes."""


class Client:
    """Calls a whichopt service at `url` with an API key. Safe to share between threads.

    A service on this machine is asked directly, one elsewhere through the proxy that the environment names.

    Raises:
        WrongProxy: it names one that cannot be used.
    """

    def __init__(
        self, url: str, key: str, *, timeout_s: float = 30.0, transport: httpx.BaseTransport | None = None
    ) -> None:
        self._url = url
        self._http = httpx.Client(
            base_url=url,
            headers={"X-API-Key": key},
            timeout=timeout_s,
            transport=transport or httpx.HTTPTransport(proxy=proxy_for(url)),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    # -- jobs ----------------------------------------------------------------------------------------

    def submit(self, spec: JobSpec | Mapping[str, Any], *, idempotency_key: str | None = None) -> JobView:
        """Submit a job; with the same `idempotency_key`, the same job again.

        Without a key one is made for this call, so that it can be repeated if the answer gets lost.
        """
        sent = spec.model_dump(mode="json", exclude_unset=True) if isinstance(spec, JobSpec) else dict(spec)
        headers = {"Idempotency-Key": idempotency_key or secrets.token_hex(16)}
        return self._call(JobView, "POST", "/v1/jobs", repeatable=True, json=sent, headers=headers)

    def lint(self, spec: JobSpec | Mapping[str, Any]) -> list[LintFinding]:
        """Return the common mistakes in the spec, without submitting it."""
        sent = spec.model_dump(mode="json", exclude_unset=True) if isinstance(spec, JobSpec) else dict(spec)
        return self._call(LintReport, "POST", "/v1/lint", repeatable=True, json=sent).findings

    def job(self, job_id: str) -> JobView:
        return self._get(JobView, f"/v1/jobs/{job_id}")

    def jobs(
        self, *, state: JobState | str | None = None, cursor: str | None = None, limit: int = 20
    ) -> Page[JobView]:
        """A page of jobs, newest first."""
        return self._get(Page[JobView], "/v1/jobs", state=state, cursor=cursor, limit=limit)

    def find_job(self, text: str) -> str:
        """Return the id of the job that `text` is the id of, or the beginning or end of its id.

        Raises:
            NotFound: there is no such job, or there are several.
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
        return self._call(JobView, "POST", f"/v1/jobs/{job_id}/cancel")

    def trials(
        self,
        job_id: str,
        *,
        optimizer: str | None = None,
        phase: Phase | str | None = None,
        state: TrialState | str | None = None,
        page_size: int = 200,
    ) -> Iterator[TrialView]:
        """All trials of a job, in the order in which they were planned; `optimizer` is the label."""
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

        With `curves` each trial has its curve so far; without, its `curve` is None, and much less is sent.
        The job's `revision` is the event's id. A stream that breaks is resumed from the last one; a trial
        may come twice, a job comes only if something of it is new. The last thing to come is the job, ended.

        Raises:
            ProblemError: the service refused.
            ServiceUnreachable: it did not answer `RETRIES` times in a row.
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
        """Waits until the job has ended; `on_change` hears of the job whenever it has moved."""
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

    # -- results -------------------------------------------------------------------------------------

    def recommendation(self, job_id: str) -> Recommendation:
        return self._get(Recommendation, f"/v1/jobs/{job_id}/recommendation")

    def forecast(self, job_id: str) -> JobForecast:
        """Return the forecast of a job: its progress, and the changes to expect from more trials or seeds."""
        return self._get(JobForecast, f"/v1/jobs/{job_id}/forecast")

    def recommendations(
        self,
        *,
        task: str | None = None,
        dataset: str | None = None,
        model: str | None = None,
        optimizer: str | None = None,
        cursor: str | None = None,
        limit: int = 20,
    ) -> Page[Recommendation]:
        """Return the recommendations for workloads like this one, newest first."""
        return self._get(
            Page[Recommendation],
            "/v1/recommendations",
            task=task,
            dataset=dataset,
            model=model,
            optimizer=optimizer,
            cursor=cursor,
            limit=limit,
        )

    def report(self, job_id: str) -> Report:
        """The evidence behind the recommendation, with all raw results."""
        return self._get(Report, f"/v1/jobs/{job_id}/report", format="json")

    def save_report(self, job_id: str, to: Path, *, form: Literal["html", "json"] = "html") -> None:
        """Saves the job's report in the file `to`, as one page or as JSON; replaces it whole."""
        self._save(f"/v1/jobs/{job_id}/report", to, format=form)

    def studies(self, job_id: str, to: Path) -> None:
        """Saves the job's studies as real Optuna studies in the SQLite file `to`; replaces it whole."""
        self._save(f"/v1/jobs/{job_id}/studies.db", to)

    # -- the service ---------------------------------------------------------------------------------

    def catalog(self, kind: str) -> list[CatalogEntry]:
        """The entries of `optimizers`, `models`, `datasets` or `tasks`."""
        return self._get(Page[CatalogEntry], f"/v1/{kind}").items

    def health(self) -> Health:
        return self._get(Health, "/healthz")

    def ready(self) -> Readiness:
        return self._call(Readiness, "GET", "/readyz")  # 503 is an answer

    # ------------------------------------------------------------------------------------------------

    def _get(self, view: type[ViewT], path: str, **params: Any) -> ViewT:
        given = {name: str(value) for name, value in params.items() if value is not None}
        return self._call(view, "GET", path, repeatable=True, params=given)

    def _save(self, path: str, to: Path, **params: str) -> None:
        if not to.name or to.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder; name a file", str(to))
        if not to.parent.is_dir():
            raise FileNotFoundError(errno.ENOENT, "there is no such folder; make it", str(to.parent))
        part = to.with_name(f".whichopt-{secrets.token_hex(4)}.part")  # a name may be as long as any may

        def fetch() -> None:
            with self._http.stream("GET", path, params=params, timeout=None) as response:
                check(response)
                with part.open("wb") as file:
                    for piece in response.iter_bytes():
                        file.write(piece)

        try:
            self._tried(fetch, repeatable=True)
            part.replace(to)
        finally:
            part.unlink(missing_ok=True)

    def _call(
        self, view: type[ViewT], method: str, path: str, *, repeatable: bool = False, **options: Any
    ) -> ViewT:
        def ask() -> ViewT:
            response = self._http.request(method, path, **options)
            check(response)
            return view.model_validate_json(response.content)

        return self._tried(ask, repeatable=repeatable)

    def _tried(self, call: Callable[[], ResultT], *, repeatable: bool) -> ResultT:
        """Return what `call` does; repeat it if nobody answers or it is put off, and it is `repeatable`."""

        def attempt() -> ResultT:
            try:
                return call()
            except httpx.TransportError as error:
                raise PutOff(unreachable(self._url, error)) from error
            except ProblemError as error:
                if error.problem.status not in PUT_OFF:
                    raise
                raise PutOff(error, error.retry_after) from error

        return repeat(attempt, attempts=ATTEMPTS if repeatable else 1)

    def _stream(
        self, job_id: str, last_event_id: int | None, *, curves: bool
    ) -> Iterator[JobView | TrialView]:
        headers = {} if last_event_id is None else {"Last-Event-ID": str(last_event_id)}
        limits = httpx.Timeout(self._http.timeout.connect, read=HEARTBEAT_S)
        params = {"curves": "true"} if curves else {}
        with self._http.stream(
            "GET", f"/v1/jobs/{job_id}/events", params=params, headers=headers, timeout=limits
        ) as response:
            check(response)
            name, data = "", list[str]()
            for line in response.iter_lines():
                if line.startswith("event:"):
                    name = line[6:].strip()
                elif line.startswith("data:"):
                    data.append(line[5:].removeprefix(" "))
                elif not line and data:
                    view = JobView if name == "job" else TrialView
                    yield view.model_validate_json("\n".join(data))
                    name, data = "", []


def _why_no_part(text: str) -> str:
    if not re.fullmatch(r"[0-9A-Fa-f-]*", text):
        return "ids are made of the digits, the letters a to f, and -"
    return "give at least 4 characters of its beginning or end" if len(text) < 4 else "it is too long for one"
