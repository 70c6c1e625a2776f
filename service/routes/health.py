"""Serves the state of the service: alive, ready, and its metrics."""

from __future__ import annotations

from collections.abc import Iterable

import structlog
from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from whichopt.service.clocks import ahead_s
from whichopt.service.db import DatabaseError, Store
from whichopt.service.db.troubles import in_words
from whichopt.service.errors import Unavailable
from whichopt.service.reaper import Reaper
from whichopt.service.routes.dependencies import TheDispatcher, TheSettings, TheStore
from whichopt.service.settings import Settings
from whichopt.service.states import JobState
from whichopt.service.versions import program
from whichopt.service.views import Health, Readiness

log = structlog.get_logger()
router = APIRouter(tags=["operations"])

VERSION = program()


@router.get("/healthz")
def healthz() -> Health:
    """Answer if this process is alive; needs no key."""
    return Health(version=VERSION)


@router.get("/readyz")
def readyz(request: Request, store: TheStore, dispatcher: TheDispatcher, settings: TheSettings) -> Readiness:
    """Say if the service is ready: the database must be readable, the broker must take messages, and
    the reaper must live. A full disk shows through the reaper, within two minutes. Training processes are
    only counted.
    """
    from whichopt.service.db.standing import Tables, standing  # Alembic is asked for by nothing else here

    database = standing(store)
    if database.tables is not Tables.CURRENT:
        raise Unavailable(database.detail, field="database")
    refusal = dispatcher.refusal()
    if refusal is not None:
        raise Unavailable(f"the broker cannot be reached, or takes no messages: {refusal}", field="broker")
    reaper: Reaper | None = request.app.state.reaper
    wrong = "the reaper was not started" if reaper is None else reaper.trouble()
    if wrong is not None:
        raise Unavailable(wrong, field="reaper")
    with store.read() as tx:
        workers = tx.workers.live(settings.worker_alive_s)
    return Readiness(database="current", broker="reachable", workers=workers)


def tell_standing(store: Store) -> None:
    """Log what is the matter with the database, if anything is: once, when a process starts."""
    from whichopt.service.db.standing import Tables, standing

    try:
        database = standing(store)
    except DatabaseError as error:
        log.error("database_trouble", reason=in_words(error, store.url))
        return
    if database.tables is not Tables.CURRENT:
        (log.error if database.lasting else log.info)("database_not_current", reason=database.detail)


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
            skew_s = ahead_s(tx)
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
        yield GaugeMetricFamily(
            "whichopt_clock_ahead_seconds", "How far this host's clock is ahead of the database's.", skew_s
        )
