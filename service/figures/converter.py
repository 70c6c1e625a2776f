"""Turns Vega-Lite specs into SVG in a process of its own: the engine inside takes 170 MB, which end with it.

`python -m whichopt.service.figures.converter` reads {name: spec} as JSON from its standard input, and writes
{name: {"svg": text}} or {name: {"problem": text}} as JSON to its standard output.
"""

from __future__ import annotations

import json
import sys
from typing import TextIO

VEGA_LITE = "6.4"
"""The version of the page's own bundle, so that page and report draw alike."""


def convert(asked: TextIO, answer: TextIO) -> None:
    """Draw each spec; one that cannot be drawn has its problem in words."""
    import vl_convert

    drawn: dict[str, dict[str, str]] = {}
    for name, spec in json.load(asked).items():
        try:
            svg = vl_convert.vegalite_to_svg(
                spec,
                vl_version=VEGA_LITE,
                allowed_base_urls=[],  # a spec of ours has its data, and nothing is fetched for it
                format_locale="en-US",
                time_format_locale="en-US",
            )
        except (ValueError, TypeError) as error:  # what the engine raises over a spec
            drawn[name] = {"problem": str(error)}
        else:
            drawn[name] = {"svg": svg}
    json.dump(drawn, answer)


if __name__ == "__main__":
    convert(sys.stdin, sys.stdout)
