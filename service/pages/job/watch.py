"""Watches the jobs whose pages are open: one reader and one drawing a job, whatever the number of viewers."""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import structlog
from starlette.concurrency import run_in_threadpool

from whichopt.service.db import DatabaseError, Store
from whichopt.service.failures import failure
from whichopt.service.jobs import no_job
from whichopt.service.pages.job.live import Drawing, Live, News, Stamp

log = structlog.get_logger()

MOST_PAGES = 32
"""Pages that are kept in all."""


class Watch:
    """One job's page, kept up to date. `read` may be called by any thread, the rest by one event loop."""

    def __init__(self, store: Store, uid: str, draw: Callable[[], Drawing], *, alive_s: float) -> None:
        self.store, self.uid, self.draw, self.alive_s = store, uid, draw, alive_s
        self._live: Live | None = None
        self._turn = threading.Lock()
        self.viewers = 0
        self._poller: asyncio.Task[None] | None = None
        self._moved = asyncio.Event()

    def read(self) -> Live:
        """Return the page as it is now; it is drawn again if the job, or what it waits for, has moved.

        Raises:
            NotFound: there is no such job any more.
            UnreadableRow: its row cannot be read.
        """
        with self._turn:
            with self.store.read() as tx:
                moved = tx.jobs.revision(self.uid)
                if moved is None:
                    raise no_job(self.uid)
                before = self._live
                # What a job waits for depends on other jobs and on workers, which move no revision of it.
                if before is not None and before.drawing.revision == moved[0]:
                    waits = tx.views.activity(self.uid, alive_s=self.alive_s)
                    if waits == before.drawing.activity:
                        return before
            drawing = self.draw()
            # That of a database which was restored is nobody's successor.
            goes_back = before is not None and drawing.revision < before.drawing.revision
            self._live = Live(drawing, None if goes_back else before)
            return self._live

    async def follow(self, known: Stamp | None, *, every_s: float) -> AsyncIterator[News]:
        """Yield what changes after `known`, at most once in `every_s` seconds, until the job has ended.

        It ends early if the database cannot be read, which is noted once.
        """
        async with self._polled(every_s) as poller:
            while True:
                moved = self._moved
                news = None if self._live is None else self._live.since(known)
                if news is not None:
                    yield news
                    if news.ended:
                        return
                    known = news.stamp
                waiting = asyncio.ensure_future(moved.wait())
                try:
                    await asyncio.wait({waiting, poller}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    waiting.cancel()
                if poller.done():
                    poller.result()
                    return

    @asynccontextmanager
    async def _polled(self, every_s: float) -> AsyncIterator[asyncio.Task[None]]:
        """Poll while there are viewers, once for all of them."""
        self.viewers += 1
        if self._poller is None or self._poller.done():
            self._poller = asyncio.create_task(self._poll(every_s))
        poller = self._poller
        try:
            yield poller
        finally:
            self.viewers -= 1
            if not self.viewers:
                poller.cancel()
                self._poller = None

    async def _poll(self, every_s: float) -> None:
        try:
            while True:
                await run_in_threadpool(self.read)
                self._moved.set()
                self._moved = asyncio.Event()
                await asyncio.sleep(every_s)
        except DatabaseError as error:
            # The answers have begun, so all that is left is to end them; viewers come back by themselves.
            log.warning("page_broken", job=self.uid, **failure(error))


class Watches:
    """The pages of a process that were asked for last, by what each shows. Safe to share between threads.

    Those that somebody follows stay.
    """

    def __init__(self, *, most: int = MOST_PAGES) -> None:
        self.most = most
        self._kept: OrderedDict[tuple[str, ...], Watch] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, key: tuple[str, ...], make: Callable[[], Watch]) -> Watch:
        """Return the watch of that key, made if there is none."""
        with self._lock:
            watch = self._kept.get(key)
            if watch is None:
                watch = self._kept[key] = make()
            self._kept.move_to_end(key)
            unseen = [kept for kept, one in self._kept.items() if not one.viewers and one is not watch]
            for kept in unseen[: max(0, len(self._kept) - self.most)]:
                del self._kept[kept]
            return watch
