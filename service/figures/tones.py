"""The color and the shape of each optimizer: they go together, and are the same in every page and figure.

A tone is a number. Its color is one of eight, told apart by the color-blind (Okabe and Ito 2008), and its
shape one of six, so that 48 tones differ in at least one of the two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from whichopt.service.catalog.optimizers import OPTIMIZERS

COLORS = 8
SHAPES = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross")
"""The shapes as Vega names them."""

DIFFERENT = 48
"""Number of tones before a color and a shape come together again."""


def tones(optimizers: Mapping[str, str]) -> dict[str, int]:
    """Return the tone of each label, given its optimizer's name in the catalog.

    The first label of an optimizer has the optimizer's own tone, which is its place in the catalog. Further
    ones have its color with other shapes. An optimizer that the catalog lacks has the next free tone.
    """
    places = {entry.name: place for place, entry in enumerate(OPTIMIZERS)}
    chosen: dict[str, int] = {}
    for label, name in optimizers.items():
        own = places.get(name, len(places))
        # Of the same color first, which are COLORS apart; then of any.
        wanted = [*range(own, own + DIFFERENT, COLORS), *range(own, own + DIFFERENT)]
        chosen[label] = next((tone for tone in wanted if tone not in chosen.values()), own)
    return chosen


def tone(optimizer: str) -> int:
    """Return the optimizer's own tone."""
    return tones({optimizer: optimizer})[optimizer]


def color(tone: int) -> str:
    """Return the color as the CSS variable that the theme sets."""
    return f"var(--o{tone % COLORS + 1})"


def css_class(tone: int) -> str:
    """Return the CSS class that sets the color variable `--c`."""
    return f"o{tone % COLORS + 1}"


def shape(tone: int) -> str:
    """Return the shape as Vega names it."""
    return SHAPES[_shape(tone)]


def symbol(tone: int) -> str:
    """Return the id of the shape's `<symbol>` in a page."""
    return f"m-{SHAPES[_shape(tone)]}"


def ranges(labels: Sequence[str], tones: Mapping[str, int]) -> tuple[list[str], list[str]]:
    """Return colors and shapes in the order of the labels, for the scales of a Vega-Lite spec."""
    return [color(tones[label]) for label in labels], [shape(tones[label]) for label in labels]


def _shape(tone: int) -> int:
    return (tone % COLORS + tone // COLORS) % len(SHAPES)
