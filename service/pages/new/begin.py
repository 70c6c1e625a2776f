"""What the form of a new job begins with: a usual job, an earlier one, or a spec."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from whichopt.service import functions, jobs
from whichopt.service.catalog.built_in import built_in
from whichopt.service.errors import WhichoptError
from whichopt.service.job_names import shown_name
from whichopt.service.pages.new.check import catalog_for, check
from whichopt.service.pages.new.elsewhere import as_json
from whichopt.service.pages.new.fill import as_sent, filled, form_of
from whichopt.service.pages.new.form import Form
from whichopt.service.spec import JobSpec, ResolvedSpec, resolve

if TYPE_CHECKING:
    from whichopt.service.db import Store
    from whichopt.service.settings import Settings

FIRST = {"workload": {"dataset": "digits", "model": "mlp"}}
"""The job that the form shows if nothing else is asked for."""

Note = tuple[str, str]
"""A CSS class and words that stand above the form."""


def blank() -> Form:
    """Return the form as it begins."""
    return form_of(resolve(JobSpec.model_validate(FIRST)), built_in())


def again(store: Store, settings: Settings, uid: str) -> tuple[Form, list[Note]]:
    """Return the form of an earlier job, to be changed and run again."""
    try:
        with store.read() as tx:
            job = jobs.view(tx, str(UUID(uid)), alive_s=settings.worker_alive_s)
    except ValueError:
        return blank(), [("err", f"There is no job {uid!r}. The form begins anew.")]
    except WhichoptError as error:
        return blank(), [("err", f"{error.detail[:1].upper()}{error.detail[1:]}. The form begins anew.")]
    whole = whole_of(as_json(as_sent(job.spec, built_in())), blank())
    found = check(whole, store, settings)
    label = shown_name(job.name) or job.spec.workload.short_title
    said: Note = (
        "info",
        f"This is the spec of {label} again. Change what you like; that job stays as it is.",
    )
    if found.spec is None:
        return whole, [said, ("err", "It is shown as a whole, as the service would refuse it today.")]
    form, notes = shown(store, settings, found.spec, whole)
    return form, [said, *notes]


def shown(store: Store, settings: Settings, spec: ResolvedSpec, whole: Form) -> tuple[Form, list[Note]]:
    """Return the form for a spec; `whole` if there is something in it that the form cannot show."""

    def resolved(sent: JobSpec) -> ResolvedSpec:
        return functions.resolved(store, sent, settings)

    found = filled(spec, catalog_for(store, settings, spec.workload.dataset_name or ""), resolved)
    if not found.lost:
        return Form({**blank().values, **found.form.values}, found.form.optimizers), []
    what = ", ".join(found.lost[:5]) + (" and more" if len(found.lost) > 5 else "")
    note = f"The form cannot show everything in this spec ({what}). The whole spec is used as it stands here."
    return whole, [("info", note)]


def whole_of(text: str, form: Form) -> Form:
    return form.with_values(mode="whole", whole=text)
