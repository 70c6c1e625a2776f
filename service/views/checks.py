"""The views of what is checked before anything is trained: mistakes in a spec, and translated settings."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from whichopt.service.views.view import View


class LintFinding(View):
    """A common mistake in a spec or a setting, found before anything is trained."""

    code: str
    severity: Literal["error", "warning", "note"]
    field: str | None = Field(description='Path in the spec, such as "optimizers.0.space.lr".')
    what: str
    why: str = Field(description="Reason why that matters, with its source.")
    instead: str = Field(description="Advice on what to do instead.")


class LintReport(View):
    findings: list[LintFinding]


class Translation(View):
    """A setting of one optimizer translated to the nearest one of another; `config` has torch's own form."""

    source: str
    target: str
    given: dict[str, Any]
    config: dict[str, Any]
    exactness: Literal["exact", "rounding", "limit", "approximate"]
    why: list[str] = Field(description="Reasons for the translation, one for each step of `path`.")
    warnings: list[str]
    path: list[str] = Field(description="Optimizers on the way from source to target.")
