"""The code of a recommendation by the job's task: each task that learns otherwise has its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from whichopt.service.evidence.verdict.snippet import snippet
from whichopt.service.evidence.verdict.snippet_language import language_snippet
from whichopt.service.space import Config
from whichopt.service.spec import ResolvedSpec

OF_TASKS: Mapping[str, Callable[[ResolvedSpec, str, Config], str]] = {
    "language": language_snippet,
}


def snippet_of(spec: ResolvedSpec, label: str, config: Config) -> str:
    """Return Python code that trains the job's model with `config` of the optimizer `label`."""
    return OF_TASKS.get(spec.cataloged.task, snippet)(spec, label, config)
