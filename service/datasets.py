"""Takes in, shows, keeps and deletes people's own datasets, and finds them for jobs.

Each is one transaction; a file that has come is read after it has ended.
"""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, replace

from whichopt.service.catalog import datasets as catalog
from whichopt.service.catalog.built_in import Catalog, built_in
from whichopt.service.data_root import Lying
from whichopt.service.db import IntegrityError, Store, Transaction
from whichopt.service.db.datasets import DatasetRow, DatasetSummary
from whichopt.service.errors import (
    AmbiguousTarget,
    AmbiguousTask,
    Conflict,
    DatasetExists,
    DatasetInUse,
    DatasetNotReady,
    DatasetTooLarge,
    NotFound,
    StorageBroken,
    StorageFull,
    StorageReadOnly,
    Unavailable,
    UnknownName,
    UnreadableDataset,
    WhichoptError,
)
from whichopt.service.intake import Keeper, Sending
from whichopt.service.limits import Limits
from whichopt.service.receiving import Received
from whichopt.service.spec import FunctionWorkload, JobSpec, ResolvedSpec, resolve
from whichopt.service.states import DatasetState
from whichopt.service.uploads import Choices, File
from whichopt.service.views import CatalogEntry, DatasetProblem, DatasetView

BUILT_IN = tuple(entry.name for entry in catalog.DATASETS)

KINDS: dict[str, type[WhichoptError]] = {
    kind.code: kind
    for kind in (
        *(UnreadableDataset, AmbiguousTarget, AmbiguousTask, DatasetTooLarge),
        *(Unavailable, StorageFull, StorageReadOnly, StorageBroken),
    )
}
"""The errors by which a problem of a file is told if its sender still waits."""


@dataclass(frozen=True)
class Wanted:
    """What is asked of a file."""

    name: str
    format: str
    choices: Choices
    file_name: str | None = None
    preview: bool = False


@dataclass(frozen=True)
class Begun:
    """A dataset that is read, or was before; `reading` is None if nothing was begun."""

    view: DatasetView
    reading: Future[None] | None


def check_name(name: str) -> None:
    """Raise DatasetExists if whichopt itself has a dataset of that name."""
    if name in BUILT_IN:
        raise DatasetExists(
            f"{name!r} is a dataset that comes with whichopt; choose another name", field="name", value=name
        )


def begin(
    store: Store, keeper: Keeper, received: Received | Lying, wanted: Wanted, *, api_key_id: int
) -> Begun:
    """Have the file read under its name; the file belongs to this from now on.

    The same file with the same choices is not read again. A dataset that could not be read, or a preview, is
    replaced.

    Raises:
        DatasetExists: there is another one of that name.
    """

    def remember() -> tuple[DatasetRow, bool]:
        with store.transaction() as tx:
            return _remember(tx, received, wanted, api_key_id)

    try:
        try:
            row, new = remember()
        except IntegrityError:
            # Two files for one new name have met; the other one's row is there now.
            row, new = remember()
    except BaseException:
        received.remove()
        raise
    if not new:
        received.remove()
        return Begun(row.view, None)
    return Begun(row.view, keeper.start(Sending(row.uid, received, wanted.format, wanted.choices)))


def _unlike(there: DatasetView, wanted: Wanted) -> str:
    """Say which choices were others, and what they were."""
    then, now = there.choices.model_dump(mode="json"), wanted.choices.model_dump(mode="json")
    return ", ".join(
        f"{name} was {'not said' if then.get(name) in (None, {}) else then[name]}"
        for name in {**then, **now}
        if then.get(name) != now.get(name)
    )


def _remember(
    tx: Transaction, received: Received | Lying, wanted: Wanted, api_key_id: int
) -> tuple[DatasetRow, bool]:
    there = tx.datasets.named(wanted.name, locks=True)
    if there is not None and there.view.state is not DatasetState.FAILED:
        view = there.view
        if view.file.sha256 == received.sha256 and view.choices == wanted.choices:
            if there.preview and not wanted.preview:
                tx.datasets.make_real(there.uid)
            return _named(tx, wanted.name), False
        if view.state is not DatasetState.PREVIEW:
            what = "this file" if view.file.sha256 == received.sha256 else "another file"
            doing = "is being read" if view.state is DatasetState.READING else "was sent"
            but = f" with other choices ({_unlike(view, wanted)})" if what == "this file" else ""
            raise DatasetExists(
                f"{what} {doing} as {wanted.name!r}{but}; choose another name, or delete that dataset first",
                field="name",
                value=wanted.name,
            )
    if there is not None:
        tx.datasets.remove(there.uid)
    file = File(name=wanted.file_name, bytes=received.bytes, sha256=received.sha256)
    tx.datasets.add(
        wanted.name, preview=wanted.preview, file=file, choices=wanted.choices, api_key_id=api_key_id
    )
    return _named(tx, wanted.name), True


def read_or_refused(store: Store, name: str) -> DatasetView:
    """Return the dataset as it is now; one that could not be read is removed, and its problem raised.

    That is for a sender who still waits for the answer: a refusal leaves nothing behind.
    """
    with store.transaction() as tx:
        row = _named(tx, name)
        problem = row.view.problem
        if row.view.state is not DatasetState.FAILED or problem is None:
            return row.view
        tx.datasets.remove(row.uid)
    raise error_of(problem)


def error_of(problem: DatasetProblem) -> WhichoptError:
    """Return the error that tells the problem."""
    field = problem.column or (None if problem.row is None else "row")
    return KINDS.get(problem.code, WhichoptError)(problem.detail, field=field, value=problem.row)


def view(store: Store, name: str) -> DatasetView:
    """Return a dataset that was sent.

    Raises:
        NotFound: there is none of that name.
    """
    with store.read() as tx:
        return _named(tx, name).view


def keep(store: Store, name: str) -> DatasetView:
    """Make a preview a dataset that stays; one that stays already is returned as it is.

    Raises:
        NotFound: there is none of that name; its time may be over.
        DatasetNotReady: it could not be read.
    """
    _check_own(name, "kept")
    with store.transaction() as tx:
        row = _named(tx, name, locks=True)
        if row.view.state is DatasetState.FAILED:
            raise not_ready(row.view)
        if row.preview:
            tx.datasets.make_real(row.uid)
        return _named(tx, name).view


def delete(store: Store, name: str) -> None:
    """Delete a dataset; its columns stay as long as a job refers to them.

    Raises:
        NotFound: there is none of that name.
        DatasetInUse: a job that has not ended uses it.
    """
    _check_own(name, "deleted")
    with store.transaction() as tx:
        row = _named(tx, name, locks=True)
        user = None if row.view.content is None else tx.datasets.used_by(name, row.view.content)
        if user is not None:
            raise DatasetInUse(
                f"job {user} uses {name!r} and has not ended; wait for it, or cancel it",
                field="name",
                value=name,
            )
        tx.datasets.remove(row.uid)


def summary_view(summary: DatasetSummary) -> CatalogEntry:
    """Return the dataset as an entry of the catalog."""
    details: dict[str, object] = {"uploaded": True, "state": summary.state.value}
    if summary.found is not None:
        found = dict(summary.found)
        shape, splits = found.pop("shape"), found.pop("sizes")
        details |= {**found, **shape, "splits": splits}
    details |= {"options": {}, "source": catalog.source_of(summary.file)}
    return CatalogEntry(name=summary.name, title=summary.name, details=details)


# -- for jobs --------------------------------------------------------------------------------------------


def resolved(store: Store, spec: JobSpec, limits: Limits, known: Catalog | None = None) -> ResolvedSpec:
    """Return the spec with every default written out; its dataset may be one that was sent.

    Args:
        store: the database.
        spec: the job as it was sent.
        limits: the largest model that the service takes.
        known: the catalog without what was sent; None for the built-in one.

    Raises:
        InvalidSpec: something is unknown or out of bounds.
        DatasetNotReady: its dataset is not ready for a job.
    """
    known = built_in() if known is None else known
    name = None if isinstance(spec.workload, FunctionWorkload) else spec.workload.dataset.name
    if name is None or name in BUILT_IN:
        return resolve(spec, known, limits)
    with store.read() as tx:
        entries = catalog_with(tx, name, field="workload.dataset.name", known=known)
    return resolve(spec, entries, limits)


def catalog_with(tx: Transaction, name: str, *, field: str, known: Catalog) -> Catalog:
    """Return the catalog with the dataset of that name, which may be one that was sent.

    One that was sent is meant rather than a plug-in of the same name.

    Raises:
        UnknownName: there is none; the nearest is one of all.
        DatasetNotReady: it is not ready for a job.
    """
    row = None if name in BUILT_IN else tx.datasets.named(name)
    if row is None:
        names = [entry.name for entry in known.datasets]
        if name in names:
            return known
        raise UnknownName.of("dataset", name, [*names, *tx.datasets.names()], field=field)
    found = row.view
    if found.state is not DatasetState.READY or found.table is None or found.content is None:
        raise not_ready(found, field=field)
    entry = catalog.uploaded(name, found.table, found.file, found.content, found.choices)
    others = (one for one in known.datasets if one.name != name)
    return replace(known, datasets=(*others, entry))


def known_name(tx: Transaction, name: str, *, field: str) -> str:
    """Return the name of a dataset that jobs use, or have used before it was deleted.

    Raises:
        UnknownName: there is none, and was none.
    """
    if name not in BUILT_IN and not tx.datasets.known(name):
        raise UnknownName.of("dataset", name, [*BUILT_IN, *tx.datasets.names()], field=field)
    return name


def check_still_there(tx: Transaction, spec: ResolvedSpec) -> None:
    """Raise DatasetNotReady if the spec's dataset was deleted or replaced since the spec was resolved.

    It stays until the transaction has ended.
    """
    name, content = spec.workload.dataset_name, spec.workload.content
    if name is not None and content is not None and not tx.datasets.hold(name, content):
        raise DatasetNotReady(
            f"the dataset {name!r} was deleted or replaced just now; send the job again",
            field="workload.dataset.name",
            value=name,
        )


def not_ready(found: DatasetView, *, field: str = "name") -> DatasetNotReady:
    """Return the error for a dataset that a job cannot use, with what to do."""
    match found.state:
        case DatasetState.PREVIEW:
            why = f"is a preview; keep it first: whichopt dataset keep {found.name}"
        case DatasetState.FAILED:
            said = "" if found.problem is None else f": {found.problem.detail}"
            why = f"could not be read{said}"
        case _:
            why = "is still being read; try again in a moment"
    return DatasetNotReady(f"dataset {found.name!r} {why}", field=field, value=found.name)


def _named(tx: Transaction, name: str, *, locks: bool = False) -> DatasetRow:
    row = tx.datasets.named(name, locks=locks)
    if row is None:
        unknown = UnknownName.of("dataset", name, [*BUILT_IN, *tx.datasets.names()], field="name")
        raise NotFound(
            unknown.detail, field="name", value=name, allowed=unknown.allowed, nearest=unknown.nearest
        )
    return row


def _check_own(name: str, what: str) -> None:
    if name in BUILT_IN:
        raise Conflict(
            f"{name!r} comes with whichopt; only a dataset that was sent can be {what}",
            field="name",
            value=name,
        )
