"""The typed client: the command line, tests and users come in by it.

    with Client("http://127.0.0.1:8000", key) as client:
        job = client.submit({"workload": {"dataset": {"name": "digits"}, "model": {"name": "mlp"}}})
        client.wait(job.id)
        print(client.recommendation(job.id).statement)

Where no service answers, what httpx raises (`httpx.TransportError`) comes through.
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
from pydantic import BaseModel, ValidationError

from service.errors import NotFound, WhichoptError
from service.evidence.report import Report
from service.ids import PART
from service.proxies import proxy_for
from service.spec import JobSpec
from service.states import JobState, Phase, TrialState
from service.views import (
    CatalogEntry,
    Health,
    JobForecast,
    JobView,
    LintFinding,
    LintReport,
    Page,
    Problem,
    Readiness,
    Recommendation,
    TrialView,
)

ViewT = TypeVar("ViewT", bound=BaseModel)

SHOWN = 5
"""Jobs that are listed where an id fits none or several."""
"""Beginnings and ends of ids that the service looks for."""

HEARTBEAT_S = 45.0
"""An event stream that is silent for this long is broken: the service beats every 15 seconds."""

RETRIES = 8
"""How often in a row a broken event stream is tried again."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 5.0
"""Between two tries; it doubles while nothing comes."""


class ProblemError(WhichoptError):
    """The service refused: `problem` is its answer, whose first field stands on the error itself."""

    def __init__(self, problem: Problem) -> None:
        first = problem.errors[0].model_dump(exclude={"detail"}) if problem.errors else {}
        super().__init__(problem.detail, **first)
        self.problem = problem

    def __str__(self) -> str:
        others = [error.detail for error in self.problem.errors if error.detail not in self.detail]
        # A field of the request is named; where the job's state refuses, the sentence says it all.
        names = self.problem.status in (400, 422) and self.field and self.field not in self.detail
        at = f"{self.field}: " if names else ""
        return "\n".join([f"{at}{self.detail} ({self.problem.code})", *(f"  {other}" for other in others)])


class Client:
    """Calls a whichopt service at `url` with an API key. Safe to share between threads.

    A service on this machine is asked directly, one elsewhere through the proxy that the environment names.

    Raises:
        WrongProxy: it names one that cannot be used.
    """

    def __init__(
        self, url: str, key: str, *, timeout_s: float = 30.0, transport: httpx.BaseTransport | None = None
    ) -> None:
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
        """Submits a job; with the same `idempotency_key`, the same job again."""
        sent = spec.model_dump(mode="json", exclude_unset=True) if isinstance(spec, JobSpec) else dict(spec)
        headers = {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}
        return self._call(JobView, "POST", "/v1/jobs", json=sent, headers=headers)

    def lint(self, spec: JobSpec | Mapping[str, Any]) -> list[LintFinding]:
        """What users often get wrong, found in the spec; nothing is submitted."""
        sent = spec.model_dump(mode="json", exclude_unset=True) if isinstance(spec, JobSpec) else dict(spec)
        return self._call(LintReport, "POST", "/v1/lint", json=sent).findings

    def job(self, job_id: str) -> JobView:
        return self._call(JobView, "GET", f"/v1/jobs/{job_id}")

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
        """What happens to a job until it has ended: trials that changed, then the job.

        With `curves` each trial has its curve so far; without, its `curve` is None, and much less is sent.
        The job's `revision` is the event's id. A stream that breaks is resumed from the last one; a trial
        may come twice, a job comes only if something of it is new. The last thing to come is the job, ended.

        Raises:
            ProblemError: the service refused.
            httpx.TransportError: the service did not answer `RETRIES` times in a row.
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
            except httpx.TransportError:
                failures += 1
                if failures > RETRIES:
                    raise
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
        return self._call(Recommendation, "GET", f"/v1/jobs/{job_id}/recommendation")

    def forecast(self, job_id: str) -> JobForecast:
        """Where a job stands, and what its remaining trials or fresh seeds would be expected to change."""
        return self._call(JobForecast, "GET", f"/v1/jobs/{job_id}/forecast")

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
        """What has been recommended for workloads like this one, newest first."""
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
        return self._get(Readiness, "/readyz")

    # ------------------------------------------------------------------------------------------------

    def _get(self, view: type[ViewT], path: str, **params: Any) -> ViewT:
        given = {name: str(value) for name, value in params.items() if value is not None}
        return self._call(view, "GET", path, params=given)

    def _save(self, path: str, to: Path, **params: str) -> None:
        if not to.name or to.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder; name a file", str(to))
        if not to.parent.is_dir():
            raise FileNotFoundError(errno.ENOENT, "there is no such folder; make it", str(to.parent))
        part = to.with_name(f".whichopt-{secrets.token_hex(4)}.part")  # a name may be as long as any may
        try:
            with self._http.stream("GET", path, params=params, timeout=None) as response:
                _check(response)
                with part.open("wb") as file:
                    for piece in response.iter_bytes():
                        file.write(piece)
            part.replace(to)
        finally:
            part.unlink(missing_ok=True)

    def _call(self, view: type[ViewT], method: str, path: str, **options: Any) -> ViewT:
        response = self._http.request(method, path, **options)
        _check(response)
        return view.model_validate_json(response.content)

    def _stream(
        self, job_id: str, last_event_id: int | None, *, curves: bool
    ) -> Iterator[JobView | TrialView]:
        headers = {} if last_event_id is None else {"Last-Event-ID": str(last_event_id)}
        limits = httpx.Timeout(self._http.timeout.connect, read=HEARTBEAT_S)
        params = {"curves": "true"} if curves else {}
        with self._http.stream(
            "GET", f"/v1/jobs/{job_id}/events", params=params, headers=headers, timeout=limits
        ) as response:
            _check(response)
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


def _check(response: httpx.Response) -> None:
    """Raises the problem that a refusal tells, also where a proxy refused in words of its own."""
    if response.is_success:
        return
    response.read()
    try:
        problem = Problem.model_validate_json(response.content)
    except ValidationError:
        moved = response.headers.get("Location")
        leads = f", and leads to {moved}; is the service's address another?" if moved else ""
        problem = Problem(
            type="about:blank",
            title=response.reason_phrase,
            status=response.status_code,
            detail=f"{response.request.method} {response.request.url}: {response.status_code} "
            f"{response.reason_phrase}{leads}",
            code="not_whichopt",
        )
    raise ProblemError(problem)
