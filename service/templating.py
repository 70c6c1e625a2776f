"""The one environment of all HTML that we make: where the templates lie, and how they are filled."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from whichopt.service.job_names import shown_name

if TYPE_CHECKING:
    from jinja2 import Environment

WEB = Path(__file__).parent / "web"
TEMPLATES = WEB / "templates"
ASSETS = WEB / "assets"
"""Files that are served as they are."""


def templates() -> Environment:
    """Return a new environment: what is filled in is escaped, and a name that is missing is an error."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # a start need not wait for it

    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        auto_reload=False,  # or each use of a template would ask the disk if it has changed
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["shown_name"] = shown_name
    return made
