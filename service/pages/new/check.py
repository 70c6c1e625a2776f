"""Checks what the form of a new job asks for as the service would, and says at which field what is wrong.

Nothing is stored by it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ValidationError

from whichopt.service import functions, json_input, plugins
from whichopt.service.catalog.built_in import Catalog
from whichopt.service.datasets import catalog_with
from whichopt.service.errors import InvalidSpec, WhichoptError
from whichopt.service.lint import lint
from whichopt.service.pages.new.form import Asked, Form, asked
from whichopt.service.routes.validation import field_problems
from whichopt.service.spec import JobSpec, ResolvedSpec

if TYPE_CHECKING:
    from whichopt.service.db import Store
    from whichopt.service.settings import Settings

WHOLE = "whole"
"""The field with the whole spec; there all problems stand when it is used."""


@dataclass(frozen=True)
class Told:
    """Something said about a field of the form; `field` is "" if it is about no field in particular."""

    field: str
    kind: Literal["error", "warning", "note"]
    words: str
    why: str = ""


@dataclass(frozen=True)
class Checked:
    """What a form asks for: the spec as it would be sent, as resolved if it is valid, and what is said."""

    sent: Mapping[str, Any] | None
    spec: ResolvedSpec | None
    told: Sequence[Told]

    @property
    def errors(self) -> list[Told]:
        return [one for one in self.told if one.kind == "error"]

    def at(self, field: str) -> list[Told]:
        """Return what is said about the field."""
        return [one for one in self.told if one.field == field]


def check(form: Form, store: Store, settings: Settings) -> Checked:
    """Return what the form asks for, checked by the same code as a job that is submitted."""
    if (whole := form.whole) is None:
        made = asked(form, catalog_for(store, settings, form.text("dataset")))
    else:
        try:
            made = Asked(_object(whole), {})
        except InvalidSpec as error:
            return Checked(None, None, [Told(WHOLE, "error", error.detail)])
    try:
        spec = functions.resolved(store, JobSpec.model_validate(made.spec), settings)
    except ValidationError as error:
        body = [{**one, "loc": ("body", *one["loc"])} for one in error.errors()]
        return Checked(
            made.spec,
            None,
            [_told(made, form, one.field, "error", one.detail) for one in field_problems(body, made.spec)],
        )
    except WhichoptError as error:
        return Checked(made.spec, None, [_told(made, form, error.field, "error", error.detail)])
    found = [
        _told(
            made,
            form,
            one.field,
            "note" if one.severity == "note" else "warning",
            f"{_begun(one.what)}: {one.instead}.",
            one.why,
        )
        for one in lint(spec)
    ]
    return Checked(made.spec, spec, found)


def catalog_for(store: Store, settings: Settings, dataset: str) -> Catalog:
    """Return the catalog with all plug-ins and the dataset of that name, if a job can use this one."""
    with store.read() as tx:
        known = plugins.offered(tx, within_s=settings.worker_alive_s)
        try:
            return catalog_with(tx, dataset, field="workload.dataset.name", known=known)
        except WhichoptError:
            return known  # the check says what is wrong with the dataset


def _object(text: str) -> dict[str, Any]:
    """Return the JSON object that the text is.

    Raises:
        InvalidSpec: it is none.
    """
    try:
        found = json_input.loads(text)
    except ValueError as error:
        raise InvalidSpec(f"the spec is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise InvalidSpec(
            'a spec is a JSON object, such as {"workload": {"dataset": "wine", "model": "linear"}}'
        )
    return found


def _told(
    made: Asked,
    form: Form,
    path: str | None,
    kind: Literal["error", "warning", "note"],
    words: str,
    why: str = "",
) -> Told:
    if form.whole is not None:
        return Told(WHOLE, kind, words if path is None or path in words else f"{path}: {words}", why)
    if path is not None and words.startswith(f"{path}: "):
        rest = made.rest(path)
        words = (f"{rest}: " if rest else "") + words.removeprefix(f"{path}: ")
    return Told(made.place(path), kind, words, why)


def _begun(words: str) -> str:
    """Return the words with a capital, unless they begin with the label of an optimizer."""
    return words if words.split(maxsplit=1)[0].endswith(":") else words[:1].upper() + words[1:]
