"""The pages of people's own datasets: send one, look at it before it is kept, keep it, delete it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from whichopt.service import datasets as work
from whichopt.service.errors import DatasetInUse, DatasetNotReady, NotFound
from whichopt.service.pages.datasets.form_words import in_the_form, sentence
from whichopt.service.pages.frame import fragment
from whichopt.service.pages.frame import page as page_of
from whichopt.service.pages.home.rows import PILLS
from whichopt.service.routes.dependencies import Cursor, TheSettings, TheStore
from whichopt.service.shape_words import image_words
from whichopt.service.states import DatasetState
from whichopt.service.texts import Text
from whichopt.service.thumbnails import GAP, strip
from whichopt.service.uploads import MEDIA_TYPES, SHOWN_CLASSES, SHOWN_IMAGES, Column, Kind, Table
from whichopt.service.views import DatasetView

router = APIRouter(prefix="/datasets", include_in_schema=False)

A_PAGE = 25
JOBS_SHOWN = 10
COLUMNS_SHOWN = 200
CLASSES_SHOWN = 100
SHOWN_PIXELS = 48
"""About the height of an image that is shown: a small one is shown larger, by whole pixels."""
FEW_CLASSES = 6
"""Classes up to which each is told with its rows."""

Name = Annotated[str, Path(max_length=200)]


@router.get("", response_class=HTMLResponse)
def index(
    request: Request,
    store: TheStore,
    settings: TheSettings,
    before: Cursor,
    part: Annotated[Literal["rows"] | None, Query()] = None,
) -> HTMLResponse:
    """Show the datasets that were sent, and the form for another; `part=rows` is the list alone."""
    with store.read() as tx:
        found = tx.datasets.page(before=before, limit=A_PAGE + 1)
    shown = found[:A_PAGE]
    older = str(shown[-1].id) if len(found) > A_PAGE else None
    if part is not None:
        return fragment(request, "datasets/rows.html", datasets=shown, older=older)
    return page_of(
        request,
        "datasets/index.html",
        title="Datasets",
        current="Datasets",
        datasets=shown,
        older=older,
        first=before is None,
        most_bytes=size_words(settings.max_upload_bytes),
        data_root=settings.data_root is not None,
        formats=MEDIA_TYPES,
    )


@router.get("/{name}", response_class=HTMLResponse)
def one(
    name: Name,
    request: Request,
    store: TheStore,
    part: Annotated[Literal["row", "look"] | None, Query()] = None,
) -> Response:
    """Show a dataset; `part=row` is its row in the list, `part=look` what was found in it."""
    base = request.scope["root_path"]
    if name in work.BUILT_IN:
        return RedirectResponse(f"{base}/catalog/datasets/{name}", 307)
    if part == "row":
        with store.read() as tx:
            summary = tx.datasets.summary(name)
        return fragment(request, "datasets/row.html", dataset=summary, status=200 if summary else 404)
    try:
        found = work.view(store, name)
    except NotFound as error:
        return _missing(request, error)
    if part == "look":
        return fragment(request, "datasets/look.html", **_look(found))
    return _page(request, store, found)


@router.get("/{name}/classes/{label}.png")
def some_of_a_class(
    name: Name, label: Annotated[int, Path(ge=0)], store: TheStore, settings: TheSettings
) -> Response:
    """Give images of a class side by side; nothing if the dataset has none to show."""
    try:
        content = work.view(store, name).content
        png = None if content is None else strip(settings.blobs / content, label)
    except (NotFound, OSError):
        png = None
    if png is None:
        return Response(status_code=404)
    return Response(png, media_type="image/png", headers={"Cache-Control": "private, max-age=3600"})


@router.post("/{name}/keep")
def keep(name: Name, request: Request, store: TheStore) -> Response:
    try:
        work.keep(store, name)
    except NotFound as error:
        return _missing(request, error)
    except DatasetNotReady as error:
        return _page(request, store, work.view(store, name), refusal=error.detail, status=error.status)
    return RedirectResponse(f"{request.scope['root_path']}/datasets/{name}", 303)


@router.post("/{name}/delete")
def delete(name: Name, request: Request, store: TheStore) -> Response:
    """Delete it; if a job that has not ended uses it, its page says so."""
    try:
        work.delete(store, name)
    except NotFound as error:
        return _missing(request, error)
    except DatasetInUse as error:
        return _page(request, store, work.view(store, name), refusal=error.detail, status=error.status)
    return RedirectResponse(f"{request.scope['root_path']}/datasets", 303)


def _page(
    request: Request, store: TheStore, found: DatasetView, *, refusal: str | None = None, status: int = 200
) -> HTMLResponse:
    with store.read() as tx:
        jobs = [] if found.content is None else tx.datasets.jobs(found.name, found.content, limit=JOBS_SHOWN)
    fitted = next((job.uid for job in jobs if job.verdict in ("winner", "tie")), None)
    return page_of(
        request,
        "datasets/dataset.html",
        title=found.name,
        current="Datasets",
        status=status,
        refusal=refusal,
        jobs=jobs,
        pills=PILLS,
        fitted=fitted,
        size=size_words(found.file.bytes),
        **_look(found),
    )


def _missing(request: Request, error: NotFound) -> HTMLResponse:
    return page_of(
        request,
        "datasets/missing.html",
        title="No such dataset",
        current="Datasets",
        status=404,
        detail=error.detail,
        nearest=error.nearest,
    )


def _look(found: DatasetView) -> dict[str, Any]:
    """Return what the tables of a dataset need."""
    table = found.table
    columns = () if table is None else table.columns
    return {
        **_images(table),
        "found": found,
        "table": table,
        "ready": found.state is DatasetState.READY,
        "columns": [(column, range_words(column, table)) for column in columns[:COLUMNS_SHOWN]],
        "more": max(0, len(columns) - COLUMNS_SHOWN),
        "kinds": [kind.value for kind in Kind],
        "asked": "" if table is None else asked_words(table),
        "tokens": "" if table is None or table.text is None else shown_tokens(table.text),
        "rows": "rows"
        if table is None
        else "windows"
        if table.text
        else "images"
        if table.images
        else "rows",
        "remarks": () if table is None else [one for one in table.remarks if one.code != "left_out"],
        "sentence": sentence,
        "in_the_form": in_the_form,
    }


def _images(table: Table | None) -> dict[str, Any]:
    """Return what the table of classes needs, with some images of each; nothing for a table of columns."""
    if table is None or table.images is None or table.shape.image is None:
        return {"classes": ()}
    _, height, width = table.shape.image
    times = max(1, round(SHOWN_PIXELS / height))
    counted = list(zip(table.classes or (), table.class_rows or (), strict=False))
    return {
        "classes": counted[:CLASSES_SHOWN],
        "more_classes": max(0, len(counted) - CLASSES_SHOWN),
        "shown_classes": SHOWN_CLASSES,
        "shown_images": SHOWN_IMAGES,
        "strip_height": times * height,
        "strip_width": lambda images: times * (images * (width + GAP) - GAP),
    }


def asked_words(table: Table) -> str:
    """Say of how many rows or images what is predicted from what; or of a text, of which tokens it is."""
    if table.text is not None:
        return text_words(table.text)
    if table.images is not None:
        what = f"{table.rows:,} images: {table.task} of {table.target}"
        classes = "" if table.classes is None else f" into {len(table.classes)} classes"
        return f"{what}{classes}, from images of {image_words(table.shape)}"
    classes = "" if table.classes is None else f" into {len(table.classes)} classes"
    counted = list(zip(table.classes or (), table.class_rows or (), strict=False))
    if 0 < len(counted) <= FEW_CLASSES:
        classes = f" ({', '.join(f'{name}: {rows:,}' for name, rows in counted)})"
    return (
        f"{table.rows:,} rows: {table.task} of {table.target}{classes}, from "
        f"{table.shape.features:,} features made of {len(table.features):,} columns"
    )


def text_words(text: Text) -> str:
    """Say how long a text is, and which tokens are predicted."""
    other = f", and one for all other characters ({text.rare:,} in the text)" if text.rare else ""
    return (
        f"A text of {text.characters:,} characters in {text.lines:,} lines, of which the next character is "
        f"predicted: one of {len(text.vocabulary):,} tokens{other}"
    )


def shown_tokens(text: Text) -> str:
    """Return the characters that are tokens with spaces between; those that cannot be seen by their codes."""
    return " ".join(
        one if one.isprintable() and not one.isspace() else f"U+{ord(one):04X}" for one in text.vocabulary
    )


def range_words(column: Column, table: Table | None = None) -> str:
    """Return the ends of a column's values, or its first categories; of a yes-or-no target, both words."""
    if table and table.classes and column.kind is Kind.BOOL and column.name == table.target:
        return ", ".join(table.classes[:4]) + (", ..." if len(table.classes) > 4 else "")
    if column.low is None or column.high is None:
        return ", ".join(column.categories[:4]) + (", ..." if len(column.categories) > 4 else "")
    ends = (f"{end:.6g}" if isinstance(end, float) else end for end in (column.low, column.high))
    return " to ".join(ends)


def size_words(size: int) -> str:
    """Return a number of bytes as people say it."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= factor:
            return f"{size / factor:.3g} {unit}"
    return f"{size} byte{'' if size == 1 else 's'}"
