"""The processes that work on one job in one data folder: what one of them has left, another takes back."""

from __future__ import annotations

from whichopt.service.clocks import Clocks
from whichopt.service.db.queues import here
from whichopt.workers.own_locks import OwnLock
from whichopt.workers.tune.folder import Folder


class Others:
    """The other processes that work on the job, if there are any.

    Each of them holds a lock on a file of the job. Whoever is alone knows that the others are gone; beside
    others, a lease that has run out tells of one that is.
    """

    def __init__(self, folder: Folder, uid: str, job_id: int) -> None:
        self.folder = folder
        self.queue = here(uid)
        self.job_id = job_id
        self.path = folder.path / f"{self.queue}.lock"
        self._lock: OwnLock | None = None
        self._clocks = Clocks(folder.settings)

    def take_back(self) -> None:
        """Queue again what processes left that worked on the job and are gone."""
        if self._comes_alone():
            with self.folder.store.transaction() as tx:
                tx.lost.take_back_here(self.job_id)
            assert self._lock is not None
            self._lock.share()
            return
        store, settings = self.folder.store, self.folder.settings
        now = self._clocks.read(store)
        with store.read() as tx:
            expired = tx.lost.expired(now, queue=self.queue)
        for cohort_id, job_id in expired:
            with store.transaction() as tx:
                tx.lost.take_back(
                    cohort_id, job_id, attempts=settings.attempts, alive_s=settings.worker_alive_s, as_of=now
                )

    def leave(self, *, for_good: bool) -> None:
        """Work on the job no more; `for_good` if it has ended."""
        if self._lock is not None:
            self._lock.end()
            self._lock = None
        if for_good:
            self.path.unlink(missing_ok=True)

    def _comes_alone(self) -> bool:
        """Work on the job from here on; tell if nobody else does, which is so until the lock is shared."""
        self.leave(for_good=False)
        self._lock = OwnLock(self.path)
        if self._lock.is_alone():
            return True
        self._lock.share()
        return False
