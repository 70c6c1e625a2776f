"""Makes the reports of concluded jobs, keeps them as blobs, and finds them again.

Whoever makes a report may be a worker that a doorbell called, or a request that did not find one. The same
evidence and the same renderer give the same bytes, so that two makers at once do no harm.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import structlog

from whichopt.service import blobs
from whichopt.service.db import DatabaseError, Store, Transaction, passes
from whichopt.service.db.reports import MAX_ATTEMPTS, ReportRow
from whichopt.service.errors import ReportFailed
from whichopt.service.evidence.report.beside import set_apart
from whichopt.service.evidence.report.document import evidence
from whichopt.service.failures import failure, in_line
from whichopt.service.storage import storage_trouble
from whichopt.service.turns import turn

Form = Literal["html", "json", "examples"]
FORMS: tuple[Form, ...] = ("json", "html")
"""In the order of making: the JSON is cheap, and it is kept even if the drawing of the page fails. The values
by example that are too many for it, `examples`, are made with it."""

log = structlog.get_logger()


@dataclass(frozen=True)
class Packed:
    """A report in one form, compressed by gzip; its blob's name is the SHA-256 of these bytes."""

    name: str
    content: bytes

    def unpacked(self) -> bytes:
        return gzip.decompress(self.content)


@cache
def renderer() -> str:
    """Return the version of all that a report's bytes depend on besides the evidence.

    It is a hash of this package's code, its templates, and the versions of the libraries that draw, so that
    nobody has to remember to raise a number.
    """
    package = Path(__file__).parent
    web = package / "web"
    parts = [*(web / "templates").glob("report*"), web / "templates" / "parts" / "marks.html"]
    files = [*package.rglob("*.py"), *parts, web / "assets" / "style.css"]
    digest = hashlib.sha256()
    for library in ("whichopt", "vl-convert-python", "numpy", "jinja2", "pydantic"):
        digest.update(f"{library} {version(library)}\n".encode())
    for file in sorted(files):
        digest.update(
            f"{file.relative_to(package)} {hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode()
        )
    return digest.hexdigest()


def kept_name(row: ReportRow, form: Form) -> str | None:
    """Return the blob's name of the job's report in that form; None if it is to be made, or made anew."""
    return row.blobs.get(form) if row.is_current(renderer()) else None


def find_or_make(store: Store, folder: Path, uid: str, form: Form, row: ReportRow) -> Packed:
    """Return the report of a concluded job, which `row` was read for; make and keep it if it is not there.

    Raises:
        ReportFailed: it cannot be made; says why.
        Unavailable: another request has been making it for too long to wait for.
    """
    file = _kept(folder, row, form)
    if file is not None:
        return file
    with turn("report", uid):  # the others wait for the first one's
        with store.read() as tx:
            again = tx.reports.of_job(uid) or row
        file = _kept(folder, again, form)
        if file is not None:
            return file
        given_up = again.is_current(renderer()) and again.attempts >= MAX_ATTEMPTS
        if form == "html" and given_up and again.error is not None:
            raise _failure(uid, again.error)
        return _make(store, folder, uid, again, FORMS[: FORMS.index(form) + 1])[form]


def find_examples(store: Store, folder: Path, uid: str, row: ReportRow) -> Packed | None:
    """Return the file beside the report of a concluded job; None if the report's JSON has all.

    Raises:
        ReportFailed: the report cannot be made; says why.
        Unavailable: another request has been making it for too long to wait for.
    """
    with turn("report", uid):
        with store.read() as tx:
            row = tx.reports.of_job(uid) or row
        file = _kept(folder, row, "examples")
        if file is not None or (kept_name(row, "json") is not None and "examples" not in row.blobs):
            return file
        return _make(store, folder, uid, row, ("json",)).get("examples")


def make_missing(store: Store, folder: Path, job_id: int) -> None:
    """Make and keep what is missing of the report of a job; do nothing if there is nothing to do.

    A failure is logged and counted; after `MAX_ATTEMPTS` of them nobody rings again. That what was made could
    not be kept, as a disk is full or the database is away, counts as none: somebody rings again.
    """
    with store.read() as tx:
        uid = tx.jobs.uid_of(job_id)
        row = None if uid is None else tx.reports.of_job(uid)
    if uid is None or row is None or not row.concluded:
        return
    missing = [form for form in FORMS if kept_name(row, form) is None]
    if not missing:
        return
    try:
        _make(store, folder, uid, row, missing, to_keep=True)
    except ReportFailed:
        return  # it is logged and counted
    except Exception as error:
        if not _storages_fault(error):
            raise
        log.warning("report_waits", job=uid, **failure(error))


def _make(
    store: Store, folder: Path, uid: str, row: ReportRow, forms: Sequence[Form], *, to_keep: bool = False
) -> Mapping[Form, Packed]:
    """Make the report in those forms, and keep each as soon as it is made.

    If it is only made `to_keep`, it is not begun while it cannot be kept.

    Raises:
        ReportFailed: something raised, which is logged and noted in the job's row.
        Exception: a disk is full or fails, or the database is away.
    """
    if to_keep:
        _check_room(folder)
    with store.read() as tx:
        record = tx.records.of_job(uid)
        earlier = tx.records.earlier(uid)
    assert record is not None
    assert record.recommendation is not None
    try_of = (row.job_id, record.revision, renderer())
    noted = _note(store, uid, lambda tx: tx.reports.begin(*try_of, counts="html" in forms))
    if to_keep and not noted:
        return {}
    made: dict[Form, Packed] = {}
    try:
        apart = set_apart(record.facts.id, record.trials)
        report = evidence(
            record.facts,
            record.spec,
            apart.trials,
            record.recommendation,
            record.environments,
            earlier=earlier,
            examples=apart.beside,
        )
        if apart.beside is not None and "json" in forms:  # before the JSON, which names it
            made["examples"] = _packed(apart.content)
            _keep(store, folder, uid, try_of, "examples", made["examples"])
        for form in forms:
            if form == "json":
                text = report.model_dump_json()
            else:
                from whichopt.service.evidence.report.html import render_html  # starts the drawing

                text = render_html(report)
            made[form] = _packed(text.encode())
            _keep(store, folder, uid, try_of, form, made[form])
    except Exception as error:
        if _storages_fault(error):
            counts = "html" not in forms or not passes(error)
            _note(store, uid, lambda tx: tx.reports.fail(*try_of, None, counts=counts))
            raise
        log.exception("report_failed", job=uid, attempt=row.attempts + 1, of=MAX_ATTEMPTS)
        cause = f"{type(error).__name__}: {in_line(error)}"
        _note(store, uid, lambda tx: tx.reports.fail(*try_of, cause))
        raise _failure(uid, cause) from error
    return made


def _packed(plain: bytes) -> Packed:
    content = gzip.compress(plain, compresslevel=6, mtime=0)
    return Packed(hashlib.sha256(content).hexdigest(), content)


def _storages_fault(error: Exception) -> bool:
    """Tell if a disk or the database is to blame, not the report."""
    return passes(error) or storage_trouble(error) is not None


def _check_room(folder: Path) -> None:
    """Do nothing if the folder has room for a report, or will never have: it is then drawn and counted."""
    try:
        blobs.check(folder)
    except OSError as error:
        if passes(error):
            raise


def _keep(
    store: Store, folder: Path, uid: str, try_of: tuple[int, int, str], form: Form, made: Packed
) -> None:
    """Keep what was made, if the folder can be written: who asked for it gets it all the same."""
    try:
        name = blobs.save(folder, made.content)
    except OSError as error:
        log.warning("report_not_kept", job=uid, form=form, **failure(error))
        # The folder's fault: who asks gets it made all the same. The page is kept last, and is what counts.
        counts = form != "html" or not passes(error)
        _note(store, uid, lambda tx: tx.reports.fail(*try_of, None, counts=counts))
        return
    if _note(store, uid, lambda tx: tx.reports.keep(*try_of, form=form, blob=name)):
        log.info("report_kept", job=uid, form=form, bytes=len(made.content))


def _note(store: Store, uid: str, write: Callable[[Transaction], None]) -> bool:
    """Write into the report's row; a report needs no database that can be written, only its keeping does."""
    try:
        with store.transaction() as tx:
            write(tx)
    except DatabaseError as error:
        log.warning("report_not_noted", job=uid, **failure(error))
        return False
    return True


def _kept(folder: Path, row: ReportRow, form: Form) -> Packed | None:
    """Return the report from its blob; None if there is none that can be read."""
    name = kept_name(row, form)
    if name is None:
        return None
    try:
        return Packed(name, blobs.load(folder, name))
    except (OSError, ValueError) as error:
        log.warning("report_unreadable", blob=name, **failure(error, expected=True))
        return None


def _failure(uid: str, cause: str) -> ReportFailed:
    return ReportFailed(
        f"the report of job {uid} cannot be made ({cause}). Its recommendation and its trials are still "
        f"there: see /v1/jobs/{uid}/recommendation. The logs of the service and of its workers say more."
    )
