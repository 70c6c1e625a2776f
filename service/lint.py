"""What users often get wrong, told from a spec or a setting before anything is trained. Pure."""

from __future__ import annotations

from service.spec import ResolvedSpec
from service.views import LintFinding


def lint(spec: ResolvedSpec) -> list[LintFinding]:
    raise NotImplementedError(spec)
