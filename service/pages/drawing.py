"""Draws a job's page in parts, so that what has changed can be sent alone."""

from __future__ import annotations

from typing import Any

from whichopt.service.job_names import shown_name
from whichopt.service.jobs import RESUMABLE
from whichopt.service.pages.acts import confirm, search, verdict
from whichopt.service.pages.frame import filled
from whichopt.service.pages.home_rows import pill_of
from whichopt.service.pages.live import Drawing
from whichopt.service.pages.rail import rail
from whichopt.service.pages.scene import Act, Scene
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
        "can_resume": scene.job.error is not None and scene.job.error.code in RESUMABLE,
        **ACTS[scene.act].values(scene),
    }

    def part(template: str, **more: Any) -> str:
        return filled(base, template, **values, **more).strip()

    parts = {name: part(template) for name, template in SHARED.items()}
    groups: dict[str, tuple[str, ...]] = {}
    if scene.act is Act.SEARCH:
        parts |= {name: part(template) for name, template in SEARCH.items()}
        for name, address in search.FIGURES.items():
            parts[name] = part("job/search_figure.html", id=name, address=address)
        parts |= {row.id: part("job/search_lane.html", row=row) for row in values["rows"]}
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
    )
