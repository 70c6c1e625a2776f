"""The commands that need no service: lint a spec, translate a setting."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.console import AsJson, complaint, read_object, show
from service.exit_codes import NO

if TYPE_CHECKING:
    from service.space import Config
    from service.views import LintFinding

app = typer.Typer()

Steps = Annotated[int | None, typer.Option(min=1, help="How many steps the run has, where that is known.")]


@app.command()
def lint(
    spec: Annotated[
        str,
        typer.Argument(
            help='A job spec in JSON, or one setting, {"optimizer": "adam", "config": {"lr": 0.001}}: '
            "a file, or - for standard input."
        ),
    ],
    steps: Steps = None,
    as_json: AsJson = False,
) -> None:
    """Say what users often get wrong, before anything is trained. Exits with 1 where the spec is refused."""
    from service import terminal
    from service.views import LintReport

    body = read_object(spec, "a job spec")
    findings = _of_setting(body, steps) if {"optimizer", "config"} <= body.keys() else _of_job(body)
    show(LintReport(findings=findings), as_json, terminal.findings(findings))
    if any(finding.severity == "error" for finding in findings):
        raise typer.Exit(NO)


@app.command()
def translate(
    source: Annotated[str, typer.Argument(help="The optimizer that the setting is of.")],
    target: Annotated[str, typer.Argument(help="The optimizer that it is wanted for.")],
    setting: Annotated[
        list[str] | None,
        typer.Argument(help="As in lr=1e-3 betas=0.9,0.999; what is left out is the catalog's default."),
    ] = None,
    gradient: Annotated[
        float, typer.Option(min=1e-30, help="Root mean square of a gradient's entry, where it matters.")
    ] = 1e-2,
    floor: Annotated[
        float, typer.Option(min=1e-30, help="The eps that makes SGD of the target, where that is wanted.")
    ] = 1.0,
    steps: Steps = None,
    as_json: AsJson = False,
) -> None:
    """Say one optimizer's setting as another's nearest one, and how near that is."""
    from service import terminal
    from service.catalog import optimizers
    from service.errors import InvalidSpec
    from service.lint import lint_setting
    from service.translations import translate as translated
    from service.translations.denominators import Assumed
    from service.views import Translation

    assumed = Assumed(gradient=gradient, floor=floor, steps=steps)
    try:
        config = _setting(source, dict(_pair(text) for text in setting or []))
        found = translated(source, target, config, assumed)
    except InvalidSpec as error:
        raise complaint(error.detail) from None
    # What the target's own rules say of it; that SGD was made by its eps is what was asked for.
    given = [finding.what for finding in lint_setting(source, config, steps=steps)]
    shown = Translation(
        source=source,
        target=target,
        given=optimizers.optimizer(source).arguments(config),
        config=optimizers.optimizer(target).arguments(found.config),
        exactness=found.exactness,
        why=list(found.why) or ["it is the same optimizer"],
        warnings=[*given, *found.warnings],
        path=list(found.path),
    )
    show(shown, as_json, terminal.translation(shown))


def _of_job(body: Mapping[str, Any]) -> list[LintFinding]:
    from pydantic import ValidationError

    from service.lint import lint_job
    from service.routes.validation import field_problems
    from service.spec import JobSpec
    from service.views import LintFinding

    try:
        return lint_job(JobSpec.model_validate(body))
    except ValidationError as error:
        errors = [{**one, "loc": ("body", *one["loc"])} for one in error.errors()]
        return [
            LintFinding(
                code="invalid_spec",
                severity="error",
                field=problem.field,
                what=problem.detail,
                why="the service refuses it",
                instead=f"write {problem.nearest!r}" if problem.nearest else "change it",
            )
            for problem in field_problems(errors, body)
        ]


def _of_setting(body: Mapping[str, Any], steps: int | None) -> Sequence[LintFinding]:
    from service.errors import InvalidSpec
    from service.lint import lint_setting, refused

    name, config = body["optimizer"], body["config"]
    if not isinstance(name, str) or not isinstance(config, dict):
        raise complaint("a setting has an optimizer's name, and its config as an object")
    try:
        return lint_setting(name, _setting(name, config), steps=steps)
    except InvalidSpec as error:
        return [refused(error)]


def _setting(name: str, given: Mapping[str, Any]) -> Config:
    """`given` in scalars, with the catalog's defaults for what it leaves out.

    Raises:
        InvalidSpec: something is unknown or out of bounds.
    """
    from pydantic import ValidationError

    from service.errors import InvalidSpec
    from service.spec import OptimizerChoice, resolve_optimizer

    try:
        choice = OptimizerChoice.model_validate({"name": name, "default": given})
    except ValidationError as error:
        first = error.errors()[0]
        at = ".".join(str(part) for part in first["loc"])
        raise InvalidSpec(f"{at}: {first['msg']}", field=at, value=first["input"]) from None
    return resolve_optimizer(choice, "setting").default


def _pair(text: str) -> tuple[str, Any]:
    """`lr=1e-3` as a name and a value; `betas=0.9,0.999` has a list."""
    name, equals, value = text.partition("=")
    if not name or not equals or not value:
        raise complaint(f"{text!r} is no setting; give name=value, as in lr=1e-3")
    parts = [_value(part) for part in value.strip("()[]").split(",")]
    return name, parts[0] if len(parts) == 1 else parts


def _value(text: str) -> Any:
    try:
        return json.loads(text.strip().lower())
    except ValueError:
        return text
