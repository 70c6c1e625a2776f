"""Checks the trials of today's config: it is never searched, and trains once on every fresh seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from whichopt.service.evidence.verdict.todays_runs import own_trials, todays_trials
from whichopt.service.spec import TODAY, ResolvedSpec
from whichopt.service.states import Phase
from whichopt.service.trials import Trial


def todays_contradictions(spec: ResolvedSpec, trials: Sequence[Trial]) -> Iterator[str]:
    """Yield what contradicts the plan of today's config; nothing if the job has none."""
    if spec.today is None:
        return
    searched = sum(trial.plan.label == TODAY and trial.plan.phase is Phase.SEARCH for trial in trials)
    if searched:
        yield f"{searched} search trials are of today's config, which is never searched"
    runs = Counter(trial.plan.number for trial in todays_trials(spec, trials))
    seeds = {trial.plan.number for trial in own_trials(spec, trials) if trial.plan.phase is Phase.CONFIRM}
    if missing := sorted(seeds - runs.keys()):
        yield f"today's config: its runs on fresh seeds {_numbers(missing)} missing"
    if extra := sorted(runs.keys() - seeds):
        yield f"today's config: its runs on fresh seeds {_numbers(extra)} there, but no finalist has them"
    if twice := sorted(number for number, count in runs.items() if count > 1):
        yield f"today's config: its runs on fresh seeds {_numbers(twice)} there more than once"


def _numbers(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:5]))
    return f"{shown}{' and more' if len(numbers) > 5 else ''} {'is' if len(numbers) == 1 else 'are'}"
