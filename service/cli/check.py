"""The commands that need no service, but for datasets of your own: lint a spec, translate a setting."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from whichopt.service.cli.completion import DATA
from whichopt.service.cli.options import AsJson, Data, Key, Url, complaint, connected, read_object, show
from whichopt.service.exit_codes import NO

if TYPE_CHECKING:
    from whichopt.service.space import Config
    from whichopt.service.spec import JobSpec
    from whichopt.service.views import LintFinding

app = typer.Typer()

Steps = Annotated[int | None, typer.Option(min=1, help="Number of steps of the run, if known.")]


@app.command()
def lint(
    spec: Annotated[
        str,
        typer.Argument(
            help="JSON file, or - for standard input, with a job spec or one setting such as "
            '{"optimizer": "adam", "config": {"lr": 0.001}}.'
        ),
    ],
    steps: Steps = None,
    url: Url = None,
    key: Key = None,
    data: Data = DATA,
    as_json: AsJson = False,
) -> None:
    """Check a job spec or a setting for common mistakes, without training. Exits with 1 if it is invalid.

    No service is needed, but for a dataset of your own: the service that has it is asked.
    """
    from whichopt.service.cli import tables
    from whichopt.service.views import LintReport

    body = read_object(spec, "a job spec")
    findings = (
        _of_setting(body, steps) if {"optimizer", "config"} <= body.keys() else _of_job(body, url, key, data)
    )
    show(LintReport(findings=findings), as_json, tables.findings(findings))
    if any(finding.severity == "error" for finding in findings):
        raise typer.Exit(NO)


@app.command()
def translate(
    source: Annotated[str, typer.Argument(help="Optimizer of the given setting.")],
    target: Annotated[str, typer.Argument(help="Optimizer to translate the setting to.")],
    setting: Annotated[
        list[str] | None,
        typer.Argument(
            help="Setting, such as lr=1e-3 betas=0.9,0.999; the catalog's defaults fill in the rest."
        ),
    ] = None,
    gradient: Annotated[
        float,
        typer.Option(
            min=1e-30, help="Root mean square of a gradient's entries (used if the result depends on it)."
        ),
    ] = 1e-2,
    floor: Annotated[
        float,
        typer.Option(
            min=1e-30,
            help="eps at which the target behaves like SGD (used only when "
            "translating to SGD-like settings).",
        ),
    ] = 1.0,
    steps: Steps = None,
    as_json: AsJson = False,
) -> None:
    """Translate a setting of one optimizer to the nearest one of another, and say how near it is."""
    from whichopt.service.catalog import optimizers
    from whichopt.service.cli import tables
    from whichopt.service.errors import InvalidSpec
    from whichopt.service.lint import lint_setting
    from whichopt.service.translations import translate as translated_setting
    from whichopt.service.translations.denominators import Assumed
    from whichopt.service.views import Translation

    assumed = Assumed(gradient=gradient, floor=floor, steps=steps)
    try:
        config = _setting(source, dict(_pair(text) for text in setting or []))
        translation = translated_setting(source, target, config, assumed)
    except InvalidSpec as error:
        raise complaint(f"{error.detail}{_as_typed(source, error.field)}") from None
    # Findings about the given setting. The target's own are left out: its eps was asked to make it SGD.
    given = [finding.what for finding in lint_setting(source, config, steps=steps)]
    shown = Translation(
        source=source,
        target=target,
        given=optimizers.optimizer(source).arguments(config),
        config=optimizers.optimizer(target).arguments(translation.config),
        exactness=translation.exactness,
        why=list(translation.why) or ["both are the same optimizer"],
        warnings=[*given, *translation.warnings],
        path=list(translation.path),
    )
    show(shown, as_json, tables.translation(shown))


def _of_job(body: Mapping[str, Any], url: str | None, key: str | None, data: Path) -> list[LintFinding]:
    from pydantic import ValidationError

    from whichopt.service.catalog.datasets import DATASETS
    from whichopt.service.errors import WhichoptError
    from whichopt.service.lint import lint_job, refused
    from whichopt.service.routes.validation import field_problems
    from whichopt.service.spec import JobSpec
    from whichopt.service.views import LintFinding

    try:
        spec = JobSpec.model_validate(body)
        known = url is not None or (data / "url").exists()
        if known and _is_own(spec, [entry.name for entry in DATASETS]):
            return _by_service(spec, url, key, data)
        return [_maybe_sent(finding) for finding in lint_job(spec)]
    except WhichoptError as error:
        return [refused(error)]
    except ValidationError as error:
        errors = [{**one, "loc": ("body", *one["loc"])} for one in error.errors()]
        return [
            LintFinding(
                code="invalid_spec",
                severity="error",
                field=problem.field,
                what=problem.detail,
                why="the service rejects it",
                instead=f"write {problem.nearest!r}" if problem.nearest else "change it",
            )
            for problem in field_problems(errors, body)
        ]


def _is_own(spec: JobSpec, built_in: Sequence[str]) -> bool:
    """Tell if the job's data were sent to a service, which alone knows them."""
    from whichopt.service.spec import WorkloadSpec

    return isinstance(spec.workload, WorkloadSpec) and spec.workload.dataset.name not in built_in


def _maybe_sent(finding: LintFinding) -> LintFinding:
    """Say of an unknown dataset that it may have been sent to a service, which was not asked."""
    if finding.field != "workload.dataset.name":
        return finding
    own = "if it is your own, name the service that has it: --url, or --data with the folder of 'up'"
    return finding.model_copy(update={"instead": f"use one of the catalog; {own}"})


def _by_service(spec: JobSpec, url: str | None, key: str | None, data: Path) -> list[LintFinding]:
    """Ask the service, which knows the datasets that were sent to it."""
    from whichopt.service.client import ProblemError
    from whichopt.service.errors import InvalidSpec
    from whichopt.service.lint import refused

    with connected(url, key, data) as client:
        try:
            return client.lint(spec)
        except ProblemError as error:
            if error.problem.status not in (409, 422):
                raise
            why = InvalidSpec(
                error.detail,
                field=error.field,
                value=error.value,
                allowed=error.allowed,
                nearest=error.nearest,
            )
            return [refused(why).model_copy(update={"code": error.problem.code})]


def _of_setting(body: Mapping[str, Any], steps: int | None) -> Sequence[LintFinding]:
    from whichopt.service.errors import InvalidSpec
    from whichopt.service.lint import lint_setting, refused

    name, config = body["optimizer"], body["config"]
    if not isinstance(name, str) or not isinstance(config, dict):
        raise complaint("a setting needs the name of an optimizer, and its config as an object")
    try:
        return lint_setting(name, _setting(name, config), steps=steps)
    except InvalidSpec as error:
        return [refused(error)]


def _setting(name: str, given: Mapping[str, Any]) -> Config:
    """Return `given` in scalars, with the catalog's defaults for the rest.

    What a recommended config has of batches and the schedule is no setting of the class, and is left out.

    Raises:
        InvalidSpec: something is unknown or out of bounds.
    """
    from pydantic import ValidationError

    from whichopt.service.batches import TRAINING_LIMITS
    from whichopt.service.catalog import optimizers
    from whichopt.service.errors import InvalidSpec
    from whichopt.service.spec import OptimizerChoice, resolve_optimizer

    space = optimizers.optimizer(name).space
    own = {one: value for one, value in given.items() if one in space or one not in TRAINING_LIMITS}
    try:
        choice = OptimizerChoice.model_validate({"name": name, "default": own})
    except ValidationError as error:
        first = error.errors()[0]
        at = ".".join(str(part) for part in first["loc"])
        raise InvalidSpec(f"{at}: {first['msg']}", field=at, value=first["input"]) from None
    return resolve_optimizer(choice, "setting").default


def _as_typed(name: str, field: str | None) -> str:
    """Say how a tuple is typed here, if the wrong field is one: the error itself has it in JSON."""
    from whichopt.service.catalog import optimizers

    key = (field or "").rpartition(".")[-1]
    parts = next((one.packed.get(key) for one in optimizers.OPTIMIZERS if one.name == name), None)
    if parts is None:
        return ""
    default = optimizers.optimizer(name).default
    return f"; write {key}={','.join(str(default[part]) for part in parts)}"


def _pair(text: str) -> tuple[str, Any]:
    """Split `lr=1e-3` into name and value; the value of `betas=0.9,0.999` is a list."""
    name, equals, value = text.partition("=")
    if not name or not equals or not value:
        raise complaint(f"{text!r} is not a setting; give name=value, such as lr=1e-3")
    parts = [_value(part) for part in value.strip("()[]").split(",")]
    return name, parts[0] if len(parts) == 1 else parts


def _value(text: str) -> Any:
    try:
        return json.loads(text.strip().lower())
    except ValueError:
        return text
