"""What a notebook shows: a table with small drawings, and a figure for front ends that draw Vega-Lite.

JupyterLab 4 draws Vega-Lite 5, others draw 6, and many prefer HTML to both, so the table has drawings of its
own. A notebook has no variables for colors, so all are fixed here. No library is needed to make any of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from whichopt.service.figures.axes import fit
from whichopt.service.figures.figure import Figure, Metric, Spec
from whichopt.service.figures.intervals import Bounded
from whichopt.service.figures.tones import color, shape

FIXED = {
    "--ground": "#f5f5f1",
    "--card": "#ffffff",
    "--sunk": "#f0f0eb",
    "--ink": "#15181c",
    "--quiet": "#5b636c",
    "--line": "#deded8",
    "--hair": "#ebebe6",
    "--o1": "#0072b2",
    "--o2": "#d55e00",
    "--o3": "#009e73",
    "--o4": "#c1639a",
    "--o5": "#b98300",
    "--o6": "#7a5ca8",
    "--o7": "#3a94c4",
    "--o8": "#6d737a",
}
"""The colors of the page's light theme, which `style.css` has as variables."""

MIME = "application/vnd.vegalite.v{version}+json"
VERSIONS = (6, 5)
"""Majors of Vega-Lite that a front end may draw; nothing of ours needs the newer one."""

WIDTH, HEIGHT = 150, 16
"""Pixels of a small drawing in a table."""

SHAPES = {
    "circle": '<circle cx="8" cy="8" r="5"/>',
    "square": '<path d="M3.5 3.5h9v9h-9z"/>',
    "triangle-up": '<path d="M8 2.5l5.6 10H2.4z"/>',
    "diamond": '<path d="M8 2l6 6-6 6-6-6z"/>',
    "triangle-down": '<path d="M8 13.500l5.600-10H2.400z"/>',
    "cross": '<path d="M6 2.500h4V6h3.500v4H10v3.500H6V10H2.500V6H6z"/>',
}

_VARIABLE = re.compile(r"var\((--\w+)\)")


def bundle(html: str, text: str, figure: Figure | None) -> dict[str, Any]:
    """Return what a notebook may show, by MIME type; a figure for each version that a front end may know."""
    shown: dict[str, Any] = {"text/plain": text, "text/html": html}
    if figure is not None:
        spec = fixed(figure.spec)
        shown |= {
            MIME.format(version=version): {
                **spec,
                "$schema": f"https://vega.github.io/schema/vega-lite/v{version}.json",
            }
            for version in VERSIONS
        }
    return shown


def fixed(spec: Spec) -> Spec:
    """Return the spec with fixed colors, on white."""
    plain: Spec = json.loads(_VARIABLE.sub(lambda found: FIXED[found[1]], json.dumps(spec)))
    return {**plain, "background": FIXED["--card"]}


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table; cells are HTML, the head is text."""
    names = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{names}</tr></thead><tbody>{body}</tbody></table>"


def named(label: str, tones: Mapping[str, int]) -> str:
    """Return an optimizer's mark and label."""
    tone = tones[label]
    mark = f'<svg width="16" height="16" fill="{_hex(tone)}" aria-hidden="true">{SHAPES[shape(tone)]}</svg>'
    return f"{mark}&nbsp;{escape(label)}"


def lanes(rows: Sequence[Bounded], metric: Metric, tones: Mapping[str, int]) -> dict[str, str]:
    """Return a small drawing of each mean with its interval, on one scale; right is better."""
    if not rows:
        return {}
    ends = [end for row in rows for end in (row.mean, row.low, row.high) if end is not None]
    shown = fit(ends, metric, always=[row.mean for row in rows])

    def x(value: float) -> float:
        share = shown.share(value)
        return 4 + (WIDTH - 8) * (1 - share if metric.is_lower_better else share)

    drawn = {}
    for row in rows:
        tone, middle = tones[row.label], HEIGHT / 2
        bar = ""
        if row.low is not None and row.high is not None:
            bar = (
                f'<path d="M{x(row.low):.1f} {middle}H{x(row.high):.1f}" stroke="{_hex(tone)}" '
                'stroke-width="3" stroke-opacity="0.5"/>'
            )
        drawn[row.label] = (
            f'<svg width="{WIDTH}" height="{HEIGHT}" role="img" aria-label="{escape(row.label)}: better is '
            f'right">{bar}<g fill="{_hex(tone)}" transform="translate({x(row.mean) - 8:.1f} 0)">'
            f"{SHAPES[shape(tone)]}</g></svg>"
        )
    return drawn


def chance(label: str, probability: float | None, tones: Mapping[str, int]) -> str:
    """Return a probability with its bar; nothing for none."""
    if probability is None:
        return ""
    return (
        f'{probability:.2f} <svg width="60" height="6" aria-hidden="true"><rect width="60" height="6" '
        f'fill="{FIXED["--line"]}"/><rect width="{60 * probability:.1f}" height="6" '
        f'fill="{_hex(tones[label])}"/></svg>'
    )


def _hex(tone: int) -> str:
    return FIXED[color(tone)[4:-1]]
