"""What the pages of one large job cost: 12 optimizers and 5,000 trials, and its report."""

from __future__ import annotations

import random
import re
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from fastapi import FastAPI
from fastapi.sse import format_sse_event
from fastapi.testclient import TestClient
from starlette.requests import Request

from tests.builders.jobs import must_claim, planning
from tests.builders.played_jobs import digits_spec, played_job
from tests.builders.races import TWELVE, make_race_result, race_plans, racing_job
from tests.builders.services import KEY, Recorder
from whichopt.service.app import create_app
from whichopt.service.db import Store
from whichopt.service.db.migrate import ensure_key, upgrade
from whichopt.service.pages.job.page import watch_of
from whichopt.service.settings import Settings

TRIALS, EACH, VIEWERS, UPDATES = 5000, 480, 10, 20
MOST_BYTES = 150_000
MOST_UPDATE_MS = 20.0
FIGURE_LIBRARY = "vega-bundle.js"
LOADED = re.compile(r'(?:src|href)="(/assets/[^"]+)"')


@dataclass(frozen=True)
class Cost:
    """What was measured; `most` is its limit, if it has one."""

    what: str
    value: float
    unit: str
    most: float | None = None

    @property
    def kept(self) -> bool:
        return self.most is None or self.value <= self.most


def costs() -> Iterator[Cost]:
    """Measure a job in its search, the same job while it moves, and the report of a smaller one."""
    with TemporaryDirectory() as name, _service(Path(name)) as (store, app, client):
        job_id, uid = racing_job(store, optimizers=TWELVE, trials=EACH, done=TRIALS, running=0, replicates=5)
        yield from _page(client, f"/jobs/{uid}", f"a page in search, {TRIALS:,} trials")
        yield from _updates(store, app, job_id, uid)
        _, ended = played_job(store, Path(name) / "blobs", digits_spec(TWELVE), gap=0.03)
        yield from _page(client, f"/jobs/{ended}", "a page with its verdict")
        yield from _report(client, ended)


@contextmanager
def _service(folder: Path) -> Iterator[tuple[Store, FastAPI, TestClient]]:
    store = Store(f"sqlite:///{folder / 'whichopt.db'}")
    upgrade(store)
    ensure_key(store, KEY)
    app = create_app(Settings(blobs=folder / "blobs", reap_s=3600), store, Recorder())
    with TestClient(app, headers={"X-API-Key": KEY, "Accept-Encoding": "gzip"}) as client:
        yield store, app, client


def _page(client: TestClient, path: str, what: str) -> Iterator[Cost]:
    """The bytes on the wire of the page, and of all that it loads but the figure library."""
    begun = time.perf_counter()
    html = client.get(path)
    took = time.perf_counter() - begun
    html.raise_for_status()
    assets = [one for one in LOADED.findall(html.text) if FIGURE_LIBRARY not in one]
    alone = _sent(client, path)
    yield Cost(f"{what}: HTML", alone, "bytes")
    yield Cost(
        f"{what}: with styles and scripts",
        alone + sum(_sent(client, one) for one in assets),
        "bytes",
        MOST_BYTES,
    )
    yield Cost(f"{what}: first answer", 1000 * took, "ms")


def _sent(client: TestClient, path: str) -> int:
    """The compressed bytes of an answer."""
    with client.stream("GET", path) as answer:
        answer.raise_for_status()
        return sum(map(len, answer.iter_raw()))


def _updates(store: Store, app: FastAPI, job_id: int, uid: str) -> Iterator[Cost]:
    """What a cohort that ends costs: the page is read and drawn anew, and each viewer gets what changed."""
    request = Request({"type": "http", "app": app, "root_path": "", "headers": []})
    watch = watch_of(request, uid, None)
    known = watch.read().stamp
    cpu, wall, sizes = list[float](), list[float](), list[int]()
    for _ in _cohorts_end(store, job_id):
        cpu_s, wall_s = time.thread_time(), time.perf_counter()
        live = watch.read()
        news = (live.since(known) for _ in range(VIEWERS))
        sent = [format_sse_event(data_str=one.html, id=str(one.stamp)) for one in news if one is not None]
        cpu.append(time.thread_time() - cpu_s)
        wall.append(time.perf_counter() - wall_s)
        assert len(sent) == VIEWERS, "every viewer is sent the update"
        sizes.append(len(sent[0]))
        known = live.stamp
    what = f"a live update for {VIEWERS} viewers"
    yield Cost(f"{what}: CPU, median", 1000 * statistics.median(cpu), "ms", MOST_UPDATE_MS)
    yield Cost(f"{what}: CPU, worst", 1000 * max(cpu), "ms")
    yield Cost(f"{what}: time, median", 1000 * statistics.median(wall), "ms")
    yield Cost(f"{what}: sent to each", statistics.median(sizes), "bytes")


def _cohorts_end(store: Store, job_id: int) -> Iterator[None]:
    """End one cohort after the other, with a trial of each optimizer."""
    planned = planning(store, job_id)
    assert planned is not None
    spec, size, chance = planned.spec, len(TWELVE), random.Random(7)
    plans = race_plans(spec, TRIALS + UPDATES * size, chance)[TRIALS:]
    cohorts = [plans[at : at + size] for at in range(0, len(plans), size)]
    with store.transaction() as tx:
        ids = tx.jobs.add_round(planned, cohorts, spec=spec.with_executor("stacked"), cut_short=False)
    assert ids is not None
    assert len(ids) == UPDATES
    for cohort_id in ids:
        claimed = must_claim(store, cohort_id)
        results = [make_race_result(spec, plan, chance) for plan in claimed.plans]
        with store.transaction() as tx:
            assert tx.cohorts.finish(claimed, results)
        yield


def _report(client: TestClient, uid: str) -> Iterator[Cost]:
    """The report is made once: who asks again is given what is kept."""
    took, tags = [], set()
    for _ in range(2):
        begun = time.perf_counter()
        answer = client.get(f"/v1/jobs/{uid}/report")
        took.append(time.perf_counter() - begun)
        answer.raise_for_status()
        tags.add(answer.headers["ETag"])
    assert len(tags) == 1, "the second report is the first"
    yield Cost("a report, asked for first", 1000 * took[0], "ms")
    yield Cost("a report, asked for again", 1000 * took[1], "ms", 1000 * took[0] / 10)
