"""The page at `/new`: a job put together in a form, checked as it is typed, planned, and started.

Nothing is stored before the form is submitted. Without scripts it does the same, one page after another.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl
from uuid import uuid4

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from whichopt.service import jobs
from whichopt.service.db import Store
from whichopt.service.errors import BodyTooLarge, Unavailable, WhichoptError
from whichopt.service.pages.frame import fragment
from whichopt.service.pages.frame import page as page_of
from whichopt.service.pages.new import plans as new_plans
from whichopt.service.pages.new.begin import Note, again, blank, shown, whole_of
from whichopt.service.pages.new.check import Checked, Told, catalog_for, check
from whichopt.service.pages.new.elsewhere import as_curl, as_json, as_python
from whichopt.service.pages.new.form import Form
from whichopt.service.pages.new.presets import PRESETS, chosen, with_chosen
from whichopt.service.pages.new.view import lr_axis, option_text, options_of, rows_of
from whichopt.service.pages.new.workload_choices import (
    begun,
    dataset_groups,
    model_choices,
    task_choices,
    with_fitting_model,
)
from whichopt.service.planning.looks import most_runs
from whichopt.service.routes.dependencies import ApiKeyId, TheDispatcher, TheSettings, TheStore
from whichopt.service.settings import Settings
from whichopt.service.spec.digest import digest
from whichopt.service.states import DatasetState
from whichopt.service.views import JobPlan

router = APIRouter(prefix="/new", include_in_schema=False)

MOST_FIELDS = 5000
MOST_UPLOADS = 100
"""Uploads that the list of datasets shows, the latest first; another one can be asked for by its name."""


async def _sent(request: Request) -> list[tuple[str, str]]:
    """The fields of a form that was sent.

    Raises:
        BodyTooLarge: they are more than any form of ours has.
    """
    body = (await request.body()).decode("utf-8", "replace")
    if body.count("&") >= MOST_FIELDS:
        raise BodyTooLarge(f"a form may have {MOST_FIELDS:,} fields at most")
    return parse_qsl(body, keep_blank_values=True)


SentFields = Annotated[list[tuple[str, str]], Depends(_sent)]


@router.get("", response_class=HTMLResponse)
def page(
    request: Request,
    store: TheStore,
    settings: TheSettings,
    source: Annotated[str, Query(alias="from", max_length=64)] = "",
    dataset: Annotated[str, Query(max_length=64)] = "",
    task: Annotated[str, Query(max_length=64)] = "",
    model: Annotated[str, Query(max_length=64)] = "",
    function: Annotated[str, Query(max_length=200)] = "",
    optimizer: Annotated[list[str] | None, Query(max_length=16)] = None,
) -> HTMLResponse:
    form, notes = blank(), list[Note]()
    if source:
        form, notes = again(store, settings, source)
    asked = {"dataset": dataset, "task": task, "model": model}
    if given := {name: text for name, text in asked.items() if text}:
        form = form.with_values(**given, kind="catalog")
        form = begun(form, catalog_for(store, settings, form.text("dataset")), given)
    if function:
        form = form.with_values(function=function, kind="function")
    known = [one.name for one in catalog_for(store, settings, "").optimizers]
    ticked = [one for one in optimizer or () if one in known and one not in form.optimizers]
    form = Form(form.values, (*ticked, *form.optimizers))
    return _page(request, store, settings, form, check(form, store, settings), notes=notes)


@router.post("", response_class=HTMLResponse)
def submit(
    request: Request,
    store: TheStore,
    dispatcher: TheDispatcher,
    settings: TheSettings,
    api_key_id: ApiKeyId,
    sent: SentFields,
) -> Response:
    """Make the job and lead to its page; a form that is sent twice makes one job."""
    form = with_chosen(Form.read(sent, blank()))
    checked = check(form, store, settings)
    if checked.spec is None:
        return _page(request, store, settings, form, checked, status=422)
    once = form.text("once") or str(uuid4())
    try:
        job = jobs.submit(
            store,
            dispatcher,
            checked.spec,
            alive_s=settings.worker_alive_s,
            api_key_id=api_key_id,
            # Who goes back and changes the form wants another job.
            idempotency_key=f"{once[:64]}.{digest(checked.spec)[:32]}",
        )
    except WhichoptError as error:
        told = Checked(checked.sent, checked.spec, [*checked.told, Told("", "error", error.detail)])
        return _page(request, store, settings, form, told, status=error.status)
    return RedirectResponse(f"{request.scope['root_path']}/jobs/{job.id}", status_code=303)


@router.post("/check", response_class=HTMLResponse)
def say(request: Request, store: TheStore, settings: TheSettings, sent: SentFields) -> HTMLResponse:
    """Say what is wrong with the form and what it would get, as parts of the page."""
    form = Form.read(sent, blank())
    if "HX-Request" not in request.headers:
        # Without scripts there is no later moment for the plan.
        form, notes = with_chosen(form), list[Note]()
        found = check(form, store, settings)
        try:
            if found.spec is not None:
                new_plans.plan(store, found.spec, form=form.text("once"), alive_s=settings.worker_alive_s)
        except Unavailable as error:
            notes.append(("info", f"There is no plan yet: {error.detail}."))
        return _page(request, store, settings, form, found, notes=notes)
    found = check(form, store, settings)
    return fragment(request, "new/checked.html", **_outcome(request, store, found), form=form)


@router.post("/options", response_class=HTMLResponse)
def options(
    request: Request,
    store: TheStore,
    settings: TheSettings,
    sent: SentFields,
    chosen: Annotated[
        Literal["dataset", "task", "model", "today"] | None, Query(description="Field that was changed.")
    ] = None,
) -> HTMLResponse:
    """Give the fields that the chosen dataset, task, model and optimizer of today bring.

    With another dataset or task, the models are those that fit it.
    """
    form = Form.read(sent, blank())
    catalog = catalog_for(store, settings, form.text("dataset"))
    if chosen in ("dataset", "task"):
        form = with_fitting_model(form, catalog)
    nothing = Checked(None, None, [])
    return fragment(
        request,
        "new/options_changed.html",
        form=form,
        checked=nothing,
        chosen=chosen,
        tasks=task_choices(form, catalog),
        models=model_choices(form, catalog),
        options=options_of(form, catalog),
        option_text=option_text,
    )


@router.post("/plan", response_class=HTMLResponse)
def plan(request: Request, store: TheStore, settings: TheSettings, sent: SentFields) -> Response:
    """Give the time of the form's job and the chances of its verdicts; nothing if it has changed since."""
    form = Form.read(sent, blank())
    spec = check(form, store, settings).spec
    if spec is None:
        return Response(status_code=204)
    name = new_plans.name_of(spec)
    try:
        made = new_plans.plan(store, spec, form=form.text("once"), alive_s=settings.worker_alive_s)
    except Unavailable as error:
        return fragment(request, "new/no_plan.html", why=error.detail, plan_name=name)
    if made is None:
        return Response(status_code=204)
    return fragment(request, "new/planned.html", **_planned(made), plan_name=name)


@router.get("/chances")
def chances(store: TheStore, name: Annotated[str, Query(alias="plan", max_length=64)]) -> Response:
    """Give the figure of a plan that was made on this page; nothing if it is not kept any more."""
    drawn = new_plans.figure(store, name)
    return Response(status_code=204) if drawn is None else JSONResponse(drawn.spec)


@router.post("/fill", response_class=HTMLResponse)
def fill(request: Request, store: TheStore, settings: TheSettings, sent: SentFields) -> HTMLResponse:
    """Fill the form from a spec that was pasted, or show the form's own spec as a whole, to be edited."""
    form = with_chosen(Form.read(sent, blank()))
    text = form.values.get("pasted", form.whole if form.text("into") == "form" else None)
    if text is None:
        found = check(form, store, settings)
        whole = whole_of("" if found.sent is None else as_json(found.sent), form)
        note = ("info", "This is the whole spec. It is used as it stands here.")
        return _page(request, store, settings, whole, check(whole, store, settings), notes=[note])
    pasted = whole_of(text, form)
    found = check(pasted, store, settings)
    if found.spec is None:
        note = ("err", "The spec is not filled into the form, as something is wrong with it. Mend it here.")
        return _page(request, store, settings, pasted, found, status=422, notes=[note])
    form, notes = shown(store, settings, found.spec, pasted)
    return _page(request, store, settings, form, check(form, store, settings), notes=notes)


def _page(
    request: Request,
    store: Store,
    settings: Settings,
    form: Form,
    found: Checked,
    *,
    status: int = 200,
    notes: list[Note] | None = None,
) -> HTMLResponse:
    catalog = catalog_for(store, settings, form.text("dataset"))
    with store.read() as tx:
        uploads = [
            (one.name, one.found)
            for one in tx.datasets.page(before=None, limit=MOST_UPLOADS)
            if one.state is DatasetState.READY
        ]
    return page_of(
        request,
        "new/page.html",
        title="New job",
        current="New job",
        status=status,
        form=form,
        once=form.text("once") or str(uuid4()),
        notes=notes or [],
        datasets=dataset_groups(catalog_for(store, settings, ""), uploads, form.text("dataset")),
        tasks=task_choices(form, catalog),
        models=model_choices(form, catalog),
        optimizers=[one.name for one in catalog.optimizers],
        allowed=settings.allowed_functions,
        options=options_of(form, catalog),
        option_text=option_text,
        rows=rows_of(form, catalog),
        axis=lr_axis(catalog),
        presets=PRESETS,
        preset=chosen(form),
        **_outcome(request, store, found),
    )


def _outcome(request: Request, store: Store, found: Checked) -> dict[str, Any]:
    """What follows from the form: its plan if there is one by now, and the same job for others to send."""
    spec, sent = found.spec, found.sent
    values: dict[str, Any] = {
        "checked": found,
        "spec": spec,
        "plan": None,
        "plan_name": "",
        "elsewhere": None,
    }
    if spec is None or sent is None:
        return values
    name = new_plans.name_of(spec)
    address = f"{request.url.scheme}://{request.url.netloc}{request.scope['root_path']}"
    return values | {
        **_planned(new_plans.kept(store, name)),
        "plan_name": name,
        "confirm": most_runs(spec, len(spec.labels) * (spec.budget.replicates + 1)),
        "elsewhere": {
            "json": as_json(sent),
            "curl": as_curl(sent, address),
            "python": as_python(sent, address),
        },
    }


def _planned(plan: JobPlan | None) -> dict[str, Any]:
    return {"plan": plan, "figure": None if plan is None else new_plans.words(plan)}
