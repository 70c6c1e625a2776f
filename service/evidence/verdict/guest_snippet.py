"""A recommendation as code for a person's own function: the real optimizer in place of `run.optimizer`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from whichopt.service.evidence.verdict.snippet import imports, optimizer_lines
from whichopt.service.evidence.verdict.snippet_steps import schedule_lines
from whichopt.service.planning.finalists import Finalist
from whichopt.service.space import Config
from whichopt.service.spec import ResolvedFunction, ResolvedSpec
from whichopt.service.trial_set import TrialSet
from whichopt.service.trials import Trial

Groups = Sequence[Mapping[str, Any]]
"""The settings of each group of params at a trial's first step, as torch spells them."""


def groups_of(spec: ResolvedSpec, trials: Sequence[Trial], arm: Finalist) -> Groups:
    """Return the groups with which the finalist's config was trained; none if no run of it says so."""
    runs = sorted(TrialSet(spec, trials).by_finalist.get(arm.key, ()), key=lambda trial: trial.plan.number)
    starts = (trial.result.start for trial in runs if trial.result is not None)
    return next((start.groups for start in starts if start is not None), ())


def guest_snippet(
    spec: ResolvedSpec, guest: ResolvedFunction, label: str, config: Config, groups: Groups
) -> str:
    """Return Python code that makes the optimizer, for the place where the function calls `run.optimizer`.

    Its schedule follows only if the function uses the job's.
    """
    facts = spec.optimizer(label).facts
    scheduled = guest.rehearsed is not None and guest.rehearsed.scheduled
    schedule = (
        schedule_lines(spec.schedule, "total_steps = epochs * steps_per_epoch  # steps between two reports")
        if scheduled
        else []
    )
    arguments = {**facts.arguments(config), **facts.build.fixed}
    return "\n".join(
        (
            *imports(facts, schedule),
            "",
            f"# In {guest.function.name}, in place of run.optimizer(...); `model` is yours.",
            *(f"# {line}" for line in group_lines(groups, arguments)),
            *optimizer_lines(facts, config),
            *(
                [
                    "",
                    "# In place of run.scheduler(...), stepped after each step of the optimizer.",
                    f"epochs, steps_per_epoch = {spec.budget.epochs}, 100  # your number of steps here",
                    *schedule,
                ]
                if schedule
                else []
            ),
            "",
        )
    )


def group_lines(groups: Groups, arguments: Mapping[str, Any]) -> list[str]:
    """Say in words how the groups of params differ from the settings of the optimizer."""
    if len(groups) < 2:
        return []
    lines = [f"It makes {len(groups)} groups of params; give them to the optimizer in place of the params."]
    for number, group in enumerate(groups, start=1):
        own = ", ".join(
            f"{name}={_plain(group[name])!r}"
            for name, value in arguments.items()
            if name in group and name != "lr" and _plain(group[name]) != _plain(value)
        )
        if own:
            lines.append(f"Group {number} keeps {own}.")
    rates = [group.get("initial_lr", group.get("lr")) for group in groups]
    if len(set(rates)) > 1:
        lines.append(
            f"Their learning rates were {', '.join(f'{rate:g}' for rate in rates if rate is not None)}."
        )
    return lines


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list | tuple) else value
