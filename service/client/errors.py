"""The errors of a client: refusals by the service, and a service that does not answer."""

from __future__ import annotations

import httpx
from pydantic import ValidationError

from whichopt.service.errors import WhichoptError
from whichopt.service.proxies import through
from whichopt.service.views import FieldProblem, Problem


class ProblemError(WhichoptError):
    """The refusal of a call by the service, which says why.

    Its `field`, `value`, `allowed` and `nearest` are those of the first problem that the answer lists.

    Args:
        problem: the answer, whose `code` is stable and whose `status` is that of HTTP.
        retry_after: the answer's `Retry-After` header, in seconds or as a date; None if it has none.

    Example:
        >>> from whichopt.service.client import ProblemError
        >>> try:
        ...     client.submit({"workload": {"dataset": {"name": "whine"}, "model": {"name": "linear"}}})
        ... except ProblemError as error:
        ...     print(error.problem.code, error.problem.status, error.nearest)
        unknown_name 422 wine
    """

    def __init__(self, problem: Problem, retry_after: str | None = None) -> None:
        first = problem.errors[0].model_dump(exclude={"detail"}) if problem.errors else {}
        super().__init__(problem.detail, **first)
        self.problem = problem
        self.retry_after = retry_after

    def __str__(self) -> str:
        others = [error.detail for error in self.problem.errors if error.detail not in self.detail]
        # A field of the request is named; where the job's state refuses, the sentence says it all.
        names = self.problem.status in (400, 422) and self.field and self.field not in self.detail
        at = f"{self.field}: " if names else ""
        return "\n".join(
            [
                f"{at}{self.detail} ({self.problem.code})",
                *(f"  {other}" for other in others),
                *(f"  {rule}" for rule in dict.fromkeys(map(_rule, self.problem.errors)) if rule),
            ]
        )


def _rule(error: FieldProblem) -> str:
    """Say what the field may be, unless the error's sentence says so already."""
    allowed = error.allowed
    text = ", ".join(map(str, allowed)) if isinstance(allowed, list) else allowed
    if not isinstance(text, str) or not text or text in error.detail:
        return ""
    return f"allowed{f' for {error.field}' if error.field else ''}: {text}"


class ServiceUnreachable(WhichoptError, httpx.TransportError):
    """The error if no service answers at the address; its text has httpx's reason.

    It is an `httpx.TransportError` as well.

    Example:
        >>> from whichopt.service.client import Client, ServiceUnreachable
        >>> with Client("http://127.0.0.1:1", "a key") as nowhere:
        ...     try:
        ...         nowhere.ready()
        ...     except ServiceUnreachable as error:
        ...         print(error.code, error.status)
        service_unreachable 503
    """

    status, code, title = 503, "service_unreachable", "The service does not answer"


def unreachable(url: str, error: httpx.TransportError) -> ServiceUnreachable:
    """Return the error to raise if nobody answers at the address."""
    return ServiceUnreachable(
        f"the service at {url} does not answer{through(url)}: {error}; check "
        "that it is running and that this is "
        "its address"
    )


def check(response: httpx.Response) -> None:
    """Raise the problem of a refusal, even if a proxy refused in words of its own."""
    if response.is_success:
        return
    response.read()
    try:
        problem = Problem.model_validate_json(response.content)
    except ValidationError:
        moved = response.headers.get("Location")
        leads = f", which redirects to {moved}; is that the service's address?" if moved else ""
        problem = Problem(
            type="about:blank",
            title=response.reason_phrase,
            status=response.status_code,
            detail=f"{response.request.method} {response.request.url}: {response.status_code} "
            f"{response.reason_phrase}{leads}",
            code="not_whichopt",
        )
    raise ProblemError(problem, response.headers.get("Retry-After"))
