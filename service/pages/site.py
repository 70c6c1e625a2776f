"""Every page, in the order of the bar; `service.app` includes their routes."""

from __future__ import annotations

from whichopt.service.pages import (
    catalog,
    compare,
    datasets,
    docs,
    home,
    job,
    job_buttons,
    job_figures,
    job_parts,
    learning,
    new,
)

PAGES = (home, compare, job, learning, job_figures, job_parts, job_buttons, new, catalog, datasets, docs)
