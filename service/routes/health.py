"""Operations: is it alive, is it ready, how much is going on."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import version

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from service.db import OUT_OF_REACH, Store
from service.errors import Unavailable
from service.reaper import Reaper
from service.routes.parts import TheDispatcher, TheSettings, TheStore
from service.settings import Settings
from service.states import JobState
from service.views import Health, Readiness

router = APIRouter(tags=["operations"])

VERSION = version("whichopt")


@router.get("/healthz")
def healthz() -> Health:
    """Whether this process answers; needs no key."""
    return Health(version=VERSION)


@router.get("/readyz")
def readyz(request: Request, store: TheStore, dispatcher: TheDispatcher, settings: TheSettings) -> Readiness:
    """Say whether jobs can be taken: the database must answer, the broker must take messages, and the thread
    must live that finds what was lost. Training processes are only counted."""
    from service.db.migrate import is_current  # Alembic is asked for by nothing else here

    try:
        current = is_current(store)
    except OUT_OF_REACH as error:
        raise Unavailable("the database is out of reach", field="database") from error
    if not current:
        raise Unavailable(
            "the database is not at this version's tables; run 'whichopt migrate'", field="database"
        )
    refusal = dispatcher.refusal()
    if refusal is not None:
        raise Unavailable(f"the broker is out of reach, or takes no message: {refusal}", field="broker")
    reaper: Reaper | None = request.app.state.reaper
    trouble = "the reaper was not started" if reaper is None else reaper.trouble()
    if trouble is not None:
        raise Unavailable(trouble, field="reaper")
    with store.read() as tx:
        workers = tx.workers.live(settings.worker_alive_s)
    return Readiness(database="current", broker="reachable", workers=workers)


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
def metrics(request: Request) -> Response:
    """Prometheus metrics: requests, and what the database counts."""
    registry: CollectorRegistry = request.app.state.metrics
    return Response(generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})


def registry(store: Store, settings: Settings) -> CollectorRegistry:
    """A registry of this app's own, as there may be several in a process."""
    made = CollectorRegistry()
    ProcessCollector(registry=made)
    made.register(_Counts(store, settings))
    return made


class _Counts(Collector):
    """Gauges that are read from the database when they are asked for."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self.store = store
        self.settings = settings

    def describe(self) -> Iterable[GaugeMetricFamily]:
        return []  # so that registering does not read the database

    def collect(self) -> Iterable[GaugeMetricFamily]:
        with self.store.read() as tx:
            by_state, cohorts = tx.views.job_counts(), tx.views.cohort_counts()
            live = tx.workers.live(self.settings.worker_alive_s)
        gauge = GaugeMetricFamily("whichopt_jobs", "Jobs by state.", labels=["state"])
        for job_state in JobState:
            gauge.add_metric([job_state.value], by_state.get(job_state.value, 0))
        yield gauge
        gauge = GaugeMetricFamily(
            "whichopt_cohorts", "Queued and running cohorts by queue.", labels=["queue", "state"]
        )
        queues = sorted({"cpu", "cuda"} | set(live) | {queue for queue, _ in cohorts})
        for queue in queues:
            for state in ("queued", "running"):
                gauge.add_metric([queue, state], cohorts.get((queue, state), 0))
        yield gauge
        gauge = GaugeMetricFamily("whichopt_workers", "Live training processes by queue.", labels=["queue"])
        for queue in queues:
            gauge.add_metric([queue], live.get(queue, 0))
        yield gauge
