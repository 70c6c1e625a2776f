"""What all figures have in common: fonts, axes, the room around them, and how optimizers are told apart.

Room is said in pixels and nothing depends on how wide a text is drawn. So the same data give the same drawing
whatever fonts a machine has, and a page can give a figure its width. Colors are variables of the page.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from whichopt.service.figures.figure import Spec, short
from whichopt.service.figures.tones import ranges

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
FONT = "system-ui, sans-serif"
WIDTH = 480
"""Pixels, if the page has not said how many there are."""

ABOVE, BELOW = 26, 46
"""Pixels above a figure (for the title of its vertical axis) and below (for its horizontal one)."""

CHARACTER = 7.0
"""Pixels that a character takes at most, on average."""

ROW = 28
"""Pixels that a row takes."""

CONFIG: Spec = {
    "background": None,
    "font": FONT,
    "view": {"stroke": None},
    "axis": {
        "gridColor": "var(--hair)",
        "domainColor": "var(--line)",
        "tickColor": "var(--line)",
        "labelColor": "var(--quiet)",
        "titleColor": "var(--quiet)",
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": 400,
        "labelPadding": 4,
        "titlePadding": 8,
        "tickSize": 4,
        "labelLimit": 0,
        "titleLimit": 0,
        "labelFlush": False,
        "labelBound": False,
    },
    "axisX": {"grid": False, "titleY": 30, "titleAnchor": "end", "titleAlign": "right"},
    "axisY": {
        "titleAnchor": "end",
        "titleAngle": 0,
        "titleAlign": "left",
        "titleBaseline": "bottom",
        "titleX": -36,
        "titleY": -10,
        "domain": False,
        "ticks": False,
    },
    "line": {"strokeWidth": 2},
    "text": {"font": FONT, "fontSize": 12, "fontWeight": 500, "fill": "var(--ink)"},
}


def spec(
    layers: Sequence[Spec],
    *,
    width: int | None,
    height: int,
    left: float = 40,
    right: float = 12,
    above: float = ABOVE,
    below: float = BELOW,
) -> Spec:
    """Return a whole spec of that width and height in pixels, the room around the plot included."""
    return {
        "$schema": SCHEMA,
        "width": max(40, round((width or WIDTH) - left - right)),
        "height": max(20, round(height - above - below)),
        "autosize": "none",
        "padding": {"left": round(left), "right": round(right), "top": round(above), "bottom": round(below)},
        "config": CONFIG,
        "layer": list(layers),
    }


def ticks_for(width: int | None, left: float, right: float) -> int:
    """Return how many ticks a horizontal axis may have, on the narrowest screen if no width is known."""
    return max(2, min(8, int(((width or 300) - left - right) / 52)))


def rows_height(rows: int, row: int = ROW, above: float = 6) -> int:
    """Return the height in pixels of a figure with that many rows."""
    return round(rows * row + above + BELOW)


def left_of(labels: Sequence[str]) -> float:
    """Return the room for labels at the left of rows."""
    return 18 + 1.1 * CHARACTER * max(map(len, map(short, labels)))  # they are a bit larger


def values(rows: Sequence[Mapping[str, Any]]) -> Spec:
    """Return rows as inline data."""
    return {"values": list(rows)}


def color(labels: Sequence[str], tones: Mapping[str, int]) -> Spec:
    """Return the color channel of rows whose optimizer is `o`."""
    return _nominal(labels, ranges(labels, tones)[0])


def shape(labels: Sequence[str], tones: Mapping[str, int]) -> Spec:
    """Return the shape channel of rows whose optimizer is `o`."""
    return _nominal(labels, ranges(labels, tones)[1])


def tip(*parts: str) -> Spec:
    """Return what a mark says when it is pointed at: texts, and fields of its row after a `$`.

    Numbers have four digits.
    """
    terms = [
        f"(isNumber(datum.{part[1:]}) ? format(datum.{part[1:]}, '.4~g') : datum.{part[1:]})"
        if part.startswith("$")
        else json.dumps(part)
        for part in parts
    ]
    return {"expr": " + ".join(terms)}


def _nominal(labels: Sequence[str], chosen: Sequence[str]) -> Spec:
    scale = {"domain": list(labels), "range": list(chosen)}
    return {"field": "o", "type": "nominal", "scale": scale, "legend": None}


def rows_axis(labels: Sequence[str]) -> Spec:
    """Return the vertical channel of figures with a row for each optimizer, in this order."""
    return {
        "field": "o",
        "type": "nominal",
        "scale": {"domain": list(labels)},
        "axis": {
            "title": None,
            "grid": False,
            "labelFontSize": 13,
            "labelColor": "var(--ink)",
            "labelPadding": 8,
            "labelExpr": "length(datum.label) > 16 ? slice(datum.label, 0, 15) + '…' : datum.label",
            "labelOverlap": False,
        },
    }


def number(field: str, scale: Spec, axis: Spec | None, **more: Any) -> Spec:
    """Return the channel of a number; the title of a horizontal axis ends at the right end of the axis."""
    if axis is not None and scale.get("reverse"):
        axis = {**axis, "titleAnchor": "start"}
    return {"field": field, "type": "quantitative", "scale": scale, "axis": axis, **more}
