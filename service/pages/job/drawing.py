"""Draws a job's page in parts, so that what has changed can be sent alone."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from whichopt.service.job_names import shown_name
from whichopt.service.jobs import RESUMABLE
from whichopt.service.pages.frame import filled, macros
from whichopt.service.pages.home.rows import pill_of
from whichopt.service.pages.job.acts import confirm, search, verdict
from whichopt.service.pages.job.live import Drawing
from whichopt.service.pages.job.rail import rail
from whichopt.service.pages.job.scene import Act, Scene
from whichopt.service.training_words import own_training
from whichopt.service.workload_words import data_line, goal_line, model_line

ACTS = {Act.SEARCH: search, Act.CONFIRM: confirm, Act.VERDICT: verdict}

SHARED = {name: f"job/{name}.html" for name in ("head", "rail", "notice", "sentence")}
"""Parts of every act; the root of each has the part's name as its id."""

SEARCH = {
    name: f"job/search_{name}.html" for name in ("note", "axis", "numbers", "running", "ledger", "said")
}
"""Parts of act 1, besides its lanes. Those of the other acts are one part, which is small."""


def drawing(scene: Scene, base: str) -> Drawing:
    """Draw the page of a job; `base` is the path that stands before every address of ours."""
    values: dict[str, Any] = {
        "scene": scene,
        "job": scene.job,
        "name": shown_name(scene.job.name),
        "act": scene.act.value,
        "tones": scene.tones,
        "rail": rail(scene),
        "pill": pill_of(scene.job),
        "data_line": data_line,
        "goal_line": goal_line,
        "model_line": model_line,
        "own_training": own_training(scene.spec),
        "can_resume": scene.job.error is not None and scene.job.error.code in RESUMABLE,
        **ACTS[scene.act].values(scene),
    }

    def part(template: str, **more: Any) -> str:
        return filled(base, template, **values, **more).strip()

    parts = {name: part(template) for name, template in SHARED.items()}
    groups: dict[str, tuple[str, ...]] = {}
    holds: dict[str, tuple[str, ...]] = {}
    if scene.act is Act.SEARCH:
        parts |= {name: part(template) for name, template in SEARCH.items()}
        for name, address in values["figures"].items():
            parts[name] = part("job/search_figure.html", id=name, address=address)
        for row in values["rows"]:
            cells = _cells(row, values)
            whole = macros("job/search_lane.html").row(row, Markup("".join(cells.values())))
            running = f"{row.id}-running"
            parts |= {row.id: str(whole), **cells, running: str(row.running)}
            holds |= {row.id: tuple(cells), f"{row.id}-drawing": (running,)}
        groups["lanes"] = tuple(row.id for row in values["rows"])
    else:
        parts["act"] = f'<div id="act">{part(f"job/{scene.act}.html")}</div>'
    return Drawing(
        revision=scene.job.revision,
        # Once the search is over, its table has other columns.
        kind=f"{scene.act}{'-over' if values.get('over') else ''}",
        title=values["name"] or scene.spec.workload.short_title,
        activity=scene.job.activity,
        ended=scene.job.state.ended,
        body=part("job/body.html", parts=parts),
        parts=parts,
        groups=groups,
        holds=holds,
    )


def _cells(row: search.Row, values: dict[str, Any]) -> dict[str, str]:
    """Draw the cells of a lane's row, by their ids."""
    lane = macros("job/search_lane.html")
    cells = {
        "drawing": lane.drawing(row),
        "best": lane.best(row, values["shown"]),
        "done": lane.done(row),
        "chance": lane.chance(row, values["over"]),
    }
    return {f"{row.id}-{name}": str(cell) for name, cell in cells.items()}
