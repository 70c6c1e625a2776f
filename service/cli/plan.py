"""The command that tells what a job would take and be able to show, before it is paid for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from whichopt.service.cli.completion import DATA
from whichopt.service.cli.options import AsJson, Data, Key, Url, connected, read_object, show

if TYPE_CHECKING:
    from rich.console import RenderableType

    from whichopt.service.views import JobPlan, LeadChance

app = typer.Typer()


@app.command()
def plan(
    spec: Annotated[str, typer.Argument(help="JSON file with a job spec, or - for standard input.")],
    url: Url = None,
    key: Key = None,
    data: Data = DATA,
    as_json: AsJson = False,
) -> None:
    """Show a job's time, its cost, and how likely its verdicts name a true leader; nothing is trained."""
    body = read_object(spec, "a job spec")
    with connected(url, key, data) as client:
        found = client.plan(body)
        show(found, as_json, plan_tables(found))


def plan_tables(plan: JobPlan) -> RenderableType:
    """Return the time and the cost, the chances by lead, and what each rests on."""
    from rich.console import Group
    from rich.text import Text

    from whichopt.service.cli.listings import Facts, Heading, Listing, stacked

    value = Heading(f"in {plan.metric}", right=True, rank=1)
    facts = Facts([("time", _time(plan)), ("cost", _cost(plan))])
    parts: list[RenderableType] = [facts]
    for title, rows in (("config", plan.power.config), ("optimizer", plan.power.optimizer)):
        if rows:
            headings = (
                Heading("true lead (sd)", right=True),
                value,
                Heading("strong pairing", right=True),
                Heading("weak pairing", right=True),
            )
            what = f"Chance that the {title} verdict names a true leader"
            parts.append(Listing(headings, _chances(rows), title=what))
    if plan.budget_for:
        of_budgets = (
            Heading("true lead (sd)", right=True),
            value,
            Heading("confirm_seeds", right=True),
            Heading("replicates", right=True),
            Heading("trials", right=True),
        )
        budgets = [
            (
                f"{row.lead:g}",
                _number(row.value),
                str(row.seeds or "too many"),
                str(row.replicates or "too many"),
                str(row.trials or "too many"),
            )
            for row in plan.budget_for
        ]
        what = "Least budget for a chance of 80%: seeds for the config verdict, studies for the optimizer's"
        parts.append(Listing(of_budgets, budgets, title=what))
    return stacked(*parts, Group(*map(Text, plan.basis)))


def _time(plan: JobPlan) -> str:
    from whichopt.service.evidence.forecast.durations import duration_text

    if plan.seconds is None:
        return "unknown"
    about = f"about {duration_text(plan.seconds)}"
    if plan.seconds_low is None or plan.seconds_high is None:
        return about
    return f"{about} ({duration_text(plan.seconds_low)} to {duration_text(plan.seconds_high)})"


def _cost(plan: JobPlan) -> str:
    cost = plan.cost
    if cost is None:
        return "unknown"
    least = f"{cost.confirm_least:,} to " if cost.confirm_least < cost.confirm else ""
    confirm = f"{least}{cost.confirm:,} to confirm"
    trials = f"{cost.trials:,} trials at most ({cost.search:,} to search, {confirm})"
    return f"{trials}, {cost.steps:,} steps, {cost.examples:,} {plan.unit}"


def _chances(rows: Sequence[LeadChance]) -> list[tuple[str, str, str, str]]:
    return [(f"{row.lead:g}", _number(row.value), _share(row.chance), _share(row.weak)) for row in rows]


def _share(chance: float) -> str:
    """A share of simulated jobs is never shown as none or all of them."""
    from whichopt.service.evidence.forecast.durations import chance_text

    return chance_text(chance)


def _number(value: float | None) -> str:
    from whichopt.service.cli.listings import number_text

    return number_text(value, ".3g")
