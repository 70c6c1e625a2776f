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

from whichopt.service.client.datasets import Datasets
from whichopt.service.client.errors import ProblemError, ServiceUnreachable
from whichopt.service.client.jobs import Jobs
from whichopt.service.client.results import Results
from whichopt.service.views import CatalogEntry, Health, Page, Readiness

__all__ = ["Client", "ProblemError", "ServiceUnreachable"]


class Client(Jobs, Results, Datasets):
    """A client of a whichopt service. Threads may share it.

    A service on this machine is asked directly, one elsewhere through the proxy that the environment names.
    Every method raises `ProblemError` if the service refuses the call, and `ServiceUnreachable` if nobody
    answers; each names the refusals that belong to it.

    In the examples, `url` and `key` lead to a service, `client` is a client of it, and `job` is a concluded
    job there.

    Args:
        url: the service's address, such as `http://127.0.0.1:8000`.
        key: an API key. `whichopt up` writes one into `whichopt-data/api-key`.
        timeout_s: seconds to wait for a connection, and for each part of an answer.
        transport: the transport of the requests; None for one of httpx's own.

    Raises:
        WrongUrl: the address is none.
        WrongProxy: the environment names a proxy that cannot be used.

    Example:
        >>> from whichopt import Client
        >>> with Client(url, key) as client:
        ...     client.health().status
        'ok'
    """

    # -- the service ---------------------------------------------------------------------------------

    def catalog(self, kind: str) -> list[CatalogEntry]:
        """Return the entries of a part of the service's catalog.

        Args:
            kind: the part: `optimizers`, `models`, `datasets` or `tasks`.

        Raises:
            ProblemError: there is no such part (`not_found`).

        Example:
            >>> "adabelief" in [entry.name for entry in client.catalog("optimizers")]
            True
        """
        if kind == "datasets":
            return self.datasets()
        return self._get(Page[CatalogEntry], f"/v1/{kind}").items

    def health(self) -> Health:
        """Return the service's version, if its process is alive. This call needs no key.

        Example:
            >>> client.health().status
            'ok'
        """
        return self._get(Health, "/healthz")

    def ready(self) -> Readiness:
        """Return the state of the service's parts, and the number of its training processes by queue.

        The call is made once, as a refusal is an answer here.

        Raises:
            ProblemError: the database or the broker is out of reach (`unavailable`).

        Example:
            >>> client.ready().database
            'current'
        """
        return self._call(Readiness, "GET", "/readyz")
